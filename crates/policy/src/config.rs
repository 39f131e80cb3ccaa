//! What an operator may set.

use std::path::PathBuf;

use kernel::Problem;
use prove::Solver;
use serde::{Deserialize, Serialize};

/// The program that is looked for if nothing is said.
const USUAL_SOLVER: &str = "cvc5";

/// `[policy]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// The program of the solver cvc5. Unless it is named, `cvc5` is used if there is such a program; named and empty, none is.
    pub solver: Option<PathBuf>,
}

impl PolicyConfig {
    /// The solver, if there is one that will do.
    ///
    /// # Errors
    /// `Invalid` if one is named that will not.
    pub async fn solver(&self) -> Result<Option<Solver>, Problem> {
        let Some(named) = &self.solver else {
            let found = Solver::find(USUAL_SOLVER.as_ref()).await;
            return Ok(found.inspect_err(|why| tracing::debug!(%why, "there is no solver")).ok());
        };
        if named.as_os_str().is_empty() {
            return Ok(None);
        }
        let found = Solver::find(named).await;
        found.map(Some).map_err(|why| Problem::invalid(format!("`policy.solver`: {why}")).because(why))
    }
}
