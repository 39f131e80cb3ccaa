//! The verbs through an open gate, on SQLite and, where there is one, on PostgreSQL.

use gate::{Facts, Operation, Outcome, Permit, Scope, Target};
use kernel::{Kind, Problem};
use serde_json::{Value, json};
use testkit::gate::{TEST_CALLER, TEST_WORKSPACE};
use testkit::{Engine, TestGate};
use vault::db::{Db, PortDb};

use crate::ops::*;
use crate::{Dataset, Evaluation, KeyValue, NewRecord, Page, Record, RecordSource, Upserted, limits};

struct World {
    room: Evaluation,
    gate: TestGate,
    db: Db,
    _folder: tempfile::TempDir,
}

/// Runs `body` on SQLite, and on PostgreSQL where `STRONGROOM_TEST_POSTGRES` names one.
fn on_both_engines<F: Future<Output = ()>>(body: impl Fn(World) -> F) {
    testkit::on_both_engines("evaluation", async |engine| body(World::open(engine).await).await);
}

/// Puts experiments into the database, as `tracking` would: 1 to 3 in the test's workspace, 9 in another one.
struct PutExperiments(Db);

impl Operation for PutExperiments {
    const ACTION: gate::Action = gate::Action::write("test.experiments");
    type Output = ();

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let work = |tx: &mut vault::db::Writer<'_>| {
            for (id, workspace) in [(1_i64, TEST_WORKSPACE), (2, TEST_WORKSPACE), (3, TEST_WORKSPACE), (9, "ws-other")] {
                tx.execute(
                    "INSERT INTO experiment (experiment_id, workspace_id, name, artifact_location, deleted, owner, created_at, \
                     updated_at) VALUES ($1, $2, $3, 'x', 0, 'o', 0, 0)",
                    &[id.into(), workspace.into(), (&format!("e{id}")).into()],
                )?;
            }
            Ok(((), Outcome::done()))
        };
        self.0.write(&permit, work).await
    }
}

impl World {
    async fn open(engine: Engine) -> Self {
        let opened = vault::db::open(&engine.location).unwrap();
        let gate = testkit::open_gate();
        let ports = opened.ports;
        gate.set_facts_of(move |target| facts(&ports, target));
        let world = Self { room: Evaluation::new(opened.db.clone()), gate, db: opened.db, _folder: engine.folder };
        world.call(PutExperiments(world.db.clone())).await.unwrap();
        world
    }

    async fn call<O: Operation>(&self, operation: O) -> Result<O::Output, Problem> {
        self.gate.call(operation).await
    }

    async fn make(&self, name: &str, experiments: &[&str], tags: &[(&str, &str)]) -> Result<Dataset, Problem> {
        let experiment_ids = texts(experiments);
        self.call(CreateDataset { room: self.room.clone(), name: name.to_owned(), experiment_ids, tags: pairs(tags) }).await
    }

    async fn get(&self, id: &str) -> Result<Dataset, Problem> {
        self.call(GetDataset { room: self.room.clone(), dataset_id: id.to_owned() }).await
    }

    async fn search(
        &self,
        experiments: &[&str],
        filter: &str,
        order_by: &[&str],
        max_results: i64,
        token: Option<String>,
    ) -> Result<Page<Dataset>, Problem> {
        self.call(SearchDatasets {
            room: self.room.clone(),
            experiment_ids: texts(experiments),
            filter: filter.to_owned(),
            order_by: texts(order_by),
            max_results,
            page_token: token,
        })
        .await
    }

    async fn names(&self, experiments: &[&str], filter: &str, order_by: &[&str]) -> Vec<String> {
        self.search(experiments, filter, order_by, 10, None).await.unwrap().items.into_iter().map(|found| found.name).collect()
    }

    async fn put(&self, id: &str, records: Vec<NewRecord>) -> Result<Upserted, Problem> {
        self.call(UpsertRecords { room: self.room.clone(), dataset_id: id.to_owned(), records }).await
    }

    async fn records(&self, id: &str, max_results: i64, token: Option<String>) -> Result<Page<Record>, Problem> {
        self.call(GetRecords { room: self.room.clone(), dataset_id: id.to_owned(), max_results, page_token: token }).await
    }

    async fn add(&self, id: &str, experiments: &[&str]) -> Result<Dataset, Problem> {
        let experiment_ids = texts(experiments);
        self.call(AddExperiments { room: self.room.clone(), dataset_id: id.to_owned(), experiment_ids }).await
    }

