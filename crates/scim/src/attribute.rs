//! Attributes by their names, which are compared without regard to case (RFC 7643, section 2.1).

use kernel::Problem;
use serde_json::{Map, Value};

use crate::refusal::Refusal;

/// The schema of users.
pub const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The schema of groups.
pub const GROUP_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// Every attribute and sub-attribute that is known here.
const NAMES: [&str; 24] = [
    "id",
    "externalId",
    "meta",
    "schemas",
    "userName",
    "name",
    "displayName",
    "emails",
    "active",
    "groups",
    "members",
    "formatted",
    "familyName",
    "givenName",
    "value",
    "type",
    "primary",
    "display",
    "$ref",
    "resourceType",
    "created",
    "lastModified",
    "location",
    "version",
];
/// Attributes that hold a list of complex values.
const LISTS: [&str; 3] = ["emails", "groups", "members"];
/// Attributes that hold one complex value, and what is in each kind of complex value.
const PARTS: [(&str, &[&str]); 5] = [
    ("name", &["formatted", "familyName", "givenName"]),
    ("meta", &["resourceType", "created", "lastModified", "location", "version"]),
    ("emails", &["value", "type", "primary"]),
    ("groups", &["value", "$ref", "display", "type"]),
    ("members", &["value", "$ref", "type"]),
];
/// Attributes of a resource itself.
const TOP: [&str; 11] =
    ["id", "externalId", "meta", "schemas", "userName", "name", "displayName", "emails", "active", "groups", "members"];

/// Attributes of the standard (RFC 7643, sections 4.1 and 4.2) that are not kept here.
const NOT_KEPT: [&str; 15] = [
    "nickName",
    "profileUrl",
    "title",
    "userType",
    "preferredLanguage",
    "locale",
    "timezone",
    "password",
    "phoneNumbers",
    "ims",
    "photos",
    "addresses",
    "entitlements",
    "roles",
    "x509Certificates",
];
/// Parts of attributes of which other parts are kept.
const PARTS_NOT_KEPT: [(&str, &str); 6] = [
    ("name", "middleName"),
    ("name", "honorificPrefix"),
    ("name", "honorificSuffix"),
    ("emails", "display"),
    ("emails", "$ref"),
    ("members", "display"),
];

/// An attribute, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttributePath {
    /// The attribute.
    pub name: &'static str,
    /// The part of it.
    pub part: Option<&'static str>,
}

impl AttributePath {
    /// Of a text such as `userName`, `name.familyName`, or either after its schema and a colon.
    ///
    /// # Errors
    /// `Invalid` (`invalidPath`) for an attribute that is not known.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let unknown = || {
            let shown: String = text.chars().take(64).collect();
            Refusal::InvalidPath.problem(format!("`{shown}` is no attribute of this server's users or groups"))
        };
        let bare = without_schema(text);
        let (name, part) = bare.split_once('.').map_or((bare, None), |(name, part)| (name, Some(part)));
        let name = canonical(name).filter(|name| TOP.contains(name)).ok_or_else(unknown)?;
        let part =
            part.map(|part| canonical(part).filter(|part| parts_of(name).contains(part)).ok_or_else(unknown)).transpose()?;
        Ok(Self { name, part })
    }

    /// Whether it holds a list.
    #[must_use]
    pub fn is_list(&self) -> bool {
        LISTS.contains(&self.name)
    }

    /// Whether its value is complex, or a list of such.
    #[must_use]
    pub fn is_complex(&self) -> bool {
        self.part.is_none() && !parts_of(self.name).is_empty()
    }

    /// Whether only the server sets it.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        matches!(self.name, "id" | "meta" | "groups" | "schemas")
    }

    /// Whether its text is compared with regard to case.
    #[must_use]
    pub fn is_case_exact(&self) -> bool {
        matches!(self.name, "id" | "externalId" | "meta") || matches!((self.name, self.part), ("groups" | "members", _))
    }

    /// All that a resource has there.
    #[must_use]
    pub fn values<'v>(&self, resource: &'v Map<String, Value>) -> Vec<&'v Value> {
        let Some(found) = resource.get(self.name) else { return Vec::new() };
        let each: Vec<&Value> = match found {
            Value::Array(all) => all.iter().collect(),
            one => vec![one],
        };
        // Of a list of complex values, `value` is meant where no part is named (RFC 7644, section 3.4.2.2).
        let part = self.part.or(if self.is_list() { Some("value") } else { None });
        match part {
            Some(part) => each.into_iter().filter_map(|value| value.get(part)).collect(),
            None => each,
        }
    }
}

