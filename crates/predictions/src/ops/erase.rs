//! `predictions.erase`: what was kept of a subject opens no more.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use crate::{Predictions, store};

/// Erases what was kept of a subject: its key goes, and with it what was sealed under it, wherever that lies.
pub struct EraseSubject {
    /// The room.
    pub room: Predictions,
    /// The subject, as clients name it.
    pub subject: String,
}

/// What was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    /// The random id that stood for the subject in predictions. It stands for nobody now.
    pub subject_id: String,
}

impl Operation for EraseSubject {
    const ACTION: Action = super::ERASE;
    type Output = Erased;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Erased, Problem> {
        let workspace = permit.workspace()?.to_owned();
        let tag = self.room.0.subjects.tag(&workspace, &self.subject);
        // Before and after: a request that runs meanwhile reads the row, or finds that it is gone.
        self.room.0.subjects.forget(&tag);
        let write = move |writer: &mut vault::db::Writer<'_>| {
            let unknown = || Problem::not_found("nothing is kept under the key of such a subject in this workspace");
            let row = store::subject_by_tag(writer, &workspace, &tag)?.ok_or_else(unknown)?;
            store::delete_subject(writer, &row.id)?;
            Ok((Erased { subject_id: row.id.clone() }, Outcome::done().resource(row.id)))
        };
        let erased = self.room.db().write(&permit, write).await;
        self.room.0.subjects.forget(&tag);
        erased
    }
}
