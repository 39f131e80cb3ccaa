//! ONNX's messages, as far as predictions depend on them. A field that could change a result and is not understood is
//! refused.

use super::wire::{Field, Reader, doubles_of, elements, floats_of};
use crate::tensor::element_count;
use crate::{DataType, Limits, LoadError, Narrow, Tensor, Values};

pub(super) struct ModelProto<'a> {
    /// (domain, version); the default domain is empty.
    pub opsets: Vec<(&'a str, i64)>,
    pub graph: GraphProto<'a>,
}

#[derive(Default)]
pub(super) struct GraphProto<'a> {
    pub nodes: Vec<NodeProto<'a>>,
    pub initializers: Vec<Constant<'a>>,
    pub inputs: Vec<ValueInfo<'a>>,
    pub outputs: Vec<ValueInfo<'a>>,
}

#[derive(Default)]
pub(super) struct NodeProto<'a> {
    pub name: &'a str,
    pub op: &'a str,
    pub domain: &'a str,
    pub inputs: Vec<&'a str>,
    pub outputs: Vec<&'a str>,
    pub attributes: Vec<Attribute<'a>>,
}

pub(super) struct ValueInfo<'a> {
    pub name: &'a str,
    /// `None`: not a tensor.
    pub element: Option<Element>,
    pub shape: Vec<Option<usize>>,
}

/// A type of elements, and the width of integers that are narrower than those we hold them in.
#[derive(Clone, Copy)]
pub(super) struct Element {
    pub data_type: DataType,
    pub narrow: Option<Narrow>,
}

/// A tensor of the file.
#[derive(Clone)]
pub(super) struct Constant<'a> {
    pub name: &'a str,
    pub tensor: Tensor,
    pub narrow: Option<Narrow>,
}

#[derive(Clone, Default)]
pub(super) struct Attribute<'a> {
    pub name: &'a str,
    pub float: f32,
    pub integer: i64,
    pub text: &'a [u8],
    pub tensor: Option<Constant<'a>>,
    pub floats: Vec<f32>,
    pub integers: Vec<i64>,
    pub texts: Vec<&'a [u8]>,
}

pub(super) fn model<'a>(bytes: &'a [u8], limits: &Limits) -> Result<ModelProto<'a>, LoadError> {
    let mut reader = Reader::new(bytes);
    let (mut opsets, mut graph) = (Vec::new(), None);
    while let Some((number, field)) = reader.next()? {
        match number {
            7 if graph.is_some() => return Err(LoadError::invalid("ONNX: two graphs")),
            7 => graph = Some(graph_of(field.bytes()?, limits)?),
            8 => opsets.push(opset(field.bytes()?)?),
            25 => return Err(LoadError::unsupported("ONNX with functions of its own")),
            _ => {}
        }
    }
    let graph = graph.ok_or_else(|| LoadError::invalid("ONNX: there is no graph"))?;
    Ok(ModelProto { opsets, graph })
}

fn opset(bytes: &[u8]) -> Result<(&str, i64), LoadError> {
    let (mut domain, mut version) = ("", 0);
    let mut reader = Reader::new(bytes);
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => domain = field.text()?,
            2 => version = field.integer()?,
            _ => {}
        }
    }
    Ok((domain, version))
}

fn graph_of<'a>(bytes: &'a [u8], limits: &Limits) -> Result<GraphProto<'a>, LoadError> {
    let mut graph = GraphProto::default();
    let mut reader = Reader::new(bytes);
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => graph.nodes.push(node(field.bytes()?)?),
            5 => graph.initializers.push(tensor(field.bytes()?)?),
            11 => graph.inputs.push(value_info(field.bytes()?)?),
            12 => graph.outputs.push(value_info(field.bytes()?)?),
            15 => return Err(LoadError::unsupported("an ONNX model with sparse weights")),
            _ => {}
        }
        let steps = graph.nodes.len() + graph.initializers.len() + graph.inputs.len() + graph.outputs.len();
        if steps > limits.step_count_max {
            return Err(LoadError::TooLarge { what: "steps, weights and inputs", limit: limits.step_count_max as u64 });
        }
    }
    Ok(graph)
}

