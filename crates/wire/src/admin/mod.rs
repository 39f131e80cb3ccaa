//! Strongroom's own JSON interface under `/api/strongroom/v1`: accounts, tokens, grants, the log, lineage. The command
//! line and the console speak it. Lists answer `{"<plural>": […], "next": "…"}` and take `?after=…&rows=…`; one thing
//! answers as a bare object; times are RFC 3339 texts in UTC; what nothing is answered for gives `{}`.
//!
//! | method, path (after the prefix) | body or query |
//! |---|---|
//! | GET `/me` | |
//! | GET, POST `/users` | `{"name", "password"?}` |
//! | GET, DELETE `/users/{user}`; POST `/users/{user}/disable`, `/enable`, `/password` | `{"password"}` |
//! | POST `/me/password` | `{"current"?, "new"}` |
//! | GET, POST `/groups`; DELETE `/groups/{group}`; POST `/groups/{group}/members`; DELETE `/groups/{group}/members/{member}` | `{"name"}`, `{"member"}` |
//! | GET, POST `/services`; DELETE `/services/{service}` | `{"name"}` |
//! | GET, POST `/workspaces`; GET `/workspaces/{workspace}` | `{"name"}` |
//! | GET, POST `/tokens` (own; `?of=` another's); DELETE `/tokens/{token}`; POST `/services/{service}/tokens`; DELETE `/any-tokens/{token}` | `{"label"?, "scopes"?, "workspace"?, "lifetime_s"?}` → `{"token": {…}, "secret"}` |
//! | GET `/sessions`; DELETE `/sessions/{session}` | |
//! | GET, POST `/grants`; DELETE `/grants/{grant}` | `{"principal", "role", "resource_kind"?: "workspace", "resource"?, "expires_at"?, "justification"?}` |
//! | GET `/roles`; POST `/access/check` | `{"principal", "action", "resource_kind"?, "resource"?}` |
//! | GET `/lineage/{model}/{version or @alias}` | |
//! | GET `/audit/records`, `/audit/checkpoint`, `/audit/proof/{record}`, `/audit/export`; POST `/audit/verify` | `?who=&what=&since=&until=&outcome=&resource=&rows=&after=` |
//! | GET `/audit/log/{path}` (tiles, entries, checkpoint: C2SP tlog-tiles) | |

pub mod access;
pub mod grants;
pub mod roles;
pub(crate) mod times;
