//! The verbs, a family per file.

pub mod attest;
pub mod enrol;
pub mod fleets;
pub mod invite;
pub mod list;
pub mod nodes;
pub mod report;
pub mod revoke;
pub mod rules;

use gate::{Caller, CallerKind};
use kernel::{Kind, Problem};

/// The caller's account, for verbs on one's own.
fn own_account(caller: &Caller) -> Result<&str, Problem> {
    match caller.kind {
        CallerKind::User | CallerKind::Service => Ok(&caller.id),
        CallerKind::Anonymous | CallerKind::Job => {
            Err(Problem::invalid("this caller has no account; log in as a user or service account"))
        }
    }
}

/// The device that the request came from, which it must be about.
fn own_device(caller: &Caller) -> Result<&str, Problem> {
    let device = caller.device.as_ref().map(|device| device.id.as_str());
    device.ok_or_else(|| {
        Problem::forbidden("this takes the certificate of a device of yours that counts; enrol it with `strongroom agent enroll`")
    })
}

fn ended() -> Problem {
    Problem::new(Kind::Unauthenticated, "You are not authenticated. The device was revoked in this moment.")
}

fn no_device() -> Problem {
    Problem::not_found("there is no such device; list them to see their ids")
}
