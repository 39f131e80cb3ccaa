//! Whom others vouch for: people at an OpenID Connect provider, programs by the tokens that their platforms sign. It reads and judges what
//! was signed, and asks issuers that the configuration names, over the port [`Fetch`]; it holds no account and no session.
//!
//! INVARIANT: nothing is fetched from an address that came in a request: issuers are the configuration's, and what their documents name
//! must be on the same host. Held by `provider::tests::a_document_cannot_send_us_elsewhere`.
//! INVARIANT: a token is taken if its algorithm is one of [`ALGORITHMS`], its key is its issuer's, and it was made for us, now. Held by
//! `token::tests`.

mod config;
mod flow;
mod provider;
mod rules;
mod statement;
#[cfg(test)]
mod testing;
mod token;

pub use config::{FederationConfig, GroupRule, ProviderConfig, TransmitterConfig, WorkloadRule};
pub use flow::{Begun, Carried};
pub use provider::{Fetch, Provider};
pub use rules::{Mapped, mapped_groups, service_of};
pub use statement::{LoggedOut, Signal, SignalEvent, SubjectId, Untaken, algorithm};
pub use token::{ALGORITHMS, Claims, TOKEN_BYTES_MAX, verify};
