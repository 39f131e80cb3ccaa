//! What holds and what does not.

use std::fmt;

use serde::Serialize;

/// Whether something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was checked and holds.
    Holds,
    /// It was checked and does not hold.
    Fails,
    /// It could not be checked: the checker gave no key for it.
    Unchecked,
}

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// What.
    pub what: String,
    /// Whether it holds.
    pub state: State,
    /// Whose it is, or why it does not hold.
    pub detail: String,
}

/// All that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The model.
    pub name: String,
    /// SHA-256 of its list of files, in hex.
    pub root_sha256: String,
    /// One for each part of the file.
    pub claims: Vec<Claim>,
}

impl Report {
    pub(super) fn add(&mut self, what: impl Into<String>, result: Result<String, String>) {
        let state = if result.is_ok() { State::Holds } else { State::Fails };
        let detail = result.unwrap_or_else(|problem| problem);
        self.claims.push(Claim { what: what.into(), state, detail });
    }

    /// Whether everything was checked and holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.claims.iter().all(|claim| claim.state == State::Holds)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} (files {})", Plain(&self.name), Plain(&self.root_sha256))?;
        for claim in &self.claims {
            let word = match claim.state {
                State::Holds => "holds",
                State::Fails => "FAILS",
                State::Unchecked => "unchecked",
            };
            writeln!(f, "{word:<10} {}: {}", Plain(&claim.what), Plain(&claim.detail))?;
        }
        Ok(())
    }
}

/// Text of a stranger's file on a terminal: nothing that steers it, or that a reader does not see.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        kernel::letters(self.0).try_for_each(|(letter, is_hidden)| write!(f, "{}", if is_hidden { '\u{fffd}' } else { letter }))
    }
}
