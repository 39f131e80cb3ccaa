//! The name of a verb: the policy's word, the audit's word and the metric's word.

/// Whether a verb changes something. A write is refused where a read may pass, never the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Looks, and leaves nothing behind but its record.
    Read,
    /// Changes something.
    Write,
}

/// One verb. Each room lists its own in `ACTIONS`; the policy's schema names every one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Action {
    /// `room.verb`, such as `runs.create`: stable, it is written into logs and policies.
    pub name: &'static str,
    /// Whether it changes something.
    pub access: Access,
}

impl Action {
    /// A verb that only looks.
    #[must_use]
    pub const fn read(name: &'static str) -> Self {
        Self { name, access: Access::Read }
    }

    /// A verb that changes something.
    #[must_use]
    pub const fn write(name: &'static str) -> Self {
        Self { name, access: Access::Write }
    }
}
