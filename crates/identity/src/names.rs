//! Names that people choose: validated once, here, at the border.

use kernel::Problem;

use crate::types::{Name, ScopePattern};

/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// The longest label of a token, in characters.
pub const LABEL_LENGTH_MAX: usize = 100;
/// Scope patterns per token.
pub const SCOPE_COUNT_MAX: usize = 64;
/// The longest scope pattern, in bytes.
pub const SCOPE_BYTES_MAX: usize = 80;

/// Names that would be mistaken for callers that are no accounts.
const RESERVED: &[&str] = &["anonymous", "bootstrap", "job", "retrainer", "system", "strongroom"];

impl Name {
    /// A name of an account, group or workspace: 1 to 64 of `a-z 0-9 . _ @ -`, folded to lower case, beginning with a letter
    /// or digit.
    ///
    /// # Errors
    /// `Invalid`, saying what a name may be.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let folded = text.to_ascii_lowercase();
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._@-".contains(&byte);
        let starts_well = folded.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !starts_well || folded.len() > NAME_BYTES_MAX || !folded.bytes().all(allowed) {
            return Err(Problem::invalid(format!(
                "a name is 1 to {NAME_BYTES_MAX} of the letters a to z, digits, `.`, `_`, `@` and `-`, and begins with a letter or digit"
            )));
        }
        // Accounts are found by id or name: no name may pass for an id.
        let like_an_id = folded.get(1..2) == Some("_")
            && folded.get(2..).is_some_and(|rest| rest.len() == 32 && kernel::parse_hex(rest).is_some());
        if like_an_id {
            return Err(Problem::invalid("a name must not look like an id; choose another one"));
        }
        if RESERVED.contains(&folded.as_str()) {
            return Err(Problem::invalid(format!("the name `{folded}` is reserved; choose another one")));
        }
        Ok(Self::trusted(folded))
    }
}

impl std::str::FromStr for Name {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        Self::parse(text)
    }
}

impl ScopePattern {
    /// A pattern of actions: `*`, `room.*` or `room.verb`, each of the last two also for one thing only: `…@experiment:ID`,
    /// `…@dataset_version:ID` or `…@model:ID` (a registered model's internal id).
    ///
    /// # Errors
    /// `Invalid`, saying what a pattern may be.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let word =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let (verbs, on) = text.split_once('@').map_or((text, None), |(verbs, on)| (verbs, Some(on)));
        let narrowed = on.is_none_or(|on| {
            let id = ["experiment:", "dataset_version:", "model:"].iter().find_map(|kind| on.strip_prefix(kind));
            id.is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'))
        });
        let right = text.len() <= SCOPE_BYTES_MAX
            && narrowed
            && ((text == "*") || verbs.split_once('.').is_some_and(|(room, verb)| word(room) && (verb == "*" || word(verb))));
        if !right {
            return Err(Problem::invalid(
                "a scope is `*`, `room.*` or `room.verb`, such as `runs.*` or `runs.log`, also for one experiment: `runs.*@experiment:7`",
            ));
        }
        Ok(Self::trusted(text.to_owned()))
    }

    /// Whether all that `narrower` matches, this matches too.
    #[must_use]
    pub fn covers(&self, narrower: &Self) -> bool {
        let (wide, narrow) = (self.as_str(), narrower.as_str());
        // One that is narrowed to a thing covers only what is narrowed to the same; one that is not covers all things.
        let split = |text| str::split_once(text, '@').map_or((text, None), |(verbs, on)| (verbs, Some(on)));
        let ((wide, wide_on), (narrow, narrow_on)) = (split(wide), split(narrow));
        if wide_on.is_some() && wide_on != narrow_on {
            return false;
        }
        wide == "*"
            || wide == narrow
            || wide.strip_suffix('*').is_some_and(|room| room.ends_with('.') && narrow.starts_with(room))
    }
}

/// Checks a list of scope patterns.
///
/// # Errors
/// `Invalid` or `TooLarge`.
pub fn parse_scopes<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<ScopePattern>, Problem> {
    let mut scopes = Vec::new();
    for text in texts {
        if scopes.len() == SCOPE_COUNT_MAX {
            return Err(Problem::new(kernel::Kind::TooLarge, format!("a token has at most {SCOPE_COUNT_MAX} scopes")));
        }
        scopes.push(ScopePattern::parse(text)?);
    }
    Ok(scopes)
}

/// Checks a token's label, which only its owner sees.
///
/// # Errors
/// `Invalid`.
pub fn parse_label(text: &str) -> Result<String, Problem> {
    if text.chars().count() > LABEL_LENGTH_MAX || text.chars().any(char::is_control) {
        return Err(Problem::invalid(format!("a label is at most {LABEL_LENGTH_MAX} printable characters")));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_and_the_rest_is_refused() {
        for (given, kept) in [("Ada", "ada"), ("ada.l@x-y_z", "ada.l@x-y_z"), ("0", "0")] {
            assert_eq!(Name::parse(given).unwrap().as_str(), kept);
        }
        let long = "a".repeat(65);
        let like_an_id = format!("u_{}", kernel::random_id());
        for bad in ["", ".", "..", "-a", "a/b", "a b", "ä", "a\0", "a%2e", "anonymous", "Bootstrap", &long, &like_an_id] {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn scopes_cover_what_is_narrower() {
        let scope = |text| ScopePattern::parse(text).unwrap();
        for (wide, narrow, covers) in [
            ("*", "runs.*", true),
            ("runs.*", "runs.log", true),
            ("runs.*", "runs.*", true),
            ("runs.log", "runs.*", false),
            ("runs.*", "*", false),
            ("runs.*", "runsx.log", false),
            ("runs.log", "runs.log", true),
            ("runs.log", "runs.logs", false),
            ("versions.*", "versions.create@model:rm_ab12", true),
            ("versions.create@model:rm_ab12", "versions.create@model:rm_ab12", true),
            ("versions.create@model:rm_ab12", "versions.create@model:rm_ab13", false),
            ("versions.create@model:rm_ab12", "versions.create", false),
        ] {
            assert_eq!(scope(wide).covers(&scope(narrow)), covers, "{wide} {narrow}");
        }
        for bad in [
            "",
            ".",
            "runs.",
            ".*",
            "*.log",
            "runs.*.x",
            "Runs.log",
            "runs",
            "runs.l*",
            "a\nb.c",
            "runs.log@model:",
            "runs.log@model:A",
            "runs.log@thing:1",
        ] {
            assert!(ScopePattern::parse(bad).is_err(), "{bad}");
        }
    }
}
