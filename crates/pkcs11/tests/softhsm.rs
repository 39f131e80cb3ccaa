//! The helper against SoftHSM2, from Debian's package, which is fetched and unpacked once and never installed.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::io::{BufReader, BufWriter};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use hsm::{Answer, Request};
use zeroize::Zeroizing;

const PACKAGES: [&str; 3] = ["softhsm2", "libsofthsm2", "softhsm2-common"];
const PIN: &str = "4711-0815";

/// Where the package lies unpacked; none where it cannot be had, which is said. Tests run side by side, and one of them fetches.
fn softhsm() -> Option<PathBuf> {
    static UNPACKED: OnceLock<Option<PathBuf>> = OnceLock::new();
    UNPACKED.get_or_init(unpacked).clone()
}

fn unpacked() -> Option<PathBuf> {
    // Cargo runs tests in the folder of their package; a path from build time would be another clone's where clones share a target folder.
    let folder = std::env::current_dir().unwrap().join("../../.work/debian");
    std::fs::create_dir_all(&folder).unwrap();
    if !folder.join("usr/lib/softhsm/libsofthsm2.so").exists() {
        let fetch = folder.join(format!("fetch-{}", std::process::id()));
        std::fs::create_dir_all(&fetch).unwrap();
        let fetched = Command::new("apt-get").arg("download").args(PACKAGES).current_dir(&fetch).output();
        if !fetched.is_ok_and(|done| done.status.success()) {
            std::fs::remove_dir_all(&fetch).unwrap();
            eprintln!("not tested: SoftHSM2 cannot be fetched with apt-get");
            return None;
        }
        for package in std::fs::read_dir(&fetch).unwrap() {
            let path = package.unwrap().path();
            assert!(Command::new("dpkg-deb").arg("-x").arg(&path).arg(&folder).status().unwrap().success());
        }
        std::fs::remove_dir_all(&fetch).unwrap();
    }
    Some(folder)
}

struct Place {
    folder: tempfile::TempDir,
    debian: PathBuf,
}

impl Place {
    /// A token labelled `strongroom`.
    fn make() -> Option<Self> {
        let debian = softhsm()?;
        let folder = tempfile::tempdir().unwrap();
        let tokens = folder.path().join("tokens");
        std::fs::create_dir(&tokens).unwrap();
        std::fs::write(folder.path().join("softhsm2.conf"), format!("directories.tokendir = {}\n", tokens.display())).unwrap();
        let place = Self { folder, debian };
        let made = Command::new(place.debian.join("usr/bin/softhsm2-util"))
            .args(["--init-token", "--free", "--label", "strongroom", "--so-pin", "12345678", "--pin", PIN])
            .arg("--module")
            .arg(place.module())
            .env("SOFTHSM2_CONF", place.conf())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        Some(place)
    }

    fn module(&self) -> PathBuf {
        self.debian.join("usr/lib/softhsm/libsofthsm2.so")
    }

    fn conf(&self) -> PathBuf {
        self.folder.path().join("softhsm2.conf")
    }

    fn helper(&self, more: &[&str]) -> Helper {
        self.helper_with(PIN, "strongroom", more)
    }

    fn helper_with(&self, pin: &str, token: &str, more: &[&str]) -> Helper {
        let mut child = Command::new(env!("CARGO_BIN_EXE_strongroom-pkcs11"))
            .arg("--module")
            .arg(self.module())
            .args(["--token", token, "--key", "root", "--pin-variable", "TEST_PIN"])
            .args(more)
            .env_clear()
            .env("TEST_PIN", pin)
            .env("SOFTHSM2_CONF", self.conf())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Helper { child, to: Some(BufWriter::new(to)), from: BufReader::new(from) }
    }
}

struct Helper {
    child: Child,
    to: Option<BufWriter<ChildStdin>>,
    from: BufReader<ChildStdout>,
}

impl Helper {
    fn ask(&mut self, request: &Request) -> Answer {
        hsm::write(self.to.as_mut().unwrap(), &request.encode()).unwrap();
        Answer::decode(&hsm::read(&mut self.from).unwrap().unwrap()).unwrap()
    }

    fn wrap(&mut self, version: i64, key: &[u8], aad: &[u8]) -> Answer {
        self.ask(&Request::Wrap { version, key: Zeroizing::new(key.to_vec()), aad: aad.to_vec() })
    }

