//! `mail.set_key`: the key that mail to the caller is encrypted to.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use super::own_account;
use crate::openpgp::RecipientKey;
use crate::outbox::Seed;
use crate::{Kind, Mail, store};

/// The verb of [`SetKey`].
pub const SET_KEY: Action = Action::write("mail.set_key");

/// Sets the caller's own key, or removes it.
pub struct SetKey {
    /// The room.
    pub room: Mail,
    /// An OpenPGP public key, armoured; none removes the one there is.
    pub key: Option<String>,
}

impl Operation for SetKey {
    const ACTION: Action = SET_KEY;
    /// The fingerprint.
    type Output = Option<String>;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<Option<String>, Problem> {
        let (at, own) = (permit.entry().at, own_account(permit.caller())?.to_owned());
        let key = self.key.map(|text| RecipientKey::parse(text.as_bytes(), at)).transpose()?;
        let key = key.map(|key| Ok::<_, Problem>((key.to_bytes()?, key.fingerprint()))).transpose()?;
        let (room, event) = (self.room.clone(), permit.entry().id.clone());
        let write = self.room.0.db.write(&permit, move |writer| {
            let before = room.destination(writer, &own)?;
            match &key {
                Some((bytes, fingerprint)) => store::set_key(writer, &own, (bytes, fingerprint), at)?,
                None => store::forget_key(writer, &own)?,
            }
            let seed = Seed { of: &event, kind: Kind::MailKeyChanged, event: &event, at, detail: "" };
            room.tell_former(writer, (&own, before), &seed)?;
            let fingerprint = key.map(|(_, fingerprint)| fingerprint);
            let outcome = Outcome::done().resource(own).with("removed", usize::from(fingerprint.is_none()));
            Ok((fingerprint, outcome))
        });
        write.await
    }
}
