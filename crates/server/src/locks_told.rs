//! What the log tells of locks and of the compliance clock, against what the database says of them: who takes the triggers away and changes rows
//! behind the server's back is found here, although every byte is still there.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use audit::verify::Fault;
use kernel::{Clock, Micros, Problem, SystemClock};
use serde::Deserialize;
use serde_json::{Map, Value};
use vault::db::{Opening, Reader};

use crate::boot;
use crate::config::Config;

const TABLE: &str = "bucket_version";
const CLOCK_TABLE: &str = "compliance_clock";
const COMPLIANCE: &str = "COMPLIANCE";
const DAY_US: i64 = 86_400 * 1_000_000;
/// A record and the clock's row are not of the same moment.
const SLACK_US: i64 = 3_600 * 1_000_000;
/// Of more than so many faults the first are named.
const FAULT_COUNT_MAX: usize = 100;

/// What holds a version of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Held {
    mode: Option<String>,
    until: Option<i64>,
    is_held: bool,
}

/// What the log tells.
#[derive(Debug, Default)]
struct Told {
    /// By the version's id; of retention and hold the last word counts, each by itself.
    versions: BTreeMap<String, Held>,
    /// The latest time of the compliance clock.
    compliance_at: i64,
    /// What the log says of that clock.
    clock: Clocked,
}

/// How the compliance clock went, by the records that tell of it.
#[derive(Clone, Copy, Debug, Default)]
struct Clocked {
    /// What it said first.
    first: Option<i64>,
    /// When a record last told what it said, and what that was.
    last: Option<(i64, i64)>,
    /// When the last record of all was written.
    ended_at: i64,
    /// By how much it was ahead of what it can have been, at the most.
    ahead_us: i64,
}

impl Clocked {
    /// Learns what it said at a moment.
    fn said(&mut self, at: i64, compliance_at: i64) {
        self.ahead_us = self.ahead_us.max(self.ahead(at, compliance_at));
        self.first.get_or_insert(compliance_at);
        self.last = Some((at, compliance_at));
    }

    /// By how much it is ahead, if it says this at that moment: it goes as fast as time, and follows jumps within its allowance alone.
    fn ahead(&self, at: i64, compliance_at: i64) -> i64 {
        let (Some(first), Some((then, said))) = (self.first, self.last) else { return 0 };
        let passed = at.saturating_sub(then).max(0).saturating_add(SLACK_US);
        let possible = said.saturating_add(passed).saturating_add(retention::clock::allowance_us(said.saturating_sub(first)));
        compliance_at.saturating_sub(possible)
    }

    /// What is wrong with the clock's row, which says this.
    fn fault(&self, row: Option<i64>) -> Option<Fault> {
        let row_ahead = row.map_or(0, |row| self.ahead(self.ended_at, row));
        let ahead_us = self.ahead_us.max(row_ahead);
        (ahead_us > 0).then(|| Fault {
            place: CLOCK_TABLE.to_owned(),
            index: None,
            what: format!(
                "the compliance clock was set forward, by {} days more than it can have gone: the log tells otherwise",
                ahead_us / DAY_US
            ),
        })
    }
}

#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    at: i64,
    action: String,
    kind: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    details: Map<String, Value>,
}

/// Versions in buckets that are held less than the log tells. No server may have the folder open: a hold that is lifted meanwhile would
/// look like one that was taken away.
///
/// # Errors
/// `Unavailable` or `Internal` if log or database cannot be read.
pub async fn faults(data: &Path, settings: &Config) -> Result<Vec<Fault>, Problem> {
    let folder = data.join("audit");
    let told = tokio::task::spawn_blocking(move || Told::read(&folder)).await;
    let told = told.map_err(|broken| Problem::internal("the log could not be read", broken))?;
    let opened = boot::open_database(data, settings, Opening::ReadOnly)?;
    let now = SystemClock.now();
    opened.system.read(move |reader| told.faults(reader, now)).await
}

