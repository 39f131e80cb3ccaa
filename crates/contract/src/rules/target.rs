//! What a reference in a contract names.

use crate::model::{Contract, Property, SchemaObject};

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The table's name.
    pub(crate) object: String,
    /// The column's stored name; a dot leads into an object.
    pub(crate) column: String,
}

/// Why a reference names nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// It is in another contract.
    Elsewhere,
    /// There is no such thing.
    Unknown,
}

/// Resolves `table.column` by names, or `schema/ID/properties/ID` by ids.
pub(crate) fn resolve(contract: &Contract, reference: &str) -> Result<Target, Unresolved> {
    if let Some((file, path)) = reference.split_once('#') {
        return if file.is_empty() { by_ids(contract, path).ok_or(Unresolved::Unknown) } else { Err(Unresolved::Elsewhere) };
    }
    let found = if reference.contains('/') { by_ids(contract, reference) } else { by_names(contract, reference) };
    found.ok_or(Unresolved::Unknown)
}

fn by_names(contract: &Contract, reference: &str) -> Option<Target> {
    let (object, column) = contract.schema.iter().find_map(|object| {
        let rest = reference.strip_prefix(object.name.as_str())?.strip_prefix('.')?;
        Some((object, path(object, rest.split('.'), |property, name| property.name == name)?))
    })?;
    Some(Target { object: object.name.clone(), column })
}

fn by_ids(contract: &Contract, reference: &str) -> Option<Target> {
    let mut parts = reference.trim_start_matches('/').split('/');
    let (section, id) = (parts.next()?, parts.next()?);
    let object = contract.schema.iter().find(|object| object.id.as_deref() == Some(id) || object.name == id)?;
    let mut ids = Vec::new();
    while let Some(word) = parts.next() {
        if word != "properties" {
            return None;
        }
        ids.push(parts.next()?);
    }
    let is = |property: &Property, id: &str| property.id.as_deref() == Some(id) || (property.id.is_none() && property.name == id);
    let column = path(object, ids.into_iter(), is)?;
    (section == "schema").then(|| Target { object: object.name.clone(), column })
}

/// The stored names on the way to a property.
fn path<'a>(object: &SchemaObject, steps: impl Iterator<Item = &'a str>, is: impl Fn(&Property, &str) -> bool) -> Option<String> {
    let mut within = &object.properties;
    let mut names = Vec::new();
    for step in steps {
        let found = within.iter().find(|property| is(property, step))?;
        names.push(found.stored_name());
        within = &found.properties;
    }
    (!names.is_empty()).then(|| names.join("."))
}
