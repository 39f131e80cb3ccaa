//! The root key made from a passphrase by argon2id (RFC 9106). The file beside it holds salt, costs and a check value, no key.

use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use gate::BoxFuture;
use kernel::{Problem, Secret, hex, parse_hex, random_bytes};
use subtle::ConstantTimeEq;

use super::file::{no_version, read_private, write_private};
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
/// A root passphrase guards everything: eight words or so.
const PASSPHRASE_BYTES_MIN: usize = 16;

/// A root key made from a passphrase.
pub struct PassphraseKey {
    version: i64,
    key: Secret,
}

impl PassphraseKey {
    /// Chooses a salt, writes it to `path` (which must not exist) and makes the key. `version` is 1 for a first
    /// passphrase and one more for each change.
    ///
    /// # Errors
    /// `Invalid` for a short passphrase; `AlreadyExists` or `Unavailable` if the file cannot be made.
    pub fn create(path: &Path, passphrase: &Secret, version: i64) -> Result<Self, Problem> {
        Self::create_with_cost(path, passphrase, version, MEMORY_KIB)
    }

    fn create_with_cost(path: &Path, passphrase: &Secret, version: i64, memory_kib: u32) -> Result<Self, Problem> {
        if passphrase.expose().len() < PASSPHRASE_BYTES_MIN {
            return Err(Problem::invalid(format!("the root passphrase must have at least {PASSPHRASE_BYTES_MIN} bytes")));
        }
        let salt = random_bytes::<SALT_BYTES>();
        let key = stretch(passphrase, &salt, memory_kib, PASS_COUNT, LANE_COUNT)?;
        let check = derive::<32>(key.expose(), &[], CHECK)?;
        let text = format!("{HEAD}\n{version} {memory_kib} {PASS_COUNT} {LANE_COUNT} {} {}\n", hex(&salt), hex(&check));
        write_private(path, &text).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Problem::already_exists(format!("`{}` exists already", path.display())),
            _ => Problem::unavailable(format!("`{}` cannot be written", path.display())).because(error),
        })?;
        Ok(Self { version, key })
    }

    /// Makes the key again.
    ///
    /// # Errors
    /// `Forbidden` for a wrong passphrase; `Invalid` or `NotFound` for a file that is not one of ours.
    pub fn open(path: &Path, passphrase: &Secret) -> Result<Self, Problem> {
        let text = read_private(path)?;
        let broken = || Problem::invalid(format!("`{}` does not describe a root passphrase", path.display()));
        let mut lines = text.lines();
        let (Some(HEAD), Some(line), None) = (lines.next(), lines.next(), lines.next()) else {
            return Err(broken());
        };
        let fields: Vec<&str> = line.split(' ').collect();
        let [version, memory_kib, pass_count, lane_count, salt, check] = fields.as_slice() else {
            return Err(broken());
        };
        let number = |text: &str| text.parse::<u32>().map_err(|_| broken());
        let (memory_kib, pass_count) = (number(memory_kib)?, number(pass_count)?);
        if memory_kib > MEMORY_KIB_MAX || pass_count > PASS_COUNT_MAX {
            return Err(broken());
        }
        let salt = parse_hex(salt).ok_or_else(broken)?;
        let check = parse_hex(check).ok_or_else(broken)?;
        let key = stretch(passphrase, &salt, memory_kib, pass_count, number(lane_count)?)?;
        if !bool::from(derive::<32>(key.expose(), &[], CHECK)?.as_slice().ct_eq(&check)) {
            return Err(Problem::forbidden("that is not the root passphrase"));
        }
        Ok(Self { version: version.parse().map_err(|_| broken())?, key })
    }
}

fn stretch(passphrase: &Secret, salt: &[u8], memory_kib: u32, pass_count: u32, lane_count: u32) -> Result<Secret, Problem> {
    let refused =
        |error: argon2::Error| Problem::internal("the root key could not be made from the passphrase", error.to_string());
    let params = Params::new(memory_kib, pass_count, lane_count, Some(KEY_BYTES)).map_err(refused)?;
    let mut key = vec![0_u8; KEY_BYTES];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon.hash_password_into(passphrase.expose(), salt, &mut key).map_err(refused)?;
    Ok(Secret::new(key))
}

impl KeyService for PassphraseKey {
    fn name(&self) -> &'static str {
        "passphrase"
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn wrap<'a>(&'a self, key: &'a Secret, aad: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, Problem>> {
        Box::pin(async move { wrap::wrap(&self.key, key, aad) })
    }

    fn unwrap<'a>(&'a self, version: i64, wrapped: &'a [u8], aad: &'a [u8]) -> BoxFuture<'a, Result<Secret, Problem>> {
        Box::pin(async move {
            if version != self.version {
                return Err(no_version(version));
            }
            wrap::unwrap(&self.key, wrapped, aad)
        })
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
        let made = PassphraseKey::create_with_cost(&path, &right, 1, 256).unwrap();
        assert!(PassphraseKey::open(&path, &right).unwrap().key == made.key);
        let wrong = PassphraseKey::open(&path, &Secret::from("correct horse battery stable".to_owned())).map(|_| ());
        assert_eq!(wrong.unwrap_err().kind(), kernel::Kind::Forbidden);
        assert!(PassphraseKey::create_with_cost(&path, &right, 1, 256).is_err());
        let short = Secret::from("short".to_owned());
        assert!(PassphraseKey::create_with_cost(&folder.path().join("b"), &short, 1, 256).is_err());
        assert!(!std::fs::read_to_string(&path).unwrap().contains(&hex(made.key.expose())));
    }

    #[test]
    fn a_file_that_asks_for_absurd_costs_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.passphrase");
        write_private(&path, &format!("{HEAD}\n1 4000000000 3 4 00 00\n")).unwrap();
        assert!(PassphraseKey::open(&path, &Secret::new(vec![1; 20])).is_err());
    }
}
