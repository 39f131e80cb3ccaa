//! Workspaces: create, list, get.

use gate::{Action, Operation, Outcome, Permit, Scope, Target};
use kernel::Problem;

use crate::types::{Name, Page, PageWish, Workspace};
use crate::{Identity, store};

/// The verb of [`CreateWorkspace`].
pub const WORKSPACES_CREATE: Action = Action::write("workspaces.create");
/// The verb of [`ListWorkspaces`].
pub const WORKSPACES_LIST: Action = Action::read("workspaces.list");
/// The verb of [`GetWorkspace`].
pub const WORKSPACES_GET: Action = Action::read("workspaces.get");

/// Makes a workspace.
pub struct CreateWorkspace {
    /// The room.
    pub room: Identity,
    /// Its name.
    pub name: Name,
}

impl Operation for CreateWorkspace {
    const ACTION: Action = WORKSPACES_CREATE;
    type Output = Workspace;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Workspace, Problem> {
        let (at, by) = (permit.entry().at, permit.caller().id.clone());
        let write = self.room.db.write(&permit, move |tx| {
            let made = store::create_workspace(tx, &self.name, &by, at)?;
            let outcome = Outcome::done().resource(made.id.clone());
            Ok((made, outcome))
        });
        write.await
    }
}

/// Lists workspaces by name: those of the policy's scope, and no others than the caller's token is narrowed to.
pub struct ListWorkspaces {
    /// The room.
    pub room: Identity,
    /// Which page.
    pub page: PageWish,
}

impl Operation for ListWorkspaces {
    const ACTION: Action = WORKSPACES_LIST;
    type Output = Page<Workspace>;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Page<Workspace>, Problem> {
        let narrowed = permit.caller().token.as_ref().and_then(|token| token.workspace.clone());
        let only = match (permit.scope(), narrowed) {
            (Scope::Workspace, None) => None,
            (Scope::Workspaces(ids), None) => Some(ids.clone()),
            (Scope::Workspaces(ids), Some(narrowed)) => Some(ids.iter().filter(|id| **id == narrowed).cloned().collect()),
            (_, Some(narrowed)) => Some(vec![narrowed]),
            (Scope::Nothing | Scope::Only { .. } | Scope::Datasets(_), None) => Some(Vec::new()),
        };
        self.room.db.read(&permit, move |reader| Ok(store::list_workspaces(reader, only.as_deref(), &self.page)?)).await
    }
}

/// Looks the workspace up that the attempt named.
pub struct GetWorkspace {
    /// The room.
    pub room: Identity,
    /// Where a request names it a second time, in its path: it must be the same one.
    pub name: Option<String>,
}

impl Operation for GetWorkspace {
    const ACTION: Action = WORKSPACES_GET;
    type Output = Workspace;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Workspace, Problem> {
        let id = permit.workspace()?.to_owned();
        let found = self.room.db.read_point(&permit, move |reader| Ok(store::workspace(reader, &id)?)).await?;
        let same = |workspace: &Workspace| self.name.as_ref().is_none_or(|name| workspace.name.eq_ignore_ascii_case(name));
        found.filter(same).ok_or_else(|| {
            Problem::not_found(
                "there is no such workspace, or the header X-MLFLOW-WORKSPACE names another one; name it there too",
            )
        })
    }
}