impl Told {
    fn read(folder: &Path) -> Self {
        let mut told = Self::default();
        audit::records_after(folder, 0, |_, record| {
            if let Ok(record) = serde_json::from_slice::<Record>(record) {
                told.take(&record);
            }
        });
        told
    }

    fn take(&mut self, record: &Record) {
        if self.clock.last.is_none() {
            // It began with the wall clock, after the log.
            self.clock.said(record.at, record.at);
        }
        self.clock.ended_at = self.clock.ended_at.max(record.at);
        if record.kind != "outcome" || record.status != "done" || !record.action.starts_with("buckets.") {
            return;
        }
        let text = |name: &str| record.details.get(name).and_then(Value::as_str);
        let number = |name: &str| record.details.get(name).and_then(Value::as_i64);
        if let Some(at) = number("compliance_at") {
            self.compliance_at = self.compliance_at.max(at);
            self.clock.said(record.at, at);
        }
        let (mode, hold) = (text("mode"), number("legal_hold"));
        let Some(version) = text("version_id").filter(|_| mode.is_some() || hold.is_some()) else { return };
        let held = self.versions.entry(version.to_owned()).or_default();
        if let Some(mode) = mode {
            held.mode = Some(mode.to_owned()).filter(|mode| mode != "none");
            held.until = number("retain_until").filter(|_| held.mode.is_some());
        }
        if let Some(hold) = hold {
            held.is_held = hold == 1;
        }
    }

    fn faults(&self, reader: &mut Reader<'_>, now: Micros) -> Result<Vec<Fault>, Problem> {
        let there = self.rows(reader)?;
        let clock = self.clock.fault(retention::clock::written_time(reader)?.map(|at| at.0));
        let now = now.0.max(self.compliance_at);
        let wrong = self.versions.iter().filter_map(|(version, told)| {
            let what = wrong_with(told, there.get(version), now)?;
            Some(Fault {
                place: TABLE.to_owned(),
                index: None,
                what: format!("version `{version}` {what}: the log tells otherwise"),
            })
        });
        Ok(clock.into_iter().chain(wrong).take(FAULT_COUNT_MAX).collect())
    }

    /// What the database says of the versions that the log tells of.
    fn rows(&self, reader: &mut Reader<'_>) -> Result<HashMap<String, Held>, Problem> {
        let sql = "SELECT id, version_id, lock_mode, retain_until, legal_hold FROM bucket_version WHERE id > $1 ORDER BY id LIMIT 10000";
        let (mut found, mut after) = (HashMap::new(), String::new());
        if self.versions.is_empty() {
            return Ok(found);
        }
        loop {
            let rows = reader.query(sql, &[(&after).into()], |row| {
                let held = Held { mode: row.opt_text(2)?, until: row.opt_int(3)?, is_held: row.flag(4)? };
                Ok((row.text(0)?, row.text(1)?, held))
            })?;
            let Some((last, ..)) = rows.last() else { return Ok(found) };
            after.clone_from(last);
            for (_, version, held) in rows {
                if self.versions.contains_key(&version) {
                    found.insert(version, held);
                }
            }
        }
    }
}

