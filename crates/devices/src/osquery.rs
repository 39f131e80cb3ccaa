//! What osquery is asked, and what its answers mean. Rows come as texts by column. A table that a system does not have gives no rows, and what has
//! no rows is not known.

use std::collections::BTreeMap;

use crate::posture::Facts;

/// A row of an answer.
pub type Row = BTreeMap<String, String>;
/// The answers, by query.
pub type Answers = BTreeMap<String, Vec<Row>>;

/// The queries, by name.
pub const QUERIES: [(&str, &str); 7] = [
    ("os", "SELECT name, version FROM os_version"),
    ("kernel", "SELECT version FROM kernel_info"),
    ("disk", "SELECT d.encrypted FROM mounts m JOIN disk_encryption d ON d.name = m.device_alias WHERE m.path IN ('/', '/home')"),
    ("input", "SELECT policy FROM iptables WHERE chain = 'INPUT'"),
    ("application_firewall", "SELECT global_state FROM alf"),
    ("screen_lock", "SELECT enabled FROM screenlock"),
    ("secure_boot", "SELECT secure_boot FROM secureboot"),
];
/// The longest text that is taken over.
const TEXT_LENGTH_MAX: usize = 100;

/// The facts in the answers.
#[must_use]
pub fn facts(answers: &Answers) -> Facts {
    let rows = |query: &str| answers.get(query).map(Vec::as_slice).unwrap_or_default();
    let text = |query: &str, column: &str| {
        let value = rows(query).first()?.get(column)?;
        Some(value.chars().filter(|letter| !letter.is_control()).take(TEXT_LENGTH_MAX).collect::<String>())
    };
    let all = |query: &str, column: &str, good: &[&str]| {
        let found = rows(query);
        let is_good = |row: &Row| row.get(column).is_some_and(|value| good.contains(&value.as_str()));
        (!found.is_empty()).then(|| found.iter().all(is_good))
    };
    Facts {
        os: text("os", "name"),
        os_version: text("os", "version"),
        kernel: text("kernel", "version"),
        security_updates: None,
        updated_days: None,
        disk_encryption: all("disk", "encrypted", &["1"]),
        firewall: all("input", "policy", &["DROP"]).or_else(|| all("application_firewall", "global_state", &["1", "2"])),
        screen_lock: all("screen_lock", "enabled", &["1"]),
        secure_boot: all("secure_boot", "secure_boot", &["1"]),
        agent: Some("osquery".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(json: &str) -> Answers {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn all_rows_must_be_good_and_no_rows_tell_nothing() {
        let good = answers(
            r#"{"os": [{"name": "Debian", "version": "12\u0007"}], "disk": [{"encrypted": "1"}, {"encrypted": "1"}],
                "input": [{"policy": "DROP"}], "application_firewall": [], "secure_boot": [{"secure_boot": "1"}]}"#,
        );
        let said = facts(&good);
        assert_eq!((said.os.as_deref(), said.os_version.as_deref()), (Some("Debian"), Some("12")));
        assert_eq!((said.disk_encryption, said.firewall, said.secure_boot), (Some(true), Some(true), Some(true)));
        assert_eq!((said.screen_lock, said.security_updates), (None, None));
        let mixed = answers(
            r#"{"disk": [{"encrypted": "1"}, {"encrypted": "0"}], "input": [{"policy": "ACCEPT"}], "screen_lock": [{}]}"#,
        );
        let said = facts(&mixed);
        assert_eq!((said.disk_encryption, said.firewall, said.screen_lock), (Some(false), Some(false), Some(false)));
        assert!(facts(&Answers::new()).is_bounded());
        assert_eq!(facts(&answers(r#"{"application_firewall": [{"global_state": "1"}]}"#)).firewall, Some(true));
    }
}
