//! Deletes traces, with all that hangs on them and their files.

use artifacts::Owner;
use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use crate::store::{search, traces};
use crate::{Traces, limits, rules};

/// Which traces of an experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those of these ids.
    Ids(Vec<String>),
    /// The oldest that began until then, so many of them at most.
    Until {
        /// The latest beginning.
        max_time_ms: i64,
        /// How many.
        count: Option<i64>,
    },
}

/// Deletes traces of an experiment for good. Gives how many.
pub struct DeleteTraces {
    /// The room.
    pub room: Traces,
    /// The experiment.
    pub experiment_id: String,
    /// Which of its traces.
    pub which: Which,
}

impl Operation for DeleteTraces {
    const ACTION: Action = super::TRACES_DELETE;
    type Output = usize;

    fn target(&self) -> Target {
        Target::Experiment(self.experiment_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<usize, Problem> {
        let which = checked(self.which)?;
        let experiment = super::experiment_row(&permit, &self.experiment_id)?;
        self.room
            .db
            .write(&permit, move |tx| {
                let found = match &which {
                    Which::Ids(ids) if ids.is_empty() => Vec::new(),
                    Which::Ids(ids) => search::of_experiment(tx, experiment, ids)?,
                    Which::Until { max_time_ms, count } => {
                        let most = count.unwrap_or(limits::DELETE_COUNT_MAX).min(limits::DELETE_COUNT_MAX);
                        search::until(tx, experiment, *max_time_ms, most)?
                    }
                };
                let count = found.len();
                traces::delete(tx, &found)?;
                let mut files = 0_usize;
                for (_, trace_id) in found {
                    files += artifacts::forget(tx, &Owner::Trace(trace_id))?;
                }
                let outcome = Outcome::done().resource(experiment.to_string()).with("traces", count).with("files", files);
                Ok((count, outcome))
            })
            .await
    }
}

fn checked(which: Which) -> Result<Which, Problem> {
    match which {
        Which::Ids(ids) if ids.len() > limits::DELETE_ID_COUNT_MAX => {
            let most = limits::DELETE_ID_COUNT_MAX;
            Err(Problem::invalid(format!("at most {most} traces may be deleted by id at once, got {}", ids.len())))
        }
        Which::Ids(ids) => Ok(Which::Ids(ids.into_iter().filter(|id| rules::trace_id(id).is_ok()).collect())),
        Which::Until { count: Some(count), .. } if count <= 0 => {
            Err(Problem::invalid(format!("`max_traces` must be a positive integer, received {count}.")))
        }
        until @ Which::Until { .. } => Ok(until),
    }
}
