//! `mail.test`: an administrator tries whether mail leaves.

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use super::send::{Sent, send};
use crate::outbox::Seed;
use crate::{Address, Kind, Mail, Recipient, store};

/// The verb of [`TestMail`].
pub const TEST: Action = Action::write("mail.test");

/// Sends a mail to an address now, with whatever waits for it. What cannot be sent is kept and tried again, like any other.
pub struct TestMail {
    /// The room.
    pub room: Mail,
    /// The address.
    pub to: String,
}

impl Operation for TestMail {
    const ACTION: Action = TEST;
    type Output = Sent;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Sent, Problem> {
        self.room.way()?;
        let to = Recipient::Address(Address::parse(&self.to)?);
        let (at, event) = (permit.entry().at, kernel::random_id());
        let notice = self.room.notice(to, &Seed { of: &event, kind: Kind::Test, event: &event, at, detail: "" });
        let (room, recipient) = (self.room.clone(), self.room.recipient(&notice.to));
        let name = recipient.name.clone();
        let put = move |writer: &mut vault::db::Writer<'_>| {
            room.put(writer, &notice)?;
            Ok(store::hurry(writer, &name)?)
        };
        self.room.0.system.write(put).await?;
        send(&self.room, &permit, recipient).await
    }
}
