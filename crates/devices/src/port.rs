//! What `identity` asks at each request: whose certificate is this, and does it count?

use gate::BoxFuture;
use identity::{KnowDevices, KnownDevice, KnownLeave, SecretKind, parse_secret_text};
use kernel::{Micros, Problem, Secret, sha256};
use vault::db::{PortDb, Reader, Writer};

use crate::{Devices, store, store_nodes};

/// Implements [`KnowDevices`] over the database. Nothing is remembered: what ends a device ends it for the next request.
pub struct DevicePort {
    db: PortDb,
    room: Devices,
}

impl DevicePort {
    /// Over this database. What is asked of devices now is the room's to say.
    #[must_use]
    pub fn new(db: PortDb, room: &Devices) -> Self {
        Self { db, room: room.clone() }
    }
}

impl KnowDevices for DevicePort {
    fn device<'a>(&'a self, certificate: &'a [u8; 32], at: Micros) -> BoxFuture<'a, Result<Option<KnownDevice>, Problem>> {
        let (certificate, room) = (*certificate, self.room.clone());
        Box::pin(async move {
            let look_up = move |reader: &mut Reader<'_>| Ok(store::by_certificate(reader, &certificate, (at, &room.0.config))?);
            let found = self.db.read_point(look_up).await?;
            Ok(found.map(|found| KnownDevice { id: found.id, principal_id: found.principal_id, tier: found.tier }))
        })
    }

    fn leave<'a>(&'a self, secret: &'a Secret, at: Micros) -> BoxFuture<'a, Result<Option<KnownLeave>, Problem>> {
        let (kind, digest) = (parse_secret_text(secret.expose()), sha256(secret.expose()));
        Box::pin(async move {
            let look_up = move |reader: &mut Reader<'_>| {
                Ok(match kind {
                    Some(SecretKind::Enrolment) => store::enrolment(reader, &digest, at)?,
                    Some(SecretKind::Fleet) => store_nodes::fleet_of(reader, &digest)?,
                    Some(SecretKind::Node) => store_nodes::node_of(reader, &digest)?,
                    _ => None,
                })
            };
            Ok(self.db.read_point(look_up).await?.map(|(id, principal_id)| KnownLeave { id, principal_id }))
        })
    }

    fn end_all(&self, tx: &mut Writer<'_>, principal_id: &str, by: &str, at: Micros) -> Result<u64, Problem> {
        Ok(store::end_all(tx, principal_id, by, at)?)
    }
}
