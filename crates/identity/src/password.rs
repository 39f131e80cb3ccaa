//! Passwords: what is refused when one is chosen, and hashing behind a bounded door.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use kernel::{Kind, Problem, Secret, random_bytes};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::IdentityConfig;

/// The longest password, in characters.
pub const PASSWORD_LENGTH_MAX: usize = 256;
/// What OWASP advises for argon2id (Password Storage Cheat Sheet): 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// How far below everything else passwords are hashed.
const NICE: i32 = 10;

/// Long passwords that head every list of leaked ones. Shorter ones are refused by their length. Compared without regard to
/// case, spaces and punctuation.
const COMMON: &[&str] = &[
    "passwordpassword",
    "password12345678",
    "password123456789",
    "password1234567890",
    "passwordpassword1",
    "passwordpassword123",
    "mypasswordispassword",
    "correcthorsebatterystaple",
    "thisismypassword",
    "iloveyouiloveyou",
    "iloveyousomuch",
    "letmeinletmein",
    "letmeinletmein1",
    "welcomewelcome",
    "welcometothejungle",
    "administrator1",
    "administrator123",
    "administratoradministrator",
    "administrator1234",
    "adminadminadmin",
    "qwertyuiopasdfg",
    "qwertyuiopasdfgh",
    "qwertyuiopasdfghjkl",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertyuiop12345",
    "qwertyuiop123456",
    "qwertyuiop1234567890",
    "1234567890qwerty",
    "1234567890qwertyuiop",
    "123456789qwerty",
    "1q2w3e4r5t6y7u8",
    "1q2w3e4r5t6y7u8i",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv",
    "1qaz2wsx3edc4rfv5tgb",
    "q1w2e3r4t5y6u7i8",
    "zaq12wsxcde34rfv",
    "asdfghjklzxcvbn",
    "asdfghjklzxcvbnm",
    "asdfghjklasdfghjkl",
    "zxcvbnmasdfghjkl",
    "zxcvbnmzxcvbnm",
    "abcdefghijklmno",
    "abcdefghijklmnop",
    "abcdefghijklmnopqrstuvwxyz",
    "abcdefghijklmnopqrstuvwxyz123",
    "123456789012345",
    "1234567890123456",
    "12345678901234567890",
    "123456789123456789",
    "012345678901234",
    "0123456789012345",
    "0123456789abcdef",
    "987654321098765",
    "9876543210987654",
    "98765432109876543210",
    "changemechangeme",
    "changemechangeme1",
    "defaultpassword",
    "defaultpassword1",
    "trustno1trustno1",
    "supersecretpassword",
    "secretpassword1",
    "secretpassword123",
    "mlflowpassword123",
    "password1234password1234",
    "strongroompassword",
    "strongroomstrongroom",
    "thequickbrownfox",
    "thequickbrownfoxjumps",
    "tobeornottobethatisthequestion",
];

/// Checks a password that somebody chooses for the account `name`.
///
/// # Errors
/// `Invalid`, saying what to choose instead. The message never repeats the password.
pub(crate) fn check_choice(password: &Secret, name: &str, length_min: u32) -> Result<(), Problem> {
    let text = password.expose_text().ok_or_else(|| Problem::invalid("a password must be UTF-8 text"))?;
    let length = text.chars().count();
    let length_min = length_min as usize;
    if length < length_min || length > PASSWORD_LENGTH_MAX {
        return Err(Problem::invalid(format!(
            "a password has {length_min} to {PASSWORD_LENGTH_MAX} characters; several words make a good one"
        )));
    }
    let folded: String = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let name_folded: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    let of_the_name = name_folded.len() >= 3 && folded.replace(&name_folded, "").chars().count() < 8;
    if COMMON.contains(&folded.as_str()) || distinct_count(text) < 5 || repeats(text) || of_the_name {
        return Err(Problem::invalid(
            "this password is one of the first that an attacker tries; choose several words that do not belong together",
        ));
    }
    Ok(())
}

fn distinct_count(text: &str) -> usize {
    let mut seen: Vec<char> = text.chars().collect();
    seen.sort_unstable();
    seen.dedup();
    seen.len()
}

/// Whether the text is one piece of up to 7 characters over and over.
fn repeats(text: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    (1..=7_usize).any(|period| letters.iter().zip(letters.iter().skip(period)).all(|(a, b)| a == b) && letters.len() > period)
}

