//! Log-ins judged, learnt, explained and forgotten, on both engines.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use kernel::{Clock, Kind, Micros, Problem, Secret};
use rba::table::{self, Table};
use risk::ops::{ExplainLogIns, GraveLogIns, LogInPage, OwnLogIns, ShowGeo, UpdateGeo};
use risk::{Band, Ended, Ground, Judged, JudgedLogIn, LogInConfig, LogInFacts, LogIns};
use testkit::gate::TEST_CALLER;
use testkit::{Engine, TestGate};
use vault::db::{DbError, Opened, Reader};

const DAY_S: i64 = 86_400;
const HOME: &str = "192.0.2.7";
const LAPTOP: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
const OTHERS: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";
const COUNTRIES: &str = "192.0.2.0,192.0.2.255,NO\n198.51.100.0,198.51.100.255,NO\n203.0.113.0,203.0.113.255,AU\n";
const NETWORKS: &str =
    "192.0.2.0,192.0.2.255,64500,one\n198.51.100.0,198.51.100.255,64501,two\n203.0.113.0,203.0.113.255,64502,three\n";

struct World {
    opened: Opened,
    room: LogIns,
    gate: TestGate,
    engine: Engine,
}

fn on_both_engines(body: impl AsyncFn(World)) {
    testkit::on_both_engines("risk", async |engine| body(World::open(engine).await).await);
}

fn find_person(reader: &mut Reader<'_>, who: &str) -> Result<Option<String>, DbError> {
    reader.query_one("SELECT id FROM principal WHERE id = $1 OR name = $1", &[who.into()], |row| row.text(0))
}

async fn open_room(opened: &Opened, gate: &TestGate, config: &LogInConfig) -> Result<LogIns, Problem> {
    let ground = Ground {
        db: opened.db.clone(),
        system: opened.system.clone(),
        clock: Arc::new(gate.clock.clone()),
        secret: Secret::new(vec![7; 32]),
        find_person,
    };
    let room = LogIns::open(ground, config)?;
    room.load().await?;
    Ok(room)
}

impl World {
    async fn open(engine: Engine) -> Self {
        let opened = vault::db::open(&engine.location).unwrap();
        let gate = testkit::open_gate();
        let room = open_room(&opened, &gate, &LogInConfig::default()).await.unwrap();
        let world = Self { opened, room, gate, engine };
        for (id, name) in [("u_ada", "ada"), ("u_bob", "bob"), (TEST_CALLER, "tester")] {
            world
                .sql(&format!(
                    "INSERT INTO principal (id, kind, name, owner, created_at) VALUES ('{id}', 'user', '{name}', '', 1)"
                ))
                .await;
        }
        world
    }

    async fn reopened(&self) -> LogIns {
        open_room(&self.opened, &self.gate, &LogInConfig::default()).await.unwrap()
    }

    async fn sql(&self, sql: &str) -> u64 {
        let sql = sql.to_owned();
        self.opened.system.write(move |writer| Ok(writer.execute(&sql, &[])?)).await.unwrap()
    }

    async fn load(&self, kind: table::Kind, csv: &str, made_at: Micros) -> Result<risk::ops::GeoRow, Problem> {
        self.gate.call(self.update(kind, csv, made_at)).await
    }

    fn update(&self, kind: table::Kind, csv: &str, made_at: Micros) -> UpdateGeo {
        let bytes = Table::read_csv(csv.as_bytes()).unwrap().to_bytes();
        let body = Box::pin(futures_util::stream::iter([Ok(bytes.into())]));
        let table = kind.word().to_owned();
        UpdateGeo { room: self.room.clone(), table, made_at: Some(made_at), may_shrink: false, may_be_older: false, body }
    }

    async fn load_both(&self) {
        let now = self.gate.clock.now();
        self.load(table::Kind::CountryV4, COUNTRIES, now).await.unwrap();
        self.load(table::Kind::NetworkV4, NETWORKS, now).await.unwrap();
    }

    fn facts(&self, person: &str, address: &str, agent: &str) -> LogInFacts {
        LogInFacts {
            person: person.to_owned(),
            address: address.parse().unwrap(),
            user_agent: Some(agent.to_owned()),
            known_device: true,
            password_is_leaked: false,
            at: self.gate.clock.now(),
        }
    }

