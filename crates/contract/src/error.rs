//! What can go wrong with a contract.

use std::fmt;

/// One fault of a contract, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// The way to it, such as `schema.orders.amount`.
    pub at: String,
    /// What is wrong and what to write instead.
    pub problem: String,
}

/// Why a contract cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContractError {
    /// Over a named limit.
    TooBig {
        /// What is too big.
        what: &'static str,
        /// How big it is.
        size: usize,
        /// How big it may be.
        max: usize,
    },
    /// Not the language that it should be.
    Syntax(String),
    /// Understood, but it cannot hold.
    Invalid(Vec<Issue>),
    /// The contract has no such table.
    NoSuchObject {
        /// The one asked for, if one was.
        name: Option<String>,
        /// Those that there are.
        known: Vec<String>,
    },
    /// Two checks that do not belong together were to be merged.
    Unlike(&'static str),
    /// A batch does not have the schema that the check was made for.
    Schema(String),
}

impl fmt::Display for Issue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{}`: {}", self.at, self.problem)
    }
}

impl fmt::Display for ContractError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooBig { what, size, max } => write!(out, "{what} is {size}, but at most {max} is allowed: split the contract"),
            Self::Syntax(problem) => write!(out, "the text is not understood: {problem}"),
            Self::Invalid(issues) => {
                write!(out, "the contract is not valid: ")?;
                for (index, issue) in issues.iter().enumerate() {
                    write!(out, "{}{issue}", if index == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
            Self::NoSuchObject { known, .. } if known.is_empty() => {
                write!(out, "the contract has no table: describe one under `schema`")
            }
            Self::NoSuchObject { name: Some(name), known } => {
                write!(out, "the contract has no table `{name}`; it has {}: name one of them", known.join(", "))
            }
            Self::NoSuchObject { name: None, known } => {
                let known = known.join(", ");
                write!(
                    out,
                    "the contract has several tables, {known}, and none has the data set's name: give it to the one that is meant"
                )
            }
            Self::Unlike(what) => write!(out, "two checks cannot be merged: their {what} differ"),
            Self::Schema(problem) => write!(out, "the data cannot be checked: {problem}"),
        }
    }
}

impl std::error::Error for ContractError {}

#[cfg(test)]
mod tests {
    use crate::Contract;

    fn check(schema: &str, name: Option<&str>, words: &str) {
        let text = format!("apiVersion: v3.1.0\nkind: DataContract\nid: a\nversion: 1.0.0\nstatus: active\nschema: {schema}\n");
        let error = Contract::from_yaml(&text).unwrap().contract.object(name).unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains("none named"), "{error}");
    }

    #[test]
    fn a_table_that_is_not_there() {
        check("[{name: t}, {name: u}]", None, "several tables, t, u, and none has the data set's name");
        check("[{name: t}]", Some("v"), "no table `v`; it has t");
        check("[]", None, "no table: describe one");
    }
}
