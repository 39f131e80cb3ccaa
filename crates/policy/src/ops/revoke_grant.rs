//! Takes a role back.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem};

use crate::policy::Policy;
use crate::store;
use crate::types::Resource;

/// Revokes the grant `id`.
#[derive(Clone)]
pub struct RevokeGrant {
    /// The room.
    pub room: Policy,
    /// The grant's id.
    pub id: String,
}

impl Operation for RevokeGrant {
    const ACTION: Action = super::GRANTS_REVOKE;
    type Output = ();

    /// What the grant is on; one on a model or data set is judged as its workspace, for the gate looks those up by name.
    fn target(&self) -> Target {
        let resource = self.room.with_judge(|_, index| index.get(&self.id).map(|grant| grant.resource.clone()));
        match resource {
            Some(Resource::Server) => Target::Server,
            Some(Resource::Experiment(id)) => Target::Experiment(id.to_string()),
            Some(Resource::Workspace(_) | Resource::RegisteredModel(_) | Resource::Dataset(_)) | None => Target::Workspace,
        }
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let found = self.room.with_judge(|_, index| index.get(&self.id).cloned());
        let missing = || Problem::not_found("there is no such grant in this workspace, or it is revoked already");
        let grant = found.ok_or_else(missing)?;
        // The grant may have been looked up as one thing and be another now: what was judged must be what is revoked.
        let judged = match &grant.resource {
            Resource::Server => permit.entry().target == gate::TargetKind::Server,
            Resource::Experiment(id) => permit.facts().experiment == Some(*id) || permit.facts().workspace == grant.workspace,
            Resource::Workspace(_) | Resource::RegisteredModel(_) | Resource::Dataset(_) => {
                permit.entry().target == gate::TargetKind::Workspace && permit.facts().workspace == grant.workspace
            }
        };
        if !judged {
            return Err(missing());
        }
        let (id, by, now) = (self.id.clone(), permit.caller().id.clone(), permit.entry().at);
        let is_office = grant.role == "administrator" && grant.resource == Resource::Server;
        self.room
            .db()
            .write(&permit, move |tx| {
                if is_office {
                    store::hold_administrators(tx, now)?;
                }
                let was_administered = is_office && store::is_administered(tx, None)?;
                if !store::revoke(tx, &id, &by, now)? {
                    return Err(Problem::not_found("there is no such grant in this workspace, or it is revoked already"));
                }
                if was_administered && !store::is_administered(tx, None)? {
                    return Err(Problem::new(
                        Kind::Conflict,
                        "nobody would administer the server any more: no other person who may come in has the role without an end, by \
                         themself or by a group; give it to one first",
                    ));
                }
                let outcome =
                    Outcome::done().resource(&id).with("principal", grant.principal.as_str()).with("role", grant.role.as_str());
                Ok(((), outcome))
            })
            .await?;
        self.room.changed().await;
        Ok(())
    }
}