    /// A month of ordinary work of two people.
    async fn work(&self) {
        for _ in 0..30 {
            for (person, address, agent) in [("u_ada", HOME, LAPTOP), ("u_bob", "198.51.100.9", OTHERS)] {
                let facts = self.facts(person, address, agent);
                let judged = self.room.judge(&facts);
                self.room.learn(&facts, &judged).await.unwrap();
            }
            self.gate.clock.advance_secs(DAY_S);
        }
    }

    fn usual(&self) -> Judged {
        self.room.judge(&self.facts("u_ada", HOME, LAPTOP))
    }

    async fn explain(&self, who: &str) -> Result<Vec<JudgedLogIn>, Problem> {
        self.gate.call(ExplainLogIns { room: self.room.clone(), who: who.to_owned(), rows: None }).await
    }
}

#[test]
fn what_is_usual_passes_and_what_is_not_is_asked_for_more() {
    on_both_engines(async |world| {
        world.load_both().await;
        assert!(world.usual().has("too_few_log_ins"), "at first nothing is known");
        world.work().await;
        let usual = world.usual();
        assert_eq!(usual.band, Band::Nothing, "{usual:?}");
        assert!(usual.has("known_address") && usual.has("known_device") && usual.risk < 85, "{usual:?}");
        let mut stolen = world.facts("u_ada", "203.0.113.5", OTHERS);
        stolen.known_device = false;
        let strange = world.room.judge(&stolen);
        assert!(strange.score > usual.score && strange.band >= Band::SecondFactor && strange.risk >= 80, "{strange:?}");
        assert!(strange.has("new_country") && strange.has("no_known_device"), "{strange:?}");
        // Australia an hour after Norway.
        let home = world.facts("u_ada", HOME, LAPTOP);
        world.room.learn(&home, &world.room.judge(&home)).await.unwrap();
        world.gate.clock.advance_secs(3_600);
        let away = world.room.judge(&world.facts("u_ada", "203.0.113.5", LAPTOP));
        assert!(away.has("impossible_travel_by_country"), "{away:?}");
    });
}

#[test]
fn it_learns_from_verified_log_ins_only() {
    on_both_engines(async |world| {
        world.load_both().await;
        world.work().await;
        let mut attempt = world.facts("u_ada", "203.0.113.5", OTHERS);
        attempt.known_device = false;
        let before = world.room.judge(&attempt);
        for _ in 0..20 {
            world.room.note(&attempt, &before, Ended::Refused).await.unwrap();
            world.room.note(&attempt, &before, Ended::Failed).await.unwrap();
        }
        assert_eq!(world.room.judge(&attempt), before);
        assert_eq!(world.reopened().await.judge(&attempt), before);
        world.room.learn(&attempt, &before).await.unwrap();
        assert!(world.room.judge(&attempt).score < before.score);
    });
}

#[test]
fn a_restart_changes_no_judgement() {
    on_both_engines(async |world| {
        world.load_both().await;
        world.work().await;
        let again = world.reopened().await;
        for (person, address, agent) in
            [("u_ada", HOME, LAPTOP), ("u_ada", "203.0.113.5", OTHERS), ("u_bob", "192.0.2.9", LAPTOP)]
        {
            let facts = world.facts(person, address, agent);
            let (before, after) = (world.room.judge(&facts), again.judge(&facts));
            assert!((before.score - after.score).abs() < 1e-9);
            assert_eq!((before.band, before.percentile), (after.band, after.percentile));
        }
        let soon = world.facts("u_ada", "203.0.113.5", LAPTOP);
        let soon = LogInFacts { at: Micros(soon.at.0 - DAY_S * 1_000_000 + 3_600_000_000), ..soon };
        assert!(again.judge(&soon).has("impossible_travel_by_country"), "the last place is remembered");
    });
}

#[test]
fn a_person_is_forgotten_with_the_account_or_when_asked() {
    on_both_engines(async |world| {
        world.work().await;
        let bob = world.facts("u_bob", "198.51.100.9", OTHERS);
        assert_eq!(world.sql("DELETE FROM principal WHERE id = 'u_ada'").await, 1);
        let left = "UPDATE risk_log_in SET known_count = known_count WHERE person = 'u_ada'";
        assert_eq!(world.sql(left).await, 0, "the rows go in that very commit");
        world.room.sweep().await.unwrap();
        assert!(world.usual().has("new_country"));
        let (here, again) = (world.room.judge(&bob), world.reopened().await.judge(&bob));
        assert!((here.score - again.score).abs() < 1e-9, "the counts are as if Ada had never been there");
        world.room.forget("u_bob").await.unwrap();
        assert!(world.room.judge(&bob).has("new_country"));
        assert!(world.explain("bob").await.unwrap().is_empty());
    });
}

