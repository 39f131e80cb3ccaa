//! Devices: the room's wiring. Its two secrets are sealed by the key service like the server's others.

use std::sync::Arc;

use devices::{DevicePort, Devices, DevicesConfig};
use identity::Identity;
use kernel::Problem;
use vault::db::Opened;
use vault::keys::Keyring;

/// Opens the room, and has `identity` ask it where requests come from.
///
/// # Errors
/// `Invalid` for roots of the configuration that cannot be read; `Unavailable` if the keys cannot be had.
pub(crate) async fn open(
    opened: &Opened,
    keyring: &Keyring,
    config: &DevicesConfig,
    identity: &Identity,
) -> Result<Devices, Problem> {
    let seed = keyring.secret("devices/authority").await?;
    let key = keyring.secret("devices/challenges").await?;
    let devices = Devices::open(opened.db.clone(), config.clone(), (&*seed, &*key))?;
    identity.set_devices(Arc::new(DevicePort::new(opened.ports.clone(), &devices)));
    Ok(devices)
}
