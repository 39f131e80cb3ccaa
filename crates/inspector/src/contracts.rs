//! Contracts by themselves, without data: read, made from other languages, compared.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use contract::{Contract, Effect, import};
use inspection::{ProcessLimits, limit_this_process};
use sandbox::text;
use serde_json::json;

use crate::local::{FOUND, NOT_DONE};

/// Processor time of one of these.
const CPU_SECONDS_MAX: u64 = 60;
/// Memory of one of these.
const MEMORY_BYTES_MAX: u64 = 1 << 30;

/// The language of a document.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Language {
    /// A suite of Great Expectations (JSON).
    GreatExpectations,
    /// A JSON Schema of one row.
    JsonSchema,
    /// A Table Schema, or a Data Resource or Package of Frictionless.
    Frictionless,
    /// A dbt schema file (YAML).
    Dbt,
}

/// What is asked of contracts.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Whether a contract can be read, and what in it means nothing here.
    Lint {
        /// The contract.
        contract: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a contract from another language; what has no equal is named.
    Import {
        /// The language.
        #[arg(long, value_enum)]
        from: Language,
        /// The table's name in the contract (its id, for dbt).
        #[arg(long, default_value = "data")]
        name: String,
        /// The document.
        file: PathBuf,
    },
    /// What changed from one contract to another, and whether it breaks who relies on the old one.
    Diff {
        /// The old one.
        before: PathBuf,
        /// The new one.
        after: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// The other tables and versions that a contract's rules speak of, as JSON.
    Tables {
        /// The contract.
        contract: PathBuf,
        /// The data set that it is for.
        #[arg(long)]
        dataset: String,
    },
}

/// Does it.
pub(crate) fn run(verb: &Verb, allow_insecure_unsandboxed: bool) -> ExitCode {
    match answer(verb, allow_insecure_unsandboxed) {
        Ok((said, good)) => {
            println!("{}", said.trim_end());
            if good { ExitCode::SUCCESS } else { ExitCode::from(FOUND) }
        }
        Err(error) => {
            eprintln!("strongroom-inspect: {error}");
            ExitCode::from(NOT_DONE)
        }
    }
}

/// What to print, and whether nothing speaks against it. Files are opened first, and read as documents once nothing else can be.
fn answer(verb: &Verb, allow_insecure_unsandboxed: bool) -> Result<(String, bool), String> {
    let paths: Vec<&Path> = match verb {
        Verb::Lint { contract, .. } | Verb::Tables { contract, .. } => vec![contract],
        Verb::Import { file, .. } => vec![file],
        Verb::Diff { before, after, .. } => vec![before, after],
    };
    let texts = paths.into_iter().map(text).collect::<Result<Vec<String>, _>>()?;
    limit_this_process(ProcessLimits { cpu_seconds_max: CPU_SECONDS_MAX, memory_bytes_max: MEMORY_BYTES_MAX }, true)
        .map_err(|error| format!("memory cannot be limited: {error}"))?;
    sandbox::confine(allow_insecure_unsandboxed).map_err(|error| format!("the program cannot lock itself in: {error}"))?;
    let first = texts.first().map(String::as_str).unwrap_or_default();
    match verb {
        Verb::Lint { json, .. } => lint(first, *json),
        Verb::Import { from, name, .. } => import(first, *from, name),
        Verb::Diff { json, .. } => diff(first, texts.get(1).map(String::as_str).unwrap_or_default(), *json),
        Verb::Tables { dataset, .. } => tables(first, dataset),
    }
}

fn lint(text: &str, as_json: bool) -> Result<(String, bool), String> {
    let reading = Contract::from_yaml(text).map_err(|error| error.to_string())?;
    let count: usize = reading.contract.schema.iter().map(|object| object.properties.len()).sum();
    if as_json {
        let warnings: Vec<_> = reading.warnings.iter().map(|issue| json!({ "at": issue.at, "problem": issue.problem })).collect();
        let tables: Vec<_> = reading.contract.schema.iter().map(|object| &object.name).collect();
        return Ok((
            json!({ "id": reading.contract.id, "tables": tables, "columns": count, "warnings": warnings }).to_string(),
            true,
        ));
    }
    let mut said = format!("`{}`: {} tables, {count} columns", reading.contract.id, reading.contract.schema.len());
    for issue in &reading.warnings {
        write!(said, "\n{}: {}", issue.at, issue.problem).ok();
    }
    Ok((said, true))
}

fn import(text: &str, from: Language, name: &str) -> Result<(String, bool), String> {
    let made = match from {
        Language::GreatExpectations => import::great_expectations(text, name),
        Language::JsonSchema => import::json_schema(text, name),
        Language::Frictionless => import::frictionless(text, name),
        Language::Dbt => import::dbt(text, name),
    };
    let made = made.map_err(|error| error.to_string())?;
    for part in &made.unsupported {
        eprintln!("not taken over: {} `{}`: {}", part.at, part.what, part.why);
    }
    Ok((made.contract.to_yaml().map_err(|error| error.to_string())?, made.unsupported.is_empty()))
}

fn diff(before: &str, after: &str, as_json: bool) -> Result<(String, bool), String> {
    let read = |name: &str, text: &str| {
        Contract::from_yaml(text).map(|reading| reading.contract).map_err(|error| format!("the {name} contract: {error}"))
    };
    let changes = contract::diff(&read("old", before)?, &read("new", after)?);
    let good = !changes.iter().any(|change| change.effect == Effect::Breaking);
    if as_json {
        return serde_json::to_string(&changes).map(|text| (text, good)).map_err(|error| error.to_string());
    }
    let mut said = String::new();
    for change in &changes {
        let effect = match change.effect {
            Effect::Breaking => "breaks",
            Effect::NonBreaking => "adds",
            Effect::Note => "words",
        };
        let (before, after) = (change.before.as_deref().unwrap_or("–"), change.after.as_deref().unwrap_or("–"));
        writeln!(said, "{effect:<7} {}: {before} -> {after}", change.at).ok();
    }
    Ok((if changes.is_empty() { "nothing changed".to_owned() } else { said }, good))
}

fn tables(text: &str, dataset: &str) -> Result<(String, bool), String> {
    let contract = Contract::from_yaml(text).map_err(|error| error.to_string())?.contract;
    let own = contract.table_of(dataset);
    let needed = contract.needed_keys(own).map_err(|error| error.to_string())?;
    let elsewhere = needed.iter().filter(|keys| !own.is_some_and(|own| keys.is_of(own)));
    let tables: Vec<_> = elsewhere.map(|keys| json!({ "name": keys.table(), "apart": keys.rows })).collect();
    Ok((json!(tables).to_string(), true))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: &str = "apiVersion: v3.1.0\nkind: DataContract\nid: c\nversion: 1.0.0\nstatus: active\nschema:\n- name: orders\n  \
        properties:\n  - name: id\n    logicalType: integer\n    relationships:\n    - to: shop.yaml#customers.id\n";

    #[test]
    fn tables_of_other_contracts_are_named() {
        let (said, good) = tables(CONTRACT, "orders").unwrap();
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!((said, good), (json!([{ "name": "customers", "apart": false }]), true));
    }

    #[test]
    fn a_table_that_refers_to_itself_asks_for_no_other() {
        let itself = CONTRACT.replace("shop.yaml#customers.id", "orders.id");
        assert_eq!(tables(&itself, "orders").unwrap(), ("[]".to_owned(), true));
    }

    #[test]
    fn a_stricter_contract_breaks_nobody_and_a_laxer_one_does() {
        let required = format!("{CONTRACT}    required: true\n");
        assert!(diff(CONTRACT, &required, false).unwrap().1);
        let (said, good) = diff(&required, CONTRACT, false).unwrap();
        assert!(!good && said.contains("breaks"), "{said}");
        assert_eq!(diff(CONTRACT, CONTRACT, false).unwrap(), ("nothing changed".to_owned(), true));
    }

    #[test]
    fn what_has_no_equal_is_a_finding() {
        let suite =
            r#"{"name":"s","expectations":[{"type":"expect_column_values_to_not_be_null","kwargs":{"column":"a"}}],"meta":{}}"#;
        let (yaml, good) = import(suite, Language::GreatExpectations, "t").unwrap();
        assert!(good && Contract::from_yaml(&yaml).is_ok(), "{yaml}");
        assert!(lint(&yaml, true).is_ok() && lint("nonsense: [", false).is_err());
    }
}