/// Whether it names an attribute, or a part of one, that others keep and this server does not: of the standard, or of an extension, whose schema
/// then stands before it.
pub(crate) fn is_kept_elsewhere(text: &str) -> bool {
    let bare = without_schema(text);
    match bare.rsplit_once(':') {
        Some((schema, path)) => {
            let is_ours = [USER_SCHEMA, GROUP_SCHEMA].iter().any(|ours| ours.eq_ignore_ascii_case(bare));
            is_urn(schema) && !is_ours && name_and_part(path).is_some()
        }
        None => name_and_part(bare).is_some_and(|(name, part)| is_not_kept(name, part)),
    }
}

/// A name and the part behind it, if both have the form of such.
fn name_and_part(path: &str) -> Option<(&str, Option<&str>)> {
    let (name, part) = path.split_once('.').map_or((path, None), |(name, part)| (name, Some(part)));
    (is_name(name) && part.is_none_or(|part| is_name(part) || part == "$ref")).then_some((name, part))
}

fn is_not_kept(name: &str, part: Option<&str>) -> bool {
    let is_part =
        |part: &str| PARTS_NOT_KEPT.iter().any(|(of, known)| of.eq_ignore_ascii_case(name) && known.eq_ignore_ascii_case(part));
    NOT_KEPT.iter().any(|known| known.eq_ignore_ascii_case(name)) || part.is_some_and(is_part)
}

fn is_urn(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'.' | b'-' | b'_');
    text.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("urn:")) && text.bytes().all(plain)
}

/// RFC 7643, section 2.1.
fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// What is in a complex attribute.
pub(crate) fn parts_of(name: &str) -> &'static [&'static str] {
    PARTS.iter().find(|(known, _)| *known == name).map_or(&[], |(_, parts)| parts)
}

/// The name as it is written here.
pub(crate) fn canonical(name: &str) -> Option<&'static str> {
    NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name))
}

/// A path without the schema before it.
pub(crate) fn without_schema(text: &str) -> &str {
    for schema in [USER_SCHEMA, GROUP_SCHEMA] {
        let (head, rest) = text.split_at_checked(schema.len()).unwrap_or(("", text));
        if head.eq_ignore_ascii_case(schema)
            && let Some(rest) = rest.strip_prefix(':')
        {
            return rest;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_whatever_their_case_and_schema() {
        let parse = |text: &str| AttributePath::parse(text).map(|path| (path.name, path.part)).ok();
        assert_eq!(parse("USERNAME"), Some(("userName", None)));
        assert_eq!(parse("Name.familyname"), Some(("name", Some("familyName"))));
        assert_eq!(parse("urn:ietf:params:scim:schemas:core:2.0:user:emails.VALUE"), Some(("emails", Some("value"))));
        for bad in ["", "password", "value", "name.value", "userName.x", "a.b.c", "urn:x:User:userName", "naïve"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        for (text, expected) in [
            ("title", true),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", true),
            ("name.middleName", true),
            ("", false),
            ("a.b.c", false),
            ("naïve", false),
            ("x:title", false),
            ("title eq", false),
            ("PHONENUMBERS.value", true),
            ("urn:ietf:params:scim:schemas:core:2.0:User:title", true),
            ("urn:ietf:params:scim:schemas:core:2.0:User:strange", false),
            ("urn:ietf:params:scim:schemas:core:2.0:User", false),
            ("strange", false),
            ("name.strange", false),
            ("userName", false),
            ("userName.value", false),
        ] {
            assert_eq!(is_kept_elsewhere(text), expected, "{text}");
        }
    }
}
