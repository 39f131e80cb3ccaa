//! What is written down, on both engines: once, whatever happens on the way; and what is never done.

use std::sync::Arc;

use detect::ops::{AcknowledgeDetection, CheckRules, DeleteRules, ListDetections, ListOwnRules, ListRules, SetRules};
use detect::{DETECTOR, Detect, DetectConfig, Detection, Ladder, RESPONDER, Rung, Runner, Source, Suspect, Whereabouts};
use gate::{BoxFuture, Operation};
use kernel::{Clock, Kind, Problem};
use parking_lot::Mutex;
use serde_json::json;
use testkit::{Engine, TestGate};
use vault::db::{Bind, Opened, Writer};

use crate::world::{Atlas, CANARY, HOUR, Log, MINUTE, ORIGIN, START, Who, person};

/// A log in memory.
#[derive(Default)]
struct Paper(Mutex<Vec<Vec<u8>>>);

impl Source for Paper {
    fn origin(&self) -> String {
        ORIGIN.to_owned()
    }

    fn size(&self) -> Result<u64, Problem> {
        Ok(self.0.lock().len() as u64)
    }

    fn read(&self, from: u64, to: u64, each: &mut dyn FnMut(u64, &[u8]) -> bool) -> Result<(), Problem> {
        let records = self.0.lock().clone();
        for index in from..to {
            let record = records.get(usize::try_from(index).unwrap()).unwrap();
            if !each(index, record) {
                break;
            }
        }
        Ok(())
    }
}

/// What was done, and the account that is never barred.
#[derive(Default)]
struct Done(Mutex<Vec<String>>, Mutex<Option<String>>);

impl Done {
    fn note(&self, what: &str, suspect: &Suspect) -> BoxFuture<'_, Result<(), Problem>> {
        self.0.lock().push(format!("{what} {}", suspect.caller));
        Box::pin(async { Ok(()) })
    }
}

impl Ladder for Done {
    fn raise_risk<'a>(&'a self, suspect: &'a Suspect) -> BoxFuture<'a, Result<(), Problem>> {
        self.note("risk", suspect)
    }
    fn throttle<'a>(&'a self, suspect: &'a Suspect) -> BoxFuture<'a, Result<(), Problem>> {
        self.note("throttle", suspect)
    }
    fn suspend_session<'a>(&'a self, suspect: &'a Suspect) -> BoxFuture<'a, Result<(), Problem>> {
        self.note("session", suspect)
    }
    fn suspend_account<'a>(&'a self, suspect: &'a Suspect) -> BoxFuture<'a, Result<(), Problem>> {
        if self.1.lock().as_ref() == Some(&suspect.caller) {
            return Box::pin(async { Err(Problem::new(Kind::Conflict, "nobody would be left")) });
        }
        self.note("account", suspect)
    }
}

struct World {
    _folder: tempfile::TempDir,
    opened: Opened,
    room: Detect,
    gate: TestGate,
    paper: Arc<Paper>,
    done: Arc<Done>,
}

impl World {
    fn new(engine: Engine, respond_up_to: Rung) -> Self {
        let opened = vault::db::open(&engine.location).unwrap();
        let config = DetectConfig { canaries: vec![CANARY.to_owned()], respond_up_to, ..DetectConfig::default() };
        let ground = (opened.db.clone(), opened.system.clone());
        let room = Detect::open(ground, config, vec!["webhook/0".to_owned()]).unwrap();
        let gate = testkit::open_gate();
        gate.clock.advance_secs(START - gate.clock.now().as_secs());
        Self { _folder: engine.folder, opened, room, gate, paper: Arc::default(), done: Arc::default() }
    }

    /// A process that begins to look.
    fn runner(&self) -> Runner {
        let passes = (self.gate.job_key.pass(DETECTOR), self.gate.job_key.pass(RESPONDER));
        let (source, ladder) = (Arc::clone(&self.paper) as Arc<dyn Source>, Arc::clone(&self.done) as Arc<dyn Ladder>);
        let ports = (source, ladder, Arc::new(Atlas) as Arc<dyn Whereabouts>);
        Runner::new(self.room.clone(), self.gate.gate.clone(), passes, ports, Arc::new(self.gate.clock.clone()))
    }

    fn write(&self, scene: impl FnOnce(&mut Log)) {
        let mut log = Log::default();
        scene(&mut log);
        self.paper.0.lock().extend(log.sorted());
    }

