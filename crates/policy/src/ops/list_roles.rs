//! The roles and what each may do.

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use crate::policy::Policy;
use crate::roles::Role;

/// Lists all roles with their verbs.
#[derive(Clone)]
pub struct ListRoles {
    /// The room.
    pub room: Policy,
}

impl Operation for ListRoles {
    const ACTION: Action = super::ROLES_LIST;
    type Output = Vec<Role>;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, _permit: Permit<Self>) -> Result<Vec<Role>, Problem> {
        Ok(self.room.roles())
    }
}
