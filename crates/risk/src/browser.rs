//! What a browser keeps in which somebody logged in: whoever brings it is counted apart from strangers, so that strangers who guess at an account
//! cannot lock its owner out. It opens nothing: who has stolen one has a bucket of failures of their own. It is of everybody who logged in there
//! lately, and always of the same length; nobody but this server can tell of whom, nor whether two browsers know the same account.
//! Source: OWASP, "Slow Down Online Guessing Attacks with Device Cookies".

use kernel::{Micros, Secret, hex, parse_hex, random_bytes};
use vault::keys::keyed_hash;

/// How long a log-in counts.
const DAYS_MAX: i64 = 90;
/// Accounts that one browser is known for; who logged in there the longest ago is forgotten for another.
const ACCOUNT_COUNT_MAX: usize = 5;
const DAY_BYTES: usize = 4;
const NONCE_BYTES: usize = 16;
const TAG_BYTES: usize = 8;
const LOG_IN_BYTES: usize = DAY_BYTES + NONCE_BYTES + TAG_BYTES;
const MAC_BYTES: usize = 16;
const ALL_BYTES: usize = ACCOUNT_COUNT_MAX * LOG_IN_BYTES + MAC_BYTES;

/// By what failures with a browser are counted.
pub(crate) type Nonce = [u8; NONCE_BYTES];

/// Makes and reads such marks, under a key of this server.
pub(crate) struct Browsers {
    key: Secret,
}

/// A mark of ours that still counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownBrowser {
    /// The latest is first. What is not used yet is random, and of nobody.
    log_ins: Vec<LogIn>,
}

/// The last log-in of one account there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LogIn {
    day: u32,
    nonce: Nonce,
    tag: [u8; TAG_BYTES],
}

impl KnownBrowser {
    /// What its failures are counted by where no account is named.
    pub(crate) fn nonce(&self) -> Option<Nonce> {
        self.log_ins.first().map(|log_in| log_in.nonce)
    }
}

impl Browsers {
    pub(crate) fn new(secret: &Secret) -> Self {
        Self { key: Secret::new(keyed_hash(secret, b"strongroom known browsers v2").to_vec()) }
    }

    /// The mark of a browser in which the account of this name logged in now, and which brought `before`.
    pub(crate) fn mark(&self, before: Option<&Secret>, name: &str, now: Micros) -> Secret {
        let (day, nonce) = (u32::try_from(day_of(now)).unwrap_or(0), random_bytes());
        let mut log_ins = vec![LogIn { day, nonce, tag: self.tag(&nonce, name) }];
        let known = before.and_then(|mark| self.read(mark, now)).map(|known| known.log_ins).unwrap_or_default();
        log_ins.extend(known.into_iter().filter(|log_in| !self.is_by(log_in, name)));
        log_ins.resize_with(ACCOUNT_COUNT_MAX, || LogIn { day, nonce: random_bytes(), tag: random_bytes() });
        let mut bytes: Vec<u8> =
            log_ins.iter().flat_map(|one| [one.day.to_be_bytes().as_slice(), &one.nonce, &one.tag].concat()).collect();
        bytes.extend(self.mac(&bytes));
        Secret::from(hex(&bytes))
    }

    /// The mark, if it is ours and something of it still counts.
    pub(crate) fn read(&self, mark: &Secret, now: Micros) -> Option<KnownBrowser> {
        let text = mark.expose_text().filter(|text| text.len() == ALL_BYTES * 2)?;
        let bytes = parse_hex(text)?;
        let (said, mac) = bytes.split_at_checked(ALL_BYTES - MAC_BYTES)?;
        if Secret::from(hex(&self.mac(said))) != Secret::from(hex(mac)) {
            return None;
        }
        let log_ins: Option<Vec<LogIn>> = said.chunks_exact(LOG_IN_BYTES).map(LogIn::of).collect();
        // One of tomorrow was made before a clock was set back.
        let counts = |log_in: &LogIn| (-1..=DAYS_MAX).contains(&(day_of(now) - i64::from(log_in.day)));
        let log_ins: Vec<LogIn> = log_ins?.into_iter().filter(counts).collect();
        (!log_ins.is_empty()).then_some(KnownBrowser { log_ins })
    }

    /// What failures of the account of this name are counted by, if it logged in there.
    pub(crate) fn nonce_of(&self, browser: &KnownBrowser, name: &str) -> Option<Nonce> {
        browser.log_ins.iter().find(|log_in| self.is_by(log_in, name)).map(|log_in| log_in.nonce)
    }

    fn is_by(&self, log_in: &LogIn, name: &str) -> bool {
        log_in.tag == self.tag(&log_in.nonce, name)
    }