    async fn sql(&self, sql: &'static str, binds: &[&str]) {
        let binds: Vec<String> = binds.iter().map(|bind| (*bind).to_owned()).collect();
        let run = move |writer: &mut Writer<'_>| {
            let binds: Vec<Bind<'_>> = binds.iter().map(Bind::from).collect();
            Ok(writer.execute(sql, &binds)?)
        };
        self.opened.system.write(run).await.unwrap();
    }

    async fn number(&self, sql: &'static str) -> i64 {
        self.opened.system.read(move |reader| Ok(reader.query_one(sql, &[], |row| row.int(0))?.unwrap())).await.unwrap()
    }

    async fn call<O: Operation>(&self, operation: O) -> Result<O::Output, Problem> {
        self.gate.gate.call(self.gate.attempt(), operation).await
    }

    async fn detections(&self) -> Vec<Detection> {
        let list = ListDetections {
            room: self.room.clone(),
            level: None,
            open_only: false,
            gravest_first: false,
            after: None,
            rows: None,
        };
        self.call(list).await.unwrap().rows
    }
}

fn on_each(respond_up_to: Rung, check: impl AsyncFn(World)) {
    testkit::on_both_engines("detect", async |engine| check(World::new(engine, respond_up_to)).await);
}

#[test]
fn what_was_found_is_written_down_once_whoever_reads_the_log_again() {
    on_each(Rung::Note, async |world| {
        world.write(|log| (0..30).for_each(|at| log.guess("x", at * 10)));
        let mut runner = world.runner();
        runner.round().await.unwrap();
        assert_eq!(world.detections().await.len(), 1);
        assert_eq!(world.number("SELECT COUNT(*) FROM observe_delivery").await, 1, "receivers outside are told once");
        // Nothing new: no record, no change.
        let records = world.gate.records.lock().len();
        runner.round().await.unwrap();
        assert_eq!(world.gate.records.lock().iter().filter(|one| one.contains("detections.raise")).count(), 2);
        assert_eq!(world.gate.records.lock().len(), records);
        // The process ends and begins again: windows are whole, so the attack that goes on is the same one.
        world.write(|log| (30..60).for_each(|at| log.guess("x", at * 10)));
        world.runner().round().await.unwrap();
        let all = world.detections().await;
        assert_eq!(all.len(), 1, "{all:?}");
        // As if the position was lost: everything is read again, and it is still the same finding.
        world.sql("UPDATE detect_position SET next_index = 0", &[]).await;
        world.runner().round().await.unwrap();
        let again = world.detections().await;
        assert_eq!(again, all, "read twice, it is one finding");
        assert_eq!(world.number("SELECT COUNT(*) FROM observe_delivery").await, 1);
    });
}

/// However many are newer.
#[test]
fn the_gravest_detections_come_first_page_by_page() {
    on_each(Rung::Note, async |world| {
        for number in 0..30 {
            let level = if number == 0 { "critical" } else { "low" };
            let id = format!("d{number:02}");
            let sql = "INSERT INTO detection (detection_id, rule_id, rule, title, level, subject, first_at, last_at, last_index, seen_count, evidence, words,
                           response, response_state, alert_id)
                       VALUES ($1, 'r', 'r', 'r', $2, $1, CAST(CAST($3 AS TEXT) AS BIGINT), 1, 1, 1, '[]', '', 'note', 'none', '')";
            world.sql(sql, &[&id, level, &number.to_string()]).await;
        }
        let list = |after: Option<String>, rows: i64| ListDetections {
            room: world.room.clone(),
            level: None,
            open_only: true,
            gravest_first: true,
            after,
            rows: Some(rows),
        };
        let whole = world.call(list(None, 100)).await.unwrap();
        assert_eq!((whole.rows.len(), whole.rows[0].id.as_str(), whole.rows[1].id.as_str()), (30, "d00", "d29"));
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = world.call(list(after, 7)).await.unwrap();
            paged.extend(page.rows);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(paged, whole.rows);
        assert_eq!(world.call(list(Some("5.x".to_owned()), 7)).await.unwrap_err().kind(), Kind::Invalid);
    });
}

#[test]
fn a_token_that_is_in_two_countries_makes_its_session_risky() {
    on_each(Rung::RaiseRisk, async |world| {
        world.write(|log| {
            log.done(person("alice"), 0, "runs.get", "r", json!({}));
            log.done(Who { from: "sydney", ..person("alice") }, 20 * MINUTE, "runs.get", "r", json!({}));
        });
        world.runner().round().await.unwrap();
        let all = world.detections().await;
        let found: Vec<(&str, &str)> = all.iter().map(|one| (one.rule.as_str(), one.subject.as_str())).collect();
        assert_eq!(found, [("token_impossible_travel", "t_1")]);
        assert_eq!(*world.done.0.lock(), ["risk alice"]);
    });
}

