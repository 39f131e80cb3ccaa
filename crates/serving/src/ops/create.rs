//! `endpoints.create`.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem, random_id};
use lineage::record::Scene;

use crate::engine::Runtime;
use crate::limits::ENDPOINT_COUNT_MAX;
use crate::types::{Choice, Endpoint, EndpointName, no_endpoint};
use crate::{Serving, load, store};

/// Makes an endpoint that answers with a version of a model. The version must be admitted.
pub struct CreateEndpoint {
    /// The room.
    pub room: Serving,
    /// The endpoint's name.
    pub name: String,
    /// The model's name.
    pub model: String,
    /// Which version: a number, or `@alias`.
    pub choice: String,
    /// What computes.
    pub runtime: Runtime,
}

impl Operation for CreateEndpoint {
    const ACTION: Action = super::CREATE;
    type Output = Endpoint;

    /// Who makes an endpoint acts on the model: its version is handed to whoever may ask.
    fn target(&self) -> Target {
        Target::RegisteredModel(self.model.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Endpoint, Problem> {
        let name = EndpointName::parse(&self.name)?.as_str().to_owned();
        let choice = Choice::parse(&self.choice)?;
        let facts = permit.facts();
        let model_id = facts.model.clone().filter(|_| facts.exists);
        let model_id = model_id.ok_or_else(|| Problem::not_found("there is no such registered model here"))?;
        let (at, by, name_of_caller) = (permit.entry().at, permit.caller().id.clone(), Some(permit.caller().name.clone()));
        let endpoint = Endpoint {
            id: random_id(),
            workspace: permit.workspace()?.to_owned(),
            name,
            model_id,
            model: Some(self.model),
            choice,
            runtime: self.runtime,
            previous: None,
            rollout: None,
            created_at: at,
            created_by: by.clone(),
            created_by_name: name_of_caller.clone(),
            changed_at: at,
            changed_by: by,
            changed_by_name: name_of_caller,
        };
        let (room, admission, scene) = (self.room.clone(), self.room.0.admission.clone(), Scene::of(&permit)?);
        let made = self.room.db().write(&permit, move |writer| {
            if store::count(writer, &endpoint.workspace)? >= ENDPOINT_COUNT_MAX {
                return Err(Problem::new(Kind::TooMany, format!("a workspace has at most {ENDPOINT_COUNT_MAX} endpoints")));
            }
            let workspace_name = store::workspace_name(writer, &endpoint.workspace)?.ok_or_else(no_endpoint)?;
            room.may_run(&endpoint.runtime, &workspace_name)?;
            let version = load::version_of(writer, &endpoint, &endpoint.choice)?;
            admission.servable(writer, &version)?;
            if !store::insert(writer, &endpoint)? {
                return Err(Problem::already_exists(format!("there is an endpoint `{}` already", endpoint.name)));
            }
            store::note_answers(writer, &scene, &endpoint, &version)?;
            let outcome = Outcome::done().resource(endpoint.id.clone()).with("version", version);
            Ok((endpoint, outcome))
        });
        made.await
    }
}
