//! What a server says of itself (RFC 7643, sections 5 to 7).

use serde_json::{Value, json};

use crate::PAGE_ROWS_MAX;
use crate::attribute::{GROUP_SCHEMA, USER_SCHEMA};

/// `ServiceProviderConfig`, for a server whose interface begins at `base`.
#[must_use]
pub fn config(base: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": {"supported": true},
        "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": true, "maxResults": PAGE_ROWS_MAX},
        "changePassword": {"supported": false},
        "sort": {"supported": false},
        "etag": {"supported": true},
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A token of a service account that holds the role provisioner.",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": {"resourceType": "ServiceProviderConfig", "location": format!("{base}/ServiceProviderConfig")},
    })
}

/// `ResourceTypes`.
#[must_use]
pub fn resource_types(base: &str) -> Vec<Value> {
    let each = |name: &str, plural: &str, schema: &str, what: &str| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
            "id": name,
            "name": name,
            "endpoint": format!("/{plural}"),
            "description": what,
            "schema": schema,
            "meta": {"resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/{name}")},
        })
    };
    vec![each("User", "Users", USER_SCHEMA, "People's accounts"), each("Group", "Groups", GROUP_SCHEMA, "Groups of accounts")]
}

/// `Schemas`.
#[must_use]
pub fn schemas(base: &str) -> Vec<Value> {
    let user = vec![
        Attribute::text("userName", "What they log in as.").required().unique().value(),
        Attribute::complex(
            "name",
            "Their name.",
            vec![
                Attribute::text("formatted", "All of it.").value(),
                Attribute::text("familyName", "The family's.").value(),
                Attribute::text("givenName", "The given one.").value(),
            ],
        )
        .value(),
        Attribute::text("displayName", "What to call them.").value(),
        Attribute::complex(
            "emails",
            "Their addresses.",
            vec![
                Attribute::text("value", "The address.").value(),
                Attribute::text("type", "What it is for.").value(),
                Attribute::flag("primary", "Whether it is the one to be used.").value(),
            ],
        )
        .list()
        .value(),
        Attribute::flag("active", "Whether they may come in.").value(),
        Attribute::complex(
            "groups",
            "The groups that they are in.",
            vec![
                Attribute::text("value", "The group's id.").exact().read_only().value(),
                Attribute::reference("$ref", "The group's address.", &["Group"]).read_only().value(),
                Attribute::text("display", "The group's name.").read_only().value(),
            ],
        )
        .list()
        .read_only()
        .value(),
    ];
    let group = vec![
        Attribute::text("displayName", "Its name.").required().unique().value(),
        Attribute::complex(
            "members",
            "Who is in it.",
            vec![
                Attribute::text("value", "The member's id.").exact().immutable().value(),
                Attribute::reference("$ref", "The member's address.", &["User", "Group"]).immutable().value(),
                Attribute::text("type", "User or Group.").with("canonicalValues", json!(["User", "Group"])).immutable().value(),
            ],
        )
        .list()
        .value(),
    ];
    let schema = |id: &str, name: &str, attributes: Vec<Value>| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
            "id": id,
            "name": name,
            "description": name,
            "attributes": attributes,
            "meta": {"resourceType": "Schema", "location": format!("{base}/Schemas/{id}")},
        })
    };
    vec![schema(USER_SCHEMA, "User", user), schema(GROUP_SCHEMA, "Group", group)]
}

/// One attribute of a schema (RFC 7643, section 7).
struct Attribute(Value);

impl Attribute {
    fn new(name: &str, kind: &str, what: &str) -> Self {
        Self(json!({
            "name": name, "type": kind, "multiValued": false, "description": what, "required": false, "caseExact": false,
            "mutability": "readWrite", "returned": "default", "uniqueness": "none",
        }))
    }

    fn text(name: &str, what: &str) -> Self {
        Self::new(name, "string", what)
    }

    fn flag(name: &str, what: &str) -> Self {
        Self::new(name, "boolean", what)
    }

    fn reference(name: &str, what: &str, to: &[&str]) -> Self {
        Self::new(name, "reference", what).with("referenceTypes", json!(to)).exact()
    }

    fn complex(name: &str, what: &str, parts: Vec<Value>) -> Self {
        Self::new(name, "complex", what).with("subAttributes", Value::Array(parts))
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        if let Some(parts) = self.0.as_object_mut() {
            parts.insert(name.to_owned(), value);
        }
        self
    }

    fn required(self) -> Self {
        self.with("required", json!(true))
    }

    fn unique(self) -> Self {
        self.with("uniqueness", json!("server"))
    }

    fn exact(self) -> Self {
        self.with("caseExact", json!(true))
    }

    fn list(self) -> Self {
        self.with("multiValued", json!(true))
    }

    fn read_only(self) -> Self {
        self.with("mutability", json!("readOnly"))
    }

    fn immutable(self) -> Self {
        self.with("mutability", json!("immutable"))
    }

    fn value(self) -> Value {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::AttributePath;

    #[test]
    fn every_attribute_of_the_schemas_is_known_here() {
        for schema in schemas("https://x.example/scim/v2") {
            for attribute in schema["attributes"].as_array().unwrap() {
                let name = attribute["name"].as_str().unwrap();
                let path = AttributePath::parse(name).unwrap();
                assert_eq!(path.is_list(), attribute["multiValued"].as_bool().unwrap(), "{name}");
                assert_eq!(path.is_read_only(), attribute["mutability"] == "readOnly", "{name}");
                for part in attribute.get("subAttributes").and_then(Value::as_array).into_iter().flatten() {
                    AttributePath::parse(&format!("{name}.{}", part["name"].as_str().unwrap())).unwrap();
                }
            }
        }
    }
}
