//! How the log is, for `health.show`: whether it takes records, and how far it is signed for.

use std::sync::Arc;

use audit::{Audit, Health, LogStatus};
use kernel::Micros;
use observe::{HealthOf, HealthState, MoreHealth};
use vault::db::Reader;

/// The log's own row.
pub fn health(audit: &Audit) -> MoreHealth {
    let log = Arc::clone(audit.log());
    Arc::new(move |_: &mut Reader<'_>, _: Micros| Ok(vec![told(log.status())]))
}

fn told(status: LogStatus) -> HealthOf {
    let (state, words) = match status.health {
        Health::Up => (HealthState::Healthy, "it takes records"),
        Health::Reserve => {
            (HealthState::Degraded, "the disk is full: it lives on its reserve and takes only what helps to make room")
        }
        Health::Down => {
            (HealthState::Failing, "a write failed, and no new segment could be begun yet: nothing can be done until one is")
        }
        Health::Fenced => {
            (HealthState::Failing, "another server signs checkpoints for it, or the database was rolled back under it")
        }
        Health::Closed => (HealthState::Failing, "it was closed"),
    };
    let size = format!("{} records, of which {} are under a signed checkpoint", status.size, status.signed_size);
    HealthOf { kind: "log", name: "log".to_owned(), state, reasons: vec![words.to_owned(), size] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_takes_no_records_fails_and_says_why() {
        let of = |health| told(LogStatus { health, size: 9, signed_size: 7, first_segment_index: 0 });
        for (health, state) in [
            (Health::Up, HealthState::Healthy),
            (Health::Reserve, HealthState::Degraded),
            (Health::Down, HealthState::Failing),
            (Health::Fenced, HealthState::Failing),
        ] {
            assert_eq!(of(health).state, state, "{health:?}");
        }
        assert_eq!(of(Health::Up).reasons[1], "9 records, of which 7 are under a signed checkpoint");
    }
}
