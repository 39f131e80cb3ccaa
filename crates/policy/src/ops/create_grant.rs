//! Gives a role.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Micros, Problem, random_id};

use crate::escalate::{Gift, may_give};
use crate::policy::Policy;
use crate::store;
use crate::types::{Grant, On, Principal, Resource};

/// A justification's length.
pub const JUSTIFICATION_BYTES_MAX: usize = 1_000;
/// Live grants on one server: all of them are kept in memory.
const GRANT_COUNT_MAX: usize = 500_000;

/// Gives `principal` the role `role` on `on`.
#[derive(Clone)]
pub struct CreateGrant {
    /// The room.
    pub room: Policy,
    /// Who gets it: an id or a name.
    pub principal: String,
    /// The role's name.
    pub role: String,
    /// On what.
    pub on: On,
    /// From when on it counts no more.
    pub expires_at: Option<Micros>,
    /// Why.
    pub justification: String,
}

impl Operation for CreateGrant {
    const ACTION: Action = super::GRANTS_CREATE;
    type Output = Grant;

    fn target(&self) -> Target {
        self.on.target()
    }

    async fn run(self, permit: Permit<Self>) -> Result<Grant, Problem> {
        let resource = self.on.resource(permit.facts())?;
        let now = permit.entry().at;
        self.check_input(&resource, now)?;
        let (directory, name, giver) = (self.room.directory(), self.principal.clone(), permit.caller().id.clone());
        let look = move |reader: &mut vault::db::Reader<'_>| {
            let services = directory.find_services(reader, &giver)?;
            Ok((directory.find(reader, &name)?, services))
        };
        let (found, services) = self.room.db().read_point(&permit, look).await?;
        let receiver = found
            .filter(|principal| !principal.disabled)
            .ok_or_else(|| Problem::not_found(format!("there is no active user, group or service `{}`", self.principal)))?;
        let grant = self.grant(&permit, receiver.clone(), resource, now);
        self.room.with_judge(|judge, _| {
            let gift = Gift {
                giver: permit.caller(),
                receiver: &receiver,
                services: &services,
                role: &self.role,
                resource: &grant.resource,
                workspace: grant.workspace.as_deref(),
                expires_at: self.expires_at,
                now,
            };
            may_give(judge, gift)
        })?;
        let room = self.room.clone();
        let made = room
            .db()
            .write(&permit, move |tx| {
                if !store::insert(tx, &grant, now)? {
                    return Err(Problem::already_exists(format!(
                        "the principal has the role `{}` there already; revoke that grant first to change it",
                        grant.role
                    )));
                }
                let outcome = Outcome::done()
                    .resource(&grant.id)
                    .with("principal", grant.principal.as_str())
                    .with("role", grant.role.as_str())
                    .with("on", grant.resource.kind())
                    .with("on_id", grant.resource.id());
                Ok((grant, outcome))
            })
            .await?;
        self.room.changed().await;
        Ok(made)
    }
}

impl CreateGrant {
    pub(super) fn check_input(&self, resource: &Resource, now: Micros) -> Result<(), Problem> {
        check_role(&self.room, &self.role, resource)?;
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(Problem::invalid("the expiry must lie in the future"));
        }
        if self.justification.len() > JUSTIFICATION_BYTES_MAX {
            return Err(Problem::invalid(format!("the justification is longer than {JUSTIFICATION_BYTES_MAX} bytes")));
        }
        if self.room.grant_count() >= GRANT_COUNT_MAX {
            return Err(Problem::new(
                kernel::Kind::TooLarge,
                format!("there are {GRANT_COUNT_MAX} grants already; give roles to groups, and revoke what is not used"),
            ));
        }
        Ok(())
    }

    fn grant(&self, permit: &Permit<Self>, receiver: Principal, resource: Resource, now: Micros) -> Grant {
        let workspace = match &resource {
            Resource::Server => None,
            Resource::Workspace(id) => Some(id.clone()),
            Resource::Experiment(_) | Resource::RegisteredModel(_) | Resource::Dataset(_) => permit.facts().workspace.clone(),
        };
        Grant {
            id: format!("g_{}", random_id()),
            principal: receiver.id,
            principal_kind: receiver.kind,
            role: self.role.clone(),
            resource,
            workspace,
            created_by: permit.caller().id.clone(),
            created_at: now,
            expires_at: self.expires_at,
            justification: self.justification.clone(),
        }
    }
}

/// Whether there is such a role, and it can be given on such a thing.
pub(super) fn check_role(room: &Policy, wanted: &str, resource: &Resource) -> Result<(), Problem> {
    let roles = &room.engine().roles;
    let Some(role) = roles.get(wanted) else {
        let names: Vec<&str> = roles.keys().map(String::as_str).collect();
        return Err(Problem::invalid(format!("there is no role `{wanted}`; there are {}", names.join(", "))));
    };
    if !role.on.iter().any(|kind| kind == resource.kind()) {
        let message = format!("the role `{wanted}` cannot be given on a {}, only on: {}", resource.kind(), role.on.join(", "));
        return Err(Problem::invalid(message));
    }
    Ok(())
}