/// How a version is held less than was told; none if it is not.
fn wrong_with(told: &Held, there: Option<&Held>, now: i64) -> Option<&'static str> {
    let until = told.until.filter(|until| *until > now);
    let is_compliance = told.mode.as_deref() == Some(COMPLIANCE);
    let Some(there) = there else {
        // What was under governance alone may have been deleted by who could bypass it.
        let is_kept = told.is_held || (is_compliance && until.is_some());
        return is_kept.then_some("is gone");
    };
    if told.is_held && !there.is_held {
        return Some("is under no legal hold");
    }
    let is_as_strict = there.mode.is_some() && (!is_compliance || there.mode.as_deref() == Some(COMPLIANCE));
    let is_as_long = |until: i64| there.until.is_some_and(|own| own >= until);
    until.filter(|until| !(is_as_strict && is_as_long(*until))).map(|_| "is retained less")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(records: &[(&str, Value)]) -> Told {
        let mut told = Told::default();
        for (action, details) in records {
            let record = json!({"action": action, "kind": "outcome", "status": "done", "details": details});
            told.take(&serde_json::from_value(record).unwrap());
        }
        told
    }

    fn held(mode: &str, until: i64, is_held: bool) -> Held {
        Held { mode: Some(mode.to_owned()), until: Some(until), is_held }
    }

    #[test]
    fn the_last_word_of_the_log_counts() {
        let told = told(&[
            ("buckets.write", json!({"version_id": "a", "mode": "GOVERNANCE", "retain_until": 500, "legal_hold": 1})),
            ("buckets.write", json!({"version_id": "b"})),
            ("buckets.hold", json!({"version_id": "a", "legal_hold": 0})),
            ("buckets.retain", json!({"version_id": "a", "mode": "COMPLIANCE", "retain_until": 900})),
            ("runs.log", json!({"version_id": "c", "legal_hold": 1, "compliance_at": 99})),
            ("buckets.tick", json!({"compliance_at": 7})),
        ]);
        assert_eq!(told.versions, BTreeMap::from([("a".to_owned(), held("COMPLIANCE", 900, false))]));
        assert_eq!(told.compliance_at, 7);
    }

    #[test]
    fn a_clock_that_was_set_forward_is_noticed_in_its_row_and_in_the_log() {
        let clocked = |ticks: &[(i64, i64)], ended_at: i64| {
            let mut clock = Clocked { ended_at: ended_at * DAY_US, ..Clocked::default() };
            ticks.iter().for_each(|(at, said)| clock.said(at * DAY_US, said * DAY_US));
            clock
        };
        let days =
            |fault: Option<Fault>| fault.map(|fault| fault.what.split_whitespace().nth(7).unwrap().parse::<i64>().unwrap());
        let steady = [(100, 100), (101, 101), (110, 110)];
        let clock = clocked(&steady, 112);
        // Two days that passed, and a week that it may follow.
        for (row, ahead) in [(None, None), (Some(110), None), (Some(119), None), (Some(150), Some(30)), (Some(840), Some(720))] {
            assert_eq!(days(clock.fault(row.map(|row| row * DAY_US))), ahead, "{row:?}");
        }
        let forged = clocked(&[steady[0], steady[1], (102, 832)], 103);
        assert_eq!(days(forged.fault(Some(833 * DAY_US))), Some(722), "a server has told of it since");
        let set_back = clocked(&[(100, 100), (20, 101)], 21);
        assert_eq!(days(set_back.fault(Some(102 * DAY_US))), None, "the wall clock was set back");
        assert_eq!(days(clocked(&[], 0).fault(Some(DAY_US))), None, "nothing is told of it yet");
    }

    #[test]
    fn what_is_held_less_is_wrong_until_its_time_is_over() {
        let compliance = held("COMPLIANCE", 900, false);
        assert_eq!(wrong_with(&compliance, Some(&held("COMPLIANCE", 901, true)), 100), None);
        assert_eq!(wrong_with(&compliance, Some(&held("COMPLIANCE", 899, false)), 100), Some("is retained less"));
        assert_eq!(wrong_with(&compliance, Some(&held("GOVERNANCE", 900, false)), 100), Some("is retained less"));
        assert_eq!(wrong_with(&compliance, Some(&Held::default()), 100), Some("is retained less"));
        assert_eq!(wrong_with(&compliance, None, 100), Some("is gone"));
        assert_eq!(wrong_with(&compliance, None, 900), None);
        assert_eq!(wrong_with(&held("GOVERNANCE", 900, false), None, 100), None);
        assert_eq!(wrong_with(&held("GOVERNANCE", 900, true), None, 1_000), Some("is gone"));
        assert_eq!(
            wrong_with(&held("GOVERNANCE", 900, true), Some(&held("GOVERNANCE", 900, false)), 1_000),
            Some("is under no legal hold")
        );
    }
}
