//! Strongroom's own JSON interface under `/api/strongroom/v1`: accounts, tokens, grants, the log, lineage. The command
//! line and the console speak it. Lists answer `{"<plural>": […], "next": "…"}` and take `?after=…&rows=…`; one thing
//! answers as a bare object; times are RFC 3339 texts in UTC; what nothing is answered for gives `{}`. A field or parameter
//! that is not known is refused.
//!
//! | method, path (after the prefix) | body or query |
//! |---|---|
//! | GET `/me` | |
//! | GET, POST `/users` | `{"name", "password"?}` |
//! | GET, DELETE `/users/{user}`; POST `/users/{user}/disable`, `/enable`, `/password` | `{"password"}` |
//! | POST `/me/password` | `{"current"?, "new"}` |
//! | GET `/me/factors`; POST `/me/factors/totp`, `…/totp/confirm`, `…/passkeys`, `…/recovery-codes`; DELETE `/me/factors/{factor}`; POST `/users/{user}/reset-factors`, `/users/{user}/link` | `{}`, `{"code"}`, `{"label", "ceremony", "client_data", "attestation_object"}`, `{"issuer", "subject"}` |
//! | GET `/users/{user}/log-ins`, `/me/log-ins`; GET `/geo`; PUT `/geo/{table}` | `?rows=`; `?address=`; `?made_at=`, `?may_shrink=`, `?may_be_older=`, a table as bytes |
//! | GET `/me/mail`, `/mail`; POST `/me/mail-key`, `/users/{user}/mail`, `/mail/test` | `?sent=`; `{"key"}`, `{"address"}`, `{"to"}` |
//! | GET, POST `/groups`; DELETE `/groups/{group}`; POST `/groups/{group}/members`; DELETE `/groups/{group}/members/{member}` | `{"name"}`, `{"member"}` |
//! | GET, POST `/services`; DELETE `/services/{service}` | `{"name"}` |
//! | GET, POST `/workspaces`; GET `/workspaces/{workspace}` | `{"name"}` |
//! | GET, POST `/tokens` (own; `?of=` another's); DELETE `/tokens/{token}`; POST `/services/{service}/tokens`; DELETE `/any-tokens/{token}` | `{"label"?, "scopes"?, "workspace"?, "lifetime_s"?}` → `{"token": {…}, "secret"}` |
//! | GET `/me/devices`, `/devices`, `/devices/by-id/{device}`; DELETE `/me/devices/{device}`, `/devices/by-id/{device}`; POST `/me/devices/enrolment`, `/users/{user}/devices/enrolment`, `/devices/by-id/{device}/pin` | `?of=`, `?lost=true`; `{}`, `{"endorsement_key"}` |
//! | POST `/devices/enrol`, `/devices/renew`, `/devices/report`, `/devices/attest/begin`, `/devices/attest`; GET `/devices/challenge` | `{"request", "label"?}`, `{}`, `{"challenge", "facts", "signature"}`, … |
//! | GET, POST `/device-rules` | `{"tier", "data_class"?}` |
//! | GET, POST `/device-fleets`; DELETE `/device-fleets/{fleet}`; GET `/device-nodes`; POST `/devices/by-id/{device}/node` | `{"name"}`, `{"node"}` |
//! | GET `/sessions`; DELETE `/sessions/{session}` | |
//! | GET, POST `/grants`; DELETE `/grants/{grant}` | `{"principal", "role", "resource_kind"?: "workspace", "resource"?, "expires_at"?, "justification"?}` |
//! | GET `/roles`; POST `/access/check` | `{"principal", "action", "resource_kind"?, "resource"?}` |
//! | GET `/detections`, `/detections/rules`, `/detections/by-id/{detection}`; POST `…/acknowledge`; GET `/access/review`, `/access/paths` | `?level=&open=`, `?days=` |
//! | GET `/datasets?state=`, `/datasets/{dataset}`; POST `/datasets/{dataset}/versions`, `/datasets/{dataset}/from-run` | `{}`, `{"run_id", "path"? or "input"?, "commit"?: {…}}` |
//! | below `/datasets/{dataset}/versions/{version}`: GET ``, `/manifest`, `/diff`, `/findings`, `/documents/{document}`, `/export`; GET, PUT `/files/{path}` | `?against=`, `?run=`, bytes |
//! | and POST `/commit`, `/clean`, `/inspect`, `/cancel`, `/waive`, `/admit`, `/refuse` | `{"source"?, "licence"?, …}`, `{"from", "rows", "reason"}`, `{}`, `{}`, `{"reason", "until"}`, `{"reason"}` |
//! | GET, POST `/sources`; DELETE `/sources/{source}`; GET `/attestation-key` | `{"name", "pattern", "digest"? or "public_key"?, "owner", "licence", "purposes"?}` |
//! | GET `/models/versions?model=&state=`; below `/models/{model}/versions/{version or @alias}`: GET ``, `/findings`, `/documents/{document}`, `/papers/{paper}`; POST `/inspect`, `/waive`, `/admit`, `/refuse` | `{}`, `{"reason", "until"}`, `{"reason"}` |
//! | GET `/models/{model}/versions/{version}/retraining`; POST `…/retrain`; GET `/retrainings`, `/retrain-requests`, `/models/{model}/retrainings/{job}`, `…/log`; POST `…/cancel` | `{"code"?: {"run_id", "path"?}, "entry"?, "parameters"?, "data"?, "experiment_id"?, "on"?, "request"?}`, `{}` |
//! | GET `/endpoints`; POST `/endpoints`; GET, POST, DELETE `/endpoints/{endpoint}` | `{"name", "model", "version"}`, `{"version"}` |
//! | GET, POST `/endpoints/{endpoint}/log` | `{"log"}`: `values`, `hashes`, `off` or `by_data` |
//! | GET `/predictions`, `/prediction-counts`; below `/predictions/{prediction}`: GET ``, `/record`, `/proof` | `?endpoint=&since=&until=` |
//! | POST `/predictions/query`, `/predictions/subject`, `/predictions/erase` | `{"sql", "rows"?, "endpoint"?, "since"?, "until"?}`, `{"subject"}` |
//! | GET `/prediction-erasures`; below `/prediction-erasures/{erasure}`: GET `` | |
//! | GET `/trace` | `?subject=a prediction's id, or as for lineage&direction=up or down&rows=&format=json, text or svg` |
//! | POST `/endpoints/{endpoint}/guard`; GET `…/trails`, `…/traffic?minutes=`; POST `…/trails/release`, `/throttle` | settings; `{"caller"}`, `{"caller", "level", "seconds"}` |
//! | GET `/alerts`, `/alerts/{alert}`; POST `/alerts/{alert}/acknowledge`, `/alerts/{alert}/resolve`, `/remedies/{remedy}/run` | `?state=`, `{}` |
//! | POST `/endpoints/{endpoint}/labels`; POST `/alertmanager` (an Alertmanager's webhook, version 4); GET `/health` | `{"labels": [{"prediction", "row"?, "label"}]}` |
//! | GET `/lineage/{model}/{version or @alias}`; GET `/lineage` | `?subject=&direction=up or down&depth=&format=json, text or svg` |
//! | GET `/audit/records`, `/audit/checkpoint`, `/audit/proof/{record}`, `/audit/export`; POST `/audit/verify` | `?who=&what=&since=&until=&outcome=&resource=…&rows=`, and `&after=` or, for the export, `&from=&to=` |
//! | GET, POST `/backups`; GET `/backups/{run}`; POST `/backups/drill`, `/backups/verify`, `/backups/key` | `{"to"?}`, `{"to"?, "sequence"?}`, `{}` |
//! | GET, POST `/restores`; POST `/restores/{request}/approve` | `{"reason", "to"?, "sequence"?}` |
//! | GET `/retention`, `/retention/kept`, `/retention/server`; POST `/retention/extend`, `/retention/hold`, `/retention/bypass` | `{"kind", "name", "mode", "until"}`, `{"kind", "name", "hold"}`, `{"kind", "name", "until"?, "reason"}` |
//! | POST `/objects/verify`, `/objects/sweep` | |
//! | GET `/keys`; POST `/keys/verify`, `/keys/rotate`, `/keys/rewrap`, `/keys/rotate-root` | `{"all"?}`, `{}` |
//! | GET, POST `/keys/destroy`; GET `/keys/destroy/server`; POST `/keys/destroy/approve`, `/keys/destroy/cancel` | `{"reason"}`, `{"request"}` |
//! | GET `/audit/log/{path}` (tiles, entries, checkpoint: C2SP tlog-tiles) | |