#[test]
fn two_processes_do_not_read_the_same_log() {
    on_each(Rung::Note, async |world| {
        let (mut one, mut other) = (world.runner(), world.runner());
        one.round().await.unwrap();
        other.round().await.unwrap();
        world.write(|log| (0..30).for_each(|at| log.guess("x", at * 10)));
        one.round().await.unwrap();
        assert!(other.round().await.unwrap_err().to_string().contains("another process"));
        assert_eq!(world.detections().await.len(), 1);
    });
}

#[test]
fn responses_go_as_far_as_the_configuration_lets_them_and_no_further() {
    let canary = |log: &mut Log| log.done(person("alice"), 0, "runs.get", CANARY, json!({}));
    for (most, expected) in
        [(Rung::Note, None), (Rung::RaiseRisk, Some("risk alice")), (Rung::SuspendAccount, Some("session alice"))]
    {
        on_each(most, async |world| {
            world.write(canary);
            let mut runner = world.runner();
            runner.round().await.unwrap();
            runner.round().await.unwrap();
            assert_eq!(*world.done.0.lock(), expected.into_iter().map(str::to_owned).collect::<Vec<_>>());
        });
    }
}

#[test]
fn another_token_ends_too_and_what_goes_on_is_answered_again() {
    on_each(Rung::SuspendSession, async |world| {
        let mut runner = world.runner();
        for (token, at) in [("t_1", 0), ("t_2", 30), ("t_2", 31)] {
            world.write(|log| log.done(Who { token, ..person("alice") }, at, "runs.get", CANARY, json!({})));
            runner.round().await.unwrap();
        }
        assert_eq!(*world.done.0.lock(), ["session alice", "session alice"]);
        let mut ended: Vec<_> = world.detections().await.into_iter().map(|one| (one.token, one.response_state)).collect();
        ended.sort();
        let state = || "token or session ended".to_owned();
        assert_eq!(ended, [(Some("t_1".to_owned()), state()), (Some("t_2".to_owned()), state())]);
    });
    on_each(Rung::Throttle, async |world| {
        let mut runner = world.runner();
        // By the third time the first throttle is over, and it is still the same detection.
        for at in [0, 1, 2 * HOUR] {
            world.write(|log| log.done(person("alice"), at, "runs.get", CANARY, json!({})));
            runner.round().await.unwrap();
        }
        assert_eq!(*world.done.0.lock(), ["throttle alice", "throttle alice"]);
        let all = world.detections().await;
        assert_eq!((all.len(), all[0].count), (1, 2), "{all:?}");
        let id = all[0].id.clone();
        world.call(AcknowledgeDetection { room: world.room.clone(), id }).await.unwrap();
        world.write(|log| log.done(person("alice"), 4 * HOUR, "runs.get", CANARY, json!({})));
        runner.round().await.unwrap();
        assert_eq!(world.done.0.lock().len(), 2, "somebody is on it");
    });
}

/// The last administrator is one such account.
#[test]
fn what_is_not_done_about_an_account_says_why() {
    for protected in [true, false] {
        on_each(Rung::SuspendAccount, async |world| {
            *world.done.1.lock() = protected.then(|| "root".to_owned());
            world.write(|log| {
                (0..25).for_each(|at| log.wrong_password("x", at * 10, "root"));
                log.done(Who { from: "x", ..person("root") }, 300, "sessions.create", "s_1", json!({}));
            });
            world.runner().round().await.unwrap();
            let done = world.done.0.lock().clone();
            assert_eq!(done.contains(&"account root".to_owned()), !protected, "{done:?}");
            let all = world.detections().await;
            let one = all.iter().find(|one| one.rule == "guess_came_through").unwrap();
            let said = if protected { "not done: nobody would be left" } else { "account barred" };
            assert_eq!(one.response_state, said);
        });
    }
}

