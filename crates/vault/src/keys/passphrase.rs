//! The root key made from a passphrase by argon2id (RFC 9106). The file beside it holds salt, costs and a check value, no key.
//!
//! First line `strongroom-passphrase-1`, then a line per passphrase. There are two only while a passphrase is being changed:
//! the old one, and the new one behind it.

use std::path::Path;
use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use gate::BoxFuture;
use kernel::{Problem, Secret, hex, parse_hex, random_bytes};
use subtle::ConstantTimeEq;

use super::file::{no_version, read_private, replace_private, write_private};
use super::{KEY_BYTES, KeyService, derive, wrap};

const HEAD: &str = "strongroom-passphrase-1";
const CHECK: &[u8] = b"strongroom/passphrase-check/1";
/// RFC 9106 §4, second recommended option: 64 MiB, 3 passes, 4 lanes.
const MEMORY_KIB: u32 = 64 * 1024;
const PASS_COUNT: u32 = 3;
const LANE_COUNT: u32 = 4;
/// A file that asks for more than this was not made here.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const PASS_COUNT_MAX: u32 = 64;
const SALT_BYTES: usize = 16;
/// The passphrase that counts, and the one that is to take its place.
const LINE_COUNT_MAX: usize = 2;
/// A root passphrase guards everything: eight words or so.
const PASSPHRASE_BYTES_MIN: usize = 16;

/// A root key made from a passphrase.
pub struct PassphraseKey {
    line: Line,
    key: Secret,
}

/// What the file says of one passphrase.
struct Line {
    version: i64,
    memory_kib: u32,
    pass_count: u32,
    lane_count: u32,
    salt: Vec<u8>,
    check: Vec<u8>,
}

impl Line {
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split(' ').collect();
        let [version, memory_kib, pass_count, lane_count, salt, check] = fields.as_slice() else { return None };
        let number = |text: &str| text.parse::<u32>().ok();
        let (memory_kib, pass_count, lane_count) = (number(memory_kib)?, number(pass_count)?, number(lane_count)?);
        if memory_kib > MEMORY_KIB_MAX || pass_count > PASS_COUNT_MAX {
            return None;
        }
        let (salt, check) = (parse_hex(salt)?, parse_hex(check)?);
        Some(Self { version: version.parse().ok()?, memory_kib, pass_count, lane_count, salt, check })
    }

    fn stretch(&self, passphrase: &Secret) -> Result<Secret, Problem> {
        let refused =
            |error: argon2::Error| Problem::internal("the root key could not be made from the passphrase", error.to_string());
        let params = Params::new(self.memory_kib, self.pass_count, self.lane_count, Some(KEY_BYTES)).map_err(refused)?;
        let mut key = vec![0_u8; KEY_BYTES];
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon.hash_password_into(passphrase.expose(), &self.salt, &mut key).map_err(refused)?;
        Ok(Secret::new(key))
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { version, memory_kib, pass_count, lane_count, salt, check } = self;
        write!(f, "{version} {memory_kib} {pass_count} {lane_count} {} {}", hex(salt), hex(check))
    }
}

impl PassphraseKey {
    /// Chooses a salt, writes it to `path` (which must not exist) and makes the key.
    ///
    /// # Errors
    /// `Invalid` for a short passphrase; `AlreadyExists` or `Unavailable` if the file cannot be made.
    pub fn create(path: &Path, passphrase: &Secret) -> Result<Self, Problem> {
        Self::create_with_cost(path, passphrase, MEMORY_KIB)
    }

    fn create_with_cost(path: &Path, passphrase: &Secret, memory_kib: u32) -> Result<Self, Problem> {
        let made = Self::fresh(passphrase, 1, memory_kib)?;
        write_private(path, &text(&[&made.line])).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Problem::already_exists(format!("`{}` exists already", path.display())),
            _ => unwritten(path, error),
        })?;
        Ok(made)
    }

    /// Makes the key again. Where a change was broken off, the old and the new passphrase both make theirs: only one of
    /// them opens the database.
    ///
    /// # Errors
    /// `Forbidden` for a wrong passphrase; `Invalid` or `NotFound` for a file that is not one of ours.
    pub fn open(path: &Path, passphrase: &Secret) -> Result<Self, Problem> {
        let text = read_private(path)?;
        let broken = || Problem::invalid(format!("`{}` does not describe a root passphrase", path.display()));
        let mut lines = text.lines();
        if lines.next() != Some(HEAD) {
            return Err(broken());
        }
        let lines = lines.map(Line::parse).collect::<Option<Vec<Line>>>().ok_or_else(broken)?;
        if lines.is_empty() || lines.len() > LINE_COUNT_MAX {
            return Err(broken());
        }
        for line in lines {
            let key = line.stretch(passphrase)?;
            if bool::from(check_of(&key)?.as_slice().ct_eq(&line.check)) {
                return Ok(Self { line, key });
            }
        }
        Err(Problem::forbidden("that is not the root passphrase"))
    }

    /// The key of a new passphrase, whose line is on disk behind this one's when this answers. The old passphrase stays until
    /// [`PassphraseKey::keep_only`], so that a crash between the two loses nothing.
    ///
    /// # Errors
    /// `Invalid` for a short passphrase; `Unavailable` if the file cannot be written.
    pub fn changed(&self, path: &Path, passphrase: &Secret) -> Result<Self, Problem> {
        self.changed_with_cost(path, passphrase, MEMORY_KIB)
    }

    fn changed_with_cost(&self, path: &Path, passphrase: &Secret, memory_kib: u32) -> Result<Self, Problem> {
        let next = Self::fresh(passphrase, self.line.version.saturating_add(1), memory_kib)?;
        replace_private(path, &text(&[&self.line, &next.line])).map_err(|error| unwritten(path, error))?;
        Ok(next)
    }

    /// Leaves only this passphrase in the file. Only when nothing is wrapped by another any more.
    ///
    /// # Errors
    /// `Unavailable` if the file cannot be written.
    pub fn keep_only(&self, path: &Path) -> Result<(), Problem> {
        replace_private(path, &text(&[&self.line])).map_err(|error| unwritten(path, error))
    }

    fn fresh(passphrase: &Secret, version: i64, memory_kib: u32) -> Result<Self, Problem> {
        if passphrase.expose().len() < PASSPHRASE_BYTES_MIN {
            return Err(Problem::invalid(format!("the root passphrase must have at least {PASSPHRASE_BYTES_MIN} bytes")));
        }
        let salt = random_bytes::<SALT_BYTES>().to_vec();
        let (pass_count, lane_count) = (PASS_COUNT, LANE_COUNT);
        let mut line = Line { version, memory_kib, pass_count, lane_count, salt, check: Vec::new() };
        let key = line.stretch(passphrase)?;
        line.check = check_of(&key)?.to_vec();
        Ok(Self { line, key })
    }
}

