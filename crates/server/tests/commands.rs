//! The binary as people run it: what `init` leaves behind, what commands refuse, and what a running server says.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod program;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use program::{Place, Server, ask};

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn an_init_that_fails_leaves_nothing_behind() {
    let place = Place::empty();
    let key = place.path("root.key");
    let nobody_there = format!(
        "[vault]\ndatabase = \"postgres://u@127.0.0.1:1/x\"\n[vault.root_key]\nkind = \"file_at\"\npath = \"{}\"\n",
        key.display()
    );
    fs::write(place.path("config.toml"), nobody_there).unwrap();
    let config = place.path("config.toml");
    let refused = place.run(&["init", "--config", config.to_str().unwrap()]);
    assert!(!refused.ok && refused.stderr.contains("database"), "{refused:?}");
    assert!(!place.data().exists() && !key.exists());
    // An empty folder that was there before stays, empty.
    fs::create_dir(place.data()).unwrap();
    assert!(!place.run(&["init", "--config", config.to_str().unwrap()]).ok);
    assert_eq!(fs::read_dir(place.data()).unwrap().count(), 0);
    // The first token cannot be handed over.
    let refused = place.run(&["init", "--admin-token-file", place.path("none/token").to_str().unwrap()]);
    assert!(!refused.ok && fs::read_dir(place.data()).unwrap().count() == 0, "{refused:?}");
    place.make(&[]);
    // And one that is full is not touched.
    let again = place.run(&["init"]);
    assert!(!again.ok && place.data().join("keys/root.key").is_file(), "{again:?}");
}

#[test]
fn a_half_made_folder_says_so() {
    let place = Place::made();
    fs::write(place.data().join("unfinished"), "").unwrap();
    for verb in [["serve", "--listen", "127.0.0.1:0"], ["user", "list", "--json"]] {
        let refused = place.run(&verb);
        assert!(!refused.ok && refused.stderr.contains("did not finish"), "{refused:?}");
    }
}

#[test]
fn a_folder_begins_with_a_passphrase() {
    let mut place = Place::empty();
    fs::write(place.path("config.toml"), "[vault.root_key]\nkind = \"passphrase\"\nvariable = \"ROOT_WORDS\"\n").unwrap();
    let config = place.path("config.toml");
    let refused = place.run(&["init", "--config", config.to_str().unwrap()]);
    assert!(!refused.ok && refused.stderr.contains("ROOT_WORDS") && !place.data().exists(), "{refused:?}");
    place.variables.push(("ROOT_WORDS", "correct horse battery staple".to_owned()));
    place.make(&["--config", config.to_str().unwrap()]);
    assert_eq!(mode_of(&place.data().join("keys/passphrase.salt")), 0o600);
    assert!(!place.data().join("keys/root.key").exists());
    assert!(place.run(&["user", "list", "--json"]).ok);
    place.variables.pop();
    place.variables.push(("ROOT_WORDS", "correct horse battery stable".to_owned()));
    assert!(!place.run(&["user", "list", "--json"]).ok);
    let refused = place.run(&["keys", "rotate-root"]);
    assert!(refused.stderr.contains("passphrase"), "{refused:?}");
}

#[test]
fn a_folder_begins_with_a_key_at_another_place() {
    let place = Place::empty();
    let key = place.path("elsewhere.key");
    let text = format!("[vault.root_key]\nkind = \"file_at\"\npath = \"{}\"\n", key.display());
    fs::write(place.path("config.toml"), text).unwrap();
    let config = place.path("config.toml");
    place.make(&["--config", config.to_str().unwrap()]);
    assert_eq!(mode_of(&key), 0o600);
    assert!(place.run(&["user", "list", "--json"]).ok);
    // A key that is there is used, and kept when `init` fails for another reason.
    let second = Place::empty();
    let unwritable = second.path("none/token");
    assert!(!second.run(&["init", "--config", config.to_str().unwrap(), "--admin-token-file", unwritable.to_str().unwrap()]).ok);
    assert!(key.is_file() && !second.data().exists());
}

