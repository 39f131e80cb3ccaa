//! The room's handle and the gate's port: the grants in memory, kept in step with the table.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use gate::{BoxFuture, Caller, CallerKind, Decide, Decision, Question, TargetKind};
use kernel::{Micros, Problem};
use parking_lot::RwLock;
use prove::Solver;
use vault::db::{Db, PortDb};

use crate::cache::PreparedCache;
use crate::circumstances::Circumstances;
use crate::directory::Directory;
use crate::elevation::GlassAlarm;
use crate::engine::Engine;
use crate::index::Index;
use crate::judge::{Ask, Judge};
use crate::roles::Role;
use crate::store;

/// How old the view of the grants may be before the next decision compares it with the table.
const REFRESH_AFTER_US: i64 = 500_000;
/// How old it may be at all while another decision compares it.
const STALE_AFTER_US: i64 = 900_000;
/// How often a refresh is tried until the view stands still.
const NEVER: i64 = i64::MIN;
/// The one list of workspaces themselves: a caller sees those in which it has any grant.
const LIST_WORKSPACES: &str = "workspaces.list";

/// The room's handle. Cheap to clone.
#[derive(Clone)]
pub struct Policy(Arc<Inner>);

struct Inner {
    engine: Arc<Engine>,
    db: Db,
    ports: PortDb,
    directory: Arc<dyn Directory>,
    alarm: OnceLock<Arc<dyn GlassAlarm>>,
    solver: OnceLock<Solver>,
    index: RwLock<Index>,
    cache: PreparedCache,
    /// When the view was last known to be the table's.
    checked_at_us: AtomicI64,
    refreshing: tokio::sync::Mutex<()>,
}

/// The gate's port. It reads grants, and decides.
#[derive(Clone)]
pub struct PolicyPort(Policy);

/// Which workspaces a caller may know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VisibleWorkspaces {
    /// All.
    All,
    /// These, by id.
    Only(BTreeSet<String>),
}

impl Policy {
    /// Opens the room and loads all grants.
    ///
    /// # Errors
    /// `Internal` if the built-in policy cannot be read, `Unavailable` if the grants cannot.
    pub async fn open(db: Db, ports: PortDb, directory: Arc<dyn Directory>) -> Result<Self, Problem> {
        let engine = Engine::embedded()?;
        let policy = Self(Arc::new(Inner {
            engine,
            db,
            ports,
            directory,
            alarm: OnceLock::new(),
            solver: OnceLock::new(),
            index: RwLock::new(Index::default()),
            cache: PreparedCache::default(),
            checked_at_us: AtomicI64::new(NEVER),
            refreshing: tokio::sync::Mutex::new(()),
        }));
        policy.reload(None).await?;
        Ok(policy)
    }

    /// The port for the gate.
    #[must_use]
    pub fn port(&self) -> PolicyPort {
        PolicyPort(self.clone())
    }

    /// All roles, by name.
    #[must_use]
    pub fn roles(&self) -> Vec<Role> {
        self.0.engine.roles.values().cloned().collect()
    }

    /// How many live grants there are.
    #[must_use]
    pub fn grant_count(&self) -> usize {
        self.0.index.read().len()
    }

    /// The workspaces that a caller may know of: those in which it has any grant, narrowed by its token.
    #[must_use]
    pub fn visible_workspaces(&self, caller: &Caller, now: Micros) -> VisibleWorkspaces {
        let narrowed = caller.token.as_ref().and_then(|token| token.workspace.clone());
        let index = self.0.index.read();
        let on_server = index.in_workspace(caller, "", now).any(|grant| self.0.engine.holds(&grant.role, "workspaces.get"));
        match (on_server || caller.kind == CallerKind::Job, narrowed) {
            (true, None) => VisibleWorkspaces::All,
            (true, Some(only)) => VisibleWorkspaces::Only(BTreeSet::from([only])),
            (false, narrowed) => {
                let held = index.all_of(caller, now).filter_map(|grant| grant.workspace.clone());
                VisibleWorkspaces::Only(held.filter(|id| narrowed.as_ref().is_none_or(|only| only == id)).collect())
            }
        }
    }

    /// Who is told when somebody makes themself administrator in an emergency. Without it nobody can.
    pub fn set_alarm(&self, alarm: Arc<dyn GlassAlarm>) {
        if self.0.alarm.set(alarm).is_err() {
            tracing::error!("the alarm of broken glass was set twice; the first one stays");
        }
    }

    /// The solver that is asked what an enumeration leaves open. Without it nobody is.
    pub fn set_solver(&self, solver: Solver) {
        if self.0.solver.set(solver).is_err() {
            tracing::error!("the solver was set twice; the first one stays");
        }
    }

