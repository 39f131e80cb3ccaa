//! `mail.set_address`: where somebody's notices go, by an administrator's word.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use crate::outbox::Seed;
use crate::{Address, Kind, Mail, store};

/// The verb of [`SetAddress`].
pub const SET_ADDRESS: Action = Action::write("mail.set_address");

/// Sets the address of a person's account, or forgets the one that is set. It goes before those that a directory or provider gave.
pub struct SetAddress {
    /// The room.
    pub room: Mail,
    /// The person's id or name.
    pub user: String,
    /// The address; none forgets it.
    pub address: Option<String>,
}

impl Operation for SetAddress {
    const ACTION: Action = SET_ADDRESS;
    type Output = ();

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (at, event) = (permit.entry().at, permit.entry().id.clone());
        let address = self.address.as_deref().map(Address::parse).transpose()?;
        let (room, user) = (self.room.clone(), self.user);
        let write = self.room.0.db.write(&permit, move |writer| {
            let found = room.0.accounts.find(writer, &user)?;
            let account = found.ok_or_else(|| Problem::not_found("there is no person of this name or id"))?;
            let before = room.destination(writer, &account)?;
            match &address {
                Some(address) => store::set_address(writer, &account, &room.sealed_address(&account, address)?, at)?,
                None => store::forget_address(writer, &account)?,
            }
            let seed = Seed { of: &event, kind: Kind::AddressReplaced, event: &event, at, detail: "" };
            room.tell_former(writer, (&account, before), &seed)?;
            let outcome = Outcome::done().resource(account).with("removed", usize::from(address.is_none()));
            Ok(((), outcome))
        });
        write.await
    }
}
