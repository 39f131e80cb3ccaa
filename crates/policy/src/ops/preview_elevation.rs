//! `grants.preview` of a role that somebody asks for: what it would newly allow, before a second person decides.

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;
use vault::db::Reader;

use super::elevate::{active, grant_of, judged_on, lies_where_judged, not_here};
use super::review::{DAYS_MIN, compared};
use crate::elevation::{Elevation, not_open, store};
use crate::policy::Policy;
use crate::review::{self, Enumeration, World};
use crate::types::{Grant, Principal};

/// Shows what a role that somebody asks for would newly allow, and gives nothing.
pub struct PreviewElevation {
    /// The room.
    pub room: Policy,
    /// Which request.
    pub id: String,
}

/// What a role for some hours would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElevationPreview {
    /// The request.
    pub elevation: Elevation,
    /// The grant, as it would be if it were given now.
    pub grant: Grant,
    /// What it would allow that is not allowed now.
    pub newly: Enumeration,
}

impl Operation for PreviewElevation {
    const ACTION: Action = super::GRANTS_PREVIEW;
    type Output = ElevationPreview;

    fn target(&self) -> Target {
        judged_on(&self.id)
    }

    async fn run(self, permit: Permit<Self>) -> Result<ElevationPreview, Problem> {
        let now = permit.entry().at;
        let Self { room, id } = self;
        let (directory, facts) = (room.directory(), permit.facts().clone());
        let read = move |reader: &mut Reader<'_>| {
            let found = store::get(reader, &id)?.filter(|one| lies_where_judged(one, &facts));
            let one = found.ok_or_else(not_here)?;
            if !one.is_open(now) {
                return Err(not_open());
            }
            let asker = directory.find(reader, &one.principal)?;
            Ok((one, asker, review::read(reader, now, DAYS_MIN)?))
        };
        let (one, asker, world): (Elevation, Option<Principal>, World) = room.db().read(&permit, read).await?;
        let asker = active(asker)?;
        let grant = grant_of(&one, &asker, (&permit.caller().id, now, now.plus_secs(one.seconds)));
        let grant = Grant { id: "g_preview".to_owned(), ..grant };
        let wanted = grant.clone();
        let newly = compared(&room, move |engine| review::newly_allowed(&world, engine, &wanted)).await?;
        Ok(ElevationPreview { elevation: one, grant, newly })
    }
}
