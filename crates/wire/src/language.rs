//! A protocol with a listener of its own, as the door sees it: S3.

use gate::{Action, Attempt, Credential};
use http::Method;
use http::request::Parts;
use kernel::Problem;

use crate::door::{Chosen, RouteEntry};
use crate::inbound::BodyStream;
use crate::outbound::Answer;

/// A protocol with a listener of its own, in which more of a request than its path says which verb it asks for, and which has a way of its
/// own to say who asks and what went wrong: S3.
pub trait Language: Send + Sync + 'static {
    /// Every verb that can be asked for, and how.
    fn table(&self) -> Vec<RouteEntry>;

    /// Who knocks, and for what: read from the request's head alone. What the head says that is needed later goes into the extensions.
    ///
    /// What is wrong with the head is in [`Knock::refused`]: also such a knock is counted and recorded.
    fn knock(&self, parts: &mut Parts) -> Knock;

    /// The credential that a form is ([`Knock::is_form`]).
    fn form_credential(&self, form: &[u8]) -> Credential;

    /// What is asked for. The body is read by the verbs, or not at all.
    ///
    /// # Errors
    /// What cannot be read as a request of this protocol.
    fn choose(&self, parts: Parts, body: Asked) -> Result<Chosen, Problem>;

    /// The answer to a problem with the request of this head.
    fn refuse(&self, problem: &Problem, method: &Method, path: &str) -> Answer;
}

/// A knock in a [`Language`].
pub struct Knock {
    /// Who.
    pub attempt: Attempt,
    /// For what: refusals are recorded under it.
    pub action: Action,
    /// Whether the body is a form that is the credential, so that it is read first.
    pub is_form: bool,
    /// Why nobody can be behind it. Then the credential is [`Credential::None`].
    pub refused: Option<Problem>,
}

/// The body of a request in a [`Language`].
pub enum Asked {
    /// Still to come.
    Body(BodyStream),
    /// The form that was the credential.
    Form(bytes::Bytes),
}
