//! A contract by itself, read for the server: faults with their lines, what it holds, what it changes.

use contract::{Contract, Effect, Placed, lint};
use inspection::{
    ChangeEffect, ContractChange, ContractIssue, ContractJob, ContractReading, ContractTable, READING_LINE_COUNT_MAX,
    READING_TEXT_BYTES_MAX,
};

/// Reads it.
pub(crate) fn run(job: &ContractJob) -> ContractReading {
    let found = lint(&job.contract_yaml);
    let mut reading =
        ContractReading { faults: issues(&found.faults), notes: issues(&found.warnings), ..ContractReading::default() };
    let Some(contract) = found.contract else { return reading };
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let table = |object: &contract::SchemaObject| ContractTable {
        name: shortened(&object.name),
        column_count: count(object.properties.len()),
        rule_count: count(object.rule_count()),
    };
    reading.tables = contract.schema.iter().take(READING_LINE_COUNT_MAX).map(table).collect();
    match job.in_force.as_deref().map(Contract::from_yaml) {
        None => {}
        Some(Err(error)) => reading.in_force_fault = Some(shortened(&error.to_string())),
        Some(Ok(before)) => {
            let changes = contract::diff(&before.contract, &contract);
            reading.more_change_count = count(changes.len().saturating_sub(READING_LINE_COUNT_MAX));
            reading.changes = changes.into_iter().take(READING_LINE_COUNT_MAX).map(change).collect();
        }
    }
    reading
}

fn issues(all: &[Placed]) -> Vec<ContractIssue> {
    let issue = |one: &Placed| ContractIssue {
        line: one.line,
        column: one.column,
        at: shortened(&one.at),
        problem: shortened(&one.problem),
    };
    all.iter().take(READING_LINE_COUNT_MAX).map(issue).collect()
}

fn change(one: contract::Change) -> ContractChange {
    let effect = match one.effect {
        Effect::Breaking => ChangeEffect::Breaks,
        Effect::NonBreaking => ChangeEffect::Adds,
        Effect::Note => ChangeEffect::Words,
    };
    let text = |text: Option<String>| text.as_deref().map(shortened);
    ContractChange { at: shortened(&one.at), effect, before: text(one.before), after: text(one.after) }
}

/// What of a text an answer can hold.
fn shortened(text: &str) -> String {
    let mut end = text.len().min(READING_TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: &str = "apiVersion: v3.1.0\nkind: DataContract\nid: c\nversion: 1.0.0\nstatus: active\nschema:\n- name: orders\n  \
        properties:\n  - name: id\n    logicalType: integer\n";

    fn read(contract: &str, in_force: Option<&str>) -> ContractReading {
        run(&ContractJob { contract_yaml: contract.to_owned(), in_force: in_force.map(str::to_owned) })
    }

    #[test]
    fn what_it_holds_and_changes_is_told_and_faults_have_lines() {
        let told = read(&format!("{CONTRACT}    required: true\n"), Some(CONTRACT));
        assert_eq!((told.tables[0].column_count, told.tables[0].rule_count, told.faults.len()), (1, 2, 0));
        assert!(
            told.changes.iter().any(|change| change.at.contains("required") && change.effect == ChangeEffect::Adds),
            "{told:?}"
        );
        let told = read(&format!("{CONTRACT}    quality: [{{metric: rowCount, mustBe: 1}}]\n"), None);
        assert_eq!(told.faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [11], "{told:?}");
        assert!(told.tables.is_empty() && told.is_bounded());
        assert!(read(CONTRACT, Some("nonsense: [")).in_force_fault.is_some());
        assert!(read(&"é".repeat(100_000), None).is_bounded());
    }
}
