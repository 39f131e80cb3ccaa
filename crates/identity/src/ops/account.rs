//! The caller's own account.

use gate::{Action, CallerKind, Operation, Permit, Target};
use kernel::Problem;

use crate::types::Me;
use crate::{Identity, store};

/// The verb of [`GetMe`].
pub const ACCOUNT_ME: Action = Action::read("account.me");

/// Tells the caller who it is taken for.
pub struct GetMe {
    /// The room.
    pub room: Identity,
}

impl Operation for GetMe {
    const ACTION: Action = ACCOUNT_ME;
    type Output = Me;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<Me, Problem> {
        let caller = permit.caller().clone();
        let read = self.room.db.read_point(&permit, move |reader| {
            let shown = caller.groups.len().min(store::NAMES_BY_IDS_COUNT_MAX);
            let groups = store::principals_by_ids(reader, caller.groups.get(..shown).unwrap_or_default())?;
            let has_password = caller.kind == CallerKind::User && store::password_hash(reader, &caller.id)?.is_some();
            Ok(Me {
                kind: caller.kind.word(),
                id: caller.id,
                name: caller.name,
                groups,
                token: caller.token,
                assurance: caller.assurance,
                method: caller.proof.map(|proof| proof.method),
                has_password,
            })
        });
        read.await
    }
}
