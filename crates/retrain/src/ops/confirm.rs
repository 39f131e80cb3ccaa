//! `retraining.confirm`: what a job's run was made of and what came of it, once its program has ended well.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;
use lineage::Trust;
use lineage::record::{self, Execution, Scene};

use crate::store::origin;
use crate::types::conflict;
use crate::{Job, Retrain};

/// How a training token's reading is called in the lineage.
const TRAINING: &str = "training";

/// Writes the lineage of a job's run down.
pub struct ConfirmOrigin {
    /// The room.
    pub room: Retrain,
    /// The job.
    pub job: Job,
    /// Its run.
    pub run_id: String,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// The logged model to register.
    pub logged_model: String,
    /// Whether the program read the data that it was given.
    pub read_data: bool,
}

impl Operation for ConfirmOrigin {
    const ACTION: Action = super::CONFIRM;
    type Output = Confirmed;

    fn target(&self) -> Target {
        Target::ModelVersion(self.job.spec.model.clone(), self.job.spec.version.to_string())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Confirmed, Problem> {
        let (job, run_id) = (self.job, self.run_id);
        let scene = Scene::of(&permit)?.asked_by(&job.asked_by);
        let confirmed = self.room.db().write(&permit, move |writer| {
            let models = origin::logged_models(writer, &run_id)?;
            let before = origin::logged_name(writer, &job.model_id, job.spec.version)?;
            let logged_model = chosen(&models, before.as_deref())?;
            let (dataset, number) = (job.spec.data.dataset.as_str(), job.spec.data.version);
            // The reading itself was seen when it happened, with this run's name; without it the run did not train on the data.
            let read = Some((run_id.as_str(), Trust::Observed));
            let read_data = record::is_data_read_known(writer, &scene, dataset, number, read, TRAINING)?;
            let ids: Vec<String> = models.into_iter().map(|(id, _)| id).collect();
            let done = Execution {
                run_id: &run_id,
                code_sha256: &job.spec.code.manifest_sha256,
                data: read_data.then_some((dataset, number)),
                logged_models: &ids,
            };
            record::run_executed(writer, &scene, &done)?;
            let outcome = Outcome::done()
                .resource(job.id.clone())
                .with("run", run_id.clone())
                .with("read_data", if read_data { "yes" } else { "no" });
            Ok((Confirmed { logged_model, read_data }, outcome))
        });
        confirmed.await
    }
}

/// The model to register: the only one, or the one that is called what the version's own was.
fn chosen(models: &[(String, String)], before: Option<&str>) -> Result<String, Problem> {
    let named: Vec<&String> = models.iter().filter(|(_, name)| Some(name.as_str()) == before).map(|(id, _)| id).collect();
    match (models, named.as_slice()) {
        ([], _) => Err(conflict("it ended well, and logged no model (`mlflow.….log_model`), so there is nothing to register")),
        ([(only, _)], _) => Ok(only.clone()),
        (_, [one]) => Ok((*one).clone()),
        _ => Err(conflict(
            "it logged several models, and it is not clear which one to register: give one of them the name that the version's had",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_to_register_is_never_guessed() {
        let models = |names: &[&str]| -> Vec<(String, String)> {
            names.iter().enumerate().map(|(at, name)| (format!("m-{at}"), (*name).to_owned())).collect()
        };
        assert_eq!(chosen(&models(&["a"]), Some("b")).unwrap(), "m-0");
        assert_eq!(chosen(&models(&["a", "b"]), Some("b")).unwrap(), "m-1");
        assert!(chosen(&models(&["a", "b"]), Some("c")).is_err());
        assert!(chosen(&models(&["a", "a"]), Some("a")).is_err());
        assert!(chosen(&models(&["a", "b"]), None).is_err());
        assert!(chosen(&[], None).is_err());
    }
}
