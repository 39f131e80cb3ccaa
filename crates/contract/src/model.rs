//! The document: the parts of ODCS v3.1.0 that are read, and a place for the rest, which is kept as it stands.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::quality::Quality;

/// What no field here is for. Kept, so that a contract that is read and written again has lost nothing.
pub type Other = BTreeMap<String, Value>;

/// `key:` and `key: null` mean the same as no key.
pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// A data contract.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contract {
    /// The version of the standard, such as `v3.1.0`.
    pub api_version: String,
    /// Always `DataContract`.
    pub kind: String,
    /// An identifier that never changes.
    pub id: String,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The contract's own version.
    pub version: String,
    /// `proposed`, `draft`, `active`, `deprecated` or `retired`.
    pub status: String,
    /// The area of business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What the data is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub tags: Vec<String>,
    /// The tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub schema: Vec<SchemaObject>,
    /// Deprecated: the element that service levels mean when they name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sla_default_element: Option<String>,
    /// Service levels; `freshness`, `latency` and `retention` are checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub sla_properties: Vec<SlaProperty>,
    /// Who answers for the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<Team>,
    /// What the standard has no word for.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub custom_properties: Vec<CustomProperty>,
    /// The rest: servers, support, price, roles and so on.
    #[serde(flatten)]
    pub other: Other,
}

/// What the data is for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// Why it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// How it may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// What it is not good for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limitations: Option<String>,
    /// The rest.
    #[serde(flatten)]
    pub other: Other,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaObject {
    /// A stable identifier for references.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// Its name where it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub physical_name: Option<String>,
    /// Always `object`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logical_type: Option<LogicalType>,
    /// `table`, `view`, `topic` or `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub physical_type: Option<String>,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub properties: Vec<Property>,
    /// Rules over the whole table.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub quality: Vec<Quality>,
    /// References to other tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub relationships: Vec<Relationship>,
    /// What the standard has no word for.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub custom_properties: Vec<CustomProperty>,
    /// The rest.
    #[serde(flatten)]
    pub other: Other,
}

/// A column, a field of an object, or what an array holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Property {
    /// A stable identifier for references.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name; what an array holds has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its name where it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub physical_name: Option<String>,
    /// What kind of values it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logical_type: Option<LogicalType>,
    /// What its values hold to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logical_type_options: Option<Options>,
    /// Its type where it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub physical_type: Option<String>,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// No value is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// No value occurs twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<bool>,
    /// Part of the key that tells rows apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_key: Option<bool>,
    /// Its place in that key, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_key_position: Option<i64>,
    /// How confidential it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classification: Option<String>,
    /// Much depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical_data_element: Option<bool>,
    /// The fields of an object.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub properties: Vec<Property>,
    /// What an array holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Box<Property>>,
    /// Rules over its values.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub quality: Vec<Quality>,
    /// References to other tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub relationships: Vec<Relationship>,
    /// What the standard has no word for.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub custom_properties: Vec<CustomProperty>,
    /// The rest.
    #[serde(flatten)]
    pub other: Other,
}

/// What kind of values a property has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the standard's own words")]
pub enum LogicalType {
    String,
    Date,
    Timestamp,
    Time,
    Number,
    Integer,
    Object,
    Array,
    Boolean,
}

impl LogicalType {
    /// The standard's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Time => "time",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Object => "object",
            Self::Array => "array",
            Self::Boolean => "boolean",
        }
    }
}

/// What the values of a property hold to. Which apply depends on the logical type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// Values are at least this: a number, or a date or time as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Value>,
    /// Values are at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Value>,
    /// Values are above this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusive_minimum: Option<Value>,
    /// Values are below this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusive_maximum: Option<Value>,
    /// Values are whole multiples of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiple_of: Option<f64>,
    /// Characters, at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_length: Option<u64>,
    /// Characters, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u64>,
    /// A regular expression that occurs in each value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// `email`, `uuid`, …; for numbers `i32`, `u8`, …; for times a pattern of the JDK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Items, at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_items: Option<u64>,
    /// Items, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_items: Option<u64>,
    /// No item occurs twice in its array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_items: Option<bool>,
    /// Values say their time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<bool>,
    /// The rest.
    #[serde(flatten)]
    pub other: Other,
}

/// One text or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several, in order.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    #[must_use]
    pub fn list(&self) -> Vec<&str> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many.iter().map(String::as_str).collect(),
        }
    }
}

/// A reference: each key that is not null exists in another table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Relationship {
    /// Always `foreignKey`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The columns here; only at a table, a column's own reference has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<OneOrMany>,
    /// The columns there, as `table.column` or `schema/ID/properties/ID`.
    pub to: OneOrMany,
    /// The rest.
    #[serde(flatten)]
    pub other: Other,
}

/// A service level.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlaProperty {
    /// A stable identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `freshness`, `latency`, `retention`, `availability`, …
    pub property: String,
    /// How much.
    pub value: Value,
    /// Of what: `d`, `h`, `m`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The column that is looked at, as `table.column`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub element: Option<String>,
    /// The rest.
    #[serde(flatten)]
    pub other: Other,
}

/// Who answers for the data: as v3.1 writes it, or as v3.0 did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Team {
    /// Since v3.1.
    Named {
        /// Its name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Who is in it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        members: Vec<TeamMember>,
        /// The rest.
        #[serde(flatten)]
        other: Other,
    },
    /// Before v3.1.
    Members(Vec<TeamMember>),
}

/// A member of a team.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TeamMember {
    /// Their name on the system, or their address.
    pub username: String,
    /// What they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The rest.
    #[serde(flatten)]
    pub other: Other,
}

/// What the standard has no word for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomProperty {
    /// Its name.
    pub property: String,
    /// Its value.
    pub value: Value,
    /// The rest.
    #[serde(flatten)]
    pub other: Other,
}

impl SchemaObject {
    /// The column of that name.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.name == name)
    }

    /// The name under which it is stored.
    #[must_use]
    pub fn stored_name(&self) -> &str {
        self.physical_name.as_deref().unwrap_or(&self.name)
    }
}

impl Property {
    /// The name under which it is stored.
    #[must_use]
    pub fn stored_name(&self) -> &str {
        self.physical_name.as_deref().unwrap_or(&self.name)
    }

    /// The options, made when there are none.
    pub(crate) fn options_mut(&mut self) -> &mut Options {
        self.logical_type_options.get_or_insert_with(Options::default)
    }
}

impl Contract {
    /// A contract of the newest version that is written, without tables.
    #[must_use]
    pub fn new(id: &str, version: &str, status: &str) -> Self {
        Self {
            api_version: crate::API_VERSION.to_owned(),
            kind: "DataContract".to_owned(),
            id: id.to_owned(),
            version: version.to_owned(),
            status: status.to_owned(),
            ..Self::default()
        }
    }

    /// The table of that name, or the only one there is.
    ///
    /// # Errors
    /// `NoSuchObject` if there is none, or if there are several and none is named.
    pub fn object(&self, name: Option<&str>) -> Result<&SchemaObject, crate::ContractError> {
        let found = match (name, self.schema.as_slice()) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(name), all) => all.iter().find(|object| object.name == name || object.stored_name() == name),
        };
        found.ok_or_else(|| crate::ContractError::NoSuchObject {
            name: name.map(str::to_owned),
            known: self.schema.iter().map(|object| object.name.clone()).collect(),
        })
    }
}
