//! The document as text: bounded reading, and writing that YAML 1.1 and 1.2 readers understand alike.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    CONTRACT_ALIAS_COUNT_MAX, CONTRACT_BYTES_MAX, CONTRACT_DEPTH_MAX, CONTRACT_NODE_COUNT_MAX, Contract, ContractError, Issue,
    validate,
};

/// Characters of an error of the parser that are shown.
const SYNTAX_CHARS_MAX: usize = 600;

/// A contract that was read, and what its writer should know.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The contract.
    pub contract: Contract,
    /// What was kept but means nothing, or means something else than elsewhere.
    pub warnings: Vec<Issue>,
}

impl Contract {
    /// Reads a contract. Keys that the standard does not have are kept and named among the warnings.
    ///
    /// # Errors
    /// `TooBig` over a limit of size, depth, nodes or aliases; `Syntax` if it is no YAML or a field has the wrong type;
    /// `Invalid` if it cannot hold, with all faults at once.
    pub fn from_yaml(text: &str) -> Result<Reading, ContractError> {
        let contract: Self = bounded(text)?;
        let warnings = validate::validate(&contract)?;
        Ok(Reading { contract, warnings })
    }

    /// Writes the contract. What looks like a number, a date or a yes in any version of YAML is quoted where it is a text.
    ///
    /// # Errors
    /// `Syntax` if it cannot be written, which no contract that was read is.
    pub fn to_yaml(&self) -> Result<String, ContractError> {
        // A regular expression or a query that is folded over lines is hard to read and easy to break.
        let options = serde_saphyr::ser_options! { folded_wrap_chars: 1_000_000 };
        serde_saphyr::to_string_with_options(self, options).map_err(|error| ContractError::Syntax(error.to_string()))
    }
}

/// Reads YAML, or JSON as far as it is YAML, within the limits.
pub(crate) fn bounded<T: DeserializeOwned>(text: &str) -> Result<T, ContractError> {
    if text.len() > CONTRACT_BYTES_MAX {
        return Err(ContractError::TooBig { what: "the text's length in bytes", size: text.len(), max: CONTRACT_BYTES_MAX });
    }
    parsed(text).map_err(|error| ContractError::Syntax(told(&error)))
}

/// What the parser found, in one line and in the words of who wrote the text: its own speak of its options.
fn told(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error::{
        AliasError, AliasExpansionLimitExceeded, AliasReplayLimitExceeded, AliasReplayStackDepthExceeded, Budget,
        DuplicateMappingKey, MultipleDocuments, WithSnippet,
    };
    let mut plain = error;
    while let WithSnippet { error, .. } | AliasError { error, .. } = plain {
        plain = error;
    }
    let words = match plain {
        DuplicateMappingKey { key: Some(key), .. } => format!("the key `{key}` stands twice: leave one out"),
        DuplicateMappingKey { key: None, .. } => "a key stands twice: leave one out".to_owned(),
        MultipleDocuments { .. } => SEVERAL.to_owned(),
        AliasExpansionLimitExceeded { .. } | AliasReplayLimitExceeded { .. } | AliasReplayStackDepthExceeded { .. } => {
            ALIASES.to_owned()
        }
        Budget { breach, .. } => over(breach),
        other => {
            let words = other.render_with_formatter(&serde_saphyr::UserMessageFormatter);
            return words.lines().next().unwrap_or_default().chars().take(SYNTAX_CHARS_MAX).collect();
        }
    };
    let place = error.location().map(|place| format!(" (line {}, column {})", place.line(), place.column())).unwrap_or_default();
    words.chars().take(SYNTAX_CHARS_MAX).chain(place.chars()).collect()
}

const SEVERAL: &str = "it holds several documents: leave one, without a `---` behind it";
const ALIASES: &str = "its anchors and aliases stand for too much, or for themselves: write the parts out";

/// Which limit the text breaks.
fn over(breach: &serde_saphyr::budget::BudgetBreach) -> String {
    use serde_saphyr::budget::BudgetBreach::{
        AliasAnchorRatio, Aliases, Anchors, Depth, Documents, MergeKeys, RecordedAnchorBytes, RecordedAnchorEvents,
    };
    match breach {
        Documents { .. } => SEVERAL.to_owned(),
        Depth { .. } => format!("it is nested more than {CONTRACT_DEPTH_MAX} levels deep: flatten it"),
        Aliases { .. }
        | AliasAnchorRatio { .. }
        | Anchors { .. }
        | MergeKeys { .. }
        | RecordedAnchorBytes { .. }
        | RecordedAnchorEvents { .. } => ALIASES.to_owned(),
        _ => format!("it has more than {CONTRACT_NODE_COUNT_MAX} parts, or too much text in them: split it"),
    }
}

