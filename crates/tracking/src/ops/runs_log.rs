//! Logs metrics, parameters and tags to a run.

use std::collections::HashMap;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;
use lineage::record::Scene;
use vault::db::Writer;

use crate::store::{metrics, runs};
use crate::types::{KeyValue, NewMetric, no_run};
use crate::{Tracking, rules};

/// Logs one point of a metric to a run that is in use.
pub struct LogMetric {
    /// The room.
    pub room: Tracking,
    /// The run.
    pub run_id: String,
    /// The point.
    pub metric: NewMetric,
}

impl Operation for LogMetric {
    const ACTION: Action = super::RUNS_LOG;
    type Output = ();

    fn target(&self) -> Target {
        Target::Run(self.run_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        rules::metric(&self.metric, "")?;
        let run = RunPlace::of(&permit, self.run_id)?;
        let metric = self.metric;
        self.room
            .db
            .write(&permit, move |tx| {
                run.put_metrics(tx, &[metric])?;
                Ok(((), Outcome::done().resource(run.run_id).with("metrics", 1_i64)))
            })
            .await
    }
}

/// Logs a parameter to a run that is in use. The same value again is fine; another one is refused.
pub struct LogParam {
    /// The room.
    pub room: Tracking,
    /// The run.
    pub run_id: String,
    /// The parameter.
    pub param: KeyValue,
}

impl Operation for LogParam {
    const ACTION: Action = super::RUNS_LOG;
    type Output = ();

    fn target(&self) -> Target {
        Target::Run(self.run_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let param = rules::param(self.param, "")?;
        rules::no_nul("value", &param.value)?;
        let run = RunPlace::of(&permit, self.run_id)?;
        self.room
            .db
            .write(&permit, move |tx| {
                super::active_run_user(tx, run.row, &run.run_id)?;
                match runs::param(tx, run.row, &param.key)? {
                    None => runs::put_params(tx, run.row, std::iter::once(&param))?,
                    Some(known) if known == param.value => {}
                    Some(known) => {
                        return Err(Problem::invalid(format!(
                            "Changing param values is not allowed. Param with key='{}' was already logged with value='{known}' for \
                             run ID='{}'. Attempted logging new value '{}'.",
                            param.key, run.run_id, param.value
                        )));
                    }
                }
                Ok(((), Outcome::done().resource(run.run_id).with("params", 1_i64)))
            })
            .await
    }
}

/// Logs metrics, parameters and tags to a run that is in use: all of them, or none.
pub struct LogBatch {
    /// The room.
    pub room: Tracking,
    /// The run.
    pub run_id: String,
    /// Points of metrics.
    pub metrics: Vec<NewMetric>,
    /// Parameters.
    pub params: Vec<KeyValue>,
    /// Tags.
    pub tags: Vec<KeyValue>,
}

impl Operation for LogBatch {
    const ACTION: Action = super::RUNS_LOG;
    type Output = ();

    fn target(&self) -> Target {
        Target::Run(self.run_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        rules::run_id(&self.run_id)?;
        let (params, tags) = rules::batch(&self.metrics, self.params, self.tags)?;
        params.iter().chain(&tags).try_for_each(|pair| rules::no_nul("value", &pair.value))?;
        let run = RunPlace::of(&permit, self.run_id)?;
        let metrics = self.metrics;
        let scene = Scene::of(&permit)?;
        self.room
            .db
            .write(&permit, move |tx| {
                let user = super::active_run_user(tx, run.row, &run.run_id)?;
                run.put_params(tx, &params)?;
                if !metrics.is_empty() {
                    run.put_metrics(tx, &metrics)?;
                }
                let (params, tag_count) = (params.len(), tags.len());
                super::runs_tag::put(tx, (run.row, &run.run_id), &user, tags, &scene)?;
                let outcome = Outcome::done().resource(run.run_id);
                Ok(((), outcome.with("metrics", metrics.len()).with("params", params).with("tags", tag_count)))
            })
            .await
    }
}

/// Where a run is, as the gate found it.
struct RunPlace {
    run_id: String,
    row: i64,
    experiment_id: i64,
}

impl RunPlace {
    fn of<O>(permit: &Permit<O>, run_id: String) -> Result<Self, Problem> {
        let row = super::run_row(permit, &run_id)?;
        let experiment_id = permit.facts().experiment.ok_or_else(|| no_run(&run_id))?;
        Ok(Self { run_id, row, experiment_id })
    }

    fn put_metrics(&self, tx: &mut Writer<'_>, points: &[NewMetric]) -> Result<(), Problem> {
        let Some(seq) = metrics::next_seq(tx, self.row)? else {
            super::active_run_user(tx, self.row, &self.run_id)?;
            return Err(no_run(&self.run_id));
        };
        metrics::put(tx, self.row, seq, points)?;
        if points.iter().any(|point| point.model_id.is_some()) {
            metrics::put_model_metrics(tx, self.experiment_id, &self.run_id, points)?;
        }
        Ok(())
    }

    fn put_params(&self, tx: &mut Writer<'_>, params: &[KeyValue]) -> Result<(), Problem> {
        let mut known: HashMap<&str, String> = HashMap::new();
        for param in params {
            if let Some(value) = runs::param(tx, self.row, &param.key)? {
                known.insert(&param.key, value);
            }
        }
        let changed: Vec<String> = params
            .iter()
            .filter_map(|param| Some((param, known.get(param.key.as_str()).filter(|value| **value != param.value)?)))
            .map(|(param, old)| format!("{{'key': '{}', 'old_value': '{old}', 'new_value': '{}'}}", param.key, param.value))
            .collect();
        if !changed.is_empty() {
            return Err(Problem::invalid(format!(
                "Changing param values is not allowed. Params were already logged='[{}]' for run ID='{}'.",
                changed.join(", "),
                self.run_id
            )));
        }
        Ok(runs::put_params(tx, self.row, params.iter().filter(|param| !known.contains_key(param.key.as_str())))?)
    }
}
