//! The command line against a running server and a running witness: what people with a password can do with it, and what it
//! hands out of the log.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_strongroom");
/// How long what happens by itself may take: a round of cosignatures comes every ten seconds.
const PATIENCE: Duration = Duration::from_secs(40);

struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM).args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// What follows `before` in the next line of its output.
    fn said(&mut self, before: &str) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert!(line.starts_with(before), "`{line}`");
        line.trim_end().replacen(before, "", 1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

struct World {
    folder: tempfile::TempDir,
    _server: Option<Running>,
}

fn world(config: &str) -> World {
    let folder = tempfile::tempdir().unwrap();
    let (data, token) = (folder.path().join("data"), folder.path().join("admin.token"));
    let made = Command::new(PROGRAM).arg("init").arg("--data").arg(&data).arg("--admin-token-file").arg(&token).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::write(data.join("strongroom.toml"), config).unwrap();
    let mut server = Running::start(&["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    server.said("listening https://");
    World { folder, _server: Some(server) }
}

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, words: &[&str], input: &str) -> Output {
        let mut command = Command::new(PROGRAM);
        command.args(words).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if !words.contains(&"check-proof") {
            command.arg("--data").arg(self.path("data"));
        }
        if !words.contains(&"--user") && !words.contains(&"check-proof") {
            command.arg("--token-file").arg(self.path("admin.token"));
        }
        let mut child = command.spawn().unwrap();
        // A command that reads nothing may have ended already.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        child.wait_with_output().unwrap()
    }

    fn good(&self, words: &[&str], input: &str) -> String {
        let output = self.run(words, input);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.good(&[words, &["--json"]].concat(), "")).unwrap()
    }
}

fn write(path: &Path, text: &str) -> String {
    std::fs::write(path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn who_has_only_a_password_works_with_it() {
    let world = world("");
    let old = write(&world.path("old"), "gravel umbrella nine tulip\n");
    let new = write(&world.path("new"), "kettle moss over eleven\n");
    world.good(&["user", "create", "alice", "--password-stdin"], "gravel umbrella nine tulip\n");
    let granted = world.good(&["grant", "create", "alice", "viewer"], "");
    assert!(granted.lines().any(|line| line.starts_with("expires at") && line.ends_with("never")), "{granted}");
    assert!(world.good(&["grant", "list"], "").contains("never"));
    assert!(world.json(&["grant", "list"])[0]["expires_at"].is_null());
    let as_alice = |words: &[&'static str], file: &str| -> Vec<String> {
        let plain = words.iter().map(ToString::to_string);
        plain.chain(["--user", "alice", "--password-file", file].map(str::to_owned)).collect()
    };
    let run = |words: Vec<String>, input: &str| world.run(&words.iter().map(String::as_str).collect::<Vec<_>>(), input);
    let token = world.path("alice.token");
    let mut mint = as_alice(&["token", "create", "--label", "laptop", "--out"], &old);
    mint.insert(5, token.to_str().unwrap().to_owned());
    let minted = run(mint, "");
    assert!(minted.status.success(), "{}", String::from_utf8_lossy(&minted.stderr));
    assert!(std::fs::read_to_string(&token).unwrap().starts_with("sr_pat_"));
    let shown = run(as_alice(&["account", "show"], &old), "");
    assert!(String::from_utf8_lossy(&shown.stdout).contains("alice"));
    let sessions = run(as_alice(&["session", "list"], &old), "");
    assert_eq!(String::from_utf8_lossy(&sessions.stdout), "none\n");
    assert_eq!(run(as_alice(&["session", "revoke", "ses_none"], &old), "").status.code(), Some(4));
    let changed = run(as_alice(&["account", "password"], &old), "kettle moss over eleven\n");
    assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
    assert_eq!(run(as_alice(&["account", "show"], &old), "").status.code(), Some(3), "the old one works no more");
    assert!(run(as_alice(&["account", "show"], &new), "").status.success());
    let without = world.run(&["account", "show", "--user", "alice"], "");
    assert_eq!(without.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&without.stderr).contains("STRONGROOM_PASSWORD"));
    let of_nobody = world.run(&["user", "create", "carl", "--password-file", &new], "");
    assert_eq!(of_nobody.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&of_nobody.stderr).contains("comes on stdin"), "{of_nobody:?}");
    assert!(!world.good(&["user", "list"], "").contains("carl"), "nothing was done");
}

