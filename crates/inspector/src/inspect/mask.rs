//! Values of columns that may be personal are shown by their shape only.

use std::collections::BTreeSet;

use inspection::{Finding, Screen};

/// Masks the examples of `finding` that stem from personal columns; all of them while nobody knows which those are.
pub(super) fn finding(finding: &mut Finding, personal: Option<&BTreeSet<String>>) {
    // What the personal screen itself shows was masked where it was found.
    if finding.screen == Screen::Personal {
        return;
    }
    let about = finding.columns.clone();
    for example in &mut finding.examples {
        let hide = match (&example.column, personal) {
            (_, None) => true,
            (Some(column), Some(personal)) => personal.contains(column),
            (None, Some(personal)) => about.iter().any(|column| personal.contains(column)),
        };
        if hide && let Some(value) = &mut example.value {
            *value = personal::mask(value);
        }
    }
}

/// Whether values of `column` may be shown.
pub(super) fn may_show(column: &str, personal: Option<&BTreeSet<String>>) -> bool {
    personal.is_some_and(|personal| !personal.contains(column))
}

#[cfg(test)]
mod tests {
    use inspection::{Example, catalogue};

    use super::*;

    fn check(columns: &[&str], example_column: Option<&str>, personal: Option<&[&str]>, expected: &str) {
        let personal = personal.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let mut found = Finding::new(&catalogue::VIOLATED, "x").columns(columns.iter().copied());
        found = found.examples([Example::of(Some(1), example_column, "Ann")]);
        finding(&mut found, personal.as_ref());
        assert_eq!(found.examples[0].value.as_deref(), Some(expected));
    }

    #[test]
    fn personal_values_are_masked_and_others_stay() {
        check(&["name"], Some("name"), Some(&["name"]), "Aaa");
        check(&["name"], None, Some(&["name"]), "Aaa");
        check(&["name", "city"], Some("city"), Some(&["name"]), "Ann");
        check(&["city"], None, Some(&["name"]), "Ann");
    }

    #[test]
    fn while_nobody_knows_all_are_masked() {
        check(&["city"], Some("city"), None, "Aaa");
        assert!(!may_show("city", None));
    }
}