#[test]
fn nothing_of_a_person_lies_in_the_database_in_clear() {
    on_both_engines(async |world| {
        world.load_both().await;
        world.work().await;
        let rows = world.opened.system.read(|reader| {
            let mut all: Vec<Vec<u8>> = reader.query("SELECT seen FROM risk_log_in", &[], |row| row.bytes(0))?;
            all.extend(reader.query("SELECT place FROM risk_log_in", &[], |row| row.bytes(0))?);
            all.extend(reader.query("SELECT told FROM risk_judged", &[], |row| row.bytes(0))?);
            Ok(all)
        });
        let rows = rows.await.unwrap();
        assert_eq!(rows.len(), 180);
        let address = [192, 0, 2, 7];
        for row in rows {
            for clear in [&b"Firefox"[..], b"192.0.2", b"NO\"", b"64500", b"known_address", &address] {
                assert!(!row.windows(clear.len()).any(|part| part == clear), "{}", String::from_utf8_lossy(clear));
            }
        }
        // Under another key the same log-ins mean nothing.
        assert!(!world.usual().has("new_country"));
        let ground = Ground {
            db: world.opened.db.clone(),
            system: world.opened.system.clone(),
            clock: Arc::new(world.gate.clock.clone()),
            secret: Secret::new(vec![8; 32]),
            find_person,
        };
        let other = LogIns::open(ground, &LogInConfig::default()).unwrap();
        assert!(other.load().await.is_err_and(|problem| problem.kind() == Kind::Internal));
    });
}

#[test]
fn log_ins_are_explained_to_administrators_and_to_the_person() {
    on_both_engines(async |world| {
        world.load_both().await;
        let facts = LogInFacts { known_device: false, ..world.facts("u_ada", HOME, LAPTOP) };
        let judged = world.room.judge(&facts);
        world.room.note(&facts, &judged, Ended::Failed).await.unwrap();
        world.gate.clock.advance_secs(60);
        let facts = world.facts("u_ada", HOME, LAPTOP);
        world.room.learn(&facts, &judged).await.unwrap();
        let told = world.explain("ada").await.unwrap();
        let outcomes: Vec<&str> = told.iter().map(|one| one.outcome.as_str()).collect();
        assert_eq!(outcomes, ["verified", "failed"]);
        let first = told.first().unwrap();
        assert_eq!(
            (first.country.as_deref(), first.network, first.band.as_str(), first.risk),
            (Some("NO"), Some(64_500), "second_factor", 85)
        );
        assert!(
            first
                .reasons
                .iter()
                .any(|reason| reason.word == "no_known_device" && reason.asks.as_deref() == Some("second_factor"))
        );
        assert_eq!(world.explain("u_ada").await.unwrap(), told);
        assert!(world.explain("nobody").await.is_err_and(|problem| problem.kind() == Kind::NotFound));
        let own = world.gate.call(OwnLogIns { room: world.room.clone(), rows: None }).await.unwrap();
        assert!(own.is_empty(), "one's own and nobody else's");
    });
}

