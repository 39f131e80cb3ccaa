//! The text of tokens and session cookies: `sr_<kind>_<random base62><checksum>`, as GitHub's tokens are made.
//!
//! The checksum is the CRC-32 (IEEE 802.3) of all that stands before it, as 6 base62 characters. It is no protection against
//! forgery; it lets a typing error, a cut-off paste or a scanner's false hit be told without asking the database.

use kernel::{Secret, random_text};

use crate::pass::is_pass;

/// What a secret text opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecretKind {
    /// A person's token (personal access token).
    Personal,
    /// A service account's token.
    Service,
    /// A browser's session.
    Session,
    /// A command line that asks to be logged in.
    Device,
    /// What a browser brings to a command line on its own machine.
    Code,
    /// Leave to enrol one device.
    Enrolment,
    /// Leave of osquery's machines to join a fleet.
    Fleet,
    /// One of those machines.
    Node,
}

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHECKSUM_LENGTH: usize = 6;
/// How much of a token is shown in lists: the kind and the first 4 of 30 random characters.
const PREFIX_LENGTH: usize = 11;

impl SecretKind {
    const ALL: [Self; 8] =
        [Self::Personal, Self::Service, Self::Session, Self::Device, Self::Code, Self::Enrolment, Self::Fleet, Self::Node];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Personal => "sr_pat_",
            Self::Service => "sr_svc_",
            Self::Session => "sr_ses_",
            Self::Device => "sr_dev_",
            Self::Code => "sr_cod_",
            Self::Enrolment => "sr_enr_",
            Self::Fleet => "sr_flt_",
            Self::Node => "sr_nod_",
        }
    }

    /// 30 base62 characters hold 178 bits; a cookie has 256.
    const fn random_length(self) -> usize {
        match self {
            Self::Personal | Self::Service => 30,
            Self::Session | Self::Device | Self::Code | Self::Enrolment | Self::Fleet | Self::Node => 43,
        }
    }

    /// The word in the token table.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Personal => "pat",
            Self::Service => "svc",
            Self::Session => "ses",
            Self::Device => "dev",
            Self::Code => "cod",
            Self::Enrolment => "enr",
            Self::Fleet => "flt",
            Self::Node => "nod",
        }
    }
}

/// A new secret.
pub(crate) fn mint(kind: SecretKind) -> Secret {
    let mut text = format!("{}{}", kind.prefix(), random_text(kind.random_length()));
    text.extend(checksum(text.as_bytes()).map(char::from));
    Secret::from(text)
}

/// A new secret that lets one device be enrolled. Who keeps its digest is not this room.
#[must_use]
pub fn new_enrolment_secret() -> Secret {
    mint(SecretKind::Enrolment)
}

/// A new secret with which osquery's machines join a fleet.
#[must_use]
pub fn new_fleet_secret() -> Secret {
    mint(SecretKind::Fleet)
}

/// A new key of one of those machines.
#[must_use]
pub fn new_node_secret() -> Secret {
    mint(SecretKind::Node)
}

/// What kind of secret this is, if its form and checksum are right. Asks no database.
#[must_use]
pub fn parse_secret_text(bytes: &[u8]) -> Option<SecretKind> {
    let kind = SecretKind::ALL.into_iter().find(|kind| bytes.starts_with(kind.prefix().as_bytes()))?;
    let checked_length = kind.prefix().len() + kind.random_length();
    if bytes.len() != checked_length + CHECKSUM_LENGTH {
        return None;
    }
    let (checked, sum) = bytes.split_at_checked(checked_length)?;
    let random = checked.get(kind.prefix().len()..)?;
    let right = random.iter().all(u8::is_ascii_alphanumeric) && checksum(checked) == sum;
    right.then_some(kind)
}

/// Whether this has the form and checksum of a secret that some Strongroom made. For `risk`, which treats those apart from
/// guesses, and for scanners of leaked secrets.
#[must_use]
pub fn is_secret_text(bytes: &[u8]) -> bool {
    parse_secret_text(bytes).is_some() || is_pass(bytes)
}

/// The part of a token that lists show, so that its owner can tell which one it is.
pub(crate) fn shown_prefix(secret: &Secret) -> String {
    secret.expose_text().and_then(|text| text.get(..PREFIX_LENGTH)).unwrap_or_default().to_owned()
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    let mut rest = crc32(bytes);
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET.get((rest % 62) as usize).copied().unwrap_or(b'0');
        rest /= 62;
    }
    digits
}

/// CRC-32 as in IEEE 802.3 and zlib: reflected, polynomial 0xEDB88320. Ours, because it is for 40 bytes: what a crate with
/// SIMD code is good for are megabytes.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        let index = (crc ^ u32::from(*byte)) & 0xff;
        CRC_TABLE.get(index as usize).copied().unwrap_or_default() ^ (crc >> 8)
    })
}

const CRC_TABLE: [u32; 256] = crc_table();

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time, where an index out of bounds does not compile")]
#[expect(clippy::cast_possible_truncation, reason = "the index is below 256")]
const fn crc_table() -> [u32; 256] {
    let mut table = [0_u32; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_standards() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(checksum(b"123456789").len(), CHECKSUM_LENGTH);
    }

    #[test]
    fn what_is_minted_is_read_and_every_changed_character_is_refused() {
        for kind in SecretKind::ALL {
            let secret = mint(kind);
            let text = secret.expose_text().unwrap().to_owned();
            assert_eq!(parse_secret_text(text.as_bytes()), Some(kind), "{text}");
            for at in 0..text.len() {
                let mut wrong = text.clone().into_bytes();
                wrong[at] = if wrong[at] == b'x' { b'y' } else { b'x' };
                assert_eq!(parse_secret_text(&wrong), None, "{at}");
            }
            for wrong in [&text[..text.len() - 1], &format!("{text}0"), &format!(" {text}"), "", "sr_pat_", "sr_xyz_0"] {
                assert_eq!(parse_secret_text(wrong.as_bytes()), None, "{wrong}");
            }
        }
        assert_eq!(mint(SecretKind::Personal).expose().len(), 43);
        assert_eq!(shown_prefix(&mint(SecretKind::Personal)).len(), PREFIX_LENGTH);
    }
}
