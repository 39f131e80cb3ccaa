//! Patches (RFC 7644, section 3.5.2): operations over a resource's JSON, whose result is read anew as a whole.

use kernel::Problem;
use serde_json::{Map, Value};

use crate::attribute::{AttributePath, is_kept_elsewhere, without_schema};
use crate::filter::Filter;
use crate::refusal::Refusal;
use crate::resource::folded_value;

/// The message schema of patches.
const SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// Operations of one patch.
const OPERATION_COUNT_MAX: usize = 1_000;
/// The text of a path.
const PATH_BYTES_MAX: usize = 4_096;

/// A patch, read and bounded.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch(Vec<Operation>);

#[derive(Clone, Debug, PartialEq)]
struct Operation {
    verb: Verb,
    place: Place,
    value: Option<Value>,
}

/// Where an operation works.
#[derive(Clone, Debug, PartialEq)]
enum Place {
    /// The whole resource.
    Whole,
    At(Path),
    /// An attribute that is not kept here: nothing is done there, as it is with one in a whole resource. Providers send such together with what
    /// counts, above all with `active`.
    NotKept,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Add,
    Remove,
    Replace,
}

#[derive(Clone, Debug, PartialEq)]
struct Path {
    attribute: AttributePath,
    /// Which values of the list.
    filter: Option<Filter>,
}

impl Path {
    fn parse(text: &str) -> Result<Self, Problem> {
        if text.len() > PATH_BYTES_MAX {
            return Err(Refusal::InvalidPath.problem(format!("a path has at most {PATH_BYTES_MAX} bytes")));
        }
        let broken = || {
            Refusal::InvalidPath
                .problem("a path is `attribute`, `attribute.part`, `attribute[filter]` or `attribute[filter].part`")
        };
        let bare = without_schema(text.trim());
        let Some((head, rest)) = bare.split_once('[') else {
            return Ok(Self { attribute: AttributePath::parse(bare)?, filter: None });
        };
        let (inner, tail) = rest.rsplit_once(']').ok_or_else(broken)?;
        let list = AttributePath::parse(head)?;
        if !list.is_list() || list.part.is_some() {
            return Err(broken());
        }
        let attribute = match tail.strip_prefix('.') {
            Some(part) => AttributePath::parse(&format!("{}.{part}", list.name))?,
            None if tail.is_empty() => list,
            None => return Err(broken()),
        };
        let filter = Filter::parse_within(list, inner)?;
        Ok(Self { attribute, filter: Some(filter) })
    }
}