/// Hashes and verifies passwords, a few at a time.
///
/// INVARIANT: an account that does not exist, has no password or is disabled costs the same hash as any other, so that time
/// tells nothing about which accounts exist. Held by `tests::login::an_unknown_user_costs_a_hash_too`.
pub(crate) struct Passwords {
    hashing: Arc<Semaphore>,
    /// For those whose browser is known: strangers' guesses do not stand in their way.
    hashing_known: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
    wait_max: Duration,
    dummy: String,
    done_count: Arc<AtomicU64>,
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Passwords {
    pub(crate) fn new(config: &IdentityConfig) -> Self {
        Self {
            hashing: Arc::new(Semaphore::new(config.password_hash_parallel_max as usize)),
            hashing_known: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(0),
            waiting_max: config.password_queue_count_max as usize,
            wait_max: Duration::from_millis(u64::from(config.password_wait_ms_max)),
            dummy: dummy_hash(),
            done_count: Arc::new(AtomicU64::new(0)),
        }
    }

    /// How many passwords were hashed since the start.
    pub(crate) fn done_count(&self) -> u64 {
        self.done_count.load(Ordering::SeqCst)
    }

    /// Waits for leave to hash.
    ///
    /// # Errors
    /// `Unavailable` where too many wait already or it takes too long.
    pub(crate) async fn turn(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let busy = || {
            Problem::new(Kind::Unavailable, "too many logins are being checked just now; try again in 2 s, or use a token")
                .retry_after(Duration::from_secs(2))
        };
        let before = self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(&self.waiting);
        if before >= self.waiting_max {
            return Err(busy());
        }
        match tokio::time::timeout(self.wait_max, Arc::clone(&self.hashing).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }

    /// As [`Passwords::turn`], for an attempt with a browser that is known. How many such there are is bounded by `risk`.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn turn_of_known(&self) -> Result<OwnedSemaphorePermit, Problem> {
        match tokio::time::timeout(self.wait_max, Arc::clone(&self.hashing_known).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => self.turn().await,
        }
    }

    /// Whether `password` is the one behind `hash`; behind none, the work is done all the same and the answer is no.
    ///
    /// # Errors
    /// `Internal` if the hash is not one of ours.
    pub(crate) async fn verify(
        &self,
        turn: OwnedSemaphorePermit,
        password: Secret,
        hash: Option<String>,
    ) -> Result<bool, Problem> {
        let real = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.dummy.clone());
        let same = self.off_the_loop(turn, move || {
            let parsed = PasswordHash::new(&hash).map_err(|error| broken(&error))?;
            Ok(Argon2::default().verify_password(password.expose(), &parsed).is_ok())
        });
        Ok(same.await? && real)
    }

    /// The PHC string of a new password.
    ///
    /// # Errors
    /// As [`Passwords::turn`].
    pub(crate) async fn hash(&self, password: Secret) -> Result<String, Problem> {
        let turn = self.turn().await?;
        let hash = self.off_the_loop(turn, move || {
            let salt = SaltString::encode_b64(&random_bytes::<16>()).map_err(|error| broken(&error))?;
            let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| broken(&error))?;
            let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            Ok(hasher.hash_password(password.expose(), &salt).map_err(|error| broken(&error))?.to_string())
        });
        hash.await
    }

    async fn off_the_loop<T: Send + 'static>(
        &self,
        turn: OwnedSemaphorePermit,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let done_count = Arc::clone(&self.done_count);
        let (tell, told) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name("password".to_owned()).spawn(move || {
            // The turn goes with the work: a caller who hangs up does not free it early.
            let _turn = turn;
            // Guesses of strangers may take what is left of the machine, and not what others wait for. Linux lowers the one thread.
            if let Err(error) = rustix::process::nice(NICE) {
                tracing::warn!(%error, "passwords are hashed at the priority of everything else");
            }
            done_count.fetch_add(1, Ordering::SeqCst);
            // Nobody may be waiting any more.
            drop(tell.send(work()));
        });
        thread.map_err(|error| Problem::unavailable("a password could not be hashed just now").because(error))?;
        told.await.map_err(|error| Problem::internal("a password could not be hashed", error))?
    }
}

fn broken(error: &dyn std::fmt::Display) -> Problem {
    Problem::internal("a password hash cannot be used", error.to_string())
}

/// A hash of the usual cost that no password has: its output is random.
fn dummy_hash() -> String {
    use base64::Engine as _;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes);
    let (salt, output) = (encode(&random_bytes::<16>()), encode(&random_bytes::<32>()));
    format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${output}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str, name: &str) -> Result<(), Problem> {
        check_choice(&Secret::from(password.to_owned()), name, 15)
    }

    #[test]
    fn weak_passwords_are_refused_and_never_repeated() {
        let long = "x1y2z3".repeat(50);
        for weak in [
            "",
            "short",
            "password1234",
            "passwordpassword",
            "Correct Horse Battery Staple",
            "aaaaaaaaaaaaaaaaaaaa",
            "abcabcabcabcabcabc",
            "123456123456123456",
            "1234567890123456",
            "ada.lovelace.ada.lovelace",
            &long,
        ] {
            let problem = check(weak, "ada.lovelace").unwrap_err();
            assert_eq!(problem.kind(), Kind::Invalid);
            assert!(weak.len() < 3 || !problem.message().contains(weak), "{weak}");
        }
        for good in ["gravel umbrella nine tulip", "ÄpfelUndBirnenIm Sturm", &"kettle-moss ".repeat(20)] {
            assert!(check(good, "ada").is_ok(), "{good}");
        }
    }

    #[tokio::test]
    async fn a_hash_is_argon2id_of_the_promised_cost_and_verifies() {
        let passwords = Passwords::new(&IdentityConfig::default());
        let good = Secret::from("gravel umbrella nine tulip".to_owned());
        let hash = passwords.hash(good.clone()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let turn = passwords.turn().await.unwrap();
        assert!(passwords.verify(turn, good.clone(), Some(hash.clone())).await.unwrap());
        let turn = passwords.turn().await.unwrap();
        assert!(!passwords.verify(turn, Secret::from("another".to_owned()), Some(hash)).await.unwrap());
        let turn = passwords.turn().await.unwrap();
        assert!(!passwords.verify(turn, good, None).await.unwrap());
        assert_eq!(passwords.done_count(), 4);
    }

    #[tokio::test]
    async fn logins_that_wait_are_bounded() {
        let config = IdentityConfig { password_hash_parallel_max: 1, password_queue_count_max: 1, ..IdentityConfig::default() };
        let passwords = Passwords { wait_max: Duration::from_millis(1), ..Passwords::new(&config) };
        let _turn = passwords.turn().await.unwrap();
        let problem = passwords.turn().await.unwrap_err();
        assert_eq!(problem.kind(), Kind::Unavailable);
        assert!(problem.retry_after_hint().is_some());
        assert_eq!(passwords.waiting.load(Ordering::SeqCst), 0);
    }
}
