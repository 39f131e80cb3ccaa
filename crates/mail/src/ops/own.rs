//! `mail.own`: where one's own notices go.

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use super::own_account;
use crate::{AddressSource, Mail, store};

/// The verb of [`OwnMail`].
pub const OWN: Action = Action::read("mail.own");

/// Shows where the caller's notices go.
pub struct OwnMail {
    /// The room.
    pub room: Mail,
}

/// Where somebody's notices go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Whether mail leaves this server at all.
    pub is_configured: bool,
    /// The address, and where it is from.
    pub address: Option<(String, AddressSource)>,
    /// The fingerprint of the key that mail is encrypted to.
    pub key: Option<String>,
}

impl Operation for OwnMail {
    const ACTION: Action = OWN;
    type Output = Shown;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<Shown, Problem> {
        let own = own_account(permit.caller())?.to_owned();
        let (room, is_configured) = (self.room.clone(), self.room.is_configured());
        let read = move |reader: &mut vault::db::Reader<'_>| {
            let address = room.address_of(reader, &own)?.map(|(address, source)| (address.text(), source));
            let key = store::key(reader, &own)?.map(|(_, fingerprint)| fingerprint);
            Ok(Shown { is_configured, address, key })
        };
        self.room.0.db.read(&permit, read).await
    }
}