impl Patch {
    /// Of a request's body.
    ///
    /// # Errors
    /// `Invalid`, with the kind of refusal that it is.
    pub fn read(body: &Map<String, Value>) -> Result<Self, Problem> {
        let get = |from: &Map<String, Value>, name: &str| {
            from.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
        };
        let broken = |why: &str| Refusal::InvalidSyntax.problem(why);
        let is_patch = get(body, "schemas").is_some_and(|schemas| {
            schemas
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one.as_str().is_some_and(|one| one.eq_ignore_ascii_case(SCHEMA))))
        });
        let Some(Value::Array(operations)) = get(body, "Operations").filter(|_| is_patch) else {
            return Err(broken("a patch has `schemas` with the schema of patches, and a list of `Operations`"));
        };
        if operations.is_empty() || operations.len() > OPERATION_COUNT_MAX {
            return Err(broken(&format!("a patch has from 1 to {OPERATION_COUNT_MAX} operations")));
        }
        let read = |operation: &Value| {
            let parts = operation.as_object().ok_or_else(|| broken("an operation is an object"))?;
            let verb = match get(parts, "op").as_ref().and_then(Value::as_str).map(str::to_ascii_lowercase).as_deref() {
                Some("add") => Verb::Add,
                Some("remove") => Verb::Remove,
                Some("replace") => Verb::Replace,
                _ => return Err(broken("`op` is add, remove or replace")),
            };
            let place = match get(parts, "path") {
                None | Some(Value::Null) => Place::Whole,
                Some(Value::String(text)) if is_not_kept(&text) => Place::NotKept,
                Some(Value::String(text)) => Place::At(Path::parse(&text)?),
                Some(_) => return Err(Refusal::InvalidPath.problem("`path` is a text")),
            };
            Ok(Operation { verb, place, value: get(parts, "value") })
        };
        operations.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether it is about this attribute, as far as its paths say.
    #[must_use]
    pub fn names(&self, attribute: &str) -> bool {
        let in_value =
            |value: &Value| value.as_object().is_some_and(|all| all.keys().any(|name| name.eq_ignore_ascii_case(attribute)));
        self.0.iter().any(|operation| match &operation.place {
            Place::At(path) => path.attribute.name == attribute,
            Place::Whole => operation.value.as_ref().is_some_and(in_value),
            Place::NotKept => false,
        })
    }

    /// Applies all of it, or nothing.
    ///
    /// # Errors
    /// `Invalid`, with the kind of refusal that it is.
    pub fn apply(&self, resource: &Map<String, Value>) -> Result<Map<String, Value>, Problem> {
        let mut patched = resource.clone();
        for operation in &self.0 {
            match (&operation.place, operation.verb) {
                (Place::NotKept, _) => {}
                (Place::At(path), Verb::Remove) => remove(&mut patched, path, operation.value.as_ref())?,
                (Place::Whole, Verb::Remove) => return Err(Refusal::NoTarget.problem("what is to be removed is named by a path")),
                (Place::At(path), verb) => {
                    let value = operation.value.as_ref().ok_or_else(missing_value)?;
                    set(&mut patched, path, verb, value)?;
                }
                (Place::Whole, verb) => {
                    let Some(Value::Object(values)) = &operation.value else { return Err(missing_value()) };
                    for (name, value) in values {
                        // A name that is not known is left out here, as in a whole resource; what the server sets stays as it is.
                        let Ok(path) = Path::parse(name) else { continue };
                        if !path.attribute.is_read_only() {
                            set(&mut patched, &path, verb, value)?;
                        }
                    }
                }
            }
        }
        Ok(patched)
    }
}

/// Whether a path, well formed, is about an attribute, or a part of one, that is not kept here but is one.
fn is_not_kept(text: &str) -> bool {
    let text = text.trim();
    if text.len() > PATH_BYTES_MAX {
        return false;
    }
    let Some((head, rest)) = text.split_once('[') else { return is_kept_elsewhere(text) };
    match rest.rsplit_once(']') {
        Some((_, "")) => is_kept_elsewhere(head),
        Some((_, tail)) => tail.starts_with('.') && is_kept_elsewhere(&format!("{head}{tail}")),
        None => false,
    }
}

fn missing_value() -> Problem {
    Refusal::InvalidValue.problem("the operation has no `value`")
}

fn changeable(attribute: AttributePath) -> Result<(), Problem> {
    if attribute.is_read_only() {
        return Err(Refusal::Mutability.problem(format!("`{}` is set by the server alone", attribute.name)));
    }
    Ok(())
}

fn is_always_there(attribute: AttributePath) -> bool {
    matches!(attribute.name, "userName" | "active")
}

fn always_there(attribute: AttributePath) -> Problem {
    Refusal::Mutability.problem(format!("every user has `{}`; replace it with another value", attribute.name))
}

fn remove(resource: &mut Map<String, Value>, path: &Path, value: Option<&Value>) -> Result<(), Problem> {
    let attribute = path.attribute;
    changeable(attribute)?;
    if is_always_there(attribute) {
        return Err(always_there(attribute));
    }
    let Some(found) = resource.get_mut(attribute.name) else { return Ok(()) };
    match (found, &path.filter, attribute.part) {
        (Value::Array(all), Some(filter), None) => {
            let list = AttributePath { part: None, ..attribute };
            all.retain(|one| !filter.fits_value(list, one));
        }
        (Value::Array(all), filter, Some(part)) => {
            let list = AttributePath { part: None, ..attribute };
            for one in all.iter_mut().filter(|one| filter.as_ref().is_none_or(|filter| filter.fits_value(list, one))) {
                if let Some(parts) = one.as_object_mut() {
                    parts.remove(part);
                }
            }
        }
        // Some providers name by value what is to go.
        (Value::Array(all), None, None) if value.is_some_and(|value| !value.is_null()) => {
            let gone = elements(attribute, value.unwrap_or(&Value::Null))?;
            let named =
                |one: &Value| gone.iter().any(|gone| gone.get("value").is_some() && gone.get("value") == one.get("value"));
            all.retain(|one| !named(one));
        }
        (Value::Object(parts), _, Some(part)) => drop(parts.remove(part)),
        _ => drop(resource.remove(attribute.name)),
    }
    Ok(())
}

