//! The model's own component, with its card.

use crate::record::{MetricFacts, ModelRecord};

use super::types::{
    Component, Considerations, Format, Hash, Interval, Metric, ModelCard, ModelParameters, Named, Property, QuantitativeAnalysis,
    Reference,
};
use super::{MODEL_REF, data_ref, license, origin};

pub(super) fn component(record: &ModelRecord) -> Component {
    let facts = &record.model;
    let files = record.files.iter().map(|file| Component {
        hashes: Hash::sha256(&file.sha256).into_iter().collect(),
        properties: vec![Property::new("strongroom:size_bytes", &file.size_bytes.to_string())],
        ..Component::new("file", &format!("file:{}", file.path), &file.path)
    });
    Component {
        group: Some(facts.workspace.clone()).filter(|workspace| !workspace.is_empty()),
        version: Some(facts.version.clone()),
        description: facts.description.clone(),
        hashes: record.root_sha256.iter().filter_map(|digest| Hash::sha256(digest)).collect(),
        licenses: license(facts.licence.as_deref()),
        model_card: Some(card(record)),
        components: files.collect(),
        properties: properties(record),
        ..Component::new("machine-learning-model", MODEL_REF, &facts.name)
    }
}

fn properties(record: &ModelRecord) -> Vec<Property> {
    let mut all = vec![Property::new("strongroom:state", &record.model.state)];
    if let Some(run) = &record.run {
        all.push(Property::new("strongroom:run", &run.id));
    }
    if let Some(code) = &record.code {
        let facts = [("repository", &code.repository), ("commit", &code.commit), ("sha256", &code.sha256)];
        for (name, value) in facts {
            all.extend(value.as_deref().map(|value| Property::new(&format!("strongroom:code:{name}"), value)));
        }
        all.push(Property::new("strongroom:code:origin", code.origin.word()));
    }
    all.extend(record.scans.iter().map(|scan| Property::new(&format!("strongroom:scan:{}", scan.path), &scan.verdict)));
    all.extend(record.signatures.iter().map(|one| Property::new("strongroom:signed_as", &one.signer.trusted_as)));
    all
}

fn card(record: &ModelRecord) -> ModelCard {
    let facts = &record.model;
    let formats = |texts: &[String]| texts.iter().map(|text| Format { format: text.clone() }).collect();
    let metrics: Vec<Metric> = record.metrics.iter().map(metric).collect();
    let params = record.params.iter().map(|(name, value)| Property::new(&format!("strongroom:param:{name}"), value));
    let mut datasets: Vec<String> = record.data.iter().map(data_ref).collect();
    datasets.sort();
    datasets.dedup();
    ModelCard {
        model_parameters: ModelParameters {
            task: facts.task.clone(),
            architecture_family: facts.architecture.clone(),
            datasets: datasets.into_iter().map(|reference| Reference { reference }).collect(),
            inputs: formats(&facts.inputs),
            outputs: formats(&facts.outputs),
        },
        quantitative_analysis: (!metrics.is_empty()).then_some(QuantitativeAnalysis { performance_metrics: metrics }),
        considerations: considerations(record),
        properties: record.run.iter().map(|run| origin(run.origin)).chain(params).collect(),
    }
}

fn metric(facts: &MetricFacts) -> Metric {
    let interval = |(low, high): (f64, f64)| Interval { lower_bound: low.to_string(), upper_bound: high.to_string() };
    let slice = match (&facts.data, &facts.slice) {
        (None, None) => None,
        (Some(data), None) => Some(data.clone()),
        (None, Some(slice)) => Some(slice.clone()),
        (Some(data), Some(slice)) => Some(format!("{data}: {slice}")),
    };
    Metric { kind: facts.name.clone(), value: facts.value.to_string(), slice, confidence_interval: facts.interval.map(interval) }
}

fn considerations(record: &ModelRecord) -> Option<Considerations> {
    let declared = &record.declared;
    let list = |text: &Option<String>| text.iter().cloned().collect::<Vec<_>>();
    let all = Considerations {
        use_cases: list(&declared.intended_purpose),
        technical_limitations: [list(&declared.limitations), list(&declared.out_of_scope)].concat(),
        ethical_considerations: declared.ethics.iter().map(|name| Named { name: name.clone() }).collect(),
    };
    let empty = all.use_cases.is_empty() && all.technical_limitations.is_empty() && all.ethical_considerations.is_empty();
    (!empty).then_some(all)
}
