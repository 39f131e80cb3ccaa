//! The schema, one file per step and engine, embedded in the binary and applied in order.

/// One step.
pub struct Migration {
    /// Its file's name without the extension.
    pub name: &'static str,
    /// Its statements for SQLite.
    pub sqlite: &'static str,
    /// Its statements for PostgreSQL.
    pub postgres: &'static str,
}

macro_rules! step {
    ($name:literal) => {
        Migration {
            name: $name,
            sqlite: include_str!(concat!("../../../../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../../../../migrations/postgres/", $name, ".sql")),
        }
    };
}

pub(super) const ALL: &[Migration] = &[
    step!("0001_core"),
    step!("0002_identity"),
    step!("0003_policy"),
    step!("0004_tracking"),
    step!("0005_registry"),
    step!("0006_lineage"),
    step!("0007_artifacts"),
    step!("0008_traces"),
    step!("0009_evaluation"),
    step!("0010_data"),
    step!("0011_data_cleaning"),
    step!("0012_admission"),
    step!("0013_lineage"),
    step!("0014_gates"),
    step!("0015_retrain"),
    step!("0016_signers"),
    step!("0017_rescan"),
    step!("0018_serving"),
    step!("0019_guard"),
    step!("0020_observe"),
    step!("0021_predictions"),
    step!("0022_rollout"),
    step!("0023_runtime"),
    step!("0024_lineage_vacuum"),
    step!("0025_buckets"),
    step!("0026_key_life"),
    step!("0027_backup"),
    step!("0029_retention"),
    step!("0030_small_objects"),
    step!("0031_sign_in"),
    step!("0032_risk"),
    step!("0033_detections"),
    step!("0034_devices"),
    step!("0035_osquery"),
    step!("0036_provisioning"),
    step!("0038_rates"),
    step!("0039_elevation"),
    step!("0040_mail"),
    step!("0041_standing_in_state"),
    step!("0042_bucket_files_retained"),
    step!("0043_backup_faults"),
    step!("0046_taken_challenges"),
    step!("0047_agreed_and_vouched"),
    step!("0048_erasures_and_own_rules"),
    step!("0049_backup_manifests"),
    step!("0055_csv_dialect"),
    step!("0056_what_needs_whom"),
    step!("0058_held_back"),
    step!("0060_runs_of_jobs"),
    step!("0061_waivers_of_data"),
    step!("0062_codes_decided"),
    step!("0063_data_in_state"),
];