fn set(resource: &mut Map<String, Value>, path: &Path, verb: Verb, value: &Value) -> Result<(), Problem> {
    let attribute = path.attribute;
    changeable(attribute)?;
    let list = AttributePath { part: None, ..attribute };
    if let Some(filter) = &path.filter {
        return set_matching(resource, (list, attribute.part), filter, verb, value);
    }
    let value = folded_value(attribute.name, value);
    match attribute.part {
        Some(part) if list.is_list() => {
            let Some(Value::Array(all)) = resource.get_mut(list.name) else {
                return Err(Refusal::NoTarget.problem(format!("there is nothing in `{}` yet", list.name)));
            };
            for parts in all.iter_mut().filter_map(Value::as_object_mut) {
                parts.insert(part.to_owned(), value.clone());
            }
        }
        Some(part) => {
            let held = resource.entry(list.name).or_insert_with(|| Value::Object(Map::new()));
            let parts = held.as_object_mut().ok_or_else(missing_value)?;
            parts.insert(part.to_owned(), value);
        }
        None if list.is_list() => {
            let new = elements(attribute, &value)?;
            let held = resource.entry(list.name).or_insert_with(|| Value::Array(Vec::new()));
            let all = held.as_array_mut().ok_or_else(missing_value)?;
            if verb == Verb::Replace {
                all.clear();
            }
            for one in new {
                add_one(all, one);
            }
        }
        None => match (resource.get_mut(list.name), value) {
            // Whoever unassigns it means something, and nobody is let in or out by a guess.
            (_, Value::Null) if is_always_there(attribute) => return Err(always_there(attribute)),
            (_, Value::Null) => drop(resource.remove(list.name)),
            (Some(Value::Object(held)), Value::Object(parts)) => held.extend(parts),
            (_, value) => drop(resource.insert(list.name.to_owned(), value)),
        },
    }
    Ok(())
}

/// One more value of a list; it is there once, and if it is primary no other one is any more (RFC 7644, section 3.5.2).
fn add_one(all: &mut Vec<Value>, one: Value) {
    let same = |held: &Value| {
        *held == one || (one.get("type").is_none() && one.get("value").is_some() && held.get("value") == one.get("value"))
    };
    if all.iter().any(same) {
        return;
    }
    if one.get("primary") == Some(&Value::Bool(true)) {
        not_primary(all.iter_mut());
    }
    all.push(one);
}

fn not_primary<'v>(all: impl Iterator<Item = &'v mut Value>) {
    for held in all.filter_map(Value::as_object_mut) {
        if held.get("primary") == Some(&Value::Bool(true)) {
            held.insert("primary".to_owned(), Value::Bool(false));
        }
    }
}