fn check_of(key: &Secret) -> Result<[u8; 32], Problem> {
    derive::<32>(key.expose(), &[], CHECK)
}

fn text(lines: &[&Line]) -> String {
    lines.iter().fold(format!("{HEAD}\n"), |text, line| format!("{text}{line}\n"))
}

fn unwritten(path: &Path, error: std::io::Error) -> Problem {
    Problem::unavailable(format!("`{}` cannot be written", path.display())).because(error)
}

impl KeyService for PassphraseKey {
    fn name(&self) -> &'static str {
        "passphrase"
    }

    fn version(&self) -> i64 {
        self.line.version
    }

    fn wrap<'a>(&'a self, key: &'a Secret, aad: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, Problem>> {
        Box::pin(async move { wrap::wrap(&self.key, key, aad) })
    }

    fn unwrap<'a>(&'a self, version: i64, wrapped: &'a [u8], aad: &'a [u8]) -> BoxFuture<'a, Result<Secret, Problem>> {
        Box::pin(async move {
            if version != self.line.version {
                return Err(no_version(version));
            }
            wrap::unwrap(&self.key, wrapped, aad)
        })
    }

    fn versions(&self) -> BoxFuture<'_, Result<Vec<i64>, Problem>> {
        Box::pin(async move { Ok(vec![self.line.version]) })
    }

    fn renews(&self) -> bool {
        false
    }

    fn renewed(&self) -> BoxFuture<'_, Result<Option<Arc<dyn KeyService>>, Problem>> {
        Box::pin(async { Ok(None) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_passphrase_makes_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.passphrase");
        let right = Secret::from("correct horse battery staple".to_owned());
        let made = PassphraseKey::create_with_cost(&path, &right, 256).unwrap();
        assert!(PassphraseKey::open(&path, &right).unwrap().key == made.key);
        let wrong = PassphraseKey::open(&path, &Secret::from("correct horse battery stable".to_owned())).map(|_| ());
        assert_eq!(wrong.unwrap_err().kind(), kernel::Kind::Forbidden);
        assert!(PassphraseKey::create_with_cost(&path, &right, 256).is_err());
        let short = Secret::from("short".to_owned());
        assert!(PassphraseKey::create_with_cost(&folder.path().join("b"), &short, 256).is_err());
        assert!(!std::fs::read_to_string(&path).unwrap().contains(&hex(made.key.expose())));
    }

    #[test]
    fn both_passphrases_open_until_the_change_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.passphrase");
        let [old, new, other] = ["correct horse battery staple", "wrong donkey mains pin", "third cow wind nail"]
            .map(|text| Secret::from(text.to_owned()));
        PassphraseKey::create_with_cost(&path, &old, 256).unwrap();
        let before = PassphraseKey::open(&path, &old).unwrap();
        // One that is begun and never ended is replaced by the next.
        before.changed_with_cost(&path, &other, 256).unwrap();
        let next = before.changed_with_cost(&path, &new, 256).unwrap();
        assert_eq!((before.line.version, next.line.version), (1, 2));
        for (passphrase, key) in [(&old, &before.key), (&new, &next.key)] {
            assert!(PassphraseKey::open(&path, passphrase).unwrap().key == *key);
        }
        assert!(PassphraseKey::open(&path, &other).is_err());
        assert!(before.changed_with_cost(&path, &Secret::from("short".to_owned()), 256).is_err());
        next.keep_only(&path).unwrap();
        assert!(PassphraseKey::open(&path, &old).is_err());
        let opened = PassphraseKey::open(&path, &new).unwrap();
        assert!((opened.line.version, &opened.key) == (2, &next.key));
    }

    #[test]
    fn a_file_that_asks_for_absurd_costs_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.passphrase");
        write_private(&path, &format!("{HEAD}\n1 4000000000 3 4 00 00\n")).unwrap();
        assert!(PassphraseKey::open(&path, &Secret::new(vec![1; 20])).is_err());
    }
}