#[test]
fn who_is_accused_does_not_close_the_case() {
    on_each(Rung::Note, async |world| {
        world.write(|log| log.done(person(testkit::gate::TEST_CALLER), 0, "runs.get", CANARY, json!({})));
        world.write(|log| (0..30).for_each(|at| log.guess("x", at * 10)));
        world.runner().round().await.unwrap();
        let all = world.detections().await;
        let acknowledge = |rule: &str| {
            let id = all.iter().find(|one| one.rule == rule).unwrap().id.clone();
            AcknowledgeDetection { room: world.room.clone(), id }
        };
        assert!(world.call(acknowledge("canary_touched")).await.unwrap_err().to_string().contains("about you"));
        assert!(world.call(acknowledge("guessing_from_one_address")).await.unwrap().acknowledged.is_some());
        assert_eq!(world.call(acknowledge("guessing_from_one_address")).await.unwrap_err().kind(), kernel::Kind::Conflict);
        // Alerts of workspaces do not show what people are suspected of.
        assert_eq!(world.number("SELECT COUNT(*) FROM observe_alert WHERE workspace <> '!apart'").await, 0);
        let unknown = AcknowledgeDetection { room: world.room.clone(), id: "d_nothing".to_owned() };
        assert_eq!(world.call(unknown).await.unwrap_err().kind(), kernel::Kind::NotFound);
    });
}

const OWN: &str = "title: Runs are deleted\nid: 4a5dfb0e-5d5f-4c61-9a3e-6a3f1c0f3c11\nname: runs_deleted\nlevel: low\n\
    logsource: {product: strongroom, service: audit}\ndetection:\n  s: {api.operation: runs.delete, metadata.event_code: outcome}\n  condition: s\n";

#[test]
fn rules_that_are_written_here_are_tried_kept_and_looked_for_from_the_next_round_on() {
    on_each(Rung::Note, async |world| {
        world.room.watch(Arc::clone(&world.paper) as Arc<dyn Source>);
        let mut runner = world.runner();
        world.write(|log| log.done(person("bob"), 0, "runs.delete", "r", json!({})));
        runner.round().await.unwrap();
        assert!(world.detections().await.is_empty());
        let room = || world.room.clone();
        let check = |body: &str| CheckRules { room: room(), name: "own".to_owned(), body: body.to_owned(), tries: true };
        let told = world.call(check(OWN)).await.unwrap();
        let tried = told.tried.unwrap();
        assert_eq!((told.fault, told.rules.len(), tried.record_count), (None, 1, 2));
        assert_eq!((tried.rules[0].day_count, tried.rules[0].week_count, tried.rules[0].newest), (1, 1, Some(1)));
        let broken = world.call(check(&OWN.replace("level: low", "level: awful"))).await.unwrap().fault.unwrap();
        assert!(broken.line == 4 && broken.problem.contains("`level`"), "{broken:?}");

        let set = |name: &str, body: &str, enabled: bool, seen: Option<&str>| SetRules {
            room: room(),
            name: name.to_owned(),
            body: body.to_owned(),
            enabled,
            seen: seen.map(str::to_owned),
        };
        let refused = async |operation: SetRules, why: &str| {
            let problem = world.call(operation).await.unwrap_err().to_string();
            assert!(problem.contains(why), "`{why}` is not in `{problem}`");
        };
        refused(set("own", &OWN.replace("name: runs_deleted", "name: canary_touched"), true, None), "line 3: two rules").await;
        refused(set("own", &format!("{OWN}strongroom: {{response: throttle}}\n"), true, None), "is `note`").await;
        refused(set("a/b", OWN, true, None), "a name has").await;
        assert_eq!(world.call(set("own", OWN, true, Some(""))).await.unwrap().change_count, 1);
        refused(set("own", OWN, false, Some("")), "changed since").await;
        refused(set("other", OWN, true, None), "two rules").await;
        let listed = world.call(ListRules { room: room() }).await.unwrap();
        assert!(listed.iter().any(|rule| rule.name == "runs_deleted" && !rule.built_in));

        world.write(|log| log.done(person("bob"), 2 * HOUR, "runs.delete", "r", json!({})));
        runner.round().await.unwrap();
        let rules: Vec<String> = world.detections().await.into_iter().map(|one| one.rule).collect();
        assert_eq!(rules, ["runs_deleted"], "by the runner that was there before");

        world.gate.clock.advance_secs(1);
        world.call(set("own", OWN, false, Some("1"))).await.unwrap();
        world.write(|log| log.done(person("ann"), 3 * HOUR, "runs.delete", "r", json!({})));
        runner.round().await.unwrap();
        assert_eq!(world.detections().await.len(), 1, "what is off finds nothing");
        let listed = world.call(ListRules { room: room() }).await.unwrap();
        assert!(!listed.iter().any(|rule| rule.name == "runs_deleted"));

        let delete = || DeleteRules { room: room(), name: "own".to_owned() };
        world.call(delete()).await.unwrap();
        assert_eq!(world.call(delete()).await.unwrap_err().kind(), kernel::Kind::NotFound);
        assert!(world.call(ListOwnRules { room: room() }).await.unwrap().is_empty());
        assert_eq!(world.detections().await.len(), 1, "what was found stays");
    });
}
