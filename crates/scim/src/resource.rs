//! Users and groups, between their JSON and values that cannot be wrong.

use kernel::Problem;
use serde_json::{Map, Value, json};

use crate::attribute::{AttributePath, GROUP_SCHEMA, USER_SCHEMA, canonical, parts_of, without_schema};
use crate::refusal::Refusal;

/// A text of one attribute.
const TEXT_BYTES_MAX: usize = 512;
/// Addresses of one person.
const EMAIL_COUNT_MAX: usize = 20;
/// Members named in one request.
const MEMBER_COUNT_MAX: usize = 10_000;

/// A person, as a provisioner describes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// What they log in as.
    pub user_name: String,
    /// What the provisioner calls them.
    pub external_id: Option<String>,
    /// Whether they may come in; none where nothing was said.
    pub active: Option<bool>,
    /// What to call them.
    pub display_name: Option<String>,
    /// Their names.
    pub name: Option<Names>,
    /// Their addresses.
    pub emails: Vec<Email>,
}

/// The parts of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// All of it.
    pub formatted: Option<String>,
    /// The family's.
    pub family: Option<String>,
    /// The given one.
    pub given: Option<String>,
}

/// An address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Email {
    /// The address itself.
    pub value: String,
    /// What it is for.
    pub kind: Option<String>,
    /// Whether it is the one to be used.
    pub primary: Option<bool>,
}

/// A group, as a provisioner describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub display_name: String,
    /// What the provisioner calls it.
    pub external_id: Option<String>,
    /// Its members, by id.
    pub members: Vec<String>,
}

fn wrong(why: impl Into<String>) -> Problem {
    Refusal::InvalidValue.problem(why)
}

/// The resource with its attributes named as they are written here. What is not known is left out (RFC 7644, section 3.3).
#[must_use]
pub fn folded(resource: &Map<String, Value>) -> Map<String, Value> {
    let mut folded = Map::new();
    for (name, value) in resource {
        if let Ok(AttributePath { name, part: None }) = AttributePath::parse(without_schema(name)) {
            folded.insert(name.to_owned(), folded_value(name, value));
        }
    }
    folded
}

/// A value of this attribute, its parts named as they are written here.
pub(crate) fn folded_value(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(parts) => {
            let known = |(part, value): (&String, &Value)| {
                let part = canonical(part).filter(|part| parts_of(name).contains(part))?;
                Some((part.to_owned(), value.clone()))
            };
            Value::Object(parts.iter().filter_map(known).collect())
        }
        Value::Array(all) => Value::Array(all.iter().map(|one| folded_value(name, one)).collect()),
        other => other.clone(),
    }
}

fn text(value: Option<&Value>, name: &str) -> Result<Option<String>, Problem> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control) => {
            Ok(Some(text.clone()))
        }
        Some(_) => Err(wrong(format!("`{name}` is a text of at most {TEXT_BYTES_MAX} bytes without control characters"))),
    }
}

fn flag(value: Option<&Value>, name: &str) -> Result<Option<bool>, Problem> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        // Old clients of one large provider send texts.
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(_) => Err(wrong(format!("`{name}` is true or false"))),
    }
}

fn list<'v>(value: Option<&'v Value>, name: &str, count_max: usize) -> Result<Vec<&'v Map<String, Value>>, Problem> {
    let all = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(all)) if all.len() <= count_max => all,
        Some(_) => return Err(wrong(format!("`{name}` is a list of at most {count_max} values"))),
    };
    all.iter().map(|one| one.as_object().ok_or_else(|| wrong(format!("each of `{name}` is an object")))).collect()
}

impl User {
    /// Of a resource whose names were [`folded`].
    ///
    /// # Errors
    /// `Invalid` (`invalidValue`), naming the attribute.
    pub fn read(resource: &Map<String, Value>) -> Result<Self, Problem> {
        let get = |name: &str| resource.get(name);
        let user_name = text(get("userName"), "userName")?.ok_or_else(|| wrong("`userName` is missing"))?;
        let name = match get("name") {
            None | Some(Value::Null) => None,
            Some(Value::Object(parts)) => {
                let part = |name: &str| text(parts.get(name), name);
                let names = Names { formatted: part("formatted")?, family: part("familyName")?, given: part("givenName")? };
                (names != Names::default()).then_some(names)
            }
            Some(_) => return Err(wrong("`name` is an object")),
        };
        let mut emails: Vec<Email> = Vec::new();
        for one in list(get("emails"), "emails", EMAIL_COUNT_MAX)? {
            let value = text(one.get("value"), "emails.value")?.ok_or_else(|| wrong("an address has a `value`"))?;
            let email = Email {
                value,
                kind: text(one.get("type"), "emails.type")?,
                primary: flag(one.get("primary"), "emails.primary")?,
            };
            if !emails.contains(&email) {
                emails.push(email);
            }
        }
        if emails.iter().filter(|email| email.primary == Some(true)).count() > 1 {
            return Err(wrong("one address at most is primary"));
        }
        Ok(Self {
            user_name,
            external_id: text(get("externalId"), "externalId")?,
            active: flag(get("active"), "active")?,
            display_name: text(get("displayName"), "displayName")?,
            name,
            emails,
        })
    }

