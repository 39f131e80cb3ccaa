//! A room with people, a log that tests write, and a server that can be down.

use std::sync::Arc;

use gate::{BoxFuture, Operation};
use kernel::{Clock, Micros, Problem, Secret};
use parking_lot::Mutex;
use testkit::{Engine, TestGate};
use vault::db::{Opened, Reader, Writer};

use crate::ops::{ListMail, Listed};
use crate::{Accounts, Address, Carry, MAILER, Mail, MailConfig, Mailer, Records};

/// What was handed over: to whom, and the bytes.
#[derive(Default)]
pub(super) struct Carrier {
    pub(super) carried: Mutex<Vec<(String, String)>>,
    pub(super) fault: Mutex<Option<String>>,
}

impl Carry for Carrier {
    fn carry<'a>(&'a self, to: &'a Address, mail: &'a [u8]) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async move {
            if let Some(fault) = self.fault.lock().clone() {
                return Err(Problem::unavailable(fault));
            }
            self.carried.lock().push((to.text(), String::from_utf8_lossy(mail).into_owned()));
            Ok(())
        })
    }
}

/// Accounts `ada` and `bob`, by name and id alike; a directory knows bob's address, and ada administers.
struct People;

impl Accounts for People {
    fn find(&self, _: &mut Reader<'_>, id_or_name: &str) -> Result<Option<String>, Problem> {
        Ok(Some(id_or_name.to_owned()).filter(|id| id == "ada" || id == "bob" || id == testkit::gate::TEST_CALLER))
    }

    fn directory_address(&self, _: &mut Reader<'_>, account: &str) -> Result<Option<String>, Problem> {
        Ok(Some("bob@directory.example".to_owned()).filter(|_| account == "bob"))
    }

    fn administrators(&self, _: &mut Reader<'_>, _: Micros) -> Result<Vec<String>, Problem> {
        Ok(vec!["ada".to_owned()])
    }
}

/// A log of records that a test adds.
#[derive(Default)]
pub(super) struct Log(pub(super) Mutex<Vec<Vec<u8>>>);

impl Records for Log {
    fn origin(&self) -> String {
        "test".to_owned()
    }

    fn size(&self) -> Result<u64, Problem> {
        Ok(self.0.lock().len() as u64)
    }

    fn read(&self, from: u64, to: u64, each: &mut dyn FnMut(u64, &[u8]) -> bool) -> Result<(), Problem> {
        for (index, record) in self.0.lock().iter().enumerate().take(to as usize).skip(from as usize) {
            if !each(index as u64, record) {
                break;
            }
        }
        Ok(())
    }
}

pub(super) struct World {
    _folder: tempfile::TempDir,
    pub(super) opened: Opened,
    pub(super) room: Mail,
    pub(super) gate: TestGate,
    pub(super) carrier: Arc<Carrier>,
    pub(super) log: Arc<Log>,
    pub(super) mailer: Mailer,
}

impl World {
    pub(super) async fn new(engine: Engine) -> Self {
        let opened = vault::db::open(&engine.location).unwrap();
        let gate = testkit::open_gate();
        let (carrier, log) = (Arc::new(Carrier::default()), Arc::new(Log::default()));
        let room = room(&opened, &carrier);
        let mailer = mailer(&room, &gate, &log);
        let world = Self { _folder: engine.folder, opened, room, gate, carrier, log, mailer };
        for id in ["ada", "bob", testkit::gate::TEST_CALLER] {
            let insert = move |writer: &mut Writer<'_>| {
                let sql = "INSERT INTO principal (id, kind, name, owner, created_at) VALUES ($1, 'user', $1, '', 0)";
                Ok(writer.execute(sql, &[id.into()])?)
            };
            world.opened.system.write(insert).await.unwrap();
        }
        world
    }

    pub(super) async fn call<O: Operation>(&self, operation: O) -> Result<O::Output, Problem> {
        self.gate.gate.call(self.gate.attempt(), operation).await
    }

    pub(super) async fn list(&self, with_sent: bool) -> Vec<Listed> {
        self.call(ListMail { room: self.room.clone(), with_sent }).await.unwrap()
    }

    /// A record of something that was done, now.
    pub(super) fn record(&self, action: &str, caller: &str, resource: &str) {
        let at = self.gate.clock.now().0;
        let mut log = self.log.0.lock();
        let id = log.len();
        let record = format!(
            r#"{{"action":"{action}","at":{at},"caller":{{"id":"{caller}","kind":"user"}},"id":"r{id}","kind":"outcome","resource":"{resource}","status":"done","target":"server","v":1}}"#
        );
        log.push(record.into_bytes());
    }

    pub(super) fn carried(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.carrier.carried.lock())
    }

    pub(super) async fn round(&self) {
        self.mailer.round().await.unwrap();
    }

    pub(super) fn later(&self, seconds: i64) {
        self.gate.clock.advance_secs(seconds);
    }
}

/// A room of another process over the same database.
pub(super) fn room(opened: &Opened, carrier: &Arc<Carrier>) -> Mail {
    let config = MailConfig {
        server: Some("smtp.example.com".to_owned()),
        from: Some("strongroom@example.com".to_owned()),
        administrators: vec!["security@example.com".to_owned()],
        ..MailConfig::default()
    };
    let ground = (opened.db.clone(), opened.system.clone());
    let carry: Arc<dyn Carry> = Arc::clone(carrier) as _;
    Mail::over(ground, config, Secret::new(vec![7; 32]), Arc::new(People), Some(carry)).unwrap()
}

pub(super) fn mailer(room: &Mail, gate: &TestGate, log: &Arc<Log>) -> Mailer {
    let clock: Arc<dyn Clock> = Arc::new(gate.clock.clone());
    Mailer::new(room.clone(), (gate.gate.clone(), gate.job_key.pass(MAILER)), Arc::clone(log) as _, clock)
}
