//! Whether one set of Cedar policies allows anything that another does not, shown for all requests there could be: by the solver cvc5,
//! a program of the operator's.
//!
//! Policies become terms by `cedar-policy-symcc`. What the solver says is believed in one direction only: a request that it names is asked of
//! Cedar itself. Source: Cutler et al. 2024, "Cedar: A New Language for Expressive, Fast, Safe, and Analyzable Authorization", section 4.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use cedar_policy::{Authorizer, Decision, PolicySet, Request, RequestEnv, Schema};
use cedar_policy_symcc::solver::LocalSolver;
use cedar_policy_symcc::{CedarSymCompiler, CompiledPolicySet};
use tokio::process::Command;

/// The oldest cvc5 that what is asked was tried with.
const VERSION_MIN: [u32; 3] = [1, 3, 1];
/// How long it may take to say its version.
const VERSION_TIME_MAX: Duration = Duration::from_secs(10);
/// How long one question may take in the solver, and in all.
const QUESTION_MS_MAX: u32 = 5_000;
const QUESTION_TIME_MAX: Duration = Duration::from_secs(10);

/// A solver that was found to be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solver {
    program: PathBuf,
    version: String,
}

/// What it says of two sets of policies.
#[derive(Debug)]
pub enum Answer {
    /// There is no request of this kind that the second set allows and the first does not.
    Nothing,
    /// This one is.
    Something(Box<Request>),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAnswer(pub String);

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(&self.0)
    }
}

impl std::error::Error for NoAnswer {}

fn because(why: impl std::fmt::Display) -> NoAnswer {
    NoAnswer(why.to_string())
}

impl Solver {
    /// The program, if it is a cvc5 that is new enough.
    ///
    /// # Errors
    /// What is wrong with it, and what would do.
    pub async fn find(program: &Path) -> Result<Self, NoAnswer> {
        let shown = program.display();
        let mut asked = command(program);
        asked.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let said = tokio::time::timeout(VERSION_TIME_MAX, asked.output()).await;
        let said = said.map_err(|_| NoAnswer(format!("`{shown} --version` says nothing")))?;
        let said = said.map_err(|error| NoAnswer(format!("`{shown}` cannot be started: {error}")))?;
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let Some((numbers, version)) = version(&text) else {
            return Err(NoAnswer(format!("`{shown} --version` does not say that it is cvc5")));
        };
        if numbers < VERSION_MIN {
            return Err(NoAnswer(format!("`{shown}` is cvc5 {version}; 1.3.1 or newer is needed")));
        }
        Ok(Self { program: program.to_owned(), version })
    }

    /// What it is, for reports.
    #[must_use]
    pub fn name(&self) -> String {
        format!("cvc5 {}", self.version)
    }

    /// Starts it; it ends with what is given back.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(&self) -> Result<Asked, NoAnswer> {
        let mut command = command(&self.program);
        command.args(["--lang", "smt", &format!("--tlimit-per={QUESTION_MS_MAX}")]);
        let compiler = CedarSymCompiler::new(LocalSolver::from_command(&mut command).map_err(because)?);
        Ok(Asked { compiler: compiler.map_err(because)? })
    }
}

/// It sees nothing of the server's surroundings but where programs are.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().kill_on_drop(true);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// `This is cvc5 version 1.3.1 …`.
fn version(text: &str) -> Option<([u32; 3], String)> {
    let text = text.lines().next()?.split_once("cvc5 version ")?.1.split_whitespace().next()?;
    let mut numbers = text.split(['.', '-', '+']).map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(([next()?, next()?, next().unwrap_or(0)], text.to_owned()))
}

/// A solver that runs.
#[derive(Debug)]
pub struct Asked {
    compiler: CedarSymCompiler<LocalSolver>,
}

impl Asked {
    /// Whether `after` allows a request of this kind that `before` does not.
    ///
    /// # Errors
    /// If there is no answer: it took too long, or it is none that Cedar agrees with. Ask another one then: this one may still be computing.
    pub async fn newly_allowed(
        &mut self,
        schema: &Schema,
        kind: &RequestEnv,
        before: &PolicySet,
        after: &PolicySet,
    ) -> Result<Answer, NoAnswer> {
        let compile = |policies| CompiledPolicySet::compile(policies, kind, schema).map_err(because);
        let (compiled_before, compiled_after) = (compile(before)?, compile(after)?);
        let asking = self.compiler.check_implies_with_counterexample_opt(&compiled_after, &compiled_before);
        let answer = tokio::time::timeout(QUESTION_TIME_MAX, asking).await;
        let answer = answer.map_err(|_| NoAnswer("it took too long".to_owned()))?.map_err(because)?;
        let Some(found) = answer else { return Ok(Answer::Nothing) };
        let decided = |policies| Authorizer::new().is_authorized(&found.request, policies, &found.entities).decision();
        if (decided(before), decided(after)) != (Decision::Deny, Decision::Allow) {
            return Err(NoAnswer("Cedar does not agree with the request that it named".to_owned()));
        }
        Ok(Answer::Something(Box::new(found.request)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_and_compared() {
        assert_eq!(version("This is cvc5 version 1.0.3 [git tag]\nmore"), Some(([1, 0, 3], "1.0.3".to_owned())));
        assert_eq!(version("This is cvc5 version 1.3.2-dev.5").unwrap().0, [1, 3, 2]);
        assert_eq!(version("This is cvc5 version 1.4").unwrap().0, [1, 4, 0]);
        for none in ["", "Z3 version 4.8.12", "This is cvc5 version x"] {
            assert_eq!(version(none), None, "{none}");
        }
        assert!([1, 0, 3] < VERSION_MIN && [1, 3, 1] >= VERSION_MIN && [1, 10, 0] > VERSION_MIN);
    }

    #[tokio::test]
    async fn a_program_that_is_no_solver_is_told_so() {
        for (program, why) in [("/nowhere/cvc5", "cannot be started"), ("/bin/true", "does not say that it is cvc5")] {
            let problem = Solver::find(Path::new(program)).await.unwrap_err();
            assert!(problem.0.contains(why), "{problem}");
        }
    }
}