fn set_matching(
    resource: &mut Map<String, Value>,
    (list, part): (AttributePath, Option<&'static str>),
    filter: &Filter,
    verb: Verb,
    value: &Value,
) -> Result<(), Problem> {
    let held = resource.entry(list.name).or_insert_with(|| Value::Array(Vec::new()));
    let all = held.as_array_mut().ok_or_else(missing_value)?;
    let matching: Vec<bool> = all.iter().map(|one| filter.fits_value(list, one)).collect();
    let new = match part {
        Some(part) => Map::from_iter([(part.to_owned(), value.clone())]),
        None => folded_value(list.name, value).as_object().cloned().ok_or_else(missing_value)?,
    };
    if !matching.contains(&true) {
        // What an `add` does not find it makes, as the equalities of the filter say: providers count on that.
        let made = filter.equalities().filter(|_| verb == Verb::Add);
        let made = made.ok_or_else(|| Refusal::NoTarget.problem("nothing is as the filter of the path says"))?;
        let mut one: Map<String, Value> = made.into_iter().map(|(part, value)| (part.to_owned(), value)).collect();
        one.extend(new);
        add_one(all, Value::Object(one));
        return Ok(());
    }
    if new.get("primary") == Some(&Value::Bool(true)) {
        not_primary(all.iter_mut());
    }
    for (one, _) in all.iter_mut().zip(matching).filter(|(_, matches)| *matches) {
        if let Some(parts) = one.as_object_mut() {
            if verb == Verb::Replace && part.is_none() {
                parts.clear();
            }
            parts.extend(new.clone());
        }
    }
    Ok(())
}

/// The values that a value of a list stands for.
fn elements(attribute: AttributePath, value: &Value) -> Result<Vec<Value>, Problem> {
    match folded_value(attribute.name, value) {
        Value::Array(all) => Ok(all),
        Value::Null => Ok(Vec::new()),
        one @ Value::Object(_) => Ok(vec![one]),
        _ => Err(Refusal::InvalidValue.problem(format!("`{}` is a list of objects", attribute.name))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::attribute::USER_SCHEMA;

    fn patched(operations: Value) -> Result<Value, Problem> {
        let ada = json!({
            "id": "u_1", "userName": "ada", "active": true, "name": {"familyName": "L", "givenName": "A"},
            "emails": [{"value": "w@x", "type": "work", "primary": true}, {"value": "h@x", "type": "home"}],
        });
        let body = json!({"schemas": [SCHEMA], "Operations": operations});
        let patch = Patch::read(body.as_object().unwrap())?;
        patch.apply(ada.as_object().unwrap()).map(Value::Object)
    }

    fn check(operation: Value, at: &str, expected: Value) {
        let after = patched(json!([operation])).unwrap();
        assert_eq!(after.pointer(at).unwrap_or(&Value::Null), &expected, "{operation}");
    }

    #[test]
    fn operations_do_what_the_standard_says() {
        check(json!({"op": "Replace", "path": "active", "value": false}), "/active", json!(false));
        check(json!({"op": "replace", "value": {"active": false, "strange": 1}}), "/active", json!(false));
        check(json!({"op": "add", "value": {"name.givenName": "B"}}), "/name", json!({"familyName": "L", "givenName": "B"}));
        check(json!({"op": "replace", "path": "name", "value": {"givenName": "B"}}), "/name/familyName", json!("L"));
        check(json!({"op": "remove", "path": "name.familyName"}), "/name", json!({"givenName": "A"}));
        check(json!({"op": "add", "path": "externalId", "value": "7"}), "/externalId", json!("7"));
        check(
            json!({"op": "remove", "path": "emails[type eq \"home\"]"}),
            "/emails",
            json!([{"value": "w@x", "type": "work", "primary": true}]),
        );
        check(
            json!({"op": "replace", "path": "emails[type eq \"work\"].value", "value": "n@x"}),
            "/emails/0/value",
            json!("n@x"),
        );
        check(
            json!({"op": "add", "path": "emails[type eq \"other\"].value", "value": "o@x"}),
            "/emails/2",
            json!({"type": "other", "value": "o@x"}),
        );
        let more = json!({"op": "add", "path": "emails", "value": [{"value": "p@x", "type": "other", "primary": true}]});
        check(more.clone(), "/emails/0/primary", json!(false));
        check(more, "/emails/2/primary", json!(true));
        check(json!({"op": "replace", "path": "emails", "value": {"value": "p@x"}}), "/emails", json!([{"value": "p@x"}]));
        check(
            json!({"op": "remove", "path": "emails", "value": [{"value": "w@x"}]}),
            "/emails",
            json!([{"value": "h@x", "type": "home"}]),
        );
        check(json!({"op": "remove", "path": "emails"}), "/emails", Value::Null);
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_kind() {
        let refused = |operation: Value| {
            let problem = patched(json!([operation])).unwrap_err();
            *std::error::Error::source(&problem).and_then(|source| source.downcast_ref::<Refusal>()).unwrap()
        };
        for (operation, kind) in [
            (json!({"op": "remove"}), Refusal::NoTarget),
            (json!({"op": "replace", "path": "emails[type eq \"fax\"].value", "value": "x"}), Refusal::NoTarget),
            (json!({"op": "remove", "path": "userName"}), Refusal::Mutability),
            (json!({"op": "remove", "path": "active"}), Refusal::Mutability),
            (json!({"op": "replace", "path": "active", "value": null}), Refusal::Mutability),
            (json!({"op": "replace", "value": {"active": null}}), Refusal::Mutability),
            (json!({"op": "add", "path": "userName", "value": null}), Refusal::Mutability),
            (json!({"op": "replace", "path": "id", "value": "u_2"}), Refusal::Mutability),
            (json!({"op": "add", "path": "groups", "value": [{"value": "g_1"}]}), Refusal::Mutability),
            (json!({"op": "replace", "path": "user name", "value": "x"}), Refusal::InvalidPath),
            (json!({"op": "replace", "path": "phones[type eq \"fax\"]x", "value": "x"}), Refusal::InvalidPath),
            (json!({"op": "replace", "path": "userName[x]", "value": "x"}), Refusal::InvalidPath),
            (json!({"op": "replace", "path": "strange", "value": "x"}), Refusal::InvalidPath),
            (json!({"op": "remove", "path": "name.strange"}), Refusal::InvalidPath),
            (json!({"op": "add", "path": "emails[type eq \"work\"].strange", "value": "x"}), Refusal::InvalidPath),
            (json!({"op": "add", "path": "strange[type eq \"work\"]", "value": "x"}), Refusal::InvalidPath),
            (json!({"op": "replace", "path": USER_SCHEMA, "value": {"active": false}}), Refusal::InvalidPath),
            (json!({"op": "replace", "path": "emails[type eq].value", "value": "x"}), Refusal::InvalidFilter),
            (json!({"op": "replace", "path": "active"}), Refusal::InvalidValue),
            (json!({"op": "move", "path": "active", "value": true}), Refusal::InvalidSyntax),
            (json!("x"), Refusal::InvalidSyntax),
        ] {
            assert_eq!(refused(operation.clone()), kind, "{operation}");
        }
        assert!(patched(json!([])).is_err());
        assert!(patched(Value::Array(vec![json!({"op": "add", "path": "externalId", "value": "1"}); 1_001])).is_err());
    }

    #[test]
    fn what_is_not_kept_does_not_keep_a_leaver_in() {
        const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        for path in [
            "title".to_owned(),
            "password".to_owned(),
            "name.middleName".to_owned(),
            "emails[type eq \"work\"].display".to_owned(),
            "phoneNumbers[type eq \"mobile\"].value".to_owned(),
            "addresses[type eq \"work\"]".to_owned(),
            format!("{ENTERPRISE}:department"),
            format!("{USER_SCHEMA}:nickName"),
        ] {
            for op in ["Add", "Replace", "Remove"] {
                let after = patched(json!([
                    {"op": op, "path": path, "value": "x"},
                    {"op": "Replace", "path": "active", "value": false},
                ]));
                let after = after.unwrap();
                assert_eq!((&after["active"], &after["userName"]), (&json!(false), &json!("ada")), "{op} {path}");
            }
        }
    }

    #[test]
    fn what_the_server_sets_is_not_changed_by_a_patch_without_a_path() {
        let after =
            patched(json!([{"op": "replace", "value": {"id": "u_2", "meta": {"version": "x"}, "userName": "eve"}}])).unwrap();
        assert_eq!((after["id"].as_str(), after["userName"].as_str(), after.get("meta")), (Some("u_1"), Some("eve"), None));
    }
}
