//! `labels.add`: what came true of predictions.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem};

use crate::Observe;
use crate::limits::{LABEL_COUNT_MAX, TEXT_BYTES_MAX};
use crate::store::minutes::{self, Taken};
use crate::types::Label;

/// Adds true outcomes of predictions of an endpoint.
pub struct AddLabels {
    /// The room.
    pub room: Observe,
    /// The endpoint's name.
    pub endpoint: String,
    /// What came true.
    pub labels: Vec<Label>,
}

/// How many were taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Labelled {
    /// Stored.
    pub stored_count: usize,
    /// Labelled so already.
    pub repeated_count: usize,
    /// Of predictions that are not known here, or too old, or no classes.
    pub unknown_count: usize,
}

impl Operation for AddLabels {
    const ACTION: Action = super::LABELS;
    type Output = Labelled;

    fn target(&self) -> Target {
        Target::Endpoint(self.endpoint.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Labelled, Problem> {
        let facts = permit.facts();
        let endpoint = facts.id.clone().filter(|_| facts.exists);
        let endpoint = endpoint.ok_or_else(|| Problem::not_found("there is no such endpoint here"))?;
        if self.labels.len() > LABEL_COUNT_MAX {
            return Err(Problem::new(
                Kind::TooLarge,
                format!("a request brings at most {LABEL_COUNT_MAX} labels; send more requests"),
            ));
        }
        let bad = |label: &Label| label.truth.is_empty() || label.truth.len() > TEXT_BYTES_MAX || label.truth.contains('\0');
        if let Some(place) = self.labels.iter().position(bad) {
            return Err(Problem::invalid(format!("label {place} is empty, too long ({TEXT_BYTES_MAX} bytes) or no text")));
        }
        // Who waits for what is written first: labels may come in the same moment as the answer.
        self.room.flush().await?;
        let (at, by, labels) = (permit.entry().at, permit.caller().id.clone(), self.labels);
        let stored = self.room.db().write(&permit, move |writer| {
            let mut labelled = Labelled::default();
            for label in &labels {
                let count = match minutes::label(writer, &endpoint, label, at, &by)? {
                    Taken::Stored => &mut labelled.stored_count,
                    Taken::Repeated => &mut labelled.repeated_count,
                    Taken::Unknown => &mut labelled.unknown_count,
                };
                *count += 1;
            }
            let outcome = Outcome::done().resource(endpoint).with("stored", labelled.stored_count);
            let outcome = outcome.with("repeated", labelled.repeated_count);
            Ok((labelled, outcome.with("unknown", labelled.unknown_count)))
        });
        stored.await
    }
}
