//! `mail.own`: where one's own notices go.

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use super::own_account;
use crate::openpgp::RecipientKey;
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
    /// Why nothing can be encrypted to it any more, and so nothing is sent, if that is so.
    pub key_fault: Option<String>,
}

impl Operation for OwnMail {
    const ACTION: Action = OWN;
    type Output = Shown;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<Shown, Problem> {
        let (own, at) = (own_account(permit.caller())?.to_owned(), permit.entry().at);
        let (room, is_configured) = (self.room.clone(), self.room.is_configured());
        let read = move |reader: &mut vault::db::Reader<'_>| {
            let address = room.address_of(reader, &own)?.map(|(address, source)| (address.text(), source));
            let found = store::key(reader, &own)?;
            let fault = |bytes: &[u8]| RecipientKey::parse(bytes, at).err().map(|problem| problem.message().to_owned());
            let key_fault = found.as_ref().and_then(|(bytes, _)| fault(bytes));
            Ok(Shown { is_configured, address, key: found.map(|(_, fingerprint)| fingerprint), key_fault })
        };
        self.room.0.db.read(&permit, read).await
    }
}
