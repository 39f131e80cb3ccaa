//! The nouns of this room.

use kernel::Micros;

use crate::respond::Rung;
use crate::rules::Level;

/// A finding that was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection {
    /// Its id.
    pub id: String,
    /// The rule's UUID, name and title.
    pub rule_id: String,
    /// The rule's name.
    pub rule: String,
    /// The rule's title.
    pub title: String,
    /// How bad.
    pub level: Level,
    /// What makes it the same as another of this rule.
    pub subject: String,
    /// The account behind it, if there is one: id and kind.
    pub caller: Option<(String, String)>,
    /// Its name now, if it still has one.
    pub caller_name: Option<String>,
    /// The token or session, by id.
    pub token: Option<String>,
    /// The workspace's id.
    pub workspace: Option<String>,
    /// When it was found first.
    pub first_at: Micros,
    /// When it was found last.
    pub last_at: Micros,
    /// The record that was last behind it.
    pub last_index: u64,
    /// How often.
    pub count: i64,
    /// Records of the log, by index.
    pub evidence: Vec<u64>,
    /// In numbers, for people.
    pub words: String,
    /// What was to be done at most.
    pub response: Rung,
    /// What became of that.
    pub response_state: String,
    /// Who is on it, by id, since when.
    pub acknowledged: Option<(Micros, String)>,
    /// And by name, as it is now; none for an account that is gone.
    pub acknowledged_name: Option<String>,
}

/// Nothing is done.
pub const RESPONSE_NONE: &str = "none";
/// It is still to be done.
pub const RESPONSE_DUE: &str = "due";
