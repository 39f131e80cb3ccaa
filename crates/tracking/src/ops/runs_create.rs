//! Begins a run.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Problem, random_id};
use lineage::record::{self, Scene};
use vault::db::Writer;

use crate::attribution::{self, RUN_NAME};
use crate::store::{experiments, runs};
use crate::types::{KeyValue, Run, RunData, RunInfo, RunStatus, Stage, no_experiment};
use crate::{Tracking, location, names, rules};

/// Begins a run in an experiment that is in use. It is the caller's, whatever `user_id` and the tags say.
pub struct CreateRun {
    /// The room.
    pub room: Tracking,
    /// The experiment; MLflow's clients mean `0` where they leave it empty.
    pub experiment_id: String,
    /// Whose the client says it is.
    pub user_id: Option<String>,
    /// Its name; a random one where there is none.
    pub run_name: Option<String>,
    /// When it began, in the client's words.
    pub start_time_ms: i64,
    /// Its first tags.
    pub tags: Vec<KeyValue>,
}

impl CreateRun {
    /// The name from the request or its tag, which must not differ, or a random one; and the tags with it.
    fn name(&mut self) -> Result<String, Problem> {
        let tagged =
            self.tags.iter().find(|tag| tag.key == RUN_NAME).map(|tag| tag.value.clone()).filter(|name| !name.is_empty());
        let given = self.run_name.take().filter(|name| !name.is_empty());
        let name = match (given, tagged) {
            (Some(given), Some(tagged)) if given != tagged => {
                return Err(Problem::invalid(format!(
                    "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values \
                     (run_name='{given}', mlflow.runName='{tagged}')."
                )));
            }
            (Some(name), _) | (None, Some(name)) => name,
            (None, None) => names::random_run_name(),
        };
        rules::run_name(&name)?;
        rules::no_nul("run_name", &name)?;
        self.tags.retain(|tag| tag.key != RUN_NAME);
        self.tags.push(KeyValue::new(RUN_NAME, name.as_str()));
        Ok(name)
    }
}

impl Operation for CreateRun {
    const ACTION: Action = super::RUNS_CREATE;
    type Output = Run;

    fn target(&self) -> Target {
        Target::Experiment(self.experiment_id.clone())
    }

    async fn run(mut self, permit: Permit<Self>) -> Result<Run, Problem> {
        let name = self.name()?;
        let caller = permit.caller();
        let tags = attribution::of_new_run(self.tags, self.user_id.as_deref(), &caller.name);
        let mut tags = rules::new_run_tags(tags)?;
        tags.iter().try_for_each(|tag| rules::no_nul("a tag", &tag.key).and_then(|()| rules::no_nul("a tag", &tag.value)))?;
        // As they are read back: by key, the last of those that came twice.
        tags.sort_by(|a, b| a.key.cmp(&b.key));
        tags.reverse();
        tags.dedup_by(|a, b| a.key == b.key);
        tags.reverse();
        let experiment_id = super::experiment_row(&permit, &self.experiment_id)?;
        let owner = caller.id.clone();
        let info = RunInfo {
            run_id: random_id(),
            experiment_id,
            name,
            user_name: caller.name.clone(),
            status: RunStatus::Running.word().to_owned(),
            start_time_ms: self.start_time_ms,
            end_time_ms: None,
            artifact_uri: String::new(),
            stage: Stage::Active,
        };
        let scene = Scene::of(&permit)?;
        self.room.db.write(&permit, move |tx| create(tx, info, tags, &owner, &scene)).await
    }
}

fn create(
    tx: &mut Writer<'_>,
    mut info: RunInfo,
    tags: Vec<KeyValue>,
    owner: &str,
    scene: &Scene,
) -> Result<(Run, Outcome), Problem> {
    let id = info.experiment_id;
    let (stage, place) = experiments::place(tx, id)?.ok_or_else(|| no_experiment(&id.to_string()))?;
    super::experiment_must_be_active(id, stage)?;
    info.artifact_uri = location::of_run(&place, &info.run_id);
    let row = runs::insert(tx, &info, owner)?;
    runs::put_tags(tx, row, &tags)?;
    record::run_created(tx, scene, &info.run_id)?;
    record::run_tags(tx, scene, &info.run_id, pairs(&tags))?;
    let outcome = Outcome::done().resource(info.run_id.as_str()).with("experiment", id).with("tags", tags.len());
    Ok((Run { info, data: RunData { tags, ..RunData::default() } }, outcome))
}

fn pairs(tags: &[KeyValue]) -> impl Iterator<Item = (&str, &str)> {
    tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str()))
}