pub mod access;
pub mod access_review;
pub mod acts;
pub mod audit;
pub mod backups;
pub mod contract_check;
pub mod datasets;
mod datasets_view;
pub mod detections;
pub mod devices;
pub mod elevations;
pub mod endpoint_guard;
pub mod endpoints;
pub mod factors;
pub mod fleets;
pub mod from_run;
pub mod grants;
pub mod groups;
pub mod keys;
pub mod lineage;
pub mod mail;
pub mod models;
pub mod observe;
pub mod predictions;
pub mod retention;
pub mod retraining;
pub mod risk;
pub mod roles;
pub mod sessions;
mod shape;
pub mod sources;
pub(crate) mod times;
pub mod tokens;
pub mod trace;
pub mod users;
pub mod vault;
pub mod workspaces;

pub use shape::{is_gravest_first, which};

use crate::Door;

/// The rooms behind this interface.
pub struct Rooms<'a> {
    /// Accounts, groups, tokens, sessions, workspaces.
    pub identity: &'a identity::Identity,
    /// Grants and roles.
    pub policy: &'a policy::Policy,
    /// The log.
    pub audit: &'a ::audit::Audit,
    /// Where models come from.
    pub lineage: &'a ::lineage::Lineage,
    /// Files of runs and models, and their keys.
    pub artifacts: &'a artifacts::Artifacts,
    /// Data sets.
    pub data: &'a data::Data,
    /// Where models stand between quarantine and use.
    pub admission: &'a ::admission::Admission,
    /// Runs, whose artifacts can become data sets.
    pub tracking: &'a tracking::Tracking,
    /// Jobs that train models again.
    pub retrain: &'a retrain::Retrain,
}

/// Adds all routes of this interface.
pub fn routes(door: &mut Door, rooms: &Rooms<'_>) {
    users::routes(door, rooms.identity);
    factors::routes(door, rooms.identity);
    groups::routes(door, rooms.identity);
    tokens::routes(door, rooms.identity);
    sessions::routes(door, rooms.identity);
    workspaces::routes(door, rooms.identity);
    grants::routes(door, rooms.policy);
    roles::routes(door, rooms.policy);
    access::routes(door, rooms.policy);
    crate::authzen::routes(door, rooms.policy);
    elevations::routes(door, rooms.policy);
    audit::routes(door, rooms.audit);
    lineage::routes(door, rooms.lineage);
    vault::routes(door, rooms.artifacts);
    keys::routes(door, rooms.artifacts);
    access_review::routes(door, rooms.policy);
    datasets::routes(door, rooms.data);
    contract_check::routes(door, rooms.data);
    from_run::routes(door, rooms.data, rooms.artifacts, rooms.tracking);
    sources::routes(door, rooms.data);
    models::routes(door, rooms.admission);
    retraining::routes(door, rooms.retrain, rooms.data);
}