fn node(bytes: &[u8]) -> Result<NodeProto<'_>, LoadError> {
    let mut node = NodeProto::default();
    let mut reader = Reader::new(bytes);
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => node.inputs.push(field.text()?),
            2 => node.outputs.push(field.text()?),
            3 => node.name = field.text()?,
            4 => node.op = field.text()?,
            5 => node.attributes.push(attribute(field.bytes()?)?),
            7 => node.domain = field.text()?,
            _ => {}
        }
    }
    if node.domain == "ai.onnx" {
        node.domain = "";
    }
    Ok(node)
}

fn attribute(bytes: &[u8]) -> Result<Attribute<'_>, LoadError> {
    let mut attribute = Attribute::default();
    let mut reader = Reader::new(bytes);
    while let Some((number, field)) = reader.next()? {
        match (number, field) {
            (1, field) => attribute.name = field.text()?,
            (2, Field::Fixed32(bits)) => attribute.float = f32::from_bits(bits),
            (3, field) => attribute.integer = field.integer()?,
            (4, field) => attribute.text = field.bytes()?,
            (5, field) => attribute.tensor = Some(tensor(field.bytes()?)?),
            (7, field) => field.floats(&mut attribute.floats)?,
            (8, field) => field.integers(&mut attribute.integers)?,
            (9, field) => attribute.texts.push(field.bytes()?),
            // The declared type, and notes.
            (13 | 20, _) => {}
            (other, _) => return Err(LoadError::unsupported(format!("an ONNX attribute of the kind {other}"))),
        }
    }
    Ok(attribute)
}

fn value_info(bytes: &[u8]) -> Result<ValueInfo<'_>, LoadError> {
    let mut info = ValueInfo { name: "", element: None, shape: Vec::new() };
    let mut reader = Reader::new(bytes);
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => info.name = field.text()?,
            2 => {
                let mut kinds = Reader::new(field.bytes()?);
                while let Some((kind, field)) = kinds.next()? {
                    if kind == 1 {
                        (info.element, info.shape) = tensor_type(field.bytes()?)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(info)
}

fn tensor_type(bytes: &[u8]) -> Result<(Option<Element>, Vec<Option<usize>>), LoadError> {
    let (mut element, mut shape) = (None, Vec::new());
    let mut reader = Reader::new(bytes);
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => element = Some(element_of(field.integer()?)?),
            2 => {
                let mut dimensions = Reader::new(field.bytes()?);
                while let Some((_, field)) = dimensions.next()? {
                    let mut dimension = Reader::new(field.bytes()?);
                    let mut size = None;
                    while let Some((number, field)) = dimension.next()? {
                        if number == 1 {
                            // Exporters write 0 or -1 for a size that is not known.
                            size = usize::try_from(field.integer()?).ok().filter(|size| *size > 0);
                        }
                    }
                    shape.push(size);
                }
            }
            _ => {}
        }
    }
    Ok((element, shape))
}

/// ONNX's types that we hold without loss.
pub(super) fn element_of(code: i64) -> Result<Element, LoadError> {
    let data_type = match code {
        1 => DataType::F32,
        11 => DataType::F64,
        2 | 3 | 4 | 5 | 6 | 7 | 12 => DataType::I64,
        8 => DataType::Text,
        9 => DataType::Bool,
        other => return Err(LoadError::unsupported(format!("the ONNX element type {other}"))),
    };
    Ok(Element { data_type, narrow: narrow_of(code) })
}

const fn narrow_of(code: i64) -> Option<Narrow> {
    match code {
        2 => Some(Narrow::U8),
        3 => Some(Narrow::I8),
        4 => Some(Narrow::U16),
        5 => Some(Narrow::I16),
        6 => Some(Narrow::I32),
        12 => Some(Narrow::U32),
        _ => None,
    }
}

