//! Data files of many formats, read as Arrow record batches within named limits.