    fn tag(&self, nonce: &Nonce, name: &str) -> [u8; TAG_BYTES] {
        first(&keyed_hash(&self.key, &[b"name ".as_slice(), nonce, name.trim().to_lowercase().as_bytes()].concat()))
    }

    fn mac(&self, said: &[u8]) -> [u8; MAC_BYTES] {
        first(&keyed_hash(&self.key, &[b"mark ".as_slice(), said].concat()))
    }
}

impl LogIn {
    fn of(bytes: &[u8]) -> Option<Self> {
        let (day, rest) = bytes.split_first_chunk::<DAY_BYTES>()?;
        let (nonce, tag) = rest.split_first_chunk::<NONCE_BYTES>()?;
        Some(Self { day: u32::from_be_bytes(*day), nonce: *nonce, tag: tag.try_into().ok()? })
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

    const DAY_S: i64 = 86_400;

    fn browsers() -> Browsers {
        Browsers::new(&Secret::from("a key".to_owned()))
    }

    #[track_caller]
    fn check(mark: &Secret, now: Micros, known: &[&str], strange: &[&str]) {
        let browsers = browsers();
        let read = browsers.read(mark, now);
        let knows = |name: &str| read.as_ref().is_some_and(|read| browsers.nonce_of(read, name).is_some());
        for name in known {
            assert!(knows(name), "{name} is known");
        }
        for name in strange {
            assert!(!knows(name), "{name} is not known");
        }
    }

    #[test]
    fn a_mark_is_known_for_its_account_and_for_its_time() {
        let mark = browsers().mark(None, "ada", NOW);
        check(&mark, NOW, &["ada", "Ada "], &["bob", ""]);
        check(&mark, NOW.plus_secs(89 * DAY_S), &["ada"], &[]);
        check(&mark, NOW.plus_secs(92 * DAY_S), &[], &["ada"]);
        assert_ne!(browsers().mark(None, "ada", NOW), mark);
    }

    #[test]
    fn who_shares_a_browser_takes_no_mark_away_until_there_are_many() {
        let browsers = browsers();
        let ada = browsers.mark(None, "ada", NOW);
        let both = browsers.mark(Some(&ada), "bob", NOW.plus_secs(DAY_S));
        check(&both, NOW.plus_secs(DAY_S), &["ada", "bob"], &["carol"]);
        // What is counted against ada there stays counted, whoever else logs in, and begins anew with a log-in of hers.
        let later = NOW.plus_secs(2 * DAY_S);
        let nonce = |mark: &Secret| browsers.nonce_of(&browsers.read(mark, later).unwrap(), "ada").unwrap();
        assert_eq!(nonce(&ada), nonce(&both));
        let again = browsers.mark(Some(&both), "ADA", later);
        assert_ne!(nonce(&again), nonce(&both));
        // Nobody's time is longer for the log-ins of others.
        check(&again, NOW.plus_secs(92 * DAY_S), &["ada"], &["bob"]);
        let mut mark = again;
        for name in ["carol", "dan", "eve"] {
            mark = browsers.mark(Some(&mark), name, later);
        }
        check(&mark, later, &["ada", "bob", "carol", "dan", "eve"], &[]);
        mark = browsers.mark(Some(&mark), "fay", later);
        check(&mark, later, &["ada", "carol", "dan", "eve", "fay"], &["bob"]);
    }

    #[test]
    fn a_mark_does_not_show_whose_it_is_nor_how_many_there_are() {
        let browsers = browsers();
        let (one, other) = (browsers.mark(None, "ada", NOW), browsers.mark(None, "ada", NOW));
        let both = browsers.mark(Some(&one), "bob", NOW);
        let parts = |mark: &Secret| {
            let bytes = parse_hex(mark.expose_text().unwrap()).unwrap();
            assert_eq!(bytes.len(), ALL_BYTES);
            let log_ins = bytes[..ALL_BYTES - MAC_BYTES].chunks_exact(LOG_IN_BYTES);
            log_ins.map(|log_in| log_in[DAY_BYTES..].to_vec()).collect::<Vec<_>>()
        };
        for part in parts(&other) {
            for seen in parts(&one).iter().chain(&parts(&both)) {
                assert!(seen[..NONCE_BYTES] != part[..NONCE_BYTES] && seen[NONCE_BYTES..] != part[NONCE_BYTES..]);
            }
        }
        assert_eq!(one.expose().len(), both.expose().len());
    }

    #[test]
    fn a_changed_mark_and_one_of_another_server_are_nothing() {
        let (browsers, other) = (browsers(), Browsers::new(&Secret::from("another key".to_owned())));
        let mark = browsers.mark(None, "ada", NOW);
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
        // What cannot be read is no reason to give none.
        check(&browsers.mark(Some(&Secret::from("zz".to_owned())), "ada", NOW), NOW, &["ada"], &["bob"]);
    }
}
