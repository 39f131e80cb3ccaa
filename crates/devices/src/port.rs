//! What `identity` asks at each request: whose certificate is this, and does it count?

use gate::BoxFuture;
use identity::{KnowDevices, KnownDevice, KnownEnrolment};
use kernel::{Micros, Problem, Secret, sha256};
use vault::db::PortDb;

use crate::store;

/// Implements [`KnowDevices`] over the database. Nothing is remembered: what ends a device ends it for the next request.
pub struct DevicePort(PortDb);

impl DevicePort {
    /// Over this database.
    #[must_use]
    pub const fn new(db: PortDb) -> Self {
        Self(db)
    }
}

impl KnowDevices for DevicePort {
    fn device<'a>(&'a self, certificate: &'a [u8; 32], at: Micros) -> BoxFuture<'a, Result<Option<KnownDevice>, Problem>> {
        let certificate = *certificate;
        Box::pin(async move {
            let found = self.0.read_point(move |reader| Ok(store::by_certificate(reader, &certificate, at)?)).await?;
            Ok(found.map(|found| KnownDevice { id: found.id, principal_id: found.principal_id, tier: found.tier }))
        })
    }

    fn enrolment<'a>(&'a self, secret: &'a Secret, at: Micros) -> BoxFuture<'a, Result<Option<KnownEnrolment>, Problem>> {
        let digest = sha256(secret.expose());
        Box::pin(async move {
            let found = self.0.read_point(move |reader| Ok(store::enrolment(reader, &digest, at)?)).await?;
            Ok(found.map(|(id, principal_id)| KnownEnrolment { id, principal_id }))
        })
    }
}