#[test]
fn a_tampered_log_starts_again_only_when_told_to_and_says_so_for_ever() {
    let place = Place::made();
    assert!(place.run(&["user", "create", "alice"]).ok);
    let whole = place.run(&["audit", "recover", "--accept"]);
    assert!(whole.ok && whole.stdout.contains("nothing to accept"), "{whole:?}");
    let checkpoint = place.data().join("audit/log/checkpoint");
    let mut bytes = fs::read(&checkpoint).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&checkpoint, bytes).unwrap();
    for verb in [["serve", "--listen", "127.0.0.1:0"], ["user", "list", "--json"]] {
        let refused = place.run(&verb);
        assert!(!refused.ok && refused.stderr.contains("does not verify"), "{refused:?}");
    }
    let unsure = place.run(&["audit", "recover"]);
    assert_eq!((unsure.ok, unsure.code), (false, Some(2)), "{unsure:?}");
    assert!(!place.run(&["user", "list", "--json"]).ok, "nothing was done without --accept");
    let recovered = place.run(&["audit", "recover", "--accept"]);
    assert!(recovered.ok && recovered.stdout.contains("mismatch"), "{recovered:?}");
    let found = place.run(&["audit", "search", "--what", "audit.accepted", "--json"]);
    assert!(found.ok && found.stdout.contains("audit.accepted"), "{found:?}");
    let verified = place.run(&["audit", "verify"]);
    assert!(verified.ok && verified.stdout.contains("verified"), "{verified:?}");
}

#[test]
fn a_root_key_is_rotated_without_losing_anything() {
    let place = Place::made();
    let key = place.data().join("keys/root.key");
    let before = fs::read_to_string(&key).unwrap();
    let rotated = place.run(&["keys", "rotate-root"]);
    assert!(rotated.ok && rotated.stdout.contains("version 2"), "{rotated:?}");
    let after = fs::read_to_string(&key).unwrap();
    assert!(after.lines().count() == 2 && after.contains("\n2 ") && after != before);
    assert_eq!(mode_of(&key), 0o600);
    let verified = place.run(&["audit", "verify"]);
    assert!(verified.ok, "{verified:?}");
    let found = place.run(&["audit", "search", "--what", "keys.rotate", "--outcome", "done", "--json"]);
    assert!(found.stdout.contains("keys.rotate"), "{found:?}");
    // The old key opens nothing any more.
    fs::write(&key, before).unwrap();
    assert!(!place.run(&["user", "list", "--json"]).ok);
    fs::write(&key, after).unwrap();
    let workspace = place.run(&["keys", "rotate", "--json"]);
    assert!(workspace.ok && workspace.stdout.contains("\"key_version\":2"), "{workspace:?}");
    assert!(place.run(&["keys", "rewrap"]).ok);
}

#[test]
fn a_missing_database_is_not_made_anew() {
    let place = Place::made();
    let database = place.data().join("db");
    fs::rename(&database, place.path("away")).unwrap();
    let verbs: [&[&str]; 4] =
        [&["audit", "verify"], &["user", "list"], &["serve", "--listen", "127.0.0.1:0"], &["keys", "rotate-root"]];
    for verb in verbs {
        let refused = place.run(verb);
        assert!(!refused.ok && refused.stderr.contains("strongroom.db"), "{verb:?} {refused:?}");
        assert!(!database.exists(), "{verb:?}");
    }
    assert!(place.run(&["audit", "verify", "--log-only"]).ok);
}

#[test]
fn a_folder_that_is_none_is_named_before_anything_else() {
    let mut place = Place::empty();
    place.variables.push(("STRONGROOM_TOKEN", "sr_pat_x".to_owned()));
    let verbs: [&[&str]; 4] =
        [&["serve", "--listen", "127.0.0.1:0"], &["audit", "verify"], &["user", "list"], &["keys", "rotate-root"]];
    for verb in verbs {
        let refused = place.run(verb);
        assert!(!refused.ok && refused.stderr.contains("strongroom init"), "{refused:?}");
    }
    assert!(!place.data().exists());
}

