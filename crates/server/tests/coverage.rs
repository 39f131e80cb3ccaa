//! What no new route may forget: it is one Operation, the policy knows it, a stranger gets nothing from it, and it leaves
//! its records.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use kernel::Secret;
use serde_json::Value;
use strongroom::boot::{self, App};
use strongroom::config::Config;
use tower::Service;
use wire::{PeerAddress, RouteEntry};

/// What strangers may ask: is it alive, what is it, and the log-in form.
const PUBLIC: [&str; 6] = ["server.health", "server.version", "server.info", "ui.login_page", "ui.login_provider", "ui.asset"];
/// Where what comes in the body or the query is the credential.
const OWN_CREDENTIAL: [&str; 5] = ["/login", "/login/callback", "/oauth/token", "/login/backchannel-logout", "/signals"];
/// Verbs without a route: what the server records of routes that no room knows, and what its own jobs do: the policy lets nobody
/// else ask for those.
const UNROUTED: [&str; 29] = [
    "mail.send",
    "federation.settle",
    "detections.raise",
    "detections.respond",
    "buckets.tick",
    "retention.seal",
    "server.unrouted",
    "inspections.begin",
    "inspections.run",
    "cleanings.run",
    "admissions.begin",
    "admissions.run",
    "admissions.rescan",
    "datasets.sweep",
    "retraining.begin",
    "retraining.fetch",
    "retraining.confirm",
    "retraining.end",
    "endpoints.halt",
    "predictions.seal",
    "predictions.expire",
    "observe.judge",
    "observe.recall",
    "observe.deliver",
    "keys.rotate_due",
    "keys.rewrap_due",
    "keys.destroy_due",
    "backups.make",
    "backups.try",
];

struct World {
    app: App,
    token: Secret,
    table: Vec<RouteEntry>,
    _folder: tempfile::TempDir,
}

async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let token = strongroom::cli::make_for_bench(&data).await.unwrap();
    let mut config = Config::default();
    // Every route is asked several times, by one stranger.
    config.risk.anonymous_burst_count_max = 100_000;
    let app = boot::open(&data, &config).await.unwrap();
    let table = app.table.clone();
    World { app, token, table, _folder: folder }
}

impl World {
    /// A request to a route with its path parameters filled in.
    async fn ask(&mut self, route: &RouteEntry, token: Option<&str>, body: &'static str) -> (StatusCode, Value) {
        let path = route.path.replace("{*path}", "x/y").replace(['{', '}'], "");
        let mut request = Request::builder().method(route.method.clone()).uri(path).header(header::HOST, "localhost");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if route.method != Method::GET {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let mut request = request.body(Body::from(if route.method == Method::GET { "" } else { body })).unwrap();
        request.extensions_mut().insert(PeerAddress([127, 0, 0, 1].into()));
        let answer = self.app.router.call(request).await.unwrap_or_else(|never| match never {});
        let status = answer.status();
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 24).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }
}

impl World {
    /// Every record of the log, page by page.
    async fn all_records(&mut self, token: &str) -> Vec<Value> {
        let mut records = Vec::new();
        let mut after = String::new();
        loop {
            let path = format!("/api/strongroom/v1/audit/records?rows=1000{after}");
            let search = RouteEntry { method: Method::GET, path, action: gate::Action::read("audit.search") };
            let (status, answer) = self.ask(&search, Some(token), "").await;
            assert_eq!(status, StatusCode::OK, "{answer}");
            records.extend(answer.get("records").and_then(Value::as_array).unwrap().iter().cloned());
            let Some(next) = answer.get("next").and_then(Value::as_str) else { return records };
            after = format!("&after={next}");
        }
    }
}

