//! What a decision costs at 10 and at 10,000 grants, for a token, and for somebody whose risk, device and proof count: `cargo run --release -p policy --example decision_cost [--json]`.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "an example that measures")]

use std::sync::Arc;
use std::time::Instant;

use gate::{Action, Caller, CallerKind, Decide, Device, Facts, Method, Proof, Question, Risk, Target};
use kernel::Micros;
use policy::{NoDirectory, Policy};
use vault::db::{Bind, Location};

/// As in the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 20_000;
const NOW: Micros = Micros(1_700_000_000_000_000);

async fn room(grants: i64) -> (Policy, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let opened = vault::db::open(&Location::Sqlite(dir.path().join("bench.db"))).unwrap();
    let sql = "INSERT INTO grant_row (id, principal, principal_kind, role, resource_kind, resource, workspace, created_by, \
               created_at, justification, changed_generation) VALUES ($1, $2, 'user', 'trainer', 'experiment', $3, 'ws', 'x', 0, '', 1)";
    opened
        .system
        .write(move |tx| {
            for n in 0..grants {
                // Half belong to the one who asks, each on an experiment of its own.
                let holder = if n % 2 == 0 { "ann".to_owned() } else { format!("user-{n}") };
                let (id, on) = (format!("g_{n}"), n.to_string());
                tx.execute(sql, &[Bind::Text(&id), Bind::Text(&holder), Bind::Text(&on)])?;
            }
            tx.execute("UPDATE policy_generation SET generation = 1", &[])?;
            Ok(())
        })
        .await
        .unwrap();
    (Policy::open(opened.db, opened.ports, Arc::new(NoDirectory)).await.unwrap(), dir)
}

/// Microseconds per decision: median and 99th percentile. `watched`: each request has another risk and an older proof, and comes from a device
/// that must be trusted.
async fn measure(policy: &Policy, experiments: i64, watched: bool) -> (f64, f64) {
    let groups = vec!["group-a".to_owned(), "group-b".to_owned()];
    let kind = CallerKind::User;
    let mut caller = Caller {
        kind,
        id: "ann".to_owned(),
        name: "ann".to_owned(),
        groups,
        token: None,
        assurance: 1,
        proof: None,
        pass: None,
        device: None,
        log_in_risk: 0,
    };
    if watched {
        caller.assurance = 2;
        caller.proof = Some(Proof { at: NOW, method: Method::Passkey, once: None });
        caller.device = Some(Device { id: "device".to_owned(), tier: 2 });
    }
    let port = policy.port();
    let target = Target::Run("r".to_owned());
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let number = i64::try_from(round).unwrap() % experiments * 2;
        let workspace = Some("ws".to_owned());
        let least_tier = u8::from(watched) * 2;
        let facts = Facts { exists: true, workspace, experiment: Some(number), least_tier, ..Facts::default() };
        let risk = Risk { score: if watched { u8::try_from(round % 40).unwrap() } else { 0 }, ..Risk::default() };
        let action = Action::write("runs.log");
        // The time moves as it would, so that the look at the table every half second is part of the figure.
        let now = NOW.plus_secs(i64::try_from(round).unwrap() / 1_000);
        let question = Question { caller: &caller, action, target: &target, facts: &facts, risk: &risk, now };
        let begun = Instant::now();
        let decision = port.decide(question).await.unwrap();
        times.push(begun.elapsed().as_secs_f64() * 1e6);
        assert!(matches!(decision, gate::Decision::Allow { .. }));
    }
    times.sort_by(f64::total_cmp);
    (times[ROUNDS / 2], times[ROUNDS * 99 / 100])
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let begun = Instant::now();
    let verbs = policy::known_actions().len();
    let load_ms = begun.elapsed().as_secs_f64() * 1e3;
    let json = std::env::args().any(|argument| argument == "--json");
    let mut rows = vec![serde_json::json!({"work": "load-policies", "ours": load_ms, "unit": "ms"})];
    // `warm`: one experiment again and again. `cold`: 5,000 experiments in turn, more than stay prepared.
    for (grants, experiments, watched, work) in [
        (10, 1, false, "warm-10-grants"),
        (10_000, 1, false, "warm-10000-grants"),
        (10_000, 5_000, false, "cold-10000-grants"),
        (10_000, 1, true, "warm-10000-grants-risk-device"),
        (10_000, 5_000, true, "cold-10000-grants-risk-device"),
    ] {
        let (policy, _dir) = room(grants).await;
        let (median, p99) = measure(&policy, experiments, watched).await;
        rows.push(serde_json::json!({"work": work, "ours": p99, "median": median, "unit": "µs p99", "limit": 50.0, "of_limit": p99 / 50.0}));
    }
    if json {
        println!("{}", serde_json::json!({"bench": "policy", "rows": rows}));
        return;
    }
    println!("{verbs} verbs");
    for row in rows {
        println!("{row}");
    }
}
