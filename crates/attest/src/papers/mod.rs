//! Papers for people: the model card and the technical documentation that the EU AI Act asks for (Annex IV), both made of the
//! record alone. What the record does not know is said in the paper, in words, where a reader would look for it.

mod card;
mod document;
mod dossier;
mod facts;
mod html;
mod markdown;

pub use card::{CARD_SCHEMA, card_json, card_markdown};
pub use dossier::dossier_html;
pub use facts::unknown;

#[cfg(test)]
mod tests;
