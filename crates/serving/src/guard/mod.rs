//! What stands between a caller and a model once the policy let the request through: the quota, and the watch on abuse.
//!
//! What is known of callers is kept in memory, per server: it is forgotten by age, for want of memory, and with the process.
//! What crate `guard` decides is done here: a refusal with the time to wait, coarser outputs, words for the record.

mod outputs;
mod quota;
mod rows;
mod settings;
mod shown;
mod watch;

pub(crate) use quota::Quotas;
pub use settings::{GuardSettings, RangePolicy};
pub use shown::{GuardState, TrailShown};
pub(crate) use watch::Guards;