fn every_action() -> BTreeSet<&'static str> {
    let rooms = [
        identity::ACTIONS,
        policy::ACTIONS,
        tracking::ACTIONS,
        registry::ACTIONS,
        retrain::ACTIONS,
        admission::ACTIONS,
        serving::ACTIONS,
        predictions::ACTIONS,
        observe::ACTIONS,
        evaluation::ACTIONS,
        traces::ACTIONS,
        artifacts::ACTIONS,
        buckets::ACTIONS,
        retention::ACTIONS,
        risk::ACTIONS,
        lineage::ACTIONS,
        data::ACTIONS,
        audit::ACTIONS,
        backup::ACTIONS,
        detect::ACTIONS,
        devices::ACTIONS,
        mail::ACTIONS,
        strongroom::system::ACTIONS,
        strongroom::ui::ACTIONS,
        console::ACTIONS,
    ];
    rooms.iter().flat_map(|room| room.iter()).map(|action| action.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_a_known_verb_and_every_verb_has_a_route() {
    let world = world().await;
    let every = every_action();
    let routed: BTreeSet<&str> = world.table.iter().chain(&world.app.s3_table).map(|route| route.action.name).collect();
    let unknown: Vec<_> = routed.difference(&every).collect();
    assert!(unknown.is_empty(), "routes whose verb no room lists: {unknown:?}");
    let known = policy::known_actions();
    let unjudged: Vec<_> = every.iter().filter(|name| !known.contains(**name)).collect();
    assert!(unjudged.is_empty(), "verbs that the policy's schema does not know: {unjudged:?}");
    let page_only = ["ui.read"];
    let unreachable: Vec<_> =
        every.difference(&routed).filter(|name| !UNROUTED.contains(name) && !page_only.contains(name)).collect();
    assert!(unreachable.is_empty(), "verbs without a route: {unreachable:?}");
    assert!(world.table.len() > 200, "the table is whole");
}

/// Notices, which the log has beside verbs.
const NOTICES: [&str; 6] =
    ["audit.accepted", "audit.forged", "audit.wiped", "backup.emergency", "backup.forked", "backup.restored"];

#[test]
fn the_rules_of_detection_name_verbs_that_there_are() {
    let every = every_action();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/detections");
    let mut named = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text.lines().map(str::trim) {
            let value = line.strip_prefix("api.operation: '").or_else(|| line.strip_prefix("- '"));
            named.extend(value.and_then(|value| value.strip_suffix('\'')).filter(|value| value.contains('.')).map(str::to_owned));
        }
    }
    let is_unknown = |name: &&String| !every.contains(name.as_str()) && !NOTICES.contains(&name.as_str());
    let unknown: Vec<&String> = named.iter().filter(is_unknown).collect();
    assert!(unknown.is_empty() && named.len() > 40, "rules that look for what never happens: {unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_names_each_writing_verb_a_write() {
    let rooms = [
        identity::ACTIONS,
        policy::ACTIONS,
        tracking::ACTIONS,
        registry::ACTIONS,
        retrain::ACTIONS,
        evaluation::ACTIONS,
        traces::ACTIONS,
        artifacts::ACTIONS,
        buckets::ACTIONS,
        lineage::ACTIONS,
        data::ACTIONS,
        risk::ACTIONS,
        devices::ACTIONS,
        mail::ACTIONS,
    ];
    for action in rooms.iter().flat_map(|room| room.iter()) {
        let write = action.access == gate::Access::Write;
        assert_eq!(policy::is_write(action.name), Some(write), "{}", action.name);
    }
}

/// What a new verb takes back must be said to a restore that has the log alone.
#[test]
fn a_restore_knows_what_each_verb_takes_back() {
    let known = policy::known_actions();
    assert!(known.contains("grants.revoke"), "the schema is there");
    let unknown: Vec<_> =
        known.iter().filter(|verb| policy::is_write(verb) == Some(true) && backup::restore::tells(verb).is_none()).collect();
    assert!(unknown.is_empty(), "verbs in none of the lists of `backup::restore::verbs`: {unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_told_to_log_in_and_nothing_else() {
    let mut world = world().await;
    for route in world.table.clone() {
        // What comes there as a form or a query is the credential, and refused in that form.
        let is_credential = OWN_CREDENTIAL.contains(&route.path.as_str()) || route.path.starts_with("/osquery/");
        if PUBLIC.contains(&route.action.name) || is_credential {
            continue;
        }
        // Also a body that could not be read must not tell more.
        for body in ["{}", "{broken"] {
            let (status, answer) = world.ask(&route, None, body).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{} {}: {answer}", route.method, route.path);
        }
        let (status, _) = world.ask(&route, Some("sr_pat_000000000000000000000000000000000000"), "{}").await;
        assert!(matches!(status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS), "{} {}", route.method, route.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_leaves_its_records() {
    let mut world = world().await;
    let token = world.token.expose_text().unwrap().to_owned();
    let routes = world.table.clone();
    for route in &routes {
        // Some of these succeed, most miss their target or a parameter: each must be written down all the same.
        let (status, answer) = world.ask(route, Some(&token), "{}").await;
        assert_ne!(status, StatusCode::UNAUTHORIZED, "{} {}: {answer}", route.method, route.path);
        assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{} {}: {answer}", route.method, route.path);
        if route.action.name == "sessions.delete" || route.action.name.starts_with("tokens.revoke") {
            continue;
        }
    }
    let records = world.all_records(&token).await;
    let with = |kind: &str| -> BTreeSet<String> {
        let of_kind = records.iter().filter(|record| record["kind"] == kind);
        of_kind.map(|record| record["action"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let (intents, outcomes, refusals) = (with("intent"), with("outcome"), with("refusal"));
    // Only asked for after another verb of the same route: what has no such version gets no further than the first.
    // Nor those of buckets, which have their own routes over S3, in another table.
    let later = ["admissions.receipt", "remedies.done", "buckets.list", "buckets.read", "buckets.retain", "buckets.hold"];
    for route in routes.iter().filter(|route| !later.contains(&route.action.name)) {
        let name = route.action.name;
        let whole = intents.contains(name) && outcomes.contains(name);
        assert!(whole || refusals.contains(name), "{} {} left no records", route.method, route.path);
    }
}
