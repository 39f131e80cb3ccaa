//! What somebody is told. Its words are ours: nothing of a request stands in them.

use kernel::Micros;

use crate::Address;
use crate::limits::TEXT_BYTES_MAX;

/// What happened, as far as mail tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somebody logged in as this person in an unusual way.
    UnusualLogIn,
    /// Such a log-in was refused, with the right password.
    RefusedLogIn,
    /// A passkey was added.
    PasskeyAdded,
    /// One-time codes were set up.
    CodesSetUp,
    /// A second factor was removed.
    FactorRemoved,
    /// New recovery codes were made.
    RecoveryCodesMade,
    /// A recovery code was used.
    RecoveryCodeUsed,
    /// An administrator removed the second factors.
    FactorsReset,
    /// The password was changed by its holder.
    PasswordChanged,
    /// An administrator set the password.
    PasswordSet,
    /// The account was linked with one at a provider.
    AccountLinked,
    /// A device was enrolled.
    DeviceEnrolled,
    /// The key that mail is encrypted to was set or removed.
    MailKeyChanged,
    /// An administrator set the address.
    AddressSet,
    /// Notices go elsewhere from now on: told where they went before.
    AddressReplaced,
    /// Somebody made themself administrator in an emergency.
    GlassBroken,
    /// An alert was opened.
    AlertOpened,
    /// An alert is over.
    AlertResolved,
    /// An administrator tries whether mail leaves.
    Test,
}

impl Kind {
    const ALL: [Self; 19] = [
        Self::UnusualLogIn,
        Self::RefusedLogIn,
        Self::PasskeyAdded,
        Self::CodesSetUp,
        Self::FactorRemoved,
        Self::RecoveryCodesMade,
        Self::RecoveryCodeUsed,
        Self::FactorsReset,
        Self::PasswordChanged,
        Self::PasswordSet,
        Self::AccountLinked,
        Self::DeviceEnrolled,
        Self::MailKeyChanged,
        Self::AddressSet,
        Self::AddressReplaced,
        Self::GlassBroken,
        Self::AlertOpened,
        Self::AlertResolved,
        Self::Test,
    ];

    /// The word for rows and lists.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::UnusualLogIn => "unusual_log_in",
            Self::RefusedLogIn => "refused_log_in",
            Self::PasskeyAdded => "passkey_added",
            Self::CodesSetUp => "codes_set_up",
            Self::FactorRemoved => "factor_removed",
            Self::RecoveryCodesMade => "recovery_codes_made",
            Self::RecoveryCodeUsed => "recovery_code_used",
            Self::FactorsReset => "factors_reset",
            Self::PasswordChanged => "password_changed",
            Self::PasswordSet => "password_set",
            Self::AccountLinked => "account_linked",
            Self::DeviceEnrolled => "device_enrolled",
            Self::MailKeyChanged => "mail_key_changed",
            Self::AddressSet => "address_set",
            Self::AddressReplaced => "address_replaced",
            Self::GlassBroken => "glass_broken",
            Self::AlertOpened => "alert_opened",
            Self::AlertResolved => "alert_resolved",
            Self::Test => "test",
        }
    }

    /// The kind of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }

    /// What a subject and a line of a digest say.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::UnusualLogIn => "an unusual log-in to your account",
            Self::RefusedLogIn => "an unusual log-in to your account was refused",
            Self::PasskeyAdded => "a passkey was added to your account",
            Self::CodesSetUp => "one-time codes were set up for your account",
            Self::FactorRemoved => "a second factor was removed from your account",
            Self::RecoveryCodesMade => "new recovery codes were made for your account",
            Self::RecoveryCodeUsed => "a recovery code was used to log in to your account",
            Self::FactorsReset => "an administrator removed the second factors of your account",
            Self::PasswordChanged => "the password of your account was changed",
            Self::PasswordSet => "an administrator set the password of your account",
            Self::AccountLinked => "your account was linked with a log-in at a provider",
            Self::DeviceEnrolled => "a device was enrolled for your account",
            Self::MailKeyChanged => "the key that mail to you is encrypted to was changed",
            Self::AddressSet => "an administrator set the address that notices to you go to",
            Self::AddressReplaced => "notices to you do not go to this address any more",
            Self::GlassBroken => "somebody became administrator in an emergency",
            Self::AlertOpened => "an alert was opened",
            Self::AlertResolved => "an alert is over",
            Self::Test => "a test",
        }
    }

    /// The page of the console that shows more.
    pub(crate) const fn page(self) -> &'static str {
        match self {
            Self::GlassBroken => "/console/access",
            Self::AlertOpened | Self::AlertResolved | Self::Test => "/console",
            _ => "/account",
        }
    }

    /// Whether somebody whom it is about should act if it was not they.
    pub(crate) const fn is_personal(self) -> bool {
        !matches!(self, Self::GlassBroken | Self::AlertOpened | Self::AlertResolved | Self::Test)
    }
}

/// Who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// An account, by id, at the address that is known of it when mail goes out.
    Account(String),
    /// An address of the configuration, or of a test.
    Address(Address),
    /// Where notices to an account, by id, went until now: the address, and the key that they were encrypted to.
    Former {
        /// The account.
        account: String,
        /// The address.
        address: Address,
        /// The key, if there was one.
        key: Option<Vec<u8>>,
    },
}

/// What somebody is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Made of what it is about and who is told: a second one of the same id is none.
    pub id: String,
    /// Who.
    pub to: Recipient,
    /// What.
    pub kind: Kind,
    /// By what the event is found: a record of the log, an alert, a session.
    pub event: String,
    /// When it happened.
    pub at: Micros,
    /// What it was about; told only if the configuration wants whole contents.
    pub detail: String,
}

/// A text on one line, bounded.
pub(crate) fn one_line(text: &str, bytes_max: usize) -> String {
    let mut kept = String::new();
    for letter in text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }) {
        if kept.len() + letter.len_utf8() > bytes_max {
            break;
        }
        kept.push(letter);
    }
    kept
}

/// The detail as it is kept.
pub(crate) fn detail(text: &str) -> String {
    one_line(text, TEXT_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_word_of_its_own() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.word()), Some(kind));
            assert!(kind.title().is_ascii());
        }
        assert_eq!(one_line("a\r\nBcc: x\u{0}é", 11), "a  Bcc: x ");
    }
}
