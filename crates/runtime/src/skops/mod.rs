//! scikit-learn's models as skops writes them: a pipeline of transformers and an estimator at its end.
//!
//! Only classes of scikit-learn's own are known, each by its module and name; their state is read, nothing is executed. Everything is
//! computed in 64 bits but for trees, which compare in 32 bits as scikit-learn does.

mod head;
mod node;
mod npy;
mod steps;
mod trees;
mod zip;

use serde_json::Value;

use self::head::Head;
use self::node::Node;
use self::steps::Step;
use crate::{Batch, DataType, Limits, LoadError, Outputs, Port, PredictError, Role, Signature, Values};

/// A schema is read into a tree of values, many times its size.
const SCHEMA_BYTES_MAX: usize = 64 << 20;

/// A pipeline, ready to be asked.
#[derive(Debug)]
pub(crate) struct Skops {
    steps: Vec<Step>,
    head: Head,
    labels: Option<Values>,
    signature: Signature,
    limits: Limits,
}

impl Skops {
    pub(crate) fn load(bytes: &[u8], limits: &Limits) -> Result<Self, LoadError> {
        let zip = zip::Zip::new(bytes, limits)?;
        let schema = zip.read("schema.json")?;
        if schema.len() > SCHEMA_BYTES_MAX {
            return Err(LoadError::TooLarge { what: "bytes in its schema", limit: SCHEMA_BYTES_MAX as u64 });
        }
        let schema: Value = serde_json::from_slice(&schema).map_err(|error| LoadError::invalid(format!("skops: {error}")))?;
        if schema.get("protocol").and_then(Value::as_u64).is_none_or(|protocol| protocol > 2) {
            return Err(LoadError::unsupported("skops of this protocol"));
        }
        let root = Node { value: &schema, zip: &zip };
        let mut parts = parts_of(root, limits)?;
        let Some(last) = parts.pop() else { return Err(LoadError::invalid("skops: a pipeline without steps")) };
        for node in parts.iter().chain([&last]) {
            known_version(*node)?;
        }
        let input = parts.first().unwrap_or(&last);
        let width = input.count("n_features_in_")?;
        if width == 0 || width > limits.width_max {
            return Err(LoadError::TooLarge { what: "features (or none)", limit: limits.width_max as u64 });
        }
        let mut columns = width;
        let mut steps = Vec::with_capacity(parts.len());
        for node in &parts {
            let step = steps::load(*node, columns)?;
            columns = step.width_after(columns);
            steps.push(step);
        }
        let (head, labels) = head::load(last, columns, limits)?;
        let mut port = Port::matrix("input", DataType::F64, width);
        if let Some(names) = input.find("feature_names_in_") {
            port.columns = match names.labels()? {
                Values::Text(names) if names.len() == width => names,
                _ => return Err(LoadError::invalid("skops: the features' names are not as many as features")),
            };
        }
        let signature = signature(port, &head, labels.as_ref());
        Ok(Self { steps, head, labels, signature, limits: *limits })
    }

    pub(crate) const fn signature(&self) -> &Signature {
        &self.signature
    }

    pub(crate) fn predict(&self, batch: &Batch) -> Result<Outputs, PredictError> {
        let Some(port) = self.signature.inputs.first() else { return Err(PredictError::model("it has no input")) };
        let mut width = port.shape.get(1).copied().flatten().unwrap_or(1);
        let rows = batch.matrix_for::<f64>(port, &self.limits)?;
        let outputs = if self.steps.is_empty() {
            self.head.predict(&rows, width, batch.rows(), &self.limits)?
        } else {
            let mut rows = rows.into_owned();
            for step in &self.steps {
                rows = step.apply(rows, width, &self.limits)?;
                width = step.width_after(width);
            }
            self.head.predict(&rows, width, batch.rows(), &self.limits)?
        };
        self.labelled(outputs)
    }

    /// Class numbers become the classes' names.
    fn labelled(&self, mut outputs: Outputs) -> Result<Outputs, PredictError> {
        let Some(labels) = &self.labels else { return Ok(outputs) };
        for output in outputs.all.iter_mut().filter(|output| output.role == Role::Label) {
            let Values::I64(places) = output.tensor.values() else { continue };
            let missing = || PredictError::model("a class without a label");
            let place = |place: &i64| usize::try_from(*place).map_err(|_| missing());
            let values = match labels {
                Values::Text(labels) => {
                    let named = |at: &i64| labels.get(place(at)?).cloned().ok_or_else(missing);
                    Values::Text(places.iter().map(named).collect::<Result<_, _>>()?)
                }
                Values::I64(labels) => {
                    let named = |at: &i64| labels.get(place(at)?).copied().ok_or_else(missing);
                    Values::I64(places.iter().map(named).collect::<Result<_, _>>()?)
                }
                _ => return Err(missing()),
            };
            output.tensor = crate::Tensor::list(values);
        }
        Ok(outputs)
    }
}

/// The pipeline's steps; a single estimator is a pipeline of one.
fn parts_of<'a>(root: Node<'a>, limits: &Limits) -> Result<Vec<Node<'a>>, LoadError> {
    if root.class() != ("sklearn.pipeline", "Pipeline") {
        return Ok(vec![root]);
    }
    let steps = root.get("steps")?.items()?;
    if steps.len() > limits.step_count_max {
        return Err(LoadError::TooLarge { what: "steps", limit: limits.step_count_max as u64 });
    }
    let mut parts = Vec::with_capacity(steps.len());
    for step in steps {
        let [_, estimator] = step.items()?.try_into().map_err(|_| LoadError::invalid("skops: a pipeline's step is no pair"))?;
        let passes = estimator.is_none() || estimator.plain().is_ok_and(|plain| plain == "passthrough");
        if !passes {
            parts.push(estimator);
        }
    }
    Ok(parts)
}

/// What is computed has been the same since scikit-learn 1.0.
fn known_version(node: Node<'_>) -> Result<(), LoadError> {
    let version = node.word("_sklearn_version")?;
    if version.starts_with("1.") {
        Ok(())
    } else {
        Err(LoadError::unsupported(format!("scikit-learn {}", version.escape_default())))
    }
}

fn signature(input: Port, head: &Head, labels: Option<&Values>) -> Signature {
    let mut outputs = head.ports();
    let classes = match labels {
        Some(Values::Text(labels)) => labels.clone(),
        Some(Values::I64(labels)) => labels.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    if let Some(labels) = labels {
        for port in outputs.iter_mut().filter(|port| port.role == Role::Label) {
            port.data_type = labels.data_type();
        }
    }
    Signature { inputs: vec![input], outputs, classes }
}

#[cfg(test)]
mod tests;
