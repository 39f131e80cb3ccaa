//! `signers.*`: whose signatures on models count in a workspace.

use gate::{Action, Operation, Outcome, Permit, Scope, Target};
use kernel::{Problem, hex};

use crate::Admission;
use crate::limits::REVOKED_COUNT_MAX;
use crate::signers::{Signers, SignersSet};
use crate::store::{inspections, signers};

/// Shows whose signatures count.
pub struct GetSigners {
    /// The room.
    pub room: Admission,
}

impl Operation for GetSigners {
    const ACTION: Action = super::SIGNERS_GET;
    type Output = Option<SignersSet>;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Option<SignersSet>, Problem> {
        if *permit.scope() != Scope::Workspace {
            return Err(Problem::forbidden("signers are the workspace's; a grant on one model does not show them"));
        }
        let workspace = permit.workspace()?.to_owned();
        self.room.db().read(&permit, move |reader| Ok(signers::last(reader, &workspace)?)).await
    }
}

/// Sets whose signatures count from now on. Versions that were judged already stay as they are until they are inspected again; where a
/// key or certificate is newly revoked, the admitted ones are, because what it signed may be anybody's.
pub struct SetSigners {
    /// The room.
    pub room: Admission,
    /// Whose.
    pub signers: Signers,
}

impl Operation for SetSigners {
    const ACTION: Action = super::SIGNERS_SET;
    type Output = SignersSet;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<SignersSet, Problem> {
        // What cannot be read now would refuse every model later.
        self.signers.trust()?;
        let (workspace, signers) = (permit.workspace()?.to_owned(), self.signers);
        let (at, caller) = (permit.entry().at, permit.caller().id.clone());
        let set = self.room.db().write(&permit, move |writer| {
            let known = signers::last(writer, &workspace)?.map(|last| last.signers.revoked).unwrap_or_default();
            let revokes = signers.revoked.iter().any(|digest| !known.contains(digest));
            let set = signers::set(writer, &workspace, signers, (at, caller.clone()))?;
            let again = if revokes { inspections::admitted(writer, &workspace, REVOKED_COUNT_MAX)? } else { Vec::new() };
            for subject in &again {
                inspections::queue(writer, subject, &workspace, &caller, at)?;
            }
            let outcome = Outcome::done().with("signers_sha256", hex(&set.sha256)).with("number", set.number);
            Ok((set, outcome.with("inspected_again", again.len())))
        });
        let set = set.await?;
        self.room.0.queued.notify_one();
        Ok(set)
    }
}
