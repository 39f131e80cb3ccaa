//! Code that somebody else's training runs: it reads all that they may, and the version that comes of it is theirs.

use std::collections::BTreeMap;
use std::ops::Deref;

use super::{Goal, Place, Search, Step};
use crate::review::{EndpointRow, Someone, Spot, Use};
use crate::types::{Grant, Resource};

/// Callers that are remembered for each goal: nobody gains by training of their own, so two will do.
const CALLER_COUNT_MAX: usize = 2;

/// What training lets code come to: by workspace, each goal with the uses that show it.
pub(super) type Trained<'a> = BTreeMap<&'a str, BTreeMap<Goal, Vec<&'a Use>>>;

impl<'a> Search<'a> {
    /// What all training that there was in this time lets code come to.
    pub(super) fn look_at_training(&self) -> Trained<'a> {
        let world = self.world;
        let mut trained = Trained::new();
        for runs in world.uses.iter().filter(|one| one.verb == "retraining.submit") {
            let Some(by) = world.people.get(&runs.caller).filter(|by| !by.disabled) else { continue };
            let goals = trained.entry(runs.workspace.as_str()).or_default();
            for goal in self.opened_to_code(by, runs) {
                let known = goals.entry(goal).or_default();
                if known.len() < CALLER_COUNT_MAX && known.iter().all(|one| one.caller != runs.caller) {
                    known.push(runs);
                }
            }
        }
        trained
    }

    fn opened_to_code(&self, by: &Someone, runs: &Use) -> Vec<Goal> {
        let mut goals = Vec::new();
        if self.may(by, &["datasets.read"], &self.spot_of(&runs.workspace)).is_some() {
            goals.push(Goal::Data(runs.workspace.clone()));
        }
        for grant in self.grants_of(by).filter(|grant| self.decider.has_verbs(&grant.role, &["datasets.read"])) {
            let is_here = grant.resource == Resource::Server || grant.workspace.as_ref() == Some(&runs.workspace);
            if is_here && self.decider.is_apart(&grant.role) {
                goals.push(Goal::Role(grant.role.clone(), Place::of(grant)));
            } else if is_here && matches!(grant.resource, Resource::Dataset(_)) {
                goals.push(Goal::Part(grant.role.clone(), Place::of(grant), vec!["datasets.read".to_owned()]));
            }
        }
        let is_of = |model: &str| runs.place.strip_prefix("registered_model:") == Some(model);
        let answers = self.world.endpoints.iter().filter(|one| one.workspace == runs.workspace && is_of(&one.model));
        goals.extend(answers.map(|endpoint| Goal::Answers(endpoint.name.clone())));
        goals
    }

    /// What somebody comes to who writes such code.
    pub(super) fn by_code(&self, who: &Someone, found: &mut Vec<(Goal, Step, bool)>) {
        for (id, goals) in &self.trained {
            let Some((place, writes)) = self.writes_code(who, id) else { continue };
            for (goal, trainings) in goals {
                let Some(runs) = trainings.iter().find(|one| one.caller != who.id) else { continue };
                let (decides, what) = match goal {
                    Goal::Answers(name) => (self.only_decides(who, id, name), "; the first then puts to work what comes of it"),
                    _ => (Some(Vec::new()), " with access to data"),
                };
                let Some(decides) = decides else { continue };
                let (writer, other) = (&who.name, self.world.name(&runs.caller));
                let words =
                    format!("`{writer}` writes files of {}, and `{other}` trains models from such files{what}", place.words);
                let used = format!("{other} used {} on {}", runs.grant, runs.last_at.rfc3339());
                let evidence = writes.iter().cloned().chain(decides).chain([used]).collect();
                found.push((goal.clone(), Step { how: "code_that_another_runs", words, evidence }, false));
            }
        }
    }

    /// Where somebody writes code that training may take, and by which grants. Code lies in the files of runs: of the workspace, or of an
    /// experiment.
    fn writes_code(&self, who: &Someone, workspace: &str) -> Option<(Spot, Vec<String>)> {
        // A token may be narrowed to any of them.
        let all = who.token.iter().flat_map(|_| self.world.grants.iter().map(Deref::deref));
        let is_here =
            |grant: &&Grant| grant.workspace.as_deref() == Some(workspace) && matches!(grant.resource, Resource::Experiment(_));
        let experiments = self.grants_of(who).chain(all).filter(is_here);
        let experiments = experiments.map(|grant| Spot::of(&grant.resource, Some(workspace)));
        let mut places = std::iter::once(self.spot_of(workspace)).chain(experiments);
        places.find_map(|place| self.may(who, &["artifacts.write"], &place).map(|grants| (place, grants)))
    }

    /// The grants by which somebody decides what an endpoint answers with, who makes no version of its model.
    fn only_decides(&self, who: &Someone, workspace: &str, name: &str) -> Option<Vec<String>> {
        let mut own = self.world.endpoints.iter().filter(|one| one.workspace == workspace && one.name == name);
        own.find_map(|endpoint| self.only_decides_on(who, endpoint))
    }

    fn only_decides_on(&self, who: &Someone, endpoint: &EndpointRow) -> Option<Vec<String>> {
        let spot = Spot::of(&Resource::RegisteredModel(endpoint.model.clone()), Some(&endpoint.workspace));
        if self.may(who, &["versions.create"], &spot).is_some() {
            return None;
        }
        let moves = self.may(who, &["models.alias"], &spot).filter(|_| endpoint.choice.starts_with('@'));
        let mut evidence = moves.or_else(|| self.may(who, &["endpoints.update"], &spot))?;
        evidence.push(format!("endpoint {} answers with {}", endpoint.name, endpoint.choice));
        Some(evidence)
    }
}