#[test]
fn a_configuration_elsewhere_is_read_where_it_is_named() {
    let place = Place::made();
    fs::write(place.path("broken.toml"), "[risk]\nlock_free_count = 0\n").unwrap();
    let broken = place.path("broken.toml");
    let verbs: [&[&str]; 5] = [
        &["audit", "verify"],
        &["user", "list"],
        &["keys", "rotate-root"],
        &["config", "check"],
        &["serve", "--listen", "127.0.0.1:0"],
    ];
    for verb in verbs {
        let refused = place.run(&[verb, &["--config", broken.to_str().unwrap()]].concat());
        assert!(!refused.ok && refused.stderr.contains("lock_free_count"), "{verb:?} {refused:?}");
    }
    fs::write(place.path("half.toml"), "[tls]\ncertificate = \"/a.pem\"\n").unwrap();
    let refused = place.run(&["config", "check", "--config", place.path("half.toml").to_str().unwrap()]);
    assert!(!refused.ok && refused.stderr.contains("tls.key"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_server_runs_its_folder_is_its_own() {
    let place = Place::made();
    let server = Server::start(&place, &[]);
    assert!(place.run(&["user", "list", "--json"]).ok, "commands talk to it");
    for verb in [["audit", "recover", "--accept"], ["keys", "rotate-root", "--json"]] {
        let refused = place.run(&verb);
        assert!(!refused.ok && refused.stderr.contains("another process"), "{refused:?}");
    }
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_on_every_address_is_found_and_has_the_machines_name() {
    let place = Place::made();
    let server = Server::start(&place, &["--listen", "0.0.0.0:0"]);
    assert!(place.run(&["user", "list", "--json"]).ok);
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned();
    // A name that cannot stand in a certificate is left out.
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        let names = fs::read_to_string(place.data().join("tls/server.names")).unwrap();
        assert!(names.lines().any(|known| known == name), "{names}");
    }
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_know_a_certificate_of_the_users_own() {
    let place = Place::made();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["strongroom.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    fs::write(place.path("chain.pem"), certificate.pem()).unwrap();
    fs::write(place.path("key.pem"), key.serialize_pem()).unwrap();
    let (chain, key_path) = (place.path("chain.pem"), place.path("key.pem"));
    let text = format!("[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n", chain.display(), key_path.display());
    fs::write(place.path("tls.toml"), text).unwrap();
    let server = Server::start(&place, &["--config", place.path("tls.toml").to_str().unwrap()]);
    let listed = place.run(&["user", "list", "--json"]);
    assert!(listed.ok && listed.stdout.contains("admin"), "{listed:?}");
    // Somebody else's certificate is not taken.
    let other = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let other = other.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    fs::write(place.data().join("tls/presented.pem"), other.pem()).unwrap();
    assert!(!place.run(&["user", "list", "--json"]).ok);
    drop(server);
    let own = Server::start(&place, &[]);
    assert!(!place.data().join("tls/presented.pem").exists());
    assert!(place.run(&["user", "list", "--json"]).ok);
    drop(own);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_over_its_limit_is_refused() {
    let place = Place::made();
    let server = Server::start(&place, &[]);
    for (bytes, status) in [(60 * 1024, "200"), (64 * 1024, "431"), (200 * 1024, "431"), (400 * 1024, "431")] {
        let answer = ask(&place, &server, "GET", "/health", &format!("X-Long: {}\r\n", "x".repeat(bytes)), "").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{bytes}: {answer}");
    }
    let many = (0..20).map(|at| format!("X-{at}: {}\r\n", "x".repeat(4096))).collect::<String>();
    assert!(ask(&place, &server, "GET", "/health", &many, "").await.starts_with("HTTP/1.1 431"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_led_to_the_log_in_and_back_out() {
    let place = Place::made();
    let server = Server::start(&place, &[]);
    let from_browser = "Accept: text/html,*/*\r\n";
    let stranger = ask(&place, &server, "GET", "/", from_browser, "").await;
    assert!(stranger.starts_with("HTTP/1.1 303") && stranger.contains("location: /login\r\n"), "{stranger}");
    assert!(ask(&place, &server, "GET", "/", "", "").await.starts_with("HTTP/1.1 401"));
    let form = format!("username=admin&password={}", place.token());
    let entered = ask(&place, &server, "POST", "/login", "Content-Type: application/x-www-form-urlencoded\r\n", &form).await;
    assert!(entered.starts_with("HTTP/1.1 303") && entered.contains("location: /\r\n"), "{entered}");
    let cookie = entered.split("set-cookie: ").nth(1).unwrap().split(';').next().unwrap();
    let with_cookie = format!("Cookie: {cookie}\r\n");
    let home = ask(&place, &server, "GET", "/", &format!("{with_cookie}{from_browser}"), "").await;
    assert!(home.starts_with("HTTP/1.1 200") && home.contains("mlflow_ui_dir") && home.contains("/logout"), "{home}");
    assert!(home.contains("content-security-policy: default-src 'none'"), "{home}");
    // Scripts are files of the console's own, never a text of the page.
    let own = home.matches("<script type=\"module\" src=\"/console/assets/").count();
    assert_eq!(home.matches("<script").count(), own, "{home}");
    let left = ask(&place, &server, "POST", "/logout", &with_cookie, "").await;
    assert!(left.starts_with("HTTP/1.1 303") && left.contains("location: /login\r\n"), "{left}");
    let after = ask(&place, &server, "GET", "/", &with_cookie, "").await;
    assert!(after.starts_with("HTTP/1.1 401"), "{after}");
}
