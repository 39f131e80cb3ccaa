//! From which devices what may be read, as an administrator says.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use crate::types::Rule;
use crate::{Devices, store};

/// The verb of [`ListRules`].
pub const RULES: Action = Action::read("devices.rules");
/// The verb of [`SetRule`].
pub const SET_RULE: Action = Action::write("devices.set_rule");

/// Classes of data that a rule can be about.
const CLASSES: [&str; 4] = ["personal", "special", "health", "financial"];
/// The highest tier.
const TIER_MAX: u8 = 3;

/// All rules.
pub struct ListRules {
    /// The room.
    pub room: Devices,
}

impl Operation for ListRules {
    const ACTION: Action = RULES;
    type Output = Vec<Rule>;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<Rule>, Problem> {
        self.room.0.db.read(&permit, |reader| Ok(store::rules(reader)?)).await
    }
}

/// Says from which tier on a workspace, or data of a class in it, is read.
pub struct SetRule {
    /// The room.
    pub room: Devices,
    /// The class of data; none for everything in the workspace.
    pub data_class: Option<String>,
    /// The least tier; 0 takes a rule back.
    pub tier: u8,
}

impl Operation for SetRule {
    const ACTION: Action = SET_RULE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (at, by, workspace) = (permit.entry().at, permit.caller().id.clone(), permit.workspace()?.to_owned());
        let (class, tier) = (self.data_class.unwrap_or_default(), self.tier);
        if !class.is_empty() && !CLASSES.contains(&class.as_str()) {
            return Err(Problem::invalid("a class of data is personal, special, health or financial"));
        }
        if tier > TIER_MAX {
            return Err(Problem::invalid(format!("a tier is from 0 (no rule) to {TIER_MAX}")));
        }
        let write = self.room.0.db.write(&permit, move |tx| {
            store::set_rule(tx, (&workspace, &class, tier), (&by, at))?;
            let outcome = Outcome::done().with("data_class", class).with("tier", i64::from(tier));
            Ok(((), outcome))
        });
        write.await
    }
}