#[test]
fn a_mode_of_retention_is_read_in_any_case_and_nothing_else_is_one() {
    let world = world("");
    for (mode, code, says) in [("compliance", 4, "nothing of this name is retained"), ("sometimes", 2, "sometimes")] {
        let words = ["retention", "extend", "dataset", "x@1", "--mode", mode, "--until", "2099-01-01T00:00:00Z"];
        let output = world.run(&words, "");
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(says), "{output:?}");
    }
    // What no rule retains can be held all the same, if it is there.
    let output = world.run(&["retention", "hold", "dataset", "x@1"], "");
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("say NAME@3"), "{output:?}");
}

#[test]
fn what_the_log_hands_out_can_be_kept_and_checked() {
    let world = world("");
    for name in ["ann", "bob", "cy"] {
        world.good(&["user", "create", name], "");
    }
    let found = world.json(&["audit", "search", "--what", "users.create", "--rows", "2"]);
    assert_eq!(found.as_array().unwrap().len(), 2);
    // A record's own fields stay as they are.
    let at = found[0]["at"].as_i64().unwrap();
    assert!(found[0]["at_text"].as_str().unwrap().ends_with('Z') && at > 1_600_000_000_000_000);
    let index = found[0]["index"].to_string();
    let all = world.good(&["audit", "export"], "");
    let some = world.good(&["audit", "export", "--what", "users.create", "--outcome", "done", "--from", "1"], "");
    let operations: Vec<Value> =
        some.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["api"]["operation"].clone()).collect();
    assert!(all.lines().count() > 10 && operations.iter().all(|name| name == "users.create"), "{operations:?}");
    assert!((3..=4).contains(&operations.len()), "three of ours, and the administrator's if it is no first record");
    assert_eq!(world.good(&["audit", "export", "--from", "2", "--to", "5"], "").lines().count(), 3);

    let out = world.path("receipts");
    std::fs::create_dir(&out).unwrap();
    world.good(&["audit", "prove", &index, "--out", out.to_str().unwrap()], "");
    let (proof, record) = (out.join(format!("{index}.tlog-proof")), out.join(format!("{index}.json")));
    let kept: Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    assert_eq!((&kept["id"], &kept["at"]), (&found[0]["id"], &found[0]["at"]));
    let key = std::fs::read_to_string(world.path("data/audit.vkey")).unwrap();
    let (proof, record) = (proof.to_str().unwrap(), record.to_str().unwrap());
    let check = |record: &str| world.run(&["audit", "check-proof", proof, record, "--vkey", key.trim()], "");
    assert!(String::from_utf8_lossy(&check(record).stdout).starts_with("holds: "));
    let other =
        write(&world.path("other.json"), &std::fs::read_to_string(record).unwrap().replace("users.create", "users.delete"));
    assert_eq!(check(&other).status.code(), Some(1));
    let printed = world.run(&["audit", "prove", &index], "");
    assert_eq!(String::from_utf8_lossy(&printed.stdout).lines().next(), Some("c2sp.org/tlog-proof@v1"));
    assert_eq!(String::from_utf8_lossy(&printed.stderr).trim(), std::fs::read_to_string(record).unwrap());
}

#[test]
fn a_server_has_its_checkpoints_cosigned() {
    let place = tempfile::tempdir().unwrap();
    let first = world("");
    let key = std::fs::read_to_string(first.path("data/audit.vkey")).unwrap();
    let dir = place.path().join("witness");
    let words =
        ["witness", "--dir", dir.to_str().unwrap(), "--name", "witness.example", "--log", key.trim(), "--listen", "127.0.0.1:0"];
    let mut witness = Running::start(&words);
    let url = witness.said("listening ");
    let witness_key = witness.said("verifier key ");
    let World { folder, _server: server } = first;
    drop(server);
    let ca = dir.join("tls/ca.pem");
    let config =
        format!("[audit]\nwitness_keys = [\"{witness_key}\"]\nwitnesses = [{{ url = \"{url}\", ca = \"{}\" }}]\n", ca.display());
    let data = folder.path().join("data");
    std::fs::write(data.join("strongroom.toml"), config).unwrap();
    let mut server = Running::start(&["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    server.said("listening https://");
    let began = Instant::now();
    let anchors = data.join("audit/anchors");
    let anchor = loop {
        let mut kept = std::fs::read_dir(&anchors).unwrap().map(|entry| entry.unwrap().path());
        if let Some(whole) = kept.find(|path| path.extension().is_some_and(|end| end == "cosig")) {
            break whole;
        }
        assert!(began.elapsed() < PATIENCE, "no cosignature came");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(std::fs::read_to_string(anchor).unwrap().contains("— witness.example "));
    drop(server);
    let verified = Command::new(PROGRAM).args(["audit", "verify", "--json", "--data"]).arg(&data).output().unwrap();
    let report: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert!(report["ok"] == true && report["log"]["cosignature_count"].as_u64() > Some(0), "{report:#}");
}
