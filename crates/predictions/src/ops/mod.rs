//! The verbs.

mod erase;
mod expire;
mod policy;
mod prove;
mod query;
mod seal;
mod search;
mod show;

use gate::Action;

pub use erase::{EraseSubject, ErasurePage, FindSubject, Held, ListErasures, ProveErasure};
pub use expire::{Expire, Expired};
pub use policy::{GetPolicy, SetPolicy};
pub use prove::ProvePrediction;
pub use query::QueryPredictions;
pub use seal::SealBatch;
pub use search::{CountPredictions, FindPrediction, Page, SearchPredictions, Wish};
pub use show::{ShowPrediction, Shown};

/// Lists predictions: who asked which endpoint when, and what answered; no values.
pub const SEARCH: Action = Action::read("predictions.search");
/// Reads what was asked and said: shows, queries, proves.
pub const READ: Action = Action::read("predictions.read");
/// Shows what is kept of an endpoint's predictions.
pub const POLICY: Action = Action::read("predictions.policy");
/// Says what is kept of them.
pub const SET_POLICY: Action = Action::write("predictions.set_policy");
/// Tells what is kept of a subject.
pub const SUBJECT: Action = Action::read("predictions.subject");
/// Lists what was erased, with its records.
pub const ERASURES: Action = Action::read("predictions.erasures");
/// Erases what was kept of a subject.
pub const ERASE: Action = Action::write("predictions.erase");
/// Seals a batch.
pub const SEAL: Action = Action::write("predictions.seal");
/// Deletes batches whose time is over.
pub const EXPIRE: Action = Action::write("predictions.expire");
