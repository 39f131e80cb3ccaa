//! What a device says of itself, and whether that is in order.

use serde::{Deserialize, Serialize};

use crate::config::DevicesConfig;

/// One thing that a report must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Few security updates wait, by lists that are not old.
    Updates,
    /// What it keeps is encrypted.
    DiskEncryption,
    /// It lets in what it chose to.
    Firewall,
    /// It locks itself when nobody is there.
    ScreenLock,
    /// It starts only what its maker or owner signed.
    SecureBoot,
}

impl Check {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Updates, Self::DiskEncryption, Self::Firewall, Self::ScreenLock, Self::SecureBoot];

    /// The word for answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Updates => "updates",
            Self::DiskEncryption => "disk_encryption",
            Self::Firewall => "firewall",
            Self::ScreenLock => "screen_lock",
            Self::SecureBoot => "secure_boot",
        }
    }
}

/// What a device says of itself. None where it cannot tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Facts {
    /// The system's name, such as `Debian GNU/Linux`.
    pub os: Option<String>,
    /// Its version.
    pub os_version: Option<String>,
    /// The kernel's version.
    pub kernel: Option<String>,
    /// How many security updates wait.
    pub security_updates: Option<u32>,
    /// How many days ago the lists of updates were read.
    pub updated_days: Option<u32>,
    /// Whether the file system that holds people's files is on encrypted storage.
    pub disk_encryption: Option<bool>,
    /// Whether a firewall is in force.
    pub firewall: Option<bool>,
    /// Whether the screen locks by itself.
    pub screen_lock: Option<bool>,
    /// Whether the machine started by verified boot.
    pub secure_boot: Option<bool>,
    /// The version of the program that reports.
    pub agent: Option<String>,
}

/// The longest text in a report.
const TEXT_BYTES_MAX: usize = 128;

impl Facts {
    /// Whether its texts are of a length that texts of this kind have.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        let texts = [&self.os, &self.os_version, &self.kernel, &self.agent];
        texts.into_iter().flatten().all(|text| text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control))
    }

    /// What is not in order, of what the configuration asks for. What is not known is not in order.
    #[must_use]
    pub fn failing(&self, config: &DevicesConfig) -> Vec<Check> {
        let is_in_order = |check: Check| match check {
            Check::Updates => {
                self.security_updates.is_some_and(|count| count <= config.security_updates_max)
                    && self.updated_days.is_some_and(|days| days <= config.updated_days_max)
            }
            Check::DiskEncryption => self.disk_encryption == Some(true),
            Check::Firewall => self.firewall == Some(true),
            Check::ScreenLock => self.screen_lock == Some(true),
            Check::SecureBoot => self.secure_boot == Some(true),
        };
        let mut failing: Vec<Check> = config.required.iter().copied().filter(|check| !is_in_order(*check)).collect();
        failing.dedup();
        failing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Facts {
        Facts {
            security_updates: Some(0),
            updated_days: Some(2),
            disk_encryption: Some(true),
            firewall: Some(true),
            screen_lock: Some(true),
            secure_boot: Some(true),
            ..Facts::default()
        }
    }

    #[test]
    fn what_is_not_known_is_not_in_order() {
        let config = DevicesConfig::default();
        assert_eq!(Facts::default().failing(&config), Check::ALL);
        assert!(good().failing(&config).is_empty());
        let some = Facts { firewall: None, secure_boot: Some(false), updated_days: None, ..good() };
        assert_eq!(some.failing(&config), [Check::Updates, Check::Firewall, Check::SecureBoot]);
        assert_eq!(Facts { security_updates: Some(1), ..good() }.failing(&config), [Check::Updates]);
        let lax = DevicesConfig { required: vec![Check::Firewall], ..config };
        assert!(Facts { firewall: Some(true), ..Facts::default() }.failing(&lax).is_empty());
    }

    #[test]
    fn texts_have_a_length_and_an_unknown_field_is_refused() {
        assert!(good().is_bounded());
        assert!(!Facts { os: Some("x".repeat(129)), ..good() }.is_bounded());
        assert!(!Facts { kernel: Some("a\nb".to_owned()), ..good() }.is_bounded());
        assert!(serde_json::from_str::<Facts>(r#"{"tier": 3}"#).is_err());
        assert_eq!(serde_json::from_str::<Facts>("{}").unwrap(), Facts::default());
    }
}
