//! `endpoints.trails`, `endpoints.release` and `endpoints.throttle`: what is known of an endpoint's callers, and what a person makes of
//! it. It is this server's memory: another server behind the same address has its own, and a restart forgets.

use std::time::Duration;

use ::guard::Level;
use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use super::endpoint_of;
use crate::limits::{CALLER_BYTES_MAX, GUARD_SHOWN_COUNT_MAX, THROTTLE_MAX};
use crate::{Serving, TrailShown, store};

/// Shows what is known of an endpoint's callers.
pub struct ListTrails {
    /// The room.
    pub room: Serving,
    /// The endpoint's name.
    pub name: String,
    /// How many; as many as there can be if nothing is said.
    pub rows: Option<usize>,
}

impl Operation for ListTrails {
    const ACTION: Action = super::TRAILS;
    type Output = Vec<TrailShown>;

    fn target(&self) -> Target {
        Target::Endpoint(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<TrailShown>, Problem> {
        Ok(self.room.trails(&endpoint_of(&permit)?, self.rows.unwrap_or(GUARD_SHOWN_COUNT_MAX).min(GUARD_SHOWN_COUNT_MAX)))
    }
}

/// Takes back what is held against a caller: the step of the ladder, and the queries behind it.
pub struct ReleaseTrail {
    /// The room.
    pub room: Serving,
    /// The endpoint's name.
    pub name: String,
    /// The caller's id or name.
    pub caller: String,
}

impl Operation for ReleaseTrail {
    const ACTION: Action = super::RELEASE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Endpoint(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let id = endpoint_of(&permit)?;
        let caller = caller_of(&self.room, &permit, &id, self.caller).await?;
        self.room.put_on_ladder(&id, &caller, None)?;
        permit.defer_outcome().settle(&Outcome::done().resource(id).with("caller", caller));
        Ok(())
    }
}

/// Puts a caller on a step of the ladder for a while, whatever the caller does.
pub struct ThrottleTrail {
    /// The room.
    pub room: Serving,
    /// The endpoint's name.
    pub name: String,
    /// The caller's id or name.
    pub caller: String,
    /// The step.
    pub level: Level,
    /// For how long.
    pub duration: Duration,
}

impl Operation for ThrottleTrail {
    const ACTION: Action = super::THROTTLE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Endpoint(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let id = endpoint_of(&permit)?;
        if self.duration.is_zero() || self.duration > THROTTLE_MAX {
            return Err(Problem::invalid(format!(
                "a caller is slowed down for 1 second to {} days",
                THROTTLE_MAX.as_secs() / 86_400
            )));
        }
        if self.level < Level::Slower {
            return Err(Problem::invalid("the step is `slower`, `coarser` or `refused`"));
        }
        let caller = caller_of(&self.room, &permit, &id, self.caller).await?;
        self.room.put_on_ladder(&id, &caller, Some((self.level, self.duration)))?;
        let seconds = i64::try_from(self.duration.as_secs()).unwrap_or(i64::MAX);
        let outcome = Outcome::done().resource(id).with("caller", caller).with("level", self.level.word());
        permit.defer_outcome().settle(&outcome.with("seconds", seconds));
        Ok(())
    }
}

/// The id of a caller who is named by id or name: one whom this server remembers at the endpoint, or an account. Nobody else is
/// put on a step: it would hold for no one.
async fn caller_of<O: ?Sized>(room: &Serving, permit: &Permit<O>, endpoint_id: &str, caller: String) -> Result<String, Problem> {
    let is_word = !caller.is_empty()
        && caller.len() <= CALLER_BYTES_MAX
        && caller.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'@'));
    if !is_word {
        let message = "a caller is named by its id, as `strongroom endpoint trails` lists it, or by the account's name";
        return Err(Problem::invalid(message));
    }
    if room.remembers(endpoint_id, &caller) {
        return Ok(caller);
    }
    let wanted = caller.clone();
    let found = room.db().read(permit, move |reader| Ok(store::guard::account(reader, &wanted)?)).await?;
    found.ok_or_else(|| {
        let none = format!("there is no account `{caller}`, and this server remembers no such caller here");
        Problem::not_found(format!("{none}; `strongroom endpoint trails` lists those that it does"))
    })
}
