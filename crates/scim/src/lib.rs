//! SCIM 2.0 as values (RFC 7643, RFC 7644): filters, paths, patches, users and groups, and what a server says of itself. It holds no
//! account and does no I/O; `wire` speaks it over HTTP, and the room behind is `identity`.
//!
//! INVARIANT: a filter and a patch cost no more than their text is long: depth, terms and operations are bounded. Held by
//! `filter::tests` and `patch::tests`.
//! INVARIANT: what a client cannot change (`id`, `meta`, `groups`) it does not change by a patch either. Held by `patch::tests`.

mod attribute;
mod describe;
mod filter;
mod patch;
mod refusal;
mod resource;
mod select;

pub use attribute::{AttributePath, GROUP_SCHEMA, USER_SCHEMA};
pub use describe::{config, resource_types, schemas};
pub use filter::{Filter, Key};
pub use patch::Patch;
pub use refusal::{ERROR_SCHEMA, Refusal};
pub use resource::{Email, Group, Names, User, folded};
pub use select::Select;

/// The message schema of lists.
pub const LIST_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// Rows of one page at most; it stands in the service provider's configuration.
pub const PAGE_ROWS_MAX: usize = 200;
