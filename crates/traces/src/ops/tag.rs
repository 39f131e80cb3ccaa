//! Sets or removes a tag of a trace.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use crate::store::traces;
use crate::types::Pair;
use crate::{Traces, attribution, rules};

/// Sets a tag.
pub struct SetTag {
    /// The room.
    pub room: Traces,
    /// The trace.
    pub trace_id: String,
    /// The tag.
    pub tag: Pair,
}

impl Operation for SetTag {
    const ACTION: Action = super::TRACES_TAG;
    type Output = ();

    fn target(&self) -> Target {
        Target::Trace(self.trace_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let tag = rules::pair(self.tag)?;
        attribution::may_change(&tag.0)?;
        let row = super::trace_row(&permit, &self.trace_id)?;
        let (trace_id, at, id) = (self.trace_id, permit.entry().at, super::record_id(&permit));
        self.room
            .db
            .write(&permit, move |tx| {
                super::hold(tx, row, &trace_id, at)?;
                traces::put_tags(tx, row, &[tag])?;
                super::create::within_counts(tx, row)?;
                Ok(((), Outcome::done().resource(id)))
            })
            .await
    }
}

/// Removes a tag.
pub struct DeleteTag {
    /// The room.
    pub room: Traces,
    /// The trace.
    pub trace_id: String,
    /// The tag's key.
    pub key: String,
}

impl Operation for DeleteTag {
    const ACTION: Action = super::TRACES_TAG;
    type Output = ();

    fn target(&self) -> Target {
        Target::Trace(self.trace_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        rules::no_nul("key", &self.key)?;
        attribution::may_change(&self.key)?;
        let row = super::trace_row(&permit, &self.trace_id)?;
        let Self { room, trace_id, key } = self;
        let (at, id) = (permit.entry().at, super::record_id(&permit));
        room.db
            .write(&permit, move |tx| {
                super::hold(tx, row, &trace_id, at)?;
                if !traces::delete_tag(tx, row, &key)? {
                    return Err(Problem::not_found(format!("No trace tag with key '{key}' for trace with ID '{trace_id}'")));
                }
                Ok(((), Outcome::done().resource(id)))
            })
            .await
    }
}
