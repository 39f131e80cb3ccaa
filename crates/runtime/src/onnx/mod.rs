//! ONNX: a graph is checked as a whole when it is loaded, and then run step by step.
//!
//! Supported are the operators of `ops`; where ONNX leaves room, results are those of ONNX Runtime.

mod ops;
mod proto;
mod wire;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use self::ops::{Inputs, Run};
use crate::{Batch, DataType, Limits, LoadError, Narrow, Outputs, Port, PredictError, Role, Signature, Tensor, Values};

/// The newest operator sets that were read.
const OPSET_MAX: i64 = 26;
const ML_OPSET_MAX: i64 = 5;

/// A graph, ready to be asked.
pub(crate) struct Onnx {
    constants: Vec<Tensor>,
    steps: Vec<Step>,
    slots: usize,
    outputs: Vec<Source>,
    signature: Signature,
    limits: Limits,
    refused: Refused,
}

/// What its only matrix must not hold.
#[derive(Default)]
struct Refused {
    /// By column, whether a missing value is refused.
    missing: Vec<bool>,
    infinite: bool,
}

struct Step {
    name: String,
    run: Run,
    inputs: Vec<Option<Source>>,
    /// `None`: nobody asks for it.
    outputs: Vec<Option<usize>>,
    /// To which width its first output is cut.
    narrow: Option<Narrow>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Constant(usize),
    Input(usize),
    Slot(usize),
}

impl fmt::Debug for Onnx {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<&str> = self.steps.iter().map(|step| step.name.as_str()).collect();
        out.debug_struct("Onnx").field("steps", &steps).field("signature", &self.signature).finish_non_exhaustive()
    }
}

/// What is known of the graph's values while it is read.
#[derive(Default)]
struct Known<'a> {
    sources: HashMap<&'a str, Source>,
    /// Labels and probabilities, by the operators that gave them.
    roles: HashMap<&'a str, Role>,
    /// Integers narrower than 64 bits.
    narrow: HashMap<&'a str, Narrow>,
    classes: Vec<String>,
}

impl Onnx {
    pub(crate) fn load(bytes: &[u8], limits: &Limits) -> Result<Self, LoadError> {
        let model = proto::model(bytes, limits)?;
        let version = |domain: &str| model.opsets.iter().filter(|(name, _)| *name == domain).map(|(_, version)| *version).max();
        let (opset, ml_opset) = (version("").or_else(|| version("ai.onnx")).unwrap_or(0), version("ai.onnx.ml").unwrap_or(0));
        if opset > OPSET_MAX || ml_opset > ML_OPSET_MAX {
            return Err(LoadError::unsupported(format!("ONNX's operator set {opset} (ai.onnx.ml {ml_opset})")));
        }
        let mut known = Known::default();
        let mut graph = Self {
            constants: Vec::new(),
            steps: Vec::new(),
            slots: 0,
            outputs: Vec::new(),
            signature: Signature::default(),
            limits: *limits,
            refused: Refused::default(),
        };
        for constant in model.graph.initializers {
            graph.keep(constant.name, constant, &mut known);
        }
        for input in &model.graph.inputs {
            // Old files list their weights as inputs too.
            if known.sources.contains_key(input.name) {
                continue;
            }
            let element = input.element.ok_or_else(|| LoadError::unsupported("an ONNX input that is no tensor"))?;
            known.sources.insert(input.name, Source::Input(graph.signature.inputs.len()));
            known.narrow.extend(element.narrow.map(|narrow| (input.name, narrow)));
            let port = Port::list(input.name, element.data_type, Role::Value);
            graph.signature.inputs.push(Port { shape: input.shape.clone(), narrow: element.narrow, ..port });
        }
        for node in model.graph.nodes {
            graph.add(node, opset, ml_opset, &mut known)?;
        }
        for output in &model.graph.outputs {
            let source = known.sources.get(output.name);
            graph.outputs.push(*source.ok_or_else(|| LoadError::invalid(format!("ONNX: nothing gives `{}`", output.name)))?);
            let data_type = output.element.map_or(DataType::F32, |element| element.data_type);
            let role = role_of(output, data_type, known.roles.get(output.name).copied());
            graph.signature.outputs.push(Port { shape: output.shape.clone(), ..Port::list(output.name, data_type, role) });
        }
        if graph.outputs.is_empty() || graph.signature.inputs.is_empty() {
            return Err(LoadError::invalid("ONNX: the graph has no inputs or no outputs"));
        }
        graph.signature.classes = known.classes;
        Ok(graph)
    }

