//! Rows change, and the objects that they name follow.

use gate::{Outcome, Permit};
use kernel::{Kind, Problem};

use super::{ObjectId, Objects, small};
use crate::db::{Db, Writer};

impl Objects {
    /// Commits `work`, which gives the objects that no row names any more: they go, small ones in the same commit. Where it is refused, the
    /// objects `new` go, which it was to give a row.
    ///
    /// # Errors
    /// As [`Db::write`]. What of the objects cannot be taken away is left to the sweep: the change itself is done.
    pub async fn commit<O, T, F>(&self, db: &Db, permit: &Permit<O>, new: Vec<ObjectId>, work: F) -> Result<T, Problem>
    where
        O: ?Sized,
        T: Send + 'static,
        F: FnOnce(&mut Writer<'_>) -> Result<((T, Vec<ObjectId>), Outcome), Problem> + Send + 'static,
    {
        let committed = db.write(permit, move |writer| {
            let ((value, old), outcome) = work(writer)?;
            let stored = small::forget(writer, old)?;
            Ok(((value, stored), outcome))
        });
        match committed.await {
            Ok((value, old)) => {
                self.drop_unnamed(permit, old).await;
                Ok(value)
            }
            Err(problem) => {
                // Where the commit itself failed it may have happened all the same: then the sweep decides, which sees the rows.
                if problem.kind() != Kind::Unavailable {
                    self.drop_unnamed(permit, new).await;
                }
                Err(problem)
            }
        }
    }

    /// Takes objects away that no row names: new ones that are not wanted after all. What fails here is left to the sweep.
    pub async fn drop_unnamed<O: ?Sized>(&self, permit: &Permit<O>, ids: Vec<ObjectId>) {
        let count = ids.len();
        if count > 0
            && let Err(problem) = self.delete(permit, ids).await
        {
            tracing::warn!(%problem, count, "objects that nothing names could not be taken away; the next sweep does it");
        }
    }
}
