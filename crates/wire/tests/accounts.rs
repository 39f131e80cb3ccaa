//! The administrative interface's accounts, over HTTP and through a door that allows everything.
#![expect(clippy::unwrap_used, reason = "tests")]

use axum::body::Body;
use http::{Method, Request, StatusCode};
use identity::{Identity, IdentityConfig};
use serde_json::{Value, json};
use testkit::{TestGate, open_gate};
use tower::ServiceExt as _;
use vault::db::{self, Location};
use wire::{Door, DoorConfig, admin};

struct World {
    router: axum::Router,
    gate: TestGate,
    _folder: tempfile::TempDir,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let opened = db::open(&Location::Sqlite(folder.path().join("a.db"))).unwrap();
    let room = Identity::new(opened.db, IdentityConfig::default()).unwrap();
    let gate = open_gate();
    let mut door = Door::new(
        gate.gate.clone(),
        DoorConfig {
            allowed_hosts: vec!["localhost".to_owned()],
            trusted_proxies: Vec::new(),
            telemetry: None,
            problem_page: None,
        },
    );
    admin::users::routes(&mut door, &room);
    admin::groups::routes(&mut door, &room);
    admin::tokens::routes(&mut door, &room);
    admin::sessions::routes(&mut door, &room);
    admin::workspaces::routes(&mut door, &room);
    World { router: door.into_router(), gate, _folder: folder }
}

impl World {
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/strongroom/v1{path}"))
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())))
            .unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let bytes = axum::body::to_bytes(answer.into_body(), 1_000_000).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    async fn good(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }
}

#[tokio::test]
async fn accounts_and_groups_live_their_whole_life() {
    let world = world();
    let ada = world.good(Method::POST, "/users", Some(json!({"name": "Ada", "password": "gravel umbrella nine tulip"}))).await;
    assert_eq!((ada["name"].as_str(), ada["disabled"].as_bool()), (Some("ada"), Some(false)));
    assert_eq!(ada["created_at"].as_str().map(str::len), Some(27));
    assert!(!ada.to_string().contains("umbrella"));
    world.good(Method::POST, "/groups", Some(json!({"name": "team"}))).await;
    world.good(Method::POST, "/groups/team/members", Some(json!({"member": "ada"}))).await;
    let groups = world.good(Method::GET, "/groups", None).await;
    assert_eq!(groups["groups"][0]["members"], json!(["ada"]));
    assert_eq!(world.good(Method::POST, "/users/ada/disable", Some(json!({}))).await["disabled"], true);
    assert_eq!(world.good(Method::POST, "/users/ada/enable", None).await["disabled"], false);
    world.good(Method::POST, "/users/ada/password", Some(json!({"password": "kettle moss over eleven"}))).await;
    assert_eq!(world.good(Method::GET, &format!("/users/{}", ada["id"].as_str().unwrap()), None).await["name"], "ada");
    world.good(Method::DELETE, "/groups/team/members/ada", None).await;
    world.good(Method::DELETE, "/groups/team", None).await;
    world.good(Method::DELETE, "/users/ada", None).await;
    assert_eq!(world.ask(Method::GET, "/users/ada", None).await.0, StatusCode::NOT_FOUND);
    let sealed = world.gate.recorded();
    assert!(sealed.iter().any(|line| line.starts_with("sealed users.delete done")), "{sealed:?}");
    // As a word of its own: an id is random hexadecimal digits, and may hold these three in a row.
    let names_ada = |line: &String| line.split(|letter: char| !letter.is_alphanumeric()).any(|word| word == "ada");
    assert!(!sealed.iter().any(names_ada), "records hold no names");
}

