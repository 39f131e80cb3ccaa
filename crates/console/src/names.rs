//! How things are called that the log knows by their ids: looked up in one go for a page, as far as its reader may read them. The id stays beside the
//! name, and alone where there is none.

use std::collections::{BTreeMap, BTreeSet};

use gate::Visitor;
use kernel::Problem;
use policy::{NameThings, Policy, THINGS_NAMED_COUNT_MAX, ThingName};

use crate::board::{Cell, if_allowed};

/// What a page names.
#[derive(Default)]
pub struct Wanted(BTreeSet<String>);

impl Wanted {
    /// An account or a workspace.
    pub fn id(&mut self, id: &str) {
        if !id.is_empty() {
            self.0.insert(id.to_owned());
        }
    }

    /// What a record of a verb was done to.
    pub fn thing(&mut self, target: &str, verb: &str, resource: &str) {
        if is_named(target, verb, resource) {
            self.id(resource);
        }
    }

    /// The names. Of more than can be looked up at once the rest keeps its ids.
    ///
    /// # Errors
    /// `Unavailable` if the database is down.
    pub async fn named(self, visitor: &Visitor, room: &Policy) -> Result<Names, Problem> {
        if self.0.is_empty() {
            return Ok(Names::default());
        }
        let ids = self.0.into_iter().take(THINGS_NAMED_COUNT_MAX).collect();
        Ok(Names(if_allowed(visitor, NameThings { room: room.clone(), ids }).await?.unwrap_or_default()))
    }
}

/// The names that were found, by id.
#[derive(Default)]
pub struct Names(BTreeMap<String, ThingName>);

impl Names {
    /// The name of an account or a workspace.
    pub fn of(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(|one| one.name.as_str())
    }

    /// An account, with where it leads.
    pub fn account(&self, id: &str, href: String) -> Cell {
        match self.of(id) {
            Some(name) => Cell::link(name, href).beside(id),
            None => Cell::link(id, href),
        }
    }

    /// What a record of a verb was done to.
    pub fn thing(&self, target: &str, verb: &str, resource: &str) -> Cell {
        match self.0.get(resource).filter(|_| is_named(target, verb, resource)) {
            Some(one) => Cell::text(format!("{} {}", one.noun, one.name)).beside(resource),
            None => Cell::text(format!("{} {resource}", target.replace('_', " "))),
        }
    }

    /// The same where only a text can stand: the id first, for a name may turn the writing behind it.
    pub fn after(&self, id: &str) -> String {
        self.0.get(id).map_or_else(|| id.to_owned(), |one| format!("{id}: {} {}", one.noun, one.name))
    }
}

/// Whether a resource may have a name. A number is an experiment's id, and may be something else's where no experiment is meant.
fn is_named(target: &str, verb: &str, resource: &str) -> bool {
    let is_number = resource.bytes().all(|letter| letter.is_ascii_digit());
    !is_number || target == "experiment" || verb.starts_with("experiments.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_before_its_id_and_an_id_alone_where_there_is_none() {
        let named = |id: &str, noun, name: &str| (id.to_owned(), ThingName { noun, name: name.to_owned() });
        let names = Names(BTreeMap::from([
            named("u_1", "account", "ada"),
            named("7", "experiment", "first"),
            named("r_1", "run", "brave-bee"),
        ]));
        let told = |cell: Cell| (cell.text, cell.beside);
        let pair = |text: &str, beside: &str| (text.to_owned(), beside.to_owned());
        assert_eq!(told(names.account("u_1", String::new())), pair("ada", "u_1"));
        assert_eq!(told(names.account("u_gone", String::new())), pair("u_gone", ""));
        assert_eq!(told(names.thing("experiment", "runs.create", "r_1")), pair("run brave-bee", "r_1"));
        assert_eq!(told(names.thing("workspace", "experiments.create", "7")), pair("experiment first", "7"));
        assert_eq!(told(names.thing("audit_log", "audit.prove", "7")), pair("audit log 7", ""), "a number of something else");
        assert_eq!((names.after("u_1").as_str(), names.after("x").as_str()), ("u_1: account ada", "x"));
        let mut wanted = Wanted::default();
        wanted.thing("audit_log", "audit.prove", "7");
        wanted.thing("server", "users.list", "");
        assert!(wanted.0.is_empty());
    }
}