    fn keep<'a>(&mut self, name: &'a str, constant: proto::Constant<'_>, known: &mut Known<'a>) {
        known.sources.insert(name, Source::Constant(self.constants.len()));
        known.narrow.extend(constant.narrow.map(|narrow| (name, narrow)));
        self.constants.push(constant.tensor);
    }

    fn add<'a>(&mut self, node: proto::NodeProto<'a>, opset: i64, ml_opset: i64, known: &mut Known<'a>) -> Result<(), LoadError> {
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for name in &node.inputs {
            inputs.push(match *name {
                "" => None,
                name => Some(*known.sources.get(name).ok_or_else(|| {
                    LoadError::invalid(format!("ONNX: `{}` takes `{name}`, which nothing before it gives", node.op))
                })?),
            });
        }
        if (node.domain, node.op) == ("", "Constant") {
            let (Some(name), Some(constant)) = (node.outputs.first(), ops::constant(node.attributes)?) else {
                return Err(LoadError::unsupported("an ONNX constant of this kind"));
            };
            self.keep(name, constant, known);
            return Ok(());
        }
        let name = format!("{}.{} `{}`", node.domain, node.op, node.name);
        let constants: Vec<Option<&Tensor>> = inputs
            .iter()
            .map(|source| if let Some(Source::Constant(place)) = source { self.constants.get(*place) } else { None })
            .collect();
        let narrow: Vec<Option<Narrow>> = node.inputs.iter().map(|name| known.narrow.get(name).copied()).collect();
        let request = ops::Request {
            op: node.op,
            domain: node.domain,
            version: if node.domain == "ai.onnx.ml" { ml_opset } else { opset },
            constants: &constants,
            narrow: &narrow,
            attributes: ops::Attributes::new(node.attributes),
            limits: &self.limits,
        };
        let loaded = ops::load(request)?;
        if !loaded.classes.is_empty() {
            known.classes = loaded.classes;
        }
        let mut outputs = Vec::with_capacity(node.outputs.len());
        if let (Some(name), Some(narrow)) = (node.outputs.first(), loaded.narrow) {
            known.narrow.insert(name, narrow);
        }
        let passed = node.inputs.first().and_then(|name| known.roles.get(name)).copied();
        for (place, name) in node.outputs.iter().enumerate() {
            if name.is_empty() {
                outputs.push(None);
                continue;
            }
            let role = loaded.roles.get(place).copied().or(if loaded.keeps_role { passed } else { None });
            if known.sources.insert(name, Source::Slot(self.slots)).is_some() {
                return Err(LoadError::invalid(format!("ONNX: `{name}` is given twice")));
            }
            if let Some(role) = role {
                known.roles.insert(name, role);
            }
            outputs.push(Some(self.slots));
            self.slots += 1;
        }
        self.steps.push(Step { name, run: loaded.run, inputs, outputs, narrow: loaded.narrow });
        Ok(())
    }

    pub(crate) fn describe(&mut self, columns: Vec<String>, classes: Vec<String>) {
        if let [port] = self.signature.inputs.as_mut_slice()
            && port.shape.get(1).copied().flatten() == Some(columns.len())
        {
            port.columns = columns;
        }
        if self.signature.classes.is_empty() {
            self.signature.classes = classes;
        }
    }

    /// Has batches refused that hold missing values in these columns, or infinite ones.
    pub(crate) fn refuse(&mut self, missing: Vec<bool>, infinite: bool) {
        self.refused = Refused { missing, infinite };
    }

    /// Bounds what one step may make.
    pub(crate) const fn bound(&mut self, tensor_elements_max: usize) {
        self.limits.tensor_elements_max = tensor_elements_max;
    }

    pub(crate) const fn signature(&self) -> &Signature {
        &self.signature
    }

    pub(crate) fn predict(&self, batch: &Batch) -> Result<Outputs, PredictError> {
        let rows = batch.rows();
        let fixed = self.signature.inputs.iter().find_map(|port| port.shape.first().copied().flatten());
        match (self.computed(batch), fixed) {
            (Err(PredictError::Model(_)), Some(fixed)) if fixed != rows => {
                Err(PredictError::input(format!("it is made for batches of {fixed} rows, there are {rows}")))
            }
            (outcome, _) => outcome,
        }
    }

    fn computed(&self, batch: &Batch) -> Result<Outputs, PredictError> {
        let inputs = self.inputs(batch)?;
        let mut slots: Vec<Option<Tensor>> = Vec::new();
        slots.resize_with(self.slots, || None);
        for step in &self.steps {
            let given = {
                let find = |source: &Option<Source>| source.and_then(|source| self.find(source, &inputs, &slots));
                let list: Vec<Option<&Tensor>> = step.inputs.iter().map(find).collect();
                (step.run)(&Inputs { list: &list, limits: &self.limits }).map_err(|error| match error {
                    PredictError::Model(why) => PredictError::model(format!("{}: {why}", step.name)),
                    other => other,
                })?
            };
            for (place, (slot, tensor)) in step.outputs.iter().zip(given).enumerate() {
                let tensor = match step.narrow {
                    Some(narrow) if place == 0 => tensor.cut(narrow),
                    _ => tensor,
                };
                if let Some(cell) = slot.and_then(|slot| slots.get_mut(slot)) {
                    *cell = Some(tensor);
                }
            }
        }
        let mut outputs = Outputs::default();
        for (port, source) in self.signature.outputs.iter().zip(&self.outputs) {
            let found = self.find(*source, &inputs, &slots);
            let tensor = found.ok_or_else(|| PredictError::model(format!("nothing gave `{}`", port.name)))?.clone();
            outputs.push(&port.name, port.role, tensor);
        }
        Ok(outputs)
    }

    fn find<'a>(&'a self, source: Source, inputs: &'a [Cow<'_, Tensor>], slots: &'a [Option<Tensor>]) -> Option<&'a Tensor> {
        match source {
            Source::Constant(place) => self.constants.get(place),
            Source::Input(place) => inputs.get(place).map(Cow::as_ref),
            Source::Slot(place) => slots.get(place).and_then(Option::as_ref),
        }
    }

    fn inputs<'b>(&self, batch: &'b Batch) -> Result<Vec<Cow<'b, Tensor>>, PredictError> {
        let ports = &self.signature.inputs;
        if let [port] = ports.as_slice() {
            let tensor = match batch.single() {
                Some(tensor) => Cow::Borrowed(tensor),
                None => Cow::Owned(joined(batch, port, &self.limits)?),
            };
            let tensor = fitted(tensor, port)?;
            self.refused.check(&tensor)?;
            return Ok(vec![tensor]);
        }
        if let Some(name) = batch.names().find(|name| !ports.iter().any(|port| port.name == *name)) {
            return Err(PredictError::input(format!("the model knows no input `{name}`")));
        }
        let named = |port: &Port| match batch.named(&port.name) {
            Some(tensor) => fitted(Cow::Borrowed(tensor), port),
            None => Err(PredictError::input(format!("the input `{}` is missing", port.name))),
        };
        ports.iter().map(named).collect()
    }
}

