//! This room's verbs.

mod check_access;
mod create_grant;
mod list_grants;
mod list_roles;
mod review;
mod revoke_grant;

use gate::Action;

pub use check_access::{AccessAnswer, AccessCheck};
pub use create_grant::{CreateGrant, JUSTIFICATION_BYTES_MAX};
pub use list_grants::{GrantPage, ListGrants, PAGE_COUNT_MAX};
pub use list_roles::ListRoles;
pub use review::{FindPaths, GrantPreview, PreviewGrant, ReviewAccess};
pub use revoke_grant::RevokeGrant;

pub(crate) const GRANTS_CREATE: Action = Action::write("grants.create");
pub(crate) const GRANTS_LIST: Action = Action::read("grants.list");
pub(crate) const GRANTS_REVOKE: Action = Action::write("grants.revoke");
pub(crate) const ROLES_LIST: Action = Action::read("roles.list");
pub(crate) const GRANTS_PREVIEW: Action = Action::read("grants.preview");
pub(crate) const ACCESS_REVIEW: Action = Action::read("access.review");
pub(crate) const ACCESS_PATHS: Action = Action::read("access.paths");
pub(crate) const ACCESS_CHECK: Action = Action::read("access.check");