/// However many log-ins are newer, and of everybody but whoever asks.
#[test]
fn grave_log_ins_of_others_are_found_page_by_page() {
    on_both_engines(async |world| {
        let grave = |after: Option<String>, since: Micros| GraveLogIns { room: world.room.clone(), since, after, rows: Some(2) };
        let facts = world.facts("u_ada", HOME, LAPTOP);
        let judged = Judged { band: Band::Nothing, ..world.room.judge(&facts) };
        for second in 0..3 {
            let facts = LogInFacts { at: facts.at.plus_secs(second), ..facts.clone() };
            world.room.note(&facts, &Judged { band: Band::Refuse, ..judged.clone() }, Ended::Refused).await.unwrap();
        }
        for second in 10..60 {
            let facts = LogInFacts { at: facts.at.plus_secs(second), ..facts.clone() };
            world.room.note(&facts, &judged, Ended::Failed).await.unwrap();
        }
        let first = world.gate.call(grave(None, Micros(0))).await.unwrap();
        let times = |page: &LogInPage| page.rows.iter().map(|one| one.log_in.at).collect::<Vec<_>>();
        assert_eq!(times(&first), [facts.at.plus_secs(2), facts.at.plus_secs(1)]);
        let told = first.rows.first().unwrap();
        assert_eq!((told.person.as_str(), told.name.as_str(), told.log_in.outcome.as_str()), ("u_ada", "ada", "refused"));
        let second = world.gate.call(grave(first.next, Micros(0))).await.unwrap();
        assert_eq!((times(&second), second.next), (vec![facts.at], None));
        assert_eq!(world.gate.call(grave(None, facts.at.plus_secs(2))).await.unwrap().rows.len(), 1, "none from before");
    });
}

#[test]
fn only_the_last_hundred_are_kept() {
    on_both_engines(async |world| {
        let facts = world.facts("u_ada", HOME, LAPTOP);
        for second in 0..105 {
            let facts = LogInFacts { at: facts.at.plus_secs(second), ..facts.clone() };
            world.room.learn(&facts, &world.room.judge(&facts)).await.unwrap();
        }
        for table in ["risk_log_in", "risk_judged"] {
            assert_eq!(world.sql(&format!("UPDATE {table} SET person = person")).await, 100, "{table}");
        }
        let shown =
            world.gate.call(ExplainLogIns { room: world.room.clone(), who: "ada".to_owned(), rows: Some(2) }).await.unwrap();
        assert_eq!(shown.first().unwrap().at, facts.at.plus_secs(104));
        assert_eq!(shown.len(), 2);
    });
}

#[test]
fn tables_are_taken_in_whole_and_shown_with_their_age() {
    on_both_engines(async |world| {
        let now = world.gate.clock.now();
        let old = now.plus_secs(-100 * DAY_S);
        world.load(table::Kind::CountryV4, COUNTRIES, old).await.unwrap();
        world.load(table::Kind::NetworkV4, NETWORKS, now).await.unwrap();
        let show = |room: &LogIns| ShowGeo { room: room.clone(), address: Some("203.0.113.200".parse().unwrap()) };
        for room in [world.room.clone(), world.reopened().await] {
            let shown = world.gate.call(show(&room)).await.unwrap();
            let ages: Vec<(&str, bool, i64)> =
                shown.tables.iter().map(|(row, is_old)| (row.kind.as_str(), *is_old, row.row_count)).collect();
            assert_eq!(ages, [("country_v4", true, 3), ("network_v4", false, 3)]);
            let (_, whence) = shown.whence.unwrap();
            assert_eq!(
                (whence.country.map(|country| country.text().to_owned()), whence.network),
                (Some("AU".to_owned()), Some(64_502))
            );
        }
        let wrong = world.load(table::Kind::CountryV6, COUNTRIES, now).await.unwrap_err();
        assert!(wrong.message().contains("country_v4"), "{wrong}");
        assert!(world.load(table::Kind::CountryV4, COUNTRIES, now.plus_secs(3 * DAY_S)).await.is_err());
        let body = Box::pin(futures_util::stream::iter([Ok(vec![0_u8; 100].into())]));
        let broken = UpdateGeo { body, ..world.update(table::Kind::CountryV4, COUNTRIES, now) };
        assert!(world.gate.call(broken).await.is_err_and(|problem| problem.kind() == Kind::Invalid));
        assert_eq!(world.room.whence("203.0.113.200".parse().unwrap()).network, Some(64_502), "what was there stays");
    });
}

#[test]
fn a_table_that_was_cut_off_replaces_no_whole_one_unless_that_is_said() {
    on_both_engines(async |world| {
        let now = world.gate.clock.now();
        let cut = COUNTRIES.lines().next().unwrap();
        world.load(table::Kind::CountryV4, COUNTRIES, now).await.unwrap();
        let refused = world.load(table::Kind::CountryV4, cut, now).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict);
        assert!(refused.message().contains("1 rows and the present one 3"), "{refused}");
        let country = |world: &World| world.room.whence("203.0.113.200".parse().unwrap()).country.is_some();
        assert!(country(&world), "what was there stays");
        let most: Vec<&str> = COUNTRIES.lines().take(2).collect();
        world.load(table::Kind::CountryV4, &most.join("\n"), now).await.unwrap();
        world.load(table::Kind::CountryV4, COUNTRIES, now).await.unwrap();
        let wanted = UpdateGeo { may_shrink: true, ..world.update(table::Kind::CountryV4, cut, now) };
        assert_eq!(world.gate.call(wanted).await.unwrap().row_count, 1);
        assert!(!country(&world));
    });
}