#[tokio::test]
async fn a_services_token_is_shown_once() {
    let world = world();
    let service = world.good(Method::POST, "/services", Some(json!({"name": "ci"}))).await;
    world.good(Method::POST, "/workspaces", Some(json!({"name": "default"}))).await;
    let wish = json!({"label": "runner", "scopes": ["runs.*"], "workspace": "default", "lifetime_s": 3_600});
    let minted = world.good(Method::POST, "/services/ci/tokens", Some(wish)).await;
    let secret = minted["secret"].as_str().unwrap();
    assert!(secret.starts_with("sr_svc_") && secret.starts_with(minted["token"]["prefix"].as_str().unwrap()));
    assert_eq!((&minted["token"]["principal"], &minted["token"]["scopes"]), (&service["id"], &json!(["runs.*"])));
    let listed = world.good(Method::GET, "/tokens?of=ci&rows=1", None).await;
    assert_eq!(listed["tokens"], json!([minted["token"]]));
    let path = format!("/any-tokens/{}", minted["token"]["id"].as_str().unwrap());
    assert_eq!(world.good(Method::DELETE, &path, None).await["revoked_count"], 1);
    assert_eq!(world.ask(Method::DELETE, "/any-tokens/tok_none", None).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = world();
    for name in ["b", "a", "c"] {
        world.good(Method::POST, "/users", Some(json!({"name": name}))).await;
    }
    let first = world.good(Method::GET, "/users?rows=2", None).await;
    assert_eq!(first["next"], "b");
    let last = world.good(Method::GET, "/users?rows=2&after=b", None).await;
    assert_eq!((last["users"][0]["name"].as_str(), last.get("next")), (Some("c"), None));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_what_to_do() {
    let world = world();
    for (method, path, body, part) in [
        (Method::POST, "/users", Some(json!({"name": "../x"})), "a name is"),
        (Method::POST, "/users", Some(json!({"nam": "x"})), "unknown field `nam`"),
        (Method::POST, "/users", None, "missing field `name`"),
        (Method::POST, "/users", Some(json!({"name": "x", "password": "short"})), "15 to 256 characters"),
        (Method::POST, "/services/x/tokens", Some(json!({"scopes": ["*.*"]})), "a scope is"),
        (Method::POST, "/services/x/tokens", Some(json!({"label": "a\nb"})), "a label is"),
        (Method::GET, "/users?rows=0", None, "from 1 to 1000"),
        (Method::GET, "/users?row=1", None, "`row` is not known"),
    ] {
        let (status, answer) = world.ask(method, path, body).await;
        assert_eq!((status, answer["error_code"].as_str()), (StatusCode::BAD_REQUEST, Some("INVALID_PARAMETER_VALUE")));
        assert!(answer["message"].as_str().unwrap().contains(part), "{answer}");
    }
}

#[tokio::test]
async fn the_caller_sees_itself_and_a_workspace_by_name() {
    let world = world();
    let me = world.good(Method::GET, "/me", None).await;
    assert_eq!(
        (me["kind"].as_str(), me["name"].as_str(), me["has_password"].as_bool()),
        (Some("user"), Some("tester"), Some(false))
    );
    world.good(Method::POST, "/workspaces", Some(json!({"name": "default"}))).await;
    let all = world.good(Method::GET, "/workspaces", None).await;
    assert_eq!(all["workspaces"][0]["name"], "default");
    assert_eq!(world.good(Method::GET, "/sessions", None).await, json!({"sessions": []}));
    assert_eq!(world.ask(Method::GET, "/workspaces/other", None).await.0, StatusCode::NOT_FOUND);
}

struct Nobody;

impl policy::Directory for Nobody {
    fn find(&self, _: &mut db::Reader<'_>, _: &str) -> Result<Option<policy::Principal>, db::DbError> {
        Ok(None)
    }

    fn services_of(&self, _: &mut db::Reader<'_>, _: &str) -> Result<Vec<String>, db::DbError> {
        Ok(Vec::new())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_mistyped_is_refused_where_it_would_decide_something() {
    let folder = tempfile::tempdir().unwrap();
    let opened = db::open(&Location::Sqlite(folder.path().join("a.db"))).unwrap();
    let policy = policy::Policy::open(opened.db, opened.ports, std::sync::Arc::new(Nobody)).await.unwrap();
    let config = audit::AuditConfig::new(
        &folder.path().join("audit"),
        "test/log",
        kernel::Secret::new(vec![7; 32]),
        kernel::Secret::new(vec![8; 32]),
    );
    let log = audit::AuditLog::open(config, opened.system, std::sync::Arc::new(kernel::SystemClock)).unwrap();
    let gate = open_gate();
    let mut door = Door::new(
        gate.gate.clone(),
        DoorConfig {
            allowed_hosts: vec!["localhost".to_owned()],
            trusted_proxies: Vec::new(),
            telemetry: None,
            problem_page: None,
        },
    );
    admin::grants::routes(&mut door, &policy);
    admin::access::routes(&mut door, &policy);
    admin::audit::routes(&mut door, &audit::Audit::new(log));
    let world = World { router: door.into_router(), gate, _folder: folder };
    let grant = json!({"principal": "a", "role": "viewer", "expire_at": "2030-01-01T00:00:00Z"});
    for (method, path, body, part) in [
        (Method::POST, "/grants", Some(grant), "unknown field `expire_at`"),
        (Method::POST, "/grants", Some(json!({"principal": "a"})), "missing field `role`"),
        (
            Method::POST,
            "/access/check",
            Some(json!({"principal": "a", "action": "runs.get", "verb": "x"})),
            "unknown field `verb`",
        ),
        (Method::GET, "/grants?princpal=a", None, "`princpal` is not known"),
        (Method::GET, "/audit/records?sinse=2030-01-01T00:00:00Z", None, "`sinse` is not known"),
        (Method::GET, "/audit/records?after=x", None, "`after` is a whole number"),
        (Method::GET, "/audit/export?whom=a", None, "`whom` is not known"),
        (Method::GET, "/audit/export?from=-1", None, "`from` is a whole number"),
        (Method::GET, "/audit/proof/7?index=8", None, "`index` is not known"),
        (Method::GET, "/audit/checkpoint?size=8", None, "`size` is not known"),
        (Method::POST, "/audit/verify?fast=1", Some(json!({})), "`fast` is not known"),
    ] {
        let (status, answer) = world.ask(method, path, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains(part), "{path}: {answer}");
    }
    assert_eq!(world.good(Method::GET, "/grants?principal=a&rows=3", None).await, json!({"grants": []}));
}
