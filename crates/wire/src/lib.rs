//! The outside's languages, a module each: [`mlflow`], [`otlp`], [`inference`], [`openlineage`], [`scim`], [`admin`]. They turn requests into Operations and outputs into
//! answers, and hold no rule of any room.
//!
//! [`door`] is the only place that adds routes: one route is one Operation, by construction.
//!
//! INVARIANT: no request body is read before its sender is identified. Held by the stranger's sweep in `tests/clients`.

pub mod admin;
pub mod authorize;
pub mod authzen;
mod bodies;
mod certificate;
pub mod door;
mod form;
mod held;
mod inbound;
pub mod inference;
mod language;
mod lasting;
mod login;
pub mod mlflow;
mod node;
pub mod openlineage;
pub mod otlp;
mod outbound;
mod pages;
mod passage;
mod protobuf;
pub mod scim;
pub mod statements;

pub use admin::times::{parse as parse_time, to_text as time_text};
pub use certificate::PeerCertificate;
pub use door::{Answered, Chosen, Door, DoorConfig, PeerAddress, ProblemPage, RouteEntry, Telemetry};
pub use form::Form;
pub use inbound::{BodyStream, Inbound, KNOWN_COOKIE, SESSION_COOKIE, attempt_from, authority_of};
pub use language::{Asked, Knock, Language};
pub use login::{CALLBACK, CARRIED_COOKIE, end_cookie, local_path, login_address};
pub use outbound::{Answer, base64_text, base64url_text, from_base64url, harden, json, json_text, problem_answer};
pub use pages::{Whence, address_here, lies_under};