/// Why a text is no contract, with the line and the character where that shows: of what was refused as [`ContractError::Syntax`].
pub(crate) fn fault(text: &str) -> Option<(u64, u64, String)> {
    let error = parsed::<Contract>(text).err()?;
    let (line, column) = error.location().map(|place| (place.line(), place.column())).unwrap_or_default();
    Some((line, column, told(&error)))
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, serde_saphyr::Error> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: CONTRACT_DEPTH_MAX,
            flow_nesting_limit: CONTRACT_DEPTH_MAX,
            max_nodes: CONTRACT_NODE_COUNT_MAX,
            max_events: 2 * CONTRACT_NODE_COUNT_MAX,
            max_documents: 1,
            max_aliases: CONTRACT_ALIAS_COUNT_MAX,
            max_anchors: CONTRACT_ALIAS_COUNT_MAX,
            max_recorded_anchor_events: CONTRACT_NODE_COUNT_MAX,
            max_recorded_anchor_bytes: CONTRACT_BYTES_MAX,
            max_merge_keys: CONTRACT_ALIAS_COUNT_MAX,
            max_total_scalar_bytes: CONTRACT_BYTES_MAX,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: CONTRACT_NODE_COUNT_MAX,
            max_replay_stack_depth: 4,
            max_alias_expansions_per_anchor: CONTRACT_ALIAS_COUNT_MAX,
        },
        reject_unsupported_tags: true,
        // A column named `y` or `n` is a column, as YAML 1.2 has it.
        strict_booleans: true,
    };
    serde_saphyr::from_str_with_options(text, options)
}

/// An `implementation`: an object as it stands, or a text that holds one.
pub(crate) fn implementation(value: &Value) -> Result<Value, String> {
    match value {
        Value::String(text) => bounded::<Value>(text).map_err(|error| error.to_string()),
        other => Ok(other.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: v3.1.0\nkind: DataContract\nid: a\nversion: 1.0.0\nstatus: active\n";

    fn check(body: &str, refusal: &str) {
        let error = Contract::from_yaml(&format!("{HEAD}{body}")).unwrap_err().to_string();
        assert!(error.contains(refusal), "{error}");
        for inside in ["Options", "budget", "{", "\n", "cannot be read"] {
            assert!(!error.contains(inside), "{error}");
        }
    }

    #[test]
    fn what_is_read_is_written_and_read_alike() {
        let text = format!(
            "{HEAD}team:\n- username: ann\nservers:\n- server: x\n  type: local\n  path: a.csv\n  format: csv\nschema:\n- name: orders\n  \
             properties:\n  - name: country\n    logicalType: string\n    description: null\n    tags:\n    quality:\n    - metric: invalidValues\n      \
             arguments: {{validValues: ['NO', 'yes', '2024-01-01', '0755']}}\n      mustBe: 0\n"
        );
        let first = Contract::from_yaml(&text).unwrap();
        assert_eq!(first.warnings, []);
        let written = first.contract.to_yaml().unwrap();
        let second = Contract::from_yaml(&written).unwrap();
        assert_eq!(first.contract, second.contract);
        // A reader of YAML 1.1 would take these for no, yes and a date.
        for quoted in ["'NO'", "'yes'", "'2024-01-01'", "'0755'"] {
            assert!(written.contains(quoted) || written.contains(&quoted.replace('\'', "\"")), "{written}");
        }
    }

    #[test]
    fn unknown_keys_are_kept_and_named() {
        let read = Contract::from_yaml(&format!("{HEAD}colour: blue\nschema:\n- name: t\n  colour: red\n")).unwrap();
        let at: Vec<&str> = read.warnings.iter().map(|warning| warning.at.as_str()).collect();
        assert_eq!(at, ["colour", "schema.t.colour"]);
        assert!(read.contract.to_yaml().unwrap().contains("colour: blue"));
    }

    #[test]
    fn hostile_text_is_refused() {
        check("tags: &a [x, *a]\n", "not understood");
        check("tags: [1, 2\n", "not understood");
        check(&format!("name: {}{}\n", "[".repeat(100), "]".repeat(100)), "not understood");
        check(&format!("colour: {}\n", (0..60).fold("x".to_owned(), |inner, _| format!("{{a: {inner}}}"))), "not understood");
        check("id: b\n", "the key `id` stands twice");
        check("name: !!python/object:os.system x\n", "not understood");
        check("colour: !run x\n", "not understood");
        let bomb = (1..9).fold("l0: &l0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, level| {
            let below = level - 1;
            format!("{text}l{level}: &l{level} [*l{below}, *l{below}, *l{below}, *l{below}, *l{below}, *l{below}, *l{below}, *l{below}]\n")
        });
        check(&bomb, "not understood");
        let merges =
            format!("base: &b {{a: 1}}\n{}", (0..300).fold(String::new(), |text, at| format!("{text}m{at}:\n  <<: *b\n")));
        check(&merges, "not understood");
        check("name: a\n---\nname: b\n", "several documents");
        check("name: [1, 2\n", "line");
        let long = "x".repeat(CONTRACT_BYTES_MAX + 1);
        assert!(matches!(Contract::from_yaml(&long), Err(ContractError::TooBig { .. })));
    }

    #[test]
    fn random_damage_never_panics() {
        let text = format!(
            "{HEAD}schema:\n- name: t\n  properties:\n  - name: a\n    logicalType: integer\n    logicalTypeOptions: {{minimum: 1}}\n"
        );
        let mut state = 7_u64;
        for _ in 0..500 {
            let mut bytes = text.clone().into_bytes();
            for _ in 0..3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = usize::try_from(state >> 33).unwrap() % bytes.len();
                bytes[at] = b" \n:-[]{}&*!|>'\"%@`#,?\t\0\xffa1"[usize::try_from(state >> 8 & 0xff).unwrap() % 26];
            }
            let _ = Contract::from_yaml(&String::from_utf8_lossy(&bytes));
        }
    }
}
