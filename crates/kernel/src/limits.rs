//! Limits that more than one room must agree on. A room's own limits live in its `config.rs` or `types.rs`.

/// A JSON request body. MLflow's own clients stay under 1 MB per batch; registry texts may be larger.
pub const JSON_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How deep a JSON request may nest.
pub const JSON_DEPTH_MAX: usize = 32;
/// One audit record. C2SP tlog-tiles frames an entry with a 16-bit length; the rest is head-room.
pub const AUDIT_RECORD_BYTES_MAX: usize = 60 * 1024;
/// The path of an artifact inside its run or model.
pub const ARTIFACT_PATH_BYTES_MAX: usize = 1_024;
/// One segment of an artifact path.
pub const ARTIFACT_SEGMENT_BYTES_MAX: usize = 255;