#[derive(Default)]
struct TensorProto<'a> {
    shape: Vec<i64>,
    code: i64,
    name: &'a str,
    floats: Vec<f32>,
    doubles: Vec<f64>,
    narrow: Vec<i64>,
    integers: Vec<i64>,
    texts: Vec<&'a [u8]>,
    raw: Option<&'a [u8]>,
}

fn tensor(bytes: &[u8]) -> Result<Constant<'_>, LoadError> {
    let mut proto = TensorProto::default();
    let mut reader = Reader::new(bytes);
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => field.integers(&mut proto.shape)?,
            2 => proto.code = field.integer()?,
            4 => field.floats(&mut proto.floats)?,
            5 => field.integers(&mut proto.narrow)?,
            6 => proto.texts.push(field.bytes()?),
            7 | 11 => field.integers(&mut proto.integers)?,
            8 => proto.name = field.text()?,
            9 => proto.raw = Some(field.bytes()?),
            10 => field.doubles(&mut proto.doubles)?,
            13 | 14 => return Err(LoadError::unsupported("an ONNX model whose weights lie in files of their own")),
            3 => return Err(LoadError::unsupported("an ONNX model whose weights come in segments")),
            _ => {}
        }
    }
    let shape: Result<Vec<usize>, _> = proto.shape.iter().map(|size| usize::try_from(*size)).collect();
    let shape = shape.map_err(|_| LoadError::invalid("ONNX: a negative size"))?;
    let (name, narrow) = (proto.name, narrow_of(proto.code));
    let values = proto.values()?;
    if element_count(&shape) != Some(values.len()) {
        return Err(LoadError::invalid(format!("ONNX: `{name}` has the shape {shape:?} and {} values", values.len())));
    }
    let tensor = Tensor::new(shape, values).map_err(|error| LoadError::invalid(error.to_string()))?;
    // A list may hold more bits than its type has.
    let tensor = if let Some(narrow) = narrow { tensor.cut(narrow) } else { tensor };
    Ok(Constant { name, tensor, narrow })
}

impl TensorProto<'_> {
    fn values(self) -> Result<Values, LoadError> {
        if let Some(raw) = self.raw {
            return raw_values(self.code, raw);
        }
        Ok(match self.code {
            1 => Values::F32(self.floats),
            11 => Values::F64(self.doubles),
            7 | 12 => Values::I64(self.integers),
            2..=6 => Values::I64(self.narrow),
            9 => Values::Bool(self.narrow.into_iter().map(|value| value != 0).collect()),
            8 => Values::Text(texts(&self.texts)?),
            other => return Err(LoadError::unsupported(format!("the ONNX element type {other}"))),
        })
    }
}

fn raw_values(code: i64, raw: &[u8]) -> Result<Values, LoadError> {
    Ok(match code {
        1 => Values::F32(floats_of(raw)?.collect()),
        11 => Values::F64(doubles_of(raw)?.collect()),
        7 => Values::I64(elements(raw)?.map(i64::from_le_bytes).collect()),
        6 => Values::I64(elements(raw)?.map(|bytes| i64::from(i32::from_le_bytes(bytes))).collect()),
        12 => Values::I64(elements(raw)?.map(|bytes| i64::from(u32::from_le_bytes(bytes))).collect()),
        5 => Values::I64(elements(raw)?.map(|bytes| i64::from(i16::from_le_bytes(bytes))).collect()),
        4 => Values::I64(elements(raw)?.map(|bytes| i64::from(u16::from_le_bytes(bytes))).collect()),
        3 => Values::I64(raw.iter().map(|byte| i64::from(i8::from_le_bytes([*byte]))).collect()),
        2 => Values::I64(raw.iter().map(|byte| i64::from(*byte)).collect()),
        9 => Values::Bool(raw.iter().map(|byte| *byte != 0).collect()),
        other => return Err(LoadError::unsupported(format!("the ONNX element type {other}"))),
    })
}

pub(super) fn texts(list: &[&[u8]]) -> Result<Vec<String>, LoadError> {
    let text = |bytes: &&[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(LoadError::invalid("ONNX: a text is not UTF-8")),
    };
    list.iter().map(text).collect()
}
