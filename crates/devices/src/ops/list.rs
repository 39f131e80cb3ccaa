//! Devices are looked at.

use gate::{Action, Operation, Permit, Target};
use identity::{Page, PageWish};
use kernel::Problem;

use super::{no_device, own_account};
use crate::types::Device;
use crate::{Devices, store};

/// The verb of [`OwnDevices`].
pub const OWN: Action = Action::read("devices.own");
/// The verb of [`ListDevices`].
pub const LIST: Action = Action::read("devices.list");

/// One's own devices.
pub struct OwnDevices {
    /// The room.
    pub room: Devices,
    /// Only this one.
    pub device: Option<String>,
}

impl Operation for OwnDevices {
    const ACTION: Action = OWN;
    type Output = Vec<Device>;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<Device>, Problem> {
        let (at, own) = (permit.entry().at, own_account(permit.caller())?.to_owned());
        let room = self.room.clone();
        let read = self.room.0.db.read(&permit, move |reader| Ok(store::of_account(reader, &own, (at, &room.0.config))?));
        let mut all = read.await?;
        if let Some(wanted) = self.device {
            all.retain(|device| device.id == wanted);
            if all.is_empty() {
                return Err(no_device());
            }
        }
        Ok(all)
    }
}

/// Whose devices.
pub enum Whose {
    /// Everybody's, page by page.
    Everybody(PageWish),
    /// Those of an account, by id or name.
    Account(String),
    /// One, by its id.
    One(String),
}

/// Anybody's devices.
pub struct ListDevices {
    /// The room.
    pub room: Devices,
    /// Whose.
    pub whose: Whose,
}

impl Operation for ListDevices {
    const ACTION: Action = LIST;
    type Output = Page<Device>;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Page<Device>, Problem> {
        let (at, room) = (permit.entry().at, self.room.clone());
        let read = self.room.0.db.read(&permit, move |reader| {
            let around = (at, &room.0.config);
            match self.whose {
                Whose::Everybody(wish) => {
                    let mut rows = store::all(reader, &wish, around)?;
                    let more = rows.len() > wish.row_count();
                    rows.truncate(wish.row_count());
                    let next = rows.last().filter(|_| more).map(|device| device.id.clone());
                    Ok(Page { rows, next })
                }
                Whose::Account(account) => {
                    let account = store::account(reader, &account)?;
                    Ok(Page { rows: store::of_account(reader, &account, around)?, next: None })
                }
                Whose::One(id) => {
                    let device = store::device(reader, &id, around)?.ok_or_else(no_device)?;
                    Ok(Page { rows: vec![device], next: None })
                }
            }
        });
        read.await
    }
}
