//! Verifies the whole log inside the server, from its files and the database's rows.

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use crate::ops::blocking;
use crate::room::Audit;
use crate::verify::Report;

/// Runs a verification. It reads every byte of the log: one at a time.
pub struct Verify {
    /// The room.
    pub room: Audit,
}

impl Operation for Verify {
    const ACTION: Action = Action::read("audit.verify");
    type Output = Report;

    fn target(&self) -> Target {
        Target::AuditLog
    }

    async fn run(self, _permit: Permit<Self>) -> Result<Report, Problem> {
        let Ok(turn) = self.room.verifying.try_acquire_owned() else {
            return Err(Problem::new(kernel::Kind::TooMany, "a verification is running already; wait for its report"));
        };
        let log = self.room.log;
        log.flush().await?;
        let report = blocking(move || Ok(log.verify(&mut |_, _| {})?)).await;
        drop(turn);
        report
    }
}
