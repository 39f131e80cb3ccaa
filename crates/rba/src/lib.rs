//! How unusual is this log-in for this person? The published score of risk-based authentication, hard rules beside it, and what both
//! together ask for. Pure: values in, values out.
//!
//! It keeps nothing on disk, decides about no session and asks nobody for a second factor: crate `risk` does the first, log-in the others.
//!
//! Source of the score: Freeman, Jain, Dürmuth, Biggio, Giacinto, "Who Are You? A Statistical Approach to Measuring User Authenticity"
//! (NDSS 2016), equation 7 without attack data; with the hierarchies, weights and edge cases of Wiefling, Jørgensen, Thunem, Lo Iacono,
//! "Pump Up Password Security!" (ACM TOPS 2022).
//!
//! INVARIANT: in its plain form the score is the published one. Held by `tests/risk/test_score.py`.
//! INVARIANT: values are keyed hashes; what a person really used cannot be read from what is kept. Held by `keyed::tests`.
//! INVARIANT: what is unknown is never familiar. Held by `keyed::tests` and `rules::tests`.
//! INVARIANT: forgetting a person leaves the counts as if they had never been there. Held by `model::tests`.

pub mod agent;
pub mod dataset;
pub mod geo;
mod global;
pub mod keyed;
pub mod leaked;
mod model;
pub mod networks;
mod percentile;
pub mod places;
pub mod rules;
pub mod table;
pub mod velocity;

pub use geo::Geo;
pub use keyed::{Keyed, Seen, Value};
pub use model::{Form, Model, Score, Term};
pub use percentile::Percentiles;
pub use rules::{Band, Bands, Judged, Reason};
