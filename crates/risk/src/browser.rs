//! What a browser keeps in which somebody logged in: whoever brings it is counted apart from strangers, so that strangers who guess at an account
//! cannot lock its owner out. It opens nothing: who has stolen one has a bucket of failures of their own.
//! Source: OWASP, "Slow Down Online Guessing Attacks with Device Cookies".

use kernel::{Micros, Secret, hex, parse_hex, random_bytes};
use vault::keys::keyed_hash;

/// How long it counts. Each log-in gives a new one.
const DAYS_MAX: i64 = 90;
const NONCE_BYTES: usize = 16;
const TAG_BYTES: usize = 8;
const MAC_BYTES: usize = 16;
const DAY_BYTES: usize = 4;
const ALL_BYTES: usize = DAY_BYTES + NONCE_BYTES + TAG_BYTES + MAC_BYTES;

/// Makes and reads such marks, under a key of this server.
pub(crate) struct Browsers {
    key: Secret,
}

/// A mark of ours that still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownBrowser {
    nonce: [u8; NONCE_BYTES],
    tag: [u8; TAG_BYTES],
}

impl KnownBrowser {
    /// What its failures are counted by.
    pub(crate) const fn nonce(&self) -> &[u8; NONCE_BYTES] {
        &self.nonce
    }
}

impl Browsers {
    pub(crate) fn new(secret: &Secret) -> Self {
        Self { key: Secret::new(keyed_hash(secret, b"strongroom known browsers v1").to_vec()) }
    }

    /// The mark of a browser in which the account of this name logged in now.
    pub(crate) fn mark(&self, name: &str, now: Micros) -> Secret {
        let day = u32::try_from(day_of(now)).unwrap_or(0).to_be_bytes();
        let nonce: [u8; NONCE_BYTES] = random_bytes();
        let mut bytes = [day.as_slice(), &nonce, &self.tag(name)].concat();
        bytes.extend(self.mac(&bytes));
        Secret::from(hex(&bytes))
    }

    /// The mark, if it is ours and still counts.
    pub(crate) fn read(&self, mark: &Secret, now: Micros) -> Option<KnownBrowser> {
        let text = mark.expose_text().filter(|text| text.len() == ALL_BYTES * 2)?;
        let bytes = parse_hex(text)?;
        let (said, mac) = bytes.split_at_checked(ALL_BYTES - MAC_BYTES)?;
        if Secret::from(hex(&self.mac(said))) != Secret::from(hex(mac)) {
            return None;
        }
        let (day, rest) = said.split_first_chunk::<DAY_BYTES>()?;
        let (nonce, tag) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let age_days = day_of(now) - i64::from(u32::from_be_bytes(*day));
        // A mark of tomorrow was made before a clock was set back.
        (-1..=DAYS_MAX).contains(&age_days).then_some(KnownBrowser { nonce: *nonce, tag: tag.try_into().ok()? })
    }

    /// Whether the account of this name logged in there.
    pub(crate) fn is_of(&self, browser: &KnownBrowser, name: &str) -> bool {
        browser.tag == self.tag(name)
    }

    fn tag(&self, name: &str) -> [u8; TAG_BYTES] {
        first(&keyed_hash(&self.key, format!("name {}", name.trim().to_lowercase()).as_bytes()))
    }

    fn mac(&self, said: &[u8]) -> [u8; MAC_BYTES] {
        first(&keyed_hash(&self.key, &[b"mark ".as_slice(), said].concat()))
    }
}

fn first<const N: usize>(hash: &[u8; 32]) -> [u8; N] {
    std::array::from_fn(|at| hash.get(at).copied().unwrap_or(0))
}

const fn day_of(now: Micros) -> i64 {
    now.as_secs().div_euclid(86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = Micros(1_800_000_000_000_000);

    #[test]
    fn a_mark_is_known_for_its_account_and_for_its_time() {
        let browsers = Browsers::new(&Secret::from("a key".to_owned()));
        let mark = browsers.mark("ada", NOW);
        let known = browsers.read(&mark, NOW).unwrap();
        assert!(browsers.is_of(&known, "Ada ") && !browsers.is_of(&known, "bob"));
        assert!(browsers.read(&mark, NOW.plus_secs(89 * 86_400)).is_some());
        assert!(browsers.read(&mark, NOW.plus_secs(92 * 86_400)).is_none());
        assert_ne!(browsers.mark("ada", NOW), mark);
    }

    #[test]
    fn a_changed_mark_and_one_of_another_server_are_nothing() {
        let browsers = Browsers::new(&Secret::from("a key".to_owned()));
        let other = Browsers::new(&Secret::from("another key".to_owned()));
        let mark = browsers.mark("ada", NOW);
        let text = mark.expose_text().unwrap();
        assert!(other.read(&mark, NOW).is_none());
        for at in [0, 9, 50, 60, text.len() - 1] {
            let changed: String =
                text.char_indices().map(|(i, c)| if i == at { if c == '0' { '1' } else { '0' } } else { c }).collect();
            assert!(browsers.read(&Secret::from(changed), NOW).is_none(), "{at}");
        }
        for bad in ["", "zz", &text[1..], &format!("{text}00")] {
            assert!(browsers.read(&Secret::from(bad.to_owned()), NOW).is_none(), "{bad}");
        }
    }
}
