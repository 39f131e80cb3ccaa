//! The rollup of what grants are used for: which grant let which verb of whom pass, where, by the day. Least-privilege review reads it.

use std::collections::BTreeMap;

use audit::RecordView;
use kernel::Problem;
use vault::db::{Bind, Writer};

const DAY_US: i64 = 86_400_000_000;
/// Different uses that wait to be written down; more are left for the next batch.
pub(crate) const USE_COUNT_MAX: usize = 20_000;

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    grant: String,
    verb: String,
    target: String,
    resource: String,
    workspace: String,
    caller: String,
    day: i64,
}

/// A use, with how often and when last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    key: Key,
    count: i64,
    last_at: i64,
}

/// Uses that wait.
#[derive(Debug, Default)]
pub(crate) struct Uses(BTreeMap<Key, (i64, i64)>);

impl Uses {
    /// Counts the grants that let an intent pass.
    pub(crate) fn take(&mut self, record: &[u8]) {
        // Most records are outcomes, which name no reasons.
        let Some(view) = RecordView::parse(record).filter(|view| view.kind == "intent" && view.caller.kind != "job") else {
            return;
        };
        for grant in view.reasons.iter().filter(|reason| reason.starts_with("g_")) {
            let key = Key {
                grant: grant.clone(),
                verb: view.action.as_ref().to_owned(),
                target: view.target.as_ref().to_owned(),
                resource: view.resource.as_deref().unwrap_or_default().to_owned(),
                workspace: view.workspace.as_deref().unwrap_or_default().to_owned(),
                caller: view.caller.id.as_ref().to_owned(),
                day: view.at.div_euclid(DAY_US),
            };
            let (count, last_at) = self.0.entry(key).or_default();
            *count += 1;
            *last_at = (*last_at).max(view.at);
        }
    }

    /// Whether it is time to write them down.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= USE_COUNT_MAX
    }

    /// All of them.
    pub(crate) fn take_all(&mut self) -> Vec<Use> {
        let all = std::mem::take(&mut self.0);
        all.into_iter().map(|(key, (count, last_at))| Use { key, count, last_at }).collect()
    }
}

/// Writes uses down. A run, logged model or trace counts as its experiment, which is what grants are on; what is gone by now as its
/// workspace.
pub(crate) fn write(writer: &mut Writer<'_>, uses: &[Use]) -> Result<(), Problem> {
    let mut experiments: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut rows: BTreeMap<(String, String, String, String, i64), (i64, i64)> = BTreeMap::new();
    for one in uses {
        let Key { grant, verb, target, resource, workspace, caller, day } = &one.key;
        let place = match target.as_str() {
            "run" | "logged_model" | "trace" => {
                let key = (target.clone(), resource.clone());
                if !experiments.contains_key(&key) {
                    let place = experiment_of(writer, target, resource)?.unwrap_or_else(|| format!("workspace:{workspace}"));
                    experiments.insert(key.clone(), place);
                }
                experiments.get(&key).cloned().unwrap_or_default()
            }
            "workspace" | "evaluation_dataset" | "bucket" => format!("workspace:{workspace}"),
            "server" | "audit_log" | "myself" => target.clone(),
            _ if resource.is_empty() => format!("workspace:{workspace}"),
            _ => format!("{target}:{resource}"),
        };
        let sum = rows.entry((grant.clone(), verb.clone(), place, caller.clone(), *day)).or_default();
        sum.0 += one.count;
        sum.1 = sum.1.max(one.last_at);
    }
    let binds = rows.iter().map(|((grant, verb, place, caller, day), (count, last_at))| {
        vec![
            Bind::Text(grant),
            Bind::Text(verb),
            Bind::Text(place),
            Bind::Int(*day),
            Bind::Text(caller),
            Bind::Int(*count),
            Bind::Int(*last_at),
        ]
    });
    writer.execute_many(
        "INSERT INTO grant_use (grant_id, verb, place, day, caller, use_count, last_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (grant_id, verb, place, caller, day) DO UPDATE SET use_count = grant_use.use_count + excluded.use_count,
             last_at = excluded.last_at",
        binds,
    )?;
    Ok(())
}

fn experiment_of(writer: &mut Writer<'_>, target: &str, id: &str) -> Result<Option<String>, Problem> {
    let sql = match target {
        "run" => "SELECT experiment_id FROM run WHERE run_id = $1",
        "logged_model" => "SELECT experiment_id FROM logged_model WHERE model_id = $1",
        _ => "SELECT experiment_id FROM trace WHERE trace_id = $1",
    };
    let found = writer.query_one(sql, &[id.into()], |row| row.int(0))?;
    Ok(found.map(|experiment| format!("experiment:{experiment}")))
}
