//! What would be decided, without doing it.

use gate::{Action, Decision, Operation, Permit, Target};
use kernel::Problem;

use crate::circumstances::Circumstances;
use crate::judge::Ask;
use crate::policy::Policy;
use crate::types::{PrincipalKind, as_if_knocking};

/// Asks whether `principal` could do `verb` on `on`, with a good token, at no risk.
#[derive(Clone)]
pub struct AccessCheck {
    /// The room.
    pub room: Policy,
    /// Whom it is about: an id or a name.
    pub principal: String,
    /// What they are said to be: of whom is something else, nothing is allowed. None where nothing is said.
    pub principal_kind: Option<PrincipalKind>,
    /// The verb, such as `runs.create`.
    pub verb: String,
    /// On what.
    pub on: Target,
}

/// The answer of an [`AccessCheck`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessAnswer {
    /// Whom it is about, by id.
    pub principal: String,
    /// Whether there is what it was asked of; what is not there yet is judged as what would be made.
    pub exists: bool,
    /// Whether it would be allowed.
    pub allowed: bool,
    /// The grants and policies that say so, and the policy's version.
    pub reasons: Vec<String>,
    /// What would help, where it is not allowed.
    pub hint: Option<String>,
}

impl Operation for AccessCheck {
    const ACTION: Action = super::ACCESS_CHECK;
    type Output = AccessAnswer;

    fn target(&self) -> Target {
        self.on.clone()
    }

    async fn run(self, permit: Permit<Self>) -> Result<AccessAnswer, Problem> {
        if self.on == Target::Myself {
            return Err(Problem::invalid("one's own account is no target to check; name what it would act on"));
        }
        if !crate::known_actions().contains(&self.verb) {
            return Err(Problem::invalid(format!("there is no verb `{}`; `roles.list` names them", self.verb)));
        }
        let (directory, name) = (self.room.directory(), self.principal.clone());
        let found = self.room.db().read_point(&permit, move |reader| Ok(directory.find(reader, &name)?)).await?;
        let principal =
            found.ok_or_else(|| Problem::not_found(format!("there is no user, group or service `{}`", self.principal)))?;
        let exists = permit.facts().exists;
        if let Some(said) = self.principal_kind.filter(|said| *said != principal.kind) {
            let hint = Some(format!("`{}` is a {}, no {}.", self.principal, principal.kind.word(), said.word()));
            return Ok(AccessAnswer { principal: principal.id, exists, allowed: false, reasons: Vec::new(), hint });
        }
        if principal.disabled {
            let hint = Some("The account is switched off.".to_owned());
            return Ok(AccessAnswer { principal: principal.id, exists, allowed: false, reasons: Vec::new(), hint });
        }
        let caller = as_if_knocking(principal.kind, &principal.id, &principal.groups);
        let circumstances = Circumstances { risk: 0, assurance: caller.assurance, locked: false, ..Circumstances::CALM };
        let decision = self.room.with_judge(|judge, _| {
            judge.decide(Ask {
                caller: &caller,
                verb: &self.verb,
                kind: self.on.kind(),
                facts: permit.facts(),
                circumstances,
                now: permit.entry().at,
            })
        });
        let (allowed, reasons, hint) = match decision {
            Decision::Allow { reasons, .. } => (true, reasons, None),
            Decision::Deny { hint, .. } => (false, Vec::new(), Some(hint)),
            Decision::StepUp { acr, .. } => (false, Vec::new(), Some(format!("It takes authentication by `{acr}`."))),
        };
        Ok(AccessAnswer { principal: principal.id, exists, allowed, reasons, hint })
    }
}
