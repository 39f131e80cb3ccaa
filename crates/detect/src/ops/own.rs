//! `detections.check`, `detections.set_rules` and `detections.delete_rules`: rules that are written on this server, tried on the log before they are kept.

use std::sync::Arc;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Micros, Problem, hex, sha256};
use vault::db::{Reader, Writer};

use super::list::{RuleView, view};
use crate::rules::{Fault, OWN_COUNT_MAX, OwnRules, RuleSet};
use crate::runner::Source;
use crate::{Detect, Engine, store};

/// Records that a trial looks at: the newest.
const TRIED_COUNT_MAX: u64 = 200_000;
const DAY_S: i64 = 86_400;
const WEEK_S: i64 = 7 * DAY_S;

/// Lists the texts of rules that were written on this server.
pub struct ListOwnRules {
    /// The room.
    pub room: Detect,
}

impl Operation for ListOwnRules {
    const ACTION: Action = super::RULES;
    type Output = Vec<OwnRules>;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<OwnRules>, Problem> {
        self.room.db.read(&permit, |reader| Ok(store::own_rules(reader)?)).await
    }
}

/// Reads a text of rules as this server would, and looks at what its rules would have found of late. Nothing is kept.
pub struct CheckRules {
    /// The room.
    pub room: Detect,
    /// The text that it would stand in place of, if it is one of this server's.
    pub name: String,
    /// The text.
    pub body: String,
    /// Whether it is tried on the log.
    pub tries: bool,
}

/// What a check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedRules {
    /// What is wrong; then the rest is empty.
    pub fault: Option<Fault>,
    /// Its rules.
    pub rules: Vec<RuleView>,
    /// What they would have found; none where the log was not looked at.
    pub tried: Option<Tried>,
}

/// What rules would have found in the newest part of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Records that were looked at.
    pub record_count: u64,
    /// When the first of them was written, within the last week.
    pub from: Option<Micros>,
    /// For each rule that makes alerts its name, how often it would have told in the last day and in the last week, and the last record behind that.
    pub rules: Vec<TriedRule>,
}

/// What one rule would have found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriedRule {
    /// The rule's name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// In the last day.
    pub day_count: u64,
    /// In the last week.
    pub week_count: u64,
    /// The record that was last behind it.
    pub newest: Option<u64>,
}

impl Operation for CheckRules {
    const ACTION: Action = super::CHECK;
    type Output = CheckedRules;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<CheckedRules, Problem> {
        let Self { room, name, body, tries } = self;
        let others = room.db.read(&permit, |reader| Ok(store::own_rules(reader)?)).await?;
        let others: Vec<OwnRules> = others.into_iter().filter(|one| one.name != name).collect();
        let source = room.source.get().filter(|_| tries).map(Arc::clone);
        let busy = || Problem::new(Kind::TooMany, "another text is being tried on the log; try again in a moment");
        let _turn = source.as_ref().map(|_| room.trials.try_acquire().map_err(|_| busy())).transpose()?;
        let (config, now) = (room.config.clone(), permit.entry().at);
        let work = move || -> Result<CheckedRules, Problem> {
            let read = RuleSet::try_own(config.rules.as_deref(), &config.disabled, &others, &body);
            let (set, names) = match read {
                Ok(read) => read,
                Err(fault) => return Ok(CheckedRules { fault: Some(fault), rules: Vec::new(), tried: None }),
            };
            let set = Arc::new(set);
            let own = |rule: &&crate::rules::Rule| names.contains(&rule.name);
            let rules = set.rules().iter().filter(own).map(|rule| view(rule, config.respond_up_to)).collect();
            let tried = source.map(|source| tried(&*source, &set, &names, (&config.canaries, now))).transpose()?;
            Ok(CheckedRules { fault: None, rules, tried })
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|broken| Problem::internal("the rules could not be tried; this is a fault of the server", broken))?
    }
}

/// Has the rules of some names look at the newest records.
fn tried(
    source: &dyn Source,
    set: &Arc<RuleSet>,
    names: &[String],
    (canaries, now): (&[String], Micros),
) -> Result<Tried, Problem> {
    let mut engine = Engine::new(Arc::clone(set), &source.origin(), canaries);
    let size = source.size()?;
    let (week, day) = (now.plus_secs(-WEEK_S), now.plus_secs(-DAY_S));
    let one = |rule: &crate::rules::Rule| TriedRule {
        name: rule.name.clone(),
        title: rule.title.clone(),
        day_count: 0,
        week_count: 0,
        newest: None,
    };
    let of_them = |rule: &&crate::rules::Rule| rule.alerts() && names.contains(&rule.name);
    let mut tried = Tried { rules: set.rules().iter().filter(of_them).map(one).collect(), ..Tried::default() };
    source.read(size.saturating_sub(TRIED_COUNT_MAX), size, &mut |index, record| {
        tried.record_count = tried.record_count.saturating_add(1);
        if tried.from.is_none() {
            let at = audit::RecordView::parse(record).map(|view| Micros(view.at));
            tried.from = at.map(|at| at.max(week));
        }
        for finding in engine.take(index, record).into_iter().filter(|finding| finding.at >= week) {
            let Some(name) = set.rules().get(finding.rule).map(|rule| &rule.name) else { continue };
            let Some(one) = tried.rules.iter_mut().find(|one| one.name == *name) else { continue };
            one.week_count = one.week_count.saturating_add(1);
            one.day_count = one.day_count.saturating_add(u64::from(finding.at >= day));
            one.newest = Some(finding.index);
        }
        true
    })?;
    Ok(tried)
}