    /// As a resource, without what the server adds to it.
    #[must_use]
    pub fn write(&self) -> Map<String, Value> {
        let mut resource = Map::new();
        let mut put = |name: &str, value: Value| drop(resource.insert(name.to_owned(), value));
        put("schemas", json!([USER_SCHEMA]));
        put("userName", json!(self.user_name));
        if let Some(id) = &self.external_id {
            put("externalId", json!(id));
        }
        put("active", json!(self.active.unwrap_or(true)));
        if let Some(name) = &self.display_name {
            put("displayName", json!(name));
        }
        if let Some(name) = &self.name {
            let parts = [("formatted", &name.formatted), ("familyName", &name.family), ("givenName", &name.given)];
            put("name", object(parts.into_iter().map(|(part, text)| (part, text.as_ref().map(|text| json!(text))))));
        }
        if !self.emails.is_empty() {
            let each = |email: &Email| {
                object([
                    ("value", Some(json!(email.value))),
                    ("type", email.kind.as_ref().map(|kind| json!(kind))),
                    ("primary", email.primary.map(|primary| json!(primary))),
                ])
            };
            put("emails", Value::Array(self.emails.iter().map(each).collect()));
        }
        resource
    }
}

fn object<'n>(parts: impl IntoIterator<Item = (&'n str, Option<Value>)>) -> Value {
    Value::Object(parts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

impl Group {
    /// Of a resource whose names were [`folded`].
    ///
    /// # Errors
    /// `Invalid` (`invalidValue`), naming the attribute.
    pub fn read(resource: &Map<String, Value>) -> Result<Self, Problem> {
        let display_name = text(resource.get("displayName"), "displayName")?.ok_or_else(|| wrong("`displayName` is missing"))?;
        let mut members: Vec<String> = Vec::new();
        for one in list(resource.get("members"), "members", MEMBER_COUNT_MAX)? {
            members.push(text(one.get("value"), "members.value")?.ok_or_else(|| wrong("a member has a `value`: its id"))?);
        }
        members.sort_unstable();
        members.dedup();
        Ok(Self { display_name, external_id: text(resource.get("externalId"), "externalId")?, members })
    }

    /// As a resource, without what the server adds to it: members too.
    #[must_use]
    pub fn write(&self) -> Map<String, Value> {
        let mut resource = Map::new();
        resource.insert("schemas".to_owned(), json!([GROUP_SCHEMA]));
        resource.insert("displayName".to_owned(), json!(self.display_name));
        if let Some(id) = &self.external_id {
            resource.insert("externalId".to_owned(), json!(id));
        }
        resource
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        folded(value.as_object().unwrap())
    }

    #[test]
    fn a_user_is_read_whatever_the_case_and_written_as_it_was() {
        let user = User::read(&map(json!({
            "schemas": [USER_SCHEMA], "USERNAME": "Ada", "externalid": "7", "Active": "False", "password": "x", "nickName": "a",
            "name": {"FamilyName": "L", "middleName": "M"}, "emails": [{"Value": "a@b.example", "type": "work"}],
        })))
        .unwrap();
        assert_eq!((user.user_name.as_str(), user.active), ("Ada", Some(false)));
        let written = Value::Object(user.write());
        let expected = json!({
            "schemas": [USER_SCHEMA], "userName": "Ada", "externalId": "7", "active": false, "name": {"familyName": "L"},
            "emails": [{"value": "a@b.example", "type": "work"}],
        });
        assert_eq!(written, expected);
        assert_eq!(User::read(&map(written)).unwrap(), user);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let long = "x".repeat(600);
        for bad in [
            json!({}),
            json!({"userName": ""}),
            json!({"userName": 7}),
            json!({"userName": "a\nb"}),
            json!({"userName": long}),
            json!({"userName": "a", "active": "perhaps"}),
            json!({"userName": "a", "emails": {"value": "x"}}),
            json!({"userName": "a", "emails": ["x"]}),
            json!({"userName": "a", "emails": [{"type": "work"}]}),
            json!({"userName": "a", "emails": [{"value": "x", "primary": true}, {"value": "y", "primary": true}]}),
            json!({"userName": "a", "name": "b"}),
        ] {
            assert!(User::read(&map(bad.clone())).is_err(), "{bad}");
        }
        assert!(Group::read(&map(json!({"members": []}))).is_err());
        let twice = Group::read(&map(json!({"displayName": "g", "members": [{"value": "b"}, {"value": "a"}, {"value": "b"}]})));
        assert_eq!(twice.unwrap().members, ["a", "b"]);
    }
}
