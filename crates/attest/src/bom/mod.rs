//! The bill of material of a model: CycloneDX 1.6, with the model as a `machine-learning-model`, its model card, its files, its
//! data versions, its base models and the packages of its environment.
//!
//! Source: CycloneDX 1.6 JSON schema (ECMA-424). What is not known is left out; `strongroom:…` properties say how the rest is known.

mod model;
mod types;

pub use types::Bom;

use std::collections::BTreeSet;

use kernel::{hex, sha256};

use crate::error::AttestError;
use crate::record::{BaseModelFacts, DataFacts, ModelRecord, Origin};
use types::{Component, DataContents, DataEntry, Dependency, Hash, License, LicenseName, Metadata, Property, SubComponents};

const SCHEMA: &str = "http://cyclonedx.org/schema/bom-1.6.schema.json";
const MODEL_REF: &str = "model";

/// The bill of `record`.
///
/// # Errors
/// `Malformed` if it cannot be written.
pub fn bom(record: &ModelRecord) -> Result<Vec<u8>, AttestError> {
    let components = components(record);
    let reached = components.iter().map(|component| component.bom_ref.clone()).collect();
    let generator = &record.generator;
    let bom = Bom {
        schema: SCHEMA,
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: serial_number(record),
        version: 1,
        metadata: Metadata {
            timestamp: record.written().rfc3339_seconds(),
            tools: SubComponents {
                components: vec![Component {
                    version: Some(generator.version.clone()),
                    ..Component::new("application", "generator", &generator.name)
                }],
            },
            component: model::component(record),
        },
        components,
        dependencies: vec![Dependency { reference: MODEL_REF.to_owned(), depends_on: reached }],
    };
    serde_json::to_vec_pretty(&bom).map_err(|error| AttestError::malformed(format!("the bill cannot be written: {error}")))
}

/// The same record written at the same moment has the same number: a name-based UUID over SHA-256.
fn serial_number(record: &ModelRecord) -> String {
    let facts = &record.model;
    let root = record.root_sha256.as_deref().unwrap_or_default();
    let name = format!("{}\n{}\n{}\n{root}\n{}", facts.workspace, facts.name, facts.version, record.generated_at);
    let mut bytes: Vec<u8> = sha256(name.as_bytes()).into_iter().take(16).collect();
    for (at, byte) in bytes.iter_mut().enumerate() {
        match at {
            6 => *byte = *byte & 0x0f | 0x80,
            8 => *byte = *byte & 0x3f | 0x80,
            _ => {}
        }
    }
    let text = hex(&bytes);
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    format!("urn:uuid:{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

fn components(record: &ModelRecord) -> Vec<Component> {
    let mut components: Vec<Component> = Vec::new();
    components.extend(record.data.iter().map(data));
    components.extend(record.base_models.iter().map(base_model));
    components.extend(record.environment.iter().map(|package| Component {
        version: package.version.clone(),
        purl: Some(package.purl()),
        hashes: package.sha256.iter().filter_map(|digest| Hash::sha256(digest)).collect(),
        ..Component::new("library", &package.purl(), &package.name)
    }));
    // A reference may come once: the same data for training and for a test is one thing with two entries.
    let mut seen = BTreeSet::new();
    components.retain(|component| seen.insert(component.bom_ref.clone()));
    components
}

fn data_ref(data: &DataFacts) -> String {
    format!("data:{}@{}", data.name, data.version)
}

fn data(facts: &DataFacts) -> Component {
    let mut properties = vec![origin(facts.origin), Property::new("strongroom:role", facts.role.word())];
    properties.push(Property::new("strongroom:admission", facts.admission.as_deref().unwrap_or("not held by this server")));
    properties.extend(facts.row_count.map(|count| Property::new("strongroom:row_count", &count.to_string())));
    properties.extend(facts.source.as_deref().map(|source| Property::new("strongroom:source", source)));
    let entry = DataEntry {
        kind: "dataset",
        name: format!("{}@{}", facts.name, facts.version),
        contents: DataContents { properties: properties.clone() },
        sensitive_data: facts.personal_data.clone().unwrap_or_default(),
    };
    Component {
        version: Some(facts.version.clone()),
        hashes: facts.sha256.iter().filter_map(|digest| Hash::sha256(digest)).collect(),
        licenses: license(facts.licence.as_deref()),
        data: vec![entry],
        properties,
        ..Component::new("data", &data_ref(facts), &facts.name)
    }
}

fn base_model(facts: &BaseModelFacts) -> Component {
    let version = facts.version.clone().unwrap_or_default();
    Component {
        version: facts.version.clone(),
        hashes: facts.sha256.iter().filter_map(|digest| Hash::sha256(digest)).collect(),
        properties: vec![origin(facts.origin)],
        ..Component::new("machine-learning-model", &format!("base-model:{}@{version}", facts.name), &facts.name)
    }
}

fn origin(origin: Origin) -> Property {
    Property::new("strongroom:origin", origin.word())
}

/// By name: an id must be one of SPDX's list, which nobody has checked it against.
fn license(name: Option<&str>) -> Vec<License> {
    name.map(|name| License { license: LicenseName { name: name.to_owned() } }).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::samples;

    fn written(record: &ModelRecord) -> Value {
        serde_json::from_slice(&bom(record).unwrap()).unwrap()
    }

    #[test]
    fn the_bill_has_the_model_its_data_and_its_packages() {
        let bill = written(&samples::full());
        let model = &bill["metadata"]["component"];
        assert_eq!(model["type"], "machine-learning-model");
        assert_eq!(model["hashes"][0]["content"].as_str().unwrap().len(), 64);
        assert_eq!(model["modelCard"]["modelParameters"]["datasets"][0]["ref"], "data:customers@3");
        let references: Vec<&str> =
            bill["components"].as_array().unwrap().iter().map(|one| one["bom-ref"].as_str().unwrap()).collect();
        for expected in ["data:customers@3", "base-model:encoder@1", "pkg:pypi/scikit-learn@1.5.0"] {
            assert!(references.contains(&expected), "{references:?}");
        }
        assert_eq!(bill["dependencies"][0]["dependsOn"].as_array().unwrap().len(), references.len());
        assert_eq!(written(&samples::full()), bill);
    }

    #[test]
    fn what_is_not_known_is_not_invented() {
        let bill = written(&samples::bare());
        let model = &bill["metadata"]["component"];
        for absent in ["hashes", "licenses", "components", "description"] {
            assert!(model.get(absent).is_none(), "{absent}");
        }
        assert!(bill.get("components").is_none());
        assert!(model["modelCard"].get("quantitativeAnalysis").is_none());
    }
}