    async fn tag(&self, id: &str, tags: Vec<KeyValue>) -> Result<(), Problem> {
        self.call(SetTags { room: self.room.clone(), dataset_id: id.to_owned(), tags }).await
    }
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

fn pairs(tags: &[(&str, &str)]) -> Vec<KeyValue> {
    tags.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect()
}

fn record(inputs: &Value, rest: &Value) -> NewRecord {
    let object = |name: &str| rest[name].as_object().cloned().unwrap_or_default();
    NewRecord {
        inputs: inputs.as_object().cloned().unwrap(),
        outputs: rest.get("outputs").cloned(),
        expectations: object("expectations"),
        tags: object("tags"),
        source: None,
    }
}

fn ask(question: &str) -> NewRecord {
    record(&json!({"question": question}), &json!({}))
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[track_caller]
fn refused<T>(result: Result<T, Problem>, kind: Kind, part: &str) {
    match result {
        Ok(_) => panic!("it was not refused; expected: {part}"),
        Err(problem) => {
            assert_eq!(problem.kind(), kind, "{problem}");
            assert!(problem.message().contains(part), "`{problem}` does not contain `{part}`");
        }
    }
}

fn facts(ports: &PortDb, target: &Target) -> Facts {
    let in_workspace = Facts { workspace: Some(TEST_WORKSPACE.to_owned()), ..Facts::default() };
    if *target == Target::Workspace {
        return Facts { exists: true, ..in_workspace };
    }
    let (ports, target) = (ports.clone(), target.clone());
    let look = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(ports.read_point(move |reader| Ok(crate::locate(reader, TEST_WORKSPACE, &target)?))).unwrap()
    };
    std::thread::spawn(look).join().unwrap().unwrap_or(in_workspace)
}

#[test]
fn a_dataset_is_made_tagged_and_deleted() {
    on_both_engines(|world| async move {
        let made = world.make("quiz", &["1", "3"], &[("team", "ml"), ("a", "")]).await.unwrap();
        assert!(made.dataset_id.starts_with("d-") && made.dataset_id.len() == 34 && made.digest.len() == 8, "{made:?}");
        assert_eq!((made.experiment_ids.as_slice(), made.record_count, made.schema.as_deref()), (&[1, 3][..], 0, None));
        assert_eq!(world.get(&made.dataset_id).await.unwrap(), made);
        world.tag(&made.dataset_id, pairs(&[("team", "data"), ("new", "x")])).await.unwrap();
        let delete = |key: &str| DeleteTag { room: world.room.clone(), dataset_id: made.dataset_id.clone(), key: key.to_owned() };
        world.call(delete("a")).await.unwrap();
        world.call(delete("never-there")).await.unwrap();
        assert_eq!(world.get(&made.dataset_id).await.unwrap().tags, pairs(&[("new", "x"), ("team", "data")]));
        world.put(&made.dataset_id, vec![ask("a")]).await.unwrap();
        for _ in 0..2 {
            world.call(DeleteDataset { room: world.room.clone(), dataset_id: made.dataset_id.clone() }).await.unwrap();
            refused(world.get(&made.dataset_id).await, Kind::NotFound, "not found");
        }
        refused(world.records(&made.dataset_id, 10, None).await, Kind::NotFound, "not found");
    });
}

#[test]
fn experiments_elsewhere_are_not_found() {
    on_both_engines(|world| async move {
        for id in ["9", "77", "01", "+1", "x", "", "1\0"] {
            refused(world.make("quiz", &["1", id], &[]).await, Kind::NotFound, "No Experiment with id=");
        }
        assert!(world.names(&[], "", &[]).await.is_empty(), "a refused dataset left something behind");
        let made = world.make("quiz", &["1"], &[]).await.unwrap();
        refused(world.add(&made.dataset_id, &["2", "9"]).await, Kind::NotFound, "No Experiment with id=9");
        assert_eq!(world.get(&made.dataset_id).await.unwrap().experiment_ids, [1]);
        assert_eq!(world.add(&made.dataset_id, &["2", "1", "2"]).await.unwrap().experiment_ids, [1, 2]);
        let remove = RemoveExperiments {
            room: world.room.clone(),
            dataset_id: made.dataset_id.clone(),
            experiment_ids: texts(&["1", "3", "x"]),
        };
        assert_eq!(world.call(remove).await.unwrap().experiment_ids, [2]);
        refused(world.add("d-none", &["1"]).await, Kind::NotFound, "'d-none' not found");
        refused(world.add("d-\0", &["1"]).await, Kind::NotFound, "not found");
        let many = vec!["1"; limits::EXPERIMENT_COUNT_MAX + 1];
        refused(world.add(&made.dataset_id, &many).await, Kind::Invalid, "at most 1000 experiments");
    });
}

#[test]
fn records_with_the_same_inputs_are_merged() {
    on_both_engines(|world| async move {
        let made = world.make("quiz", &[], &[]).await.unwrap();
        let id = made.dataset_id.as_str();
        let first = record(
            &json!({"q": "a", "n": {"x": 1, "y": 2}}),
            &json!({"expectations": {"answer": "1", "k": 0}, "tags": {"t": "1"}}),
        );
        assert_eq!(world.put(id, vec![first, ask("b")]).await.unwrap(), Upserted { inserted: 2, updated: 0 });
        let again = record(
            &json!({"n": {"y": 2, "x": 1}, "q": "a"}),
            &json!({"expectations": {"answer": "2"}, "tags": {"u": "2"}, "outputs": "said"}),
        );
        let clears = record(&json!({"question": "b"}), &json!({"outputs": null}));
        assert_eq!(world.put(id, vec![again, clears, ask("c"), ask("c")]).await.unwrap(), Upserted { inserted: 1, updated: 3 });
        let all = world.records(id, 1_000, None).await.unwrap();
        assert_eq!((all.items.len(), all.next_page_token), (3, None));
        assert_eq!(parsed(all.items[0].expectations.as_deref().unwrap()), json!({"answer": "2", "k": 0}));
        assert_eq!(parsed(&all.items[0].tags), json!({"t": "1", "u": "2"}));
        assert_eq!(all.items[0].outputs.as_deref(), Some("\"said\""));
        assert_eq!((all.items[1].outputs.as_deref(), all.items[2].outputs.as_deref()), (None, Some("{}")));
        let now = world.get(id).await.unwrap();
        assert_eq!(now.record_count, 3);
        let fields = parsed(now.schema.as_deref().unwrap());
        assert_eq!(fields["inputs"], json!({"q": "string", "n": "object", "question": "string"}));
        let record_ids = vec![all.items[0].record_id.clone(), "dr-none".to_owned(), "\0".to_owned()];
        let delete = DeleteRecords { room: world.room.clone(), dataset_id: id.to_owned(), record_ids };
        assert_eq!(world.call(delete).await.unwrap(), 1);
        assert_eq!(world.get(id).await.unwrap().record_count, 2);
    });
}

#[test]
fn records_come_in_pages_that_fit_into_memory() {
    on_both_engines(|world| async move {
        let made = world.make("quiz", &[], &[]).await.unwrap();
        let id = made.dataset_id.as_str();
        world.put(id, (0..40).map(|n| ask(&n.to_string())).collect()).await.unwrap();
        let (mut seen, mut token) = (Vec::new(), None);
        loop {
            let page = world.records(id, 17, token).await.unwrap();
            assert!(page.items.len() <= 17);
            seen.extend(page.items.into_iter().map(|record| parsed(&record.inputs)["question"].as_str().unwrap().to_owned()));
            token = page.next_page_token;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, (0..40).map(|n| n.to_string()).collect::<Vec<_>>());
        let large = "x".repeat(limits::RECORD_BYTES_MAX - 1_000);
        for n in 0..20 {
            world.put(id, vec![ask(&format!("{n}{large}"))]).await.unwrap();
        }
        let page = world.records(id, 1_000, None).await.unwrap();
        assert!(page.next_page_token.is_some() && page.items.len() < 60, "{}", page.items.len());
        refused(world.records(id, 0, None).await, Kind::Invalid, "must be a positive integer");
        refused(world.records(id, 10, Some("junk".to_owned())).await, Kind::Invalid, "Invalid page token");
    });
}

#[test]
fn records_are_kept_all_or_none() {
    on_both_engines(|world| async move {
        let made = world.make("quiz", &[], &[]).await.unwrap();
        let id = made.dataset_id.as_str();
        let huge = ask(&"x".repeat(limits::RECORD_BYTES_MAX));
        refused(world.put(id, vec![ask("fine"), huge]).await, Kind::Invalid, "a record has ");
        let alien =
            NewRecord { source: Some(RecordSource { kind: "moon".to_owned(), data: serde_json::Map::new() }), ..ask("b") };
        refused(world.put(id, vec![ask("fine"), alien]).await, Kind::Invalid, "Invalid dataset record source type: MOON");
        refused(world.put(id, vec![ask("a"); limits::RECORD_BATCH_COUNT_MAX + 1]).await, Kind::Invalid, "at most 5000 records");
        let grows = |n: usize| record(&json!({"q": 1}), &json!({"expectations": {n.to_string(): "x".repeat(600_000)}}));
        world.put(id, vec![grows(1)]).await.unwrap();
        refused(world.put(id, vec![ask("fine"), grows(2)]).await, Kind::Invalid, "a record has ");
        assert_eq!(world.get(id).await.unwrap().record_count, 1);
        assert_eq!(world.records(id, 10, None).await.unwrap().items.len(), 1);
        refused(world.put("d-none", vec![ask("a")]).await, Kind::NotFound, "not found");
    });
}

#[test]
fn attribution_is_the_callers() {
    on_both_engines(|world| async move {
        let made = world.make("quiz", &[], &[("mlflow.user", "mallory")]).await.unwrap();
        let caller = made.created_by.clone();
        assert!(caller != "mallory" && made.updated_by == caller, "{made:?} {TEST_CALLER}");
        assert_eq!(made.tags, pairs(&[("mlflow.user.claimed", "mallory")]));
        let claims = record(&json!({"q": 1}), &json!({"tags": {"mlflow.user": "mallory"}}));
        world.put(&made.dataset_id, vec![claims]).await.unwrap();
        let kept = world.records(&made.dataset_id, 10, None).await.unwrap().items.remove(0);
        assert_eq!((kept.created_by, kept.updated_by), (caller.clone(), caller));
        assert_eq!(parsed(&kept.tags), json!({"mlflow.user.claimed": "mallory"}));
    });
}

#[test]
fn sources_are_kept_with_their_ids() {
    on_both_engines(|world| async move {
        let made = world.make("quiz", &[], &[]).await.unwrap();
        let source =
            |kind: &str, data: &Value| Some(RecordSource { kind: kind.to_owned(), data: data.as_object().cloned().unwrap() });
        let traced = NewRecord { source: source("trace", &json!({"trace_id": "tr-1"})), ..ask("a") };
        let human = NewRecord { source: source("HUMAN", &json!({"user": "x"})), ..ask("b") };
        world.put(&made.dataset_id, vec![traced, human]).await.unwrap();
        let kept = world.records(&made.dataset_id, 10, None).await.unwrap().items;
        assert_eq!((kept[0].source_type.as_deref(), kept[0].source_id.as_deref()), (Some("TRACE"), Some("tr-1")));
        assert_eq!(
            parsed(kept[0].source.as_deref().unwrap()),
            json!({"source_type": "TRACE", "source_data": {"trace_id": "tr-1"}})
        );
        assert_eq!((kept[1].source_type.as_deref(), kept[1].source_id.as_deref()), (Some("HUMAN"), None));
    });
}

#[test]
fn datasets_are_found_by_name_tag_time_and_experiment() {
    on_both_engines(|world| async move {
        for (name, experiments, team) in [("b", &["1"][..], "ml"), ("a", &["1", "2"], "data"), ("c_%", &["2"], "ml")] {
            world.make(name, experiments, &[("team", team)]).await.unwrap();
        }
        assert_eq!(world.names(&["1"], "", &["name ASC"]).await, ["a", "b"]);
        assert_eq!(world.names(&["2"], "tags.team = 'ml'", &[]).await, ["c_%"]);
        assert_eq!(world.names(&["9"], "", &[]).await, Vec::<String>::new());
        assert_eq!(world.names(&["x"], "", &[]).await, Vec::<String>::new());
        assert_eq!(world.names(&[], "tags.team != 'ml'", &[]).await, ["a"]);
        assert_eq!(world.names(&[], "name LIKE 'C%'", &[]).await, Vec::<String>::new());
        assert_eq!(world.names(&[], "name ILIKE 'C%'", &[]).await, ["c_%"]);
        assert_eq!(world.names(&[], "created_time > 0 AND last_update_time >= 1", &["name DESC"]).await, ["c_%", "b", "a"]);
        assert_eq!(world.names(&[], "created_time < 1.5", &[]).await, Vec::<String>::new());
        let page = world.search(&[], "", &["name"], 2, None).await.unwrap();
        assert_eq!(page.items.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(page.items[0].tags, pairs(&[("team", "data")]));
        let rest = world.search(&[], "", &["name"], 2, page.next_page_token).await.unwrap();
        assert_eq!((rest.items.len(), rest.next_page_token), (1, None));
        for (filter, order, part) in [
            ("color = 'red'", "", "Invalid attribute key 'color' specified"),
            ("tags.team IN ('a')", "", "Expected a quoted string value for tag"),
            ("tags.team > 'a'", "", "Invalid comparator for tag: >"),
            ("tags.team IS NULL", "", "Expected 3 tokens found 2"),
            ("name > 'a'", "", "Invalid comparator"),
            ("created_time = 'x'", "", "Expected numeric value"),
            ("metrics.a > 1", "", "Invalid entity type"),
            ("name = 'a' OR name = 'b'", "", "Invalid clause(s) in filter string"),
            ("", "tags.team", "Invalid order_by entity: tag"),
            ("", "created_by", "Invalid attribute key 'created_by'"),
            ("name = 'a\0'", "", "NUL"),
        ] {
            let order: Vec<&str> = Some(order).filter(|order| !order.is_empty()).into_iter().collect();
            refused(world.search(&[], filter, &order, 10, None).await, Kind::Invalid, part);
        }
        refused(world.search(&[], "", &[], 50_001, None).await, Kind::Invalid, "at most 50000");
        refused(world.search(&[], "", &[], -1, None).await, Kind::Invalid, "positive");
    });
}

#[test]
fn a_narrow_scope_lists_nothing() {
    on_both_engines(|world| async move {
        world.make("quiz", &["1"], &[]).await.unwrap();
        for scope in [Scope::Nothing, Scope::Only { experiments: vec![1], models: Vec::new() }] {
            world.gate.set_scope(scope);
            assert!(world.names(&[], "", &[]).await.is_empty());
        }
        world.gate.set_scope(Scope::Workspace);
        assert_eq!(world.names(&[], "", &[]).await, ["quiz"]);
    });
}

#[test]
fn names_and_tags_have_their_limits() {
    on_both_engines(|world| async move {
        let long = "n".repeat(limits::NAME_CHARS_MAX + 1);
        for (name, part) in [("", "must not be empty"), (" ", "must not be empty"), (long.as_str(), "255"), ("a\0", "NUL")] {
            refused(world.make(name, &[], &[]).await, Kind::Invalid, part);
        }
        let made = world.make(&"é".repeat(limits::NAME_CHARS_MAX), &[], &[]).await.unwrap();
        let id = made.dataset_id.as_str();
        let value = "v".repeat(limits::TAG_VALUE_CHARS_MAX + 1);
        for (key, value, part) in
            [("", "", "key must not be empty"), (long.as_str(), "", "255"), ("k", value.as_str(), "5000"), ("k", "\0", "NUL")]
        {
            refused(world.tag(id, pairs(&[(key, value)])).await, Kind::Invalid, part);
        }
        let tags = |from: usize, count: usize| (from..from + count).map(|n| KeyValue::new(n.to_string(), "")).collect::<Vec<_>>();
        world.tag(id, tags(0, limits::TAG_COUNT_MAX)).await.unwrap();
        world.tag(id, tags(0, 1)).await.unwrap();
        refused(world.tag(id, tags(limits::TAG_COUNT_MAX, 1)).await, Kind::Invalid, "at most 1000 tags");
        assert_eq!(world.get(id).await.unwrap().tags.len(), limits::TAG_COUNT_MAX);
        refused(world.tag("d-none", Vec::new()).await, Kind::NotFound, "not found");
    });
}

#[test]
fn records_of_the_log_hold_no_names_and_no_values() {
    on_both_engines(|world| async move {
        let made = world.make("verysecret", &["1"], &[("verysecret", "verysecret")]).await.unwrap();
        let secret = record(&json!({"verysecret": "verysecret"}), &json!({"expectations": {"verysecret": 1}}));
        world.put(&made.dataset_id, vec![secret]).await.unwrap();
        let records = world.gate.records.lock().join("\n");
        assert!(records.contains("evaluation.log") && !records.contains("verysecret"), "{records}");
    });
}