    pub(crate) fn solver(&self) -> Option<&Solver> {
        self.0.solver.get()
    }

    pub(crate) fn alarm(&self) -> Option<Arc<dyn GlassAlarm>> {
        self.0.alarm.get().cloned()
    }

    pub(crate) fn db(&self) -> &Db {
        &self.0.db
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// The engine, for work that takes a while.
    pub(crate) fn engine_handle(&self) -> Arc<Engine> {
        Arc::clone(&self.0.engine)
    }

    pub(crate) fn directory(&self) -> Arc<dyn Directory> {
        Arc::clone(&self.0.directory)
    }

    /// Runs `work` over one state of the grants.
    pub(crate) fn with_judge<T>(&self, work: impl FnOnce(Judge<'_>, &Index) -> T) -> T {
        let index = self.0.index.read();
        work(self.judge(&index), &index)
    }

    fn judge<'a>(&'a self, index: &'a Index) -> Judge<'a> {
        Judge { engine: &self.0.engine, index, cache: &self.0.cache }
    }

    /// Reads what changed since, right after a change of our own. Should that fail, the next decision has to.
    pub(crate) async fn changed(&self) {
        self.0.checked_at_us.store(NEVER, Ordering::Release);
        if let Err(problem) = self.reload(None).await {
            tracing::warn!(error = %problem, "grants could not be read again; the next decision will");
        }
    }

    /// Makes sure that the view is younger than a second.
    pub(crate) async fn refresh(&self, now: Micros) -> Result<(), Problem> {
        let age = self.age_us(now);
        if age < REFRESH_AFTER_US {
            return Ok(());
        }
        if age < STALE_AFTER_US
            && let Ok(_turn) = self.0.refreshing.try_lock()
        {
            return self.reload(Some(now)).await;
        }
        if age < STALE_AFTER_US {
            return Ok(());
        }
        let _turn = self.0.refreshing.lock().await;
        if self.age_us(now) < REFRESH_AFTER_US {
            return Ok(());
        }
        self.reload(Some(now)).await
    }

    /// A clock that was set back makes the view old, not young.
    fn age_us(&self, now: Micros) -> i64 {
        match self.0.checked_at_us.load(Ordering::Acquire) {
            NEVER => i64::MAX,
            checked => now.0.saturating_sub(checked).saturating_abs(),
        }
    }

    async fn reload(&self, now: Option<Micros>) -> Result<(), Problem> {
        let known = self.0.index.read().generation;
        let generation = self.0.ports.read_point(|reader| Ok(store::generation(reader)?)).await?;
        if generation != known || now.is_none() {
            // A database that was restored from a backup counts from an earlier number: then all is read anew.
            let since = if generation < known { -1 } else { known };
            let (generation, changes) = self.0.ports.read(move |reader| store::changes(reader, since)).await?;
            let mut index = self.0.index.write();
            if since < 0 {
                *index = Index::default();
            }
            if generation >= index.generation {
                index.apply(generation, changes);
            }
        }
        if let Some(now) = now {
            self.0.checked_at_us.store(now.0, Ordering::Release);
        }
        Ok(())
    }
}

impl Decide for PolicyPort {
    fn decide<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Result<Decision, Problem>> {
        Box::pin(async move {
            self.0.refresh(question.now).await?;
            let locked = question.risk.locked_for.is_some();
            let circumstances = Circumstances::of(question.caller, question.facts, (question.risk.score, locked), question.now);
            let ask = Ask {
                caller: question.caller,
                verb: question.action.name,
                kind: question.target.kind(),
                facts: question.facts,
                circumstances,
                now: question.now,
            };
            let write = question.action.access == gate::Access::Write;
            if self.0.engine().verb(ask.verb).is_some_and(|verb| verb.writes != write) {
                // The room and the schema disagree on whether it changes something: a write must not pass as a read.
                tracing::error!(action = ask.verb, "a verb's access differs from the schema's, refused");
                return Ok(Decision::Deny { visible: ask.kind == TargetKind::Server, hint: String::new() });
            }
            let decision = self.0.with_judge(|judge, _| judge.decide(ask));
            Ok(match (decision, ask.verb) {
                (Decision::Allow { reasons, .. }, LIST_WORKSPACES) => {
                    let scope = match self.0.visible_workspaces(question.caller, question.now) {
                        VisibleWorkspaces::All => gate::Scope::Workspace,
                        VisibleWorkspaces::Only(ids) => gate::Scope::Workspaces(ids.into_iter().collect()),
                    };
                    Decision::Allow { reasons, scope }
                }
                (decision, _) => decision,
            })
        })
    }
}
