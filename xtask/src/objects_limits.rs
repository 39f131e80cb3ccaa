//! What bounds an object store here, as `loadgen limits` measures it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::bench_objects::{Extent, Programs, number, parsed};
use crate::shell;

/// Rates of each stage, in MB/s.
#[derive(Clone, Debug)]
pub struct Limits(Value);

impl Limits {
    /// Measures them now, on the disk of this folder.
    ///
    /// # Errors
    /// If they cannot be measured.
    pub fn measure(programs: &Programs, folder: &Path, extent: Extent) -> Result<Self, String> {
        let bytes = if extent.is_small { "134217728" } else { "1073741824" };
        let mut command = Command::new(programs.path("loadgen"));
        command.args(["limits", "--bytes", bytes, "--seconds", "1", "--on"]).arg(folder);
        let limits = Self(parsed(&shell::quiet(&mut command)?)?);
        shell::say(&format!("limits, MB/s on one thread and on all: {}", limits.0));
        Ok(limits)
    }

    /// The best of two measurements: whatever else the machine did meanwhile must not make the limit lower.
    pub fn and(&self, other: &Self) -> Self {
        let Some(fields) = self.0.as_object() else { return self.clone() };
        let numbers = fields.iter().filter(|(_, value)| value.is_number());
        let best = |name: &str| Value::from(number(&self.0, name).max(number(&other.0, name)));
        Self(numbers.map(|(name, _)| (name.clone(), best(name))).collect())
    }

    /// How many objects a second the machine could move at best, and by what that is bounded: the slowest stage for the bytes, and one flush
    /// per request, which one flush can do for all clients at once. A download hashes nothing; `is_cold` ones come from the disk.
    pub fn bound(&self, is_put: bool, bytes: u64, clients: usize, is_cold: bool) -> (f64, String) {
        let stages: &[&str] = match (is_put, is_cold) {
            (true, _) => &["disk_write", "sha256", "seal", "tls_in"],
            (false, true) => &["disk_read", "open", "tls_out"],
            (false, false) => &["open", "tls_out"],
        };
        let rate = |stage: &str| match (clients > 1, stage.starts_with("disk")) {
            (true, false) => number(&self.0, &format!("{stage}_all")),
            _ => number(&self.0, stage),
        };
        let slowest = stages.iter().map(|stage| (*stage, rate(stage))).min_by(|one, other| one.1.total_cmp(&other.1));
        let (stage, rate) = slowest.unwrap_or(("nothing", f64::INFINITY));
        let syncs = number(&self.0, "syncs_per_s") * clients as f64;
        let seconds = bytes as f64 / 1e6 / rate + 1.0 / syncs;
        (1.0 / seconds, format!("slowest stage: {stage}, {rate:.0} MB/s; {:.0} flushes/s", syncs / clients as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_slowest_stage_and_the_flush_bound_a_transfer() {
        let limits = Limits(json!({
            "disk_write": 500.0, "disk_read": 800.0, "syncs_per_s": 250.0, "sha256": 1_800.0, "seal": 10_000.0, "open": 8_000.0,
            "tls_in": 2_000.0, "tls_out": 4_000.0, "sha256_all": 3_600.0, "open_all": 16_000.0, "tls_out_all": 8_000.0,
            "seal_all": 20_000.0, "tls_in_all": 4_000.0,
        }));
        let (large, why) = limits.bound(true, 1_000_000_000, 1, true);
        assert!((large * 1_000.0 - 499.0).abs() < 1.0, "{large}");
        assert!(why.contains("disk_write"));
        let (small, _) = limits.bound(true, 1_024, 16, false);
        assert!((small - 3_968.0).abs() < 40.0, "{small}");
        assert!(limits.bound(false, 1 << 20, 16, false).1.contains("tls_out, 8000"));
        let twice = limits.and(&Limits(json!({"disk_read": 1.0})));
        assert!((twice.bound(false, 1 << 30, 1, true).0 - limits.bound(false, 1 << 30, 1, true).0).abs() < 1e-9);
    }
}
