//! This room's verbs.

mod check_access;
mod create_grant;
mod elevate;
mod list_grants;
mod list_roles;
mod names;
mod preview_elevation;
mod review;
mod revoke_grant;

use gate::Action;

pub use check_access::{AccessAnswer, AccessCheck};
pub use create_grant::{CreateGrant, JUSTIFICATION_BYTES_MAX};
pub use elevate::{BreakGlass, DecideElevation, EndElevation, ListElevations, OwnElevations, RequestElevation};
pub use list_grants::{GrantPage, ListGrants, PAGE_COUNT_MAX};
pub use list_roles::ListRoles;
pub use names::{NameThings, THINGS_NAMED_COUNT_MAX, ThingName};
pub use preview_elevation::{ElevationPreview, PreviewElevation};
pub use review::{FindPaths, GrantPreview, MemberPreview, PreviewGrant, PreviewMember, ReviewAccess};
pub use revoke_grant::RevokeGrant;

pub(crate) const GRANTS_CREATE: Action = Action::write("grants.create");
pub(crate) const GRANTS_LIST: Action = Action::read("grants.list");
pub(crate) const GRANTS_REVOKE: Action = Action::write("grants.revoke");
pub(crate) const ELEVATIONS_REQUEST: Action = Action::write("elevations.request");
pub(crate) const ELEVATIONS_DECIDE: Action = Action::write("elevations.decide");
pub(crate) const ELEVATIONS_BREAK_GLASS: Action = Action::write("elevations.break_glass");
pub(crate) const ELEVATIONS_LIST: Action = Action::read("elevations.list");
pub(crate) const ELEVATIONS_OWN: Action = Action::read("elevations.own");
pub(crate) const ELEVATIONS_END: Action = Action::write("elevations.end");
pub(crate) const ROLES_LIST: Action = Action::read("roles.list");
pub(crate) const GRANTS_PREVIEW: Action = Action::read("grants.preview");
pub(crate) const GROUPS_PREVIEW: Action = Action::read("groups.preview");
pub(crate) const ACCESS_REVIEW: Action = Action::read("access.review");
pub(crate) const ACCESS_PATHS: Action = Action::read("access.paths");
/// The verb of [`NameThings`]: looking at a page, which is the console's. Each name is judged by itself.
pub(crate) const UI_READ: Action = Action::read("ui.read");
/// The verb of [`AccessCheck`].
pub const ACCESS_CHECK: Action = Action::read("access.check");
