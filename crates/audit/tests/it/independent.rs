//! A verifier that shares no code with ours accepts our log and our receipts, and finds a flipped byte.

use std::path::{Path, PathBuf};
use std::process::Command;

use audit::ops::{Prove, Which};

use crate::common::{Place, Seeded};

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients/independent_verifier.py")
}

/// A Python with the package `cryptography`: the test suite's own where it is given, else the machine's.
fn python() -> Option<String> {
    let given = std::env::var("STRONGROOM_TEST_PYTHON").ok();
    let has =
        |name: &str| Command::new(name).args(["-c", "import cryptography"]).output().is_ok_and(|output| output.status.success());
    if let Some(given) = given {
        assert!(has(&given), "`{given}` has no package `cryptography`");
        return Some(given);
    }
    Some("python3".to_owned()).filter(|name| has(name))
}

fn run(python: &str, args: &[&str]) -> (Option<i32>, serde_json::Value) {
    let output = Command::new(python).arg(script()).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_verifier_agrees_and_finds_a_flip() {
    let Some(python) = python() else {
        eprintln!("skipped: no Python with the package `cryptography`; set STRONGROOM_TEST_PYTHON");
        return;
    };
    let place = Place::new();
    let house = place.open();
    house.work(600).await;
    house.drained().await;
    house.log.flush().await.unwrap();
    let key = house.log.verifier_key().to_string();
    for index in [0, 300, 1199] {
        let proven = house.call(Prove { room: house.room.clone(), which: Which::Index(index) }).await.unwrap();
        let (proof, record) = (place.folder.path().join("r.tlog-proof"), place.folder.path().join("r.json"));
        std::fs::write(&proof, &proven.proof).unwrap();
        std::fs::write(&record, &proven.record).unwrap();
        let args = ["--key", &key, "--proof", proof.to_str().unwrap(), "--record", record.to_str().unwrap()];
        assert_eq!(run(&python, &args).0, Some(0));
        std::fs::write(&record, [proven.record.as_slice(), b" "].concat()).unwrap();
        assert_eq!(run(&python, &args).0, Some(1));
    }
    house.log.close();
    let size = house.log.status().size;
    let dir = place.audit_dir();
    let args = ["--key", &key, "--dir", dir.to_str().unwrap()];
    let (code, report) = run(&python, &args);
    assert_eq!((code, report["size"].as_u64()), (Some(0), Some(size)), "{report}");
    let mut random = Seeded(99);
    for name in ["log/tile/entries/001", "log/tile/0/002", "log/checkpoint", "log/tile/entries/000"] {
        let path = dir.join(name);
        let before = std::fs::read(&path).unwrap();
        let mut bytes = before.clone();
        let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        bytes[at] ^= 1 << random.below(8);
        std::fs::write(&path, &bytes).unwrap();
        let (code, report) = run(&python, &args);
        assert_eq!(code, Some(1), "byte {at} of {name}: {report}");
        std::fs::write(&path, before).unwrap();
    }
}
