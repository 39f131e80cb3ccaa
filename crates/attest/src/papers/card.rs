//! The model card: Markdown for people, JSON for programs. The order of its parts is that of M. Mitchell and others, "Model Cards
//! for Model Reporting" (2019), table 1.

use serde_json::json;

use super::document::{Block, Document, Section, declared};
use super::facts::{self, instant};
use super::markdown::markdown;
use crate::error::AttestError;
use crate::record::ModelRecord;

/// What the JSON card calls itself.
pub const CARD_SCHEMA: &str = "strongroom/model-card/v1";

/// The card as Markdown.
#[must_use]
pub fn card_markdown(record: &ModelRecord) -> String {
    let said = &record.declared;
    let mut about = vec![facts::model(record)];
    about.push(declared(record.model.description.as_ref(), "The owner can describe the version in the registry."));
    let sections = vec![
        Section::new("Model", about),
        Section::new(
            "Intended use",
            vec![
                declared(said.intended_purpose.as_ref(), "The provider says what the model is for."),
                Block::Heading("Out of scope".to_owned()),
                declared(said.out_of_scope.as_ref(), "The provider says what it must not be used for."),
            ],
        ),
        Section::new("Metrics", vec![facts::metrics(record)]),
        Section::new("Data", vec![facts::data(record)]),
        Section::new(
            "Origin",
            vec![
                facts::run(record),
                facts::code(record),
                facts::params(record),
                facts::base_models(record),
                facts::environment(record),
            ],
        ),
        Section::new("Tests", vec![facts::tests(record), facts::scans(record), facts::attacks(record)]),
        Section::new(
            "Limits and ethical considerations",
            vec![
                declared(said.limitations.as_ref(), "The provider names known limits."),
                declared(said.ethics.as_ref(), "The provider says whom the model may harm."),
            ],
        ),
        Section::new("Signatures and decisions", vec![facts::signatures(record), facts::approvals(record)]),
        Section::new("Files", vec![facts::files(record)]),
        Section::new("Not known", vec![not_known(record)]),
    ];
    let model = &record.model;
    let subtitle =
        format!("Written by {} {} at {}.", record.generator.name, record.generator.version, instant(record.generated_at));
    markdown(&Document { title: format!("Model card: {} version {}", model.name, model.version), subtitle, sections })
}

pub(super) fn not_known(record: &ModelRecord) -> Block {
    let unknown = facts::unknown(record);
    if unknown.is_empty() {
        return Block::Text("Everything that this paper asks for is known.".to_owned());
    }
    Block::Missing(format!("This paper does not know: {}.", unknown.join(", ")))
}

/// The card as JSON: the record and the names of what it does not know.
///
/// # Errors
/// `Malformed` if it cannot be written.
pub fn card_json(record: &ModelRecord) -> Result<Vec<u8>, AttestError> {
    let card = json!({ "schema": CARD_SCHEMA, "record": record, "unknown": facts::unknown(record) });
    serde_json::to_vec_pretty(&card).map_err(|error| AttestError::malformed(format!("the card cannot be written: {error}")))
}