    fn unwrap(&mut self, version: i64, wrapped: &[u8], aad: &[u8]) -> Answer {
        self.ask(&Request::Unwrap { version, wrapped: wrapped.to_vec(), aad: aad.to_vec() })
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Without its server it ends.
        drop(self.to.take());
        assert!(self.child.wait().unwrap().success());
    }
}

fn wrapped(answer: Answer) -> Vec<u8> {
    match answer {
        Answer::Wrapped(wrapped) => wrapped,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_in_a_token_wraps_for_one_place_and_ends_with_its_object() {
    let Some(place) = Place::make() else { return };
    let mut helper = place.helper(&[]);
    assert_eq!(helper.ask(&Request::Versions), Answer::Versions(vec![]));
    assert_eq!(helper.wrap(1, &[7; 32], b"here"), Answer::NoVersion);
    assert_eq!(helper.ask(&Request::Make), Answer::Made(1));
    let one = wrapped(helper.wrap(1, &[7; 32], b"here"));
    assert_eq!(one.len(), 1 + 12 + 32 + 16);
    assert_ne!(wrapped(helper.wrap(1, &[7; 32], b"here")), one, "each wrap has an initialization vector of its own");
    assert_eq!(helper.unwrap(1, &one, b"here"), Answer::Unwrapped(Zeroizing::new(vec![7; 32])));
    assert!(matches!(helper.unwrap(1, &one, b"there"), Answer::Refused(_)));
    for at in 0..one.len() {
        let mut changed = one.clone();
        changed[at] ^= 1;
        assert!(matches!(helper.unwrap(1, &changed, b"here"), Answer::Refused(_)), "byte {at}");
        assert!(matches!(helper.unwrap(1, &one[..at], b"here"), Answer::Refused(_)), "length {at}");
    }
    assert_eq!(helper.ask(&Request::Make), Answer::Made(2));
    drop(helper);

    // Another process, the same token.
    let mut helper = place.helper(&[]);
    assert_eq!(helper.ask(&Request::Versions), Answer::Versions(vec![1, 2]));
    assert_eq!(helper.unwrap(1, &one, b"here"), Answer::Unwrapped(Zeroizing::new(vec![7; 32])));
    assert!(matches!(helper.unwrap(2, &one, b"here"), Answer::Refused(_)));
    let two = wrapped(helper.wrap(2, &[8; 32], b"here"));
    assert_eq!(helper.ask(&Request::Destroy { version: 1 }), Answer::Destroyed);
    assert_eq!(helper.unwrap(1, &one, b"here"), Answer::NoVersion);
    assert_eq!(helper.ask(&Request::Destroy { version: 1 }), Answer::NoVersion);
    assert_eq!(helper.unwrap(2, &two, b"here"), Answer::Unwrapped(Zeroizing::new(vec![8; 32])));
    assert_eq!(helper.ask(&Request::Versions), Answer::Versions(vec![2]));
}

#[test]
fn what_cannot_be_opened_is_said_and_tried_anew() {
    let Some(place) = Place::make() else { return };
    for (pin, token) in [("0000-1111", "strongroom"), ("1", "strongroom"), (PIN, "another")] {
        let mut helper = place.helper_with(pin, token, &[]);
        for _ in 0..2 {
            match helper.ask(&Request::Versions) {
                Answer::PinRefused(why) => assert!(token == "strongroom" && !why.contains("0000"), "{why}"),
                Answer::Unavailable(why) => assert!(token == "another" && !why.contains(pin), "{why}"),
                other => panic!("{other:?}"),
            }
        }
    }
    // A vector of zeros for every wrap would give the key away: a module that does not choose one must not be asked to.
    let mut helper = place.helper(&["--module-iv"]);
    assert_eq!(helper.ask(&Request::Make), Answer::Made(1));
    assert!(matches!(helper.wrap(1, &[7; 32], b"here"), Answer::Unavailable(_)));
}

#[test]
fn nonsense_ends_it() {
    let Some(place) = Place::make() else { return };
    let mut helper = place.helper(&[]);
    hsm::write(helper.to.as_mut().unwrap(), &[99]).unwrap();
    assert!(hsm::read(&mut helper.from).unwrap().is_none());
    assert!(!helper.child.wait().unwrap().success());
    std::mem::forget(helper);
}