#[test]
fn a_table_of_older_data_replaces_no_newer_one_unless_that_is_said() {
    on_both_engines(async |world| {
        let now = world.gate.clock.now();
        world.load(table::Kind::CountryV4, COUNTRIES, now).await.unwrap();
        let older = || world.update(table::Kind::CountryV4, COUNTRIES, now.plus_secs(-1));
        let refused = world.gate.call(older()).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict);
        assert!(refused.message().contains("--may-be-older"), "{refused}");
        world.load(table::Kind::CountryV4, COUNTRIES, now).await.unwrap();
        world.gate.call(UpdateGeo { may_be_older: true, ..older() }).await.unwrap();
    });
}

#[test]
fn lists_of_the_operator_count() {
    on_both_engines(async |world| {
        world.load_both().await;
        world.work().await;
        let folder = world.engine.folder.path();
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            Some(path)
        };
        let config = LogInConfig {
            leaked_passwords: file("leaked", "letmein\n"),
            denied_networks: file("denied", "AS64502\n192.0.2.200\n"),
            roaming_networks: file("roaming", "203.0.113.0/24\n"),
            ..LogInConfig::default()
        };
        let room = open_room(&world.opened, &world.gate, &config).await.unwrap();
        let is_leaked = |room: &LogIns, password: &str| room.is_leaked(&Secret::from(password.to_owned())).unwrap();
        assert!(is_leaked(&room, "letmein") && !is_leaked(&room, "another"));
        assert!(!is_leaked(&world.room, "letmein"));
        let leaked = LogInFacts { password_is_leaked: true, ..world.facts("u_ada", HOME, LAPTOP) };
        assert!(room.judge(&leaked).has("leaked_password"));
        let denied = room.judge(&world.facts("u_ada", "203.0.113.5", LAPTOP));
        assert_eq!(
            (denied.band, denied.has("denied_network"), denied.has("impossible_travel_by_country")),
            (Band::Refuse, true, false)
        );
        assert_eq!(room.judge(&world.facts("u_ada", "192.0.2.200", LAPTOP)).band, Band::Refuse);
        let country = |room: &LogIns, address: &str| room.country(address.parse().unwrap()).map(|one| one.text().to_owned());
        assert_eq!(country(&world.room, "203.0.113.5").as_deref(), Some("AU"));
        assert_eq!(country(&room, "203.0.113.5"), None, "it roams");
        assert_eq!((country(&room, HOME).as_deref(), country(&room, "10.0.0.1")), (Some("NO"), None));
        let missing = LogInConfig { denied_networks: Some(folder.join("nowhere")), ..LogInConfig::default() };
        assert!(
            open_room(&world.opened, &world.gate, &missing).await.is_err_and(|problem| problem.message().contains("nowhere"))
        );
    });
}

#[test]
fn spraying_is_seen_by_strangers_devices_and_costs_known_ones_nothing() {
    on_both_engines(async |world| {
        world.load_both().await;
        world.work().await;
        let at = world.gate.clock.now();
        for number in 0..10 {
            world.room.fail(HOME.parse().unwrap(), &format!("account{number}"), at);
            world.room.fail(HOME.parse().unwrap(), &format!("ACCOUNT{number}"), at);
        }
        assert_eq!(world.usual().band, Band::Nothing, "Ada is known here");
        let stranger = LogInFacts { known_device: false, ..world.facts("u_ada", HOME, LAPTOP) };
        let judged = world.room.judge(&stranger);
        assert!(judged.has("many_accounts_tried") && judged.band >= Band::PhishingResistant, "{judged:?}");
        world.gate.clock.advance_secs(601);
        let later = LogInFacts { known_device: false, ..world.facts("u_ada", HOME, LAPTOP) };
        assert!(!world.room.judge(&later).has("many_accounts_tried"));
    });
}
