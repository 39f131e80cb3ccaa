//! The detector's job: how it reads the log, and by which verbs of other rooms its responses are done.

use std::sync::Arc;

use audit::{AuditError, AuditLog};
use detect::{Country, DETECTOR, Ladder, Level, RESPONDER, Runner, Source, Suspect, Whereabouts};
use gate::{Attempt, BoxFuture, Gate, JobKey, JobPass};
use identity::Identity;
use identity::ops::accounts::{DisableService, DisableUser};
use identity::ops::tokens::RevokeAnyToken;
use kernel::{Clock, Kind, Problem};
use risk::{Assessor, Cause, LogIns, Raise};
use tokio::task::JoinHandle;

use crate::boot::Rooms;

/// Begins to look. Only a server does: a command ends too soon.
pub fn begin(rooms: &Rooms, (gate, jobs): (&Gate, &JobKey), clock: Arc<dyn Clock>) -> JoinHandle<()> {
    let ladder = Rungs {
        gate: gate.clone(),
        pass: jobs.pass(RESPONDER),
        identity: rooms.identity.clone(),
        assessor: Arc::clone(&rooms.assessor),
    };
    let source = Arc::new(LogSource(Arc::clone(rooms.audit.log())));
    rooms.detect.watch(Arc::clone(&source) as Arc<dyn Source>);
    let passes = (jobs.pass(DETECTOR), jobs.pass(RESPONDER));
    let atlas = Atlas { log: Arc::clone(rooms.audit.log()), log_ins: rooms.log_ins.clone() };
    let ports = (source as Arc<dyn Source>, Arc::new(ladder) as Arc<dyn Ladder>, Arc::new(atlas) as Arc<dyn Whereabouts>);
    let runner = Runner::new(rooms.detect.clone(), gate.clone(), passes, ports, clock);
    tokio::spawn(runner.run())
}

/// The log of this server, up to its newest checkpoint.
pub(crate) struct LogSource(pub(crate) Arc<AuditLog>);

impl Source for LogSource {
    fn origin(&self) -> String {
        self.0.origin().to_owned()
    }

    fn size(&self) -> Result<u64, Problem> {
        match self.0.checkpoint() {
            Ok((checkpoint, _)) => Ok(checkpoint.size),
            // Before the first checkpoint there is nothing to read.
            Err(AuditError::NoSuchRecord(_)) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    fn read(&self, from: u64, to: u64, each: &mut dyn FnMut(u64, &[u8]) -> bool) -> Result<(), Problem> {
        if from >= to {
            return Ok(());
        }
        let (_, _, tiles) = self.0.tree()?;
        Ok(tiles.each_entry(from, to, each)?)
    }
}

/// In which country an address of the log is: as log-ins are told, for addresses that this process saw.
struct Atlas {
    log: Arc<AuditLog>,
    log_ins: LogIns,
}

impl Whereabouts for Atlas {
    fn country(&self, from: &str) -> Option<Country> {
        self.log_ins.country(self.log.address_behind(from)?)
    }
}

/// The rungs, by the verbs that there are.
struct Rungs {
    gate: Gate,
    pass: JobPass,
    identity: Identity,
    assessor: Arc<Assessor>,
}

/// How much less somebody is trusted after a detection. Two grave rules together reach what a policy holds back; one alone does not: one alarm
/// may be an error, and a job that trains must not fail for it. What is only worth a look this week takes three.
const fn raised_points(level: Level) -> u8 {
    match level {
        Level::Critical => 90,
        Level::High => 50,
        Level::Medium | Level::Low | Level::Informational => 30,
    }
}

fn not_here(what: &str) -> Problem {
    Problem::new(Kind::NotImplemented, format!("this server cannot {what} yet; look into it yourself"))
}

impl Ladder for Rungs {
    fn raise_risk<'a>(&'a self, suspect: &'a Suspect) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async move {
            // What was done with a token or session was done by its holder; all else strangers may have done from outside.
            let (who, cause) = match &suspect.token {
                Some(token) => (token.as_str(), Cause::Caller),
                None => (suspect.caller.as_str(), Cause::Strangers),
            };
            let points = raised_points(suspect.level);
            let raise = Raise { points, reason: suspect.rule.clone().into(), cause, until: suspect.until };
            self.assessor.raise_and_keep(who, raise).await
        })
    }

    fn throttle<'a>(&'a self, suspect: &'a Suspect) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async move {
            self.assessor.throttle(suspect.token.as_deref().unwrap_or(&suspect.caller), suspect.until);
            Ok(())
        })
    }

    fn suspend_session<'a>(&'a self, suspect: &'a Suspect) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async move {
            let token = suspect.token.clone().ok_or_else(|| not_here("end what was logged in with a password"))?;
            let revoke = RevokeAnyToken { room: self.identity.clone(), token };
            self.gate.call(Attempt::of_job(self.pass.clone()), revoke).await.map(drop)
        })
    }

    fn suspend_account<'a>(&'a self, suspect: &'a Suspect) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async move {
            if suspect.kind == "service" {
                let disable = DisableService { room: self.identity.clone(), service: suspect.caller.clone() };
                return self.gate.call(Attempt::of_job(self.pass.clone()), disable).await.map(drop);
            }
            let disable = DisableUser { room: self.identity.clone(), user: suspect.caller.clone() };
            self.gate.call(Attempt::of_job(self.pass.clone()), disable).await.map(drop)
        })
    }
}