/// Columns put side by side, for a model of one input that has no names for its columns.
fn joined(batch: &Batch, port: &Port, limits: &Limits) -> Result<Tensor, PredictError> {
    let width = batch.names().count();
    let wide = Port { shape: vec![None, Some(width)], ..port.clone() };
    let values = match port.data_type {
        DataType::F64 => Values::F64(batch.matrix_for::<f64>(&wide, limits)?.into_owned()),
        DataType::F32 => Values::F32(batch.matrix_for::<f32>(&wide, limits)?.into_owned()),
        other => return Err(PredictError::input(format!("send one tensor of {other:?}, not {width} columns"))),
    };
    Tensor::new(vec![batch.rows(), width], values)
}

/// A tensor of the port's type, if its shape fits.
fn fitted<'b>(tensor: Cow<'b, Tensor>, port: &Port) -> Result<Cow<'b, Tensor>, PredictError> {
    let shape = tensor.shape();
    let fits = port.shape.is_empty()
        || (shape.len() == port.shape.len()
            && shape.iter().zip(&port.shape).skip(1).all(|(given, wanted)| wanted.is_none_or(|wanted| wanted == *given)));
    if !fits {
        return Err(PredictError::input(format!("`{}` has the shape {shape:?}, expected is {:?}", port.name, port.shape)));
    }
    let tensor =
        if tensor.values().data_type() == port.data_type { tensor } else { Cow::Owned(tensor.converted(port.data_type)?) };
    if let (Some(narrow), Values::I64(values)) = (port.narrow, tensor.values())
        && let Some(value) = values.iter().find(|value| narrow.wrapped(**value) != **value)
    {
        return Err(PredictError::input(format!("`{value}` does not fit the type {} of `{}`", narrow.oip_name(), port.name)));
    }
    Ok(tensor)
}

/// What an output means: what the operators say that gave it, or else its name, as exporters write it.
fn role_of(output: &proto::ValueInfo<'_>, data_type: DataType, known: Option<Role>) -> Role {
    let is_float = matches!(data_type, DataType::F32 | DataType::F64);
    // One number per class and row is a matrix. Classifiers of old files give a sequence, which has no shape.
    let is_matrix = matches!(output.shape.len(), 0 | 2);
    match known {
        Some(Role::Label) => Role::Label,
        Some(Role::Probabilities) if is_matrix => Role::Probabilities,
        _ if is_float && is_matrix && output.name.to_lowercase().contains("probab") => Role::Probabilities,
        _ if !is_float && output.shape.len() == 1 && matches!(output.name, "label" | "output_label") => Role::Label,
        _ => Role::Value,
    }
}

impl Refused {
    fn check(&self, tensor: &Tensor) -> Result<(), PredictError> {
        match tensor.values() {
            Values::F32(values) => self.check_all(values.iter().map(|value| f64::from(*value))),
            Values::F64(values) => self.check_all(values.iter().copied()),
            _ => Ok(()),
        }
    }

    fn check_all(&self, values: impl Iterator<Item = f64>) -> Result<(), PredictError> {
        if !self.infinite && !self.missing.contains(&true) {
            return Ok(());
        }
        for (value, missing) in values.zip(self.missing.iter().cycle()) {
            if *missing && value.is_nan() {
                return Err(PredictError::input("a value is missing, and the model takes no missing ones there"));
            }
            if self.infinite && value.is_infinite() {
                return Err(PredictError::input("a value is infinite or too large, and the model takes none of these"));
            }
        }
        Ok(())
    }
}
