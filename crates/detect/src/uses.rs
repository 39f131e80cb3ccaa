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

/// Writes uses down. What lies in an experiment, model or data set counts as that, which is what grants are on; what is gone by now as
/// its workspace.
pub(crate) fn write(writer: &mut Writer<'_>, uses: &[Use]) -> Result<(), Problem> {
    let mut places: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut rows: BTreeMap<[String; 5], BTreeMap<i64, (i64, i64)>> = BTreeMap::new();
    for one in uses {
        let Key { grant, verb, target, resource, workspace, caller, day } = &one.key;
        let key = (target.clone(), format!("{resource}\n{workspace}"));
        if !places.contains_key(&key) {
            places.insert(key.clone(), place_of(writer, target, resource, workspace)?);
        }
        let place = places.get(&key).cloned().unwrap_or_default();
        let row = rows.entry([grant.clone(), verb.clone(), place, workspace.clone(), caller.clone()]).or_default();
        let sum = row.entry(*day).or_default();
        sum.0 += one.count;
        sum.1 = sum.1.max(one.last_at);
    }
    let binds = rows.iter().flat_map(|([grant, verb, place, workspace, caller], days)| {
        days.iter().map(move |(day, (count, last_at))| {
            vec![
                Bind::Text(grant),
                Bind::Text(verb),
                Bind::Text(place),
                Bind::Text(workspace),
                Bind::Int(*day),
                Bind::Text(caller),
                Bind::Int(*count),
                Bind::Int(*last_at),
            ]
        })
    });
    writer.execute_many(
        "INSERT INTO grant_use (grant_id, verb, place, workspace, day, caller, use_count, last_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (grant_id, verb, place, caller, day) DO UPDATE SET use_count = grant_use.use_count + excluded.use_count,
             last_at = excluded.last_at",
        binds,
    )?;
    Ok(())
}

/// What a grant would have to be on: `experiment:7`, `registered_model:…`, `dataset:…`, `workspace:…`, `server`, ….
fn place_of(writer: &mut Writer<'_>, target: &str, id: &str, workspace: &str) -> Result<String, Problem> {
    let (kind, sql) = match target {
        "server" | "audit_log" | "myself" => return Ok(target.to_owned()),
        "experiment" | "registered_model" | "dataset" if !id.is_empty() => return Ok(format!("{target}:{id}")),
        "model_version" if id.contains('/') => {
            let model = id.split('/').next().unwrap_or_default();
            return Ok(format!("registered_model:{model}"));
        }
        "run" => ("experiment", "SELECT CAST(experiment_id AS TEXT) FROM run WHERE run_id = $1"),
        "logged_model" => ("experiment", "SELECT CAST(experiment_id AS TEXT) FROM logged_model WHERE model_id = $1"),
        "trace" => ("experiment", "SELECT CAST(experiment_id AS TEXT) FROM trace WHERE trace_id = $1"),
        "endpoint" => ("registered_model", "SELECT model_id FROM endpoint WHERE endpoint_id = $1"),
        "dataset_version" => ("dataset", "SELECT dataset_id FROM data_version WHERE version_id = $1"),
        _ => return Ok(format!("workspace:{workspace}")),
    };
    let found = if id.is_empty() { None } else { writer.query_one(sql, &[id.into()], |row| row.text(0))? };
    Ok(found.map_or_else(|| format!("workspace:{workspace}"), |found| format!("{kind}:{found}")))
}