/// Keeps a text of rules, in place of what had its name; the detector looks with it from the next round on.
pub struct SetRules {
    /// The room.
    pub room: Detect,
    /// Its name.
    pub name: String,
    /// The text.
    pub body: String,
    /// Whether its rules are looked for.
    pub enabled: bool,
    /// How often it had been changed as it was seen, empty for a new one: where that is another number by now, nothing is done.
    pub seen: Option<String>,
}

impl Operation for SetRules {
    const ACTION: Action = super::SET_RULES;
    type Output = OwnRules;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<OwnRules, Problem> {
        OwnRules::check_name(&self.name)?;
        let Self { room, name, body, enabled, seen } = self;
        let (at, by, by_name) = (permit.entry().at, permit.caller().id.clone(), permit.caller().name.clone());
        let read = |reader: &mut Reader<'_>| Ok((store::own_mark(reader)?, store::own_rules(reader)?));
        let (mark, mut others) = room.db.read(&permit, read).await?;
        let before = others.iter().position(|one| one.name == name).map(|at| others.remove(at));
        let change_count = before.as_ref().map_or(0, |before| before.change_count);
        let known = before.map(|before| before.change_count.to_string()).unwrap_or_default();
        if seen.is_some_and(|seen| seen != known) {
            return Err(changed_meanwhile(&name));
        }
        if known.is_empty() && others.len() >= OWN_COUNT_MAX {
            return Err(Problem::new(Kind::TooMany, format!("a server has at most {OWN_COUNT_MAX} texts of rules; delete one")));
        }
        let config = room.config.clone();
        let check = move || RuleSet::try_own(config.rules.as_deref(), &config.disabled, &others, &body).map(|_| body);
        let checked = tokio::task::spawn_blocking(check).await;
        let body = checked
            .map_err(|broken| Problem::internal("the rules could not be read; this is a fault of the server", broken))??;
        let write = room.db.write(&permit, move |writer: &mut Writer<'_>| {
            // What was read is what it was checked beside.
            if store::own_mark(writer)? != mark {
                return Err(changed_meanwhile(&name));
            }
            let own = OwnRules {
                name,
                body,
                enabled,
                changed_at: at,
                changed_by: by,
                changed_by_name: Some(by_name),
                change_count: change_count.saturating_add(1),
            };
            store::put_own(writer, &own)?;
            let outcome = Outcome::done()
                .with("name_sha256", hex(&sha256(own.name.as_bytes())))
                .with("body_sha256", hex(&sha256(own.body.as_bytes())))
                .with("enabled", i64::from(own.enabled));
            Ok((own, outcome))
        });
        write.await
    }
}

fn changed_meanwhile(name: &str) -> Problem {
    Problem::new(Kind::Conflict, format!("`{name}` was changed since you looked at it, so nothing was done; look at it again"))
}

/// Deletes a text of rules.
pub struct DeleteRules {
    /// The room.
    pub room: Detect,
    /// Its name.
    pub name: String,
}

impl Operation for DeleteRules {
    const ACTION: Action = super::DELETE_RULES;
    type Output = ();

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let name = own_name(self.name)?;
        let write = self.room.db.write(&permit, move |writer: &mut Writer<'_>| {
            if store::delete_own(writer, &name)? == 0 {
                return Err(no_rules());
            }
            Ok(((), Outcome::done().with("name_sha256", hex(&sha256(name.as_bytes())))))
        });
        write.await
    }
}

/// Shows a text of rules.
pub struct GetOwnRules {
    /// The room.
    pub room: Detect,
    /// Its name.
    pub name: String,
}

impl Operation for GetOwnRules {
    const ACTION: Action = super::RULES;
    type Output = OwnRules;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<OwnRules, Problem> {
        let name = own_name(self.name)?;
        let found = self.room.db.read(&permit, move |reader: &mut Reader<'_>| Ok(store::own_rule(reader, &name)?)).await?;
        found.ok_or_else(no_rules)
    }
}

/// A name that rules may have here: others were never given.
fn own_name(name: String) -> Result<String, Problem> {
    OwnRules::check_name(&name).map(|()| name).map_err(|_| no_rules())
}

fn no_rules() -> Problem {
    Problem::not_found("no rules of that name were written on this server; `strongroom detections own` shows those that were")
}
