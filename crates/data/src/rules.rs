//! What requests must keep to.

use gate::{DataState, Permit};
use inspection::Roles;
use kernel::{Kind, Problem};

use crate::limits::{
    CONTRACT_BYTES_MAX, OTHER_COUNT_MAX, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, PARENT_COUNT_MAX, PROVENANCE_BYTES_MAX,
    REASON_BYTES_MAX, ROLE_COLUMN_COUNT_MAX,
};
use crate::types::{CommitWish, Version, no_version};

/// The formats that a committer may name.
pub const FORMATS: [&str; 7] = ["parquet", "csv", "jsonl", "arrow", "npy", "npz", "images"];
/// An Ed25519 signature.
const SIGNATURE_BYTES: usize = 64;

/// Checks what a committer says.
pub(crate) fn wish(wish: &CommitWish) -> Result<(), Problem> {
    let texts = [
        ("source", &wish.source_uri),
        ("licence", &wish.licence),
        ("owner", &wish.data_owner),
        ("purpose", &wish.purpose),
        ("format", &wish.format),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            line(name, text, PROVENANCE_BYTES_MAX)?;
        }
    }
    if let Some(format) = wish.format.as_ref().filter(|format| !FORMATS.contains(&format.as_str())) {
        return Err(Problem::invalid(format!("`{format}` is no format; there are {}", FORMATS.join(", "))));
    }
    if !wish.csv.is_silent() && wish.format.as_deref().is_some_and(|format| format != "csv") {
        return Err(Problem::invalid(
            "a header and a delimiter are said of CSV files only; leave them out, or name the format `csv`",
        ));
    }
    if wish.contract.as_ref().is_some_and(|contract| contract.len() > CONTRACT_BYTES_MAX) {
        return Err(Problem::new(Kind::TooLarge, format!("a contract has at most {CONTRACT_BYTES_MAX} bytes")));
    }
    if wish.parents.len() > PARENT_COUNT_MAX {
        return Err(Problem::invalid(format!("a version has at most {PARENT_COUNT_MAX} parents")));
    }
    if wish.signature.as_ref().is_some_and(|signature| signature.len() != SIGNATURE_BYTES) {
        return Err(Problem::invalid(format!("an Ed25519 signature has {SIGNATURE_BYTES} bytes")));
    }
    if wish.others.len() > OTHER_COUNT_MAX {
        return Err(Problem::invalid(format!("a version is checked against at most {OTHER_COUNT_MAX} others")));
    }
    wish.others.iter().try_for_each(|other| line("a table's name", &other.name, PROVENANCE_BYTES_MAX))?;
    let mut names: Vec<&str> = wish.others.iter().map(|other| other.name.as_str()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err(Problem::invalid("a name stands for one table"));
    }
    roles(&wish.roles)
}

fn roles(roles: &Roles) -> Result<(), Problem> {
    let single = [&roles.label, &roles.source, &roles.time, &roles.id, &roles.embedding];
    let many = [&roles.texts, &roles.probabilities, &roles.ignored];
    if many.iter().map(|names| names.len()).sum::<usize>() > ROLE_COLUMN_COUNT_MAX {
        return Err(Problem::invalid(format!("at most {ROLE_COLUMN_COUNT_MAX} columns are named")));
    }
    let names = single.into_iter().flatten().chain(many.into_iter().flatten());
    names.into_iter().try_for_each(|name| line("a column's name", name, PROVENANCE_BYTES_MAX))
}

/// A text of one line.
pub(crate) fn line(name: &str, text: &str, bytes_max: usize) -> Result<(), Problem> {
    if text.trim().is_empty() || text.len() > bytes_max || text.chars().any(char::is_control) {
        return Err(Problem::invalid(format!("`{name}` is a line of 1 to {bytes_max} bytes; leave it out if it is not known")));
    }
    Ok(())
}

/// A reason for a decision.
pub(crate) fn reason(text: &str) -> Result<(), Problem> {
    line("reason", text, REASON_BYTES_MAX)
}

/// How many rows a page has.
pub(crate) fn page_rows(rows: Option<usize>) -> Result<usize, Problem> {
    match rows.unwrap_or(PAGE_ROWS_DEFAULT) {
        rows @ 1..=PAGE_ROWS_MAX => Ok(rows),
        _ => Err(Problem::invalid(format!("a page has 1 to {PAGE_ROWS_MAX} rows"))),
    }
}

/// The version's id as the gate found it.
pub(crate) fn version_id<O: ?Sized>(permit: &Permit<O>) -> Result<String, Problem> {
    permit.facts().id.clone().filter(|_| permit.facts().exists).ok_or_else(no_version)
}

/// A version still takes files, and from this caller: who commits answers for all that is in it.
pub(crate) fn open_to(version: &Version, caller: &str) -> Result<(), Problem> {
    if version.committer != caller {
        return Err(Problem::forbidden("only who opened a version puts files into it and commits it; open one of your own"));
    }
    if version.state != DataState::Open {
        return Err(Problem::new(Kind::Conflict, "the version is committed and takes no more files; open another one"));
    }
    Ok(())
}

/// A version is committed.
pub(crate) fn committed(version: &Version) -> Result<i64, Problem> {
    version.number.ok_or_else(|| Problem::new(Kind::Conflict, "the version is still open; commit it first"))
}
