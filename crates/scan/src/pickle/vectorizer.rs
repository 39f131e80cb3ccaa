//! scikit-learn's vectorizers of texts: with `input="filename"` they open the files whose names their callers send.

use super::machine::Machine;
use super::reader::Halt;
use super::value::Value;

const MODULE: &str = "sklearn.feature_extraction";
const NAMES: [&str; 3] = ["CountVectorizer", "HashingVectorizer", "TfidfVectorizer"];
/// The parameter, and its values with which no file is opened.
pub(crate) const INPUT: &str = "input";
const HARMLESS: [&str; 2] = ["content", "file"];
const TEXT_BYTES_MAX: u64 = 64;

pub(crate) const OPENS_FILES: &str = "a vectorizer opens the files whose names its callers send (`input` is not `content`)";

pub(crate) fn is_vectorizer(module: &str, name: &str) -> bool {
    module.starts_with(MODULE) && NAMES.contains(&name)
}

/// Whether it takes texts for what they are with this value of the parameter.
pub(crate) fn is_harmless(input: &str) -> bool {
    HARMLESS.contains(&input)
}

impl Machine<'_, '_, '_> {
    /// Whether an object with this state opens files, or it is not known.
    pub(super) fn opens_files(&self, class: u32, state: Value) -> Result<bool, Halt> {
        if !self.trace.global(class).is_some_and(|class| is_vectorizer(&class.module, &class.name)) {
            return Ok(false);
        }
        let Some(entries) = self.heap.state(state) else { return Ok(true) };
        for (key, value) in entries {
            if self.text_of(*key, TEXT_BYTES_MAX)?.as_deref() == Some(INPUT)
                && !self.text_of(*value, TEXT_BYTES_MAX)?.is_some_and(|input| is_harmless(&input))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
