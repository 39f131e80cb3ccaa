//! Frames: the length of a head (4 bytes), the length of a body (8 bytes, both little-endian), a head in JSON, a body of raw values.
//!
//! Numbers lie in the body one after the other, little-endian; booleans as bytes; texts as their length (4 bytes) and UTF-8.

use runtime::{Batch, DataType, Output, Outputs, Port, Role, Signature, Tensor, Values};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The head of a frame.
const HEAD_BYTES_MAX: usize = 1 << 20;
/// Outputs of one answer.
const OUTPUT_COUNT_MAX: usize = 256;
/// Inputs that a model may take.
const INPUT_COUNT_MAX: usize = 10_000;
/// Dimensions of one tensor.
const DIMENSION_COUNT_MAX: usize = 8;

/// A frame as it came.
#[derive(Debug)]
pub(crate) struct Frame {
    head: Vec<u8>,
    body: Vec<u8>,
}

/// What a program may say.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    /// It loaded the model, which takes and gives this.
    Ready { kind: String, signature: Signature },
    /// The answer.
    Outputs(Outputs),
    /// The model in another format.
    Converted(Converted),
    /// The request does not fit the model.
    Refused(String),
    /// The model broke.
    Failed(String),
}

/// A model in another format.
#[derive(Clone, Debug, PartialEq)]
pub struct Converted {
    /// The file.
    pub model: Vec<u8>,
    /// Rows that both models should be asked about, one after the other: what the program knows of the scales that it was trained on.
    pub rows: Vec<f64>,
    /// How many columns these rows have.
    pub column_count: usize,
}

#[derive(Serialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
enum Ask<'a> {
    Load { files: Vec<FileHead<'a>> },
    Predict { inputs: Vec<TensorHead<'a>> },
    Convert,
}

#[derive(Serialize)]
struct FileHead<'a> {
    path: &'a str,
    size: usize,
}

#[derive(Serialize)]
struct TensorHead<'a> {
    name: &'a str,
    r#type: Type,
    shape: &'a [usize],
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Type {
    F32,
    F64,
    I64,
    Bool,
    Text,
}

#[derive(Deserialize)]
#[serde(tag = "said", rename_all = "snake_case")]
enum Head {
    Ready {
        kind: String,
        inputs: Vec<PortHead>,
        outputs: Vec<PortHead>,
        classes: Vec<String>,
    },
    Outputs {
        outputs: Vec<OutputHead>,
    },
    Converted {
        #[serde(default)]
        rows: usize,
        #[serde(default)]
        columns: usize,
    },
    Refused {
        why: String,
    },
    Failed {
        why: String,
    },
}

#[derive(Deserialize)]
struct PortHead {
    name: String,
    r#type: Type,
    shape: Vec<Option<usize>>,
    #[serde(default)]
    columns: Vec<String>,
    role: Option<RoleWord>,
}

#[derive(Deserialize)]
struct OutputHead {
    name: String,
    r#type: Type,
    shape: Vec<usize>,
    role: RoleWord,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RoleWord {
    Label,
    Probabilities,
    Value,
}

/// The frame that brings a model's files.
pub(crate) fn load<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result<Vec<u8>, String> {
    let files: Vec<_> = files.collect();
    let head = Ask::Load { files: files.iter().map(|(path, bytes)| FileHead { path, size: bytes.len() }).collect() };
    let size = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let mut frame = begin(&head, size)?;
    for (_, bytes) in files {
        frame.extend_from_slice(bytes);
    }
    Ok(frame)
}

/// The frame that asks about a batch.
pub(crate) fn predict(batch: &Batch) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    let mut inputs = Vec::new();
    for (name, tensor) in batch.inputs() {
        inputs.push(TensorHead { name, r#type: Type::of(tensor.values().data_type()), shape: tensor.shape() });
        put(&mut body, tensor.values())?;
    }
    let mut frame = begin(&Ask::Predict { inputs }, body.len())?;
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// The frame that asks for the model as ONNX.
pub(crate) fn convert() -> Result<Vec<u8>, String> {
    begin(&Ask::Convert, 0)
}

fn begin(head: &Ask<'_>, body_bytes: usize) -> Result<Vec<u8>, String> {
    let head = serde_json::to_vec(head).map_err(|error| error.to_string())?;
    let length = u32::try_from(head.len()).map_err(|_| "the head of a frame is too long".to_owned())?;
    let mut frame = Vec::with_capacity(12 + head.len() + body_bytes);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&(body_bytes as u64).to_le_bytes());
    frame.extend_from_slice(&head);
    Ok(frame)
}

fn put(body: &mut Vec<u8>, values: &Values) -> Result<(), String> {
    match values {
        Values::F32(all) => all.iter().for_each(|value| body.extend_from_slice(&value.to_le_bytes())),
        Values::F64(all) => all.iter().for_each(|value| body.extend_from_slice(&value.to_le_bytes())),
        Values::I64(all) => all.iter().for_each(|value| body.extend_from_slice(&value.to_le_bytes())),
        Values::Bool(all) => body.extend(all.iter().map(|value| u8::from(*value))),
        Values::Text(all) => {
            for text in all {
                let length = u32::try_from(text.len()).map_err(|_| "a text is too long".to_owned())?;
                body.extend_from_slice(&length.to_le_bytes());
                body.extend_from_slice(text.as_bytes());
            }
        }
    }
    Ok(())
}

/// Sends a frame.
pub(crate) async fn send(link: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> std::io::Result<()> {
    link.write_all(frame).await?;
    link.flush().await
}

/// Reads the next frame, whose body is at most `body_bytes_max` long.
pub(crate) async fn receive(link: &mut (impl AsyncRead + Unpin), body_bytes_max: usize) -> Result<Frame, String> {
    let broken = |error: std::io::Error| format!("its connection broke: {error}");
    let head_bytes = link.read_u32_le().await.map_err(broken)?;
    let body_bytes = link.read_u64_le().await.map_err(broken)?;
    let head_bytes = usize::try_from(head_bytes).unwrap_or(usize::MAX);
    let body_bytes = usize::try_from(body_bytes).unwrap_or(usize::MAX);
    if head_bytes > HEAD_BYTES_MAX || body_bytes > body_bytes_max {
        return Err(format!("it answered with more than {body_bytes_max} bytes"));
    }
    let mut head = vec![0; head_bytes];
    link.read_exact(&mut head).await.map_err(broken)?;
    // What is promised is not believed: memory grows with what comes.
    let mut body = Vec::with_capacity(body_bytes.min(1 << 16));
    let read = link.take(body_bytes as u64).read_to_end(&mut body).await.map_err(broken)?;
    if read != body_bytes {
        return Err("its connection broke within an answer".to_owned());
    }
    Ok(Frame { head, body })
}

impl Frame {
    /// What it says.
    pub(crate) fn read(self) -> Result<Said, String> {
        let head: Head = serde_json::from_slice(&self.head).map_err(|error| format!("it said what cannot be read: {error}"))?;
        match head {
            Head::Refused { why } => Ok(Said::Refused(short(&why))),
            Head::Failed { why } => Ok(Said::Failed(short(&why))),
            Head::Converted { rows, columns } => converted(self.body, rows, columns).map(Said::Converted),
            Head::Ready { kind, inputs, outputs, classes } => {
                if inputs.len() > INPUT_COUNT_MAX || outputs.len() > OUTPUT_COUNT_MAX {
                    return Err("it takes or gives more tensors than can be served".to_owned());
                }
                let ports = |all: Vec<PortHead>| all.into_iter().map(PortHead::port).collect();
                let signature = Signature { inputs: ports(inputs), outputs: ports(outputs), classes };
                Ok(Said::Ready { kind: short(&kind), signature })
            }
            Head::Outputs { outputs } => {
                let mut rest = self.body.as_slice();
                if outputs.len() > OUTPUT_COUNT_MAX {
                    return Err(format!("it gave more than {OUTPUT_COUNT_MAX} outputs"));
                }
                let mut all = Vec::with_capacity(outputs.len());
                for head in outputs {
                    let tensor = head.tensor(&mut rest)?;
                    all.push(Output { name: head.name, role: head.role.role(), tensor });
                }
                if !rest.is_empty() {
                    return Err("bytes of its answer belong to no output".to_owned());
                }
                Ok(Said::Outputs(Outputs { all }))
            }
        }
    }
}

/// The rows are the end of the body.
fn converted(mut body: Vec<u8>, rows: usize, columns: usize) -> Result<Converted, String> {
    let row_bytes = rows.checked_mul(columns).and_then(|count| count.checked_mul(8));
    let split = row_bytes.and_then(|bytes| body.len().checked_sub(bytes));
    let split = split.ok_or_else(|| "it gave fewer rows than it says".to_owned())?;
    let rows = body.split_off(split);
    let rows = rows.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
    Ok(Converted { model: body, rows, column_count: columns })
}

/// Words of a foreign program, for an error.
fn short(text: &str) -> String {
    const LENGTH_MAX: usize = 500;
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(LENGTH_MAX).collect()
}

impl PortHead {
    fn port(self) -> Port {
        let role = self.role.map_or(Role::Value, RoleWord::role);
        Port { name: self.name, data_type: self.r#type.data_type(), narrow: None, shape: self.shape, columns: self.columns, role }
    }
}

impl OutputHead {
    fn tensor(&self, rest: &mut &[u8]) -> Result<Tensor, String> {
        let product = self.shape.iter().try_fold(1_usize, |product, one| product.checked_mul(*one));
        let least = if matches!(self.r#type, Type::Text) { 4 } else { self.r#type.width() };
        // Each value takes some bytes of the body, which is here already.
        let count = product.filter(|count| count.checked_mul(least).is_some_and(|bytes| bytes <= rest.len()));
        let Some(count) = count.filter(|_| self.shape.len() <= DIMENSION_COUNT_MAX) else {
            return Err(format!("its output `{}` has not as many values as its shape says", short(&self.name)));
        };
        let values = self.r#type.take(count, rest).ok_or_else(|| format!("its output `{}` is cut short", short(&self.name)))?;
        Tensor::new(self.shape.clone(), values).map_err(|error| error.to_string())
    }
}

impl Type {
    const fn of(data_type: DataType) -> Self {
        match data_type {
            DataType::F32 => Self::F32,
            DataType::F64 => Self::F64,
            DataType::I64 => Self::I64,
            DataType::Bool => Self::Bool,
            DataType::Text => Self::Text,
        }
    }

    const fn data_type(self) -> DataType {
        match self {
            Self::F32 => DataType::F32,
            Self::F64 => DataType::F64,
            Self::I64 => DataType::I64,
            Self::Bool => DataType::Bool,
            Self::Text => DataType::Text,
        }
    }

    const fn width(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::Text => 4,
            Self::Bool => 1,
        }
    }

    fn take(self, count: usize, rest: &mut &[u8]) -> Option<Values> {
        if matches!(self, Self::Text) {
            let mut texts = Vec::with_capacity(count);
            for _ in 0..count {
                let (length, after) = rest.split_first_chunk::<4>()?;
                let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
                let (text, after) = after.split_at_checked(length)?;
                texts.push(std::str::from_utf8(text).ok()?.to_owned());
                *rest = after;
            }
            return Some(Values::Text(texts));
        }
        let (own, after) = rest.split_at_checked(count.checked_mul(self.width())?)?;
        *rest = after;
        Some(match self {
            Self::F32 => Values::F32(own.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
            Self::F64 => Values::F64(own.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()),
            Self::I64 => Values::I64(own.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect()),
            Self::Bool | Self::Text => Values::Bool(own.iter().map(|byte| *byte != 0).collect()),
        })
    }
}

impl RoleWord {
    const fn role(self) -> Role {
        match self {
            Self::Label => Role::Label,
            Self::Probabilities => Role::Probabilities,
            Self::Value => Role::Value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(head: &str, body: &[u8]) -> Vec<u8> {
        let lengths = [(head.len() as u32).to_le_bytes().as_slice(), &(body.len() as u64).to_le_bytes()].concat();
        [&lengths, head.as_bytes(), body].concat()
    }

    async fn said(bytes: &[u8]) -> Result<Said, String> {
        let mut link = bytes;
        receive(&mut link, 1_000).await?.read()
    }

    #[tokio::test]
    async fn every_type_comes_over() {
        let head = r#"{"said":"outputs","outputs":[
            {"name":"a","role":"label","type":"text","shape":[2]},
            {"name":"b","role":"probabilities","type":"f64","shape":[2,1]},
            {"name":"c","role":"value","type":"f32","shape":[2]},
            {"name":"d","role":"value","type":"i64","shape":[2]},
            {"name":"e","role":"value","type":"bool","shape":[2]}]}"#;
        let mut body = Vec::new();
        let wanted = [
            Values::Text(vec!["é".to_owned(), String::new()]),
            Values::F64(vec![0.5, -1.0]),
            Values::F32(vec![1.5, f32::INFINITY]),
            Values::I64(vec![i64::MIN, 7]),
            Values::Bool(vec![true, false]),
        ];
        wanted.iter().for_each(|values| put(&mut body, values).unwrap());
        let Said::Outputs(outputs) = said(&frame(head, &body)).await.unwrap() else { panic!() };
        assert_eq!(
            outputs.all.iter().map(|output| output.tensor.values()).collect::<Vec<_>>(),
            wanted.iter().collect::<Vec<_>>()
        );
        assert_eq!(outputs.labels(), Some(&wanted[0]));
        assert_eq!(outputs.probabilities().unwrap().shape(), [2, 1]);
    }

    #[tokio::test]
    async fn a_model_says_what_it_takes() {
        let head = r#"{"said":"ready","kind":"sklearn","classes":["no","yes"],
            "inputs":[{"name":"input","type":"f64","shape":[null,2],"columns":["a","b"]}],
            "outputs":[{"name":"label","type":"text","shape":[null],"role":"label"}]}"#;
        let Said::Ready { kind, signature } = said(&frame(head, b"")).await.unwrap() else { panic!() };
        assert_eq!((kind.as_str(), signature.classes.len()), ("sklearn", 2));
        assert_eq!(signature.inputs[0].columns, ["a", "b"]);
        assert_eq!(signature.outputs[0].role, Role::Label);
    }

    #[tokio::test]
    async fn nonsense_is_refused_before_memory_is_spent() {
        let outputs = |kind: &str, shape: &str| {
            format!(r#"{{"said":"outputs","outputs":[{{"name":"a","role":"value","type":"{kind}","shape":{shape}}}]}}"#)
        };
        let body = [0_u8; 16];
        for (head, body) in [
            ("{}".to_owned(), &body[..0]),
            ("[".to_owned(), &body[..0]),
            (outputs("f64", "[3]"), &body[..]),
            (outputs("f64", "[1]"), &body[..]),
            (outputs("f64", "[4294967296,4294967296]"), &body[..]),
            (outputs("text", "[5]"), &body[..]),
            (outputs("f64", "[1,1,1,1,1,1,1,1,2]"), &body[..]),
            (outputs("f16", "[2]"), &body[..]),
        ] {
            assert!(said(&frame(&head, body)).await.is_err(), "{head}");
        }
        let mut text = 9_u32.to_le_bytes().to_vec();
        text.extend_from_slice(b"\xff\xfe");
        assert!(said(&frame(&outputs("text", "[1]"), &text)).await.is_err());
        let mut huge = frame("{}", b"");
        huge[4..12].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(said(&huge).await.is_err());
        let whole = frame(&outputs("f64", "[2]"), &body);
        for length in 0..whole.len() {
            assert!(said(&whole[..length]).await.is_err(), "{length}");
        }
        assert!(said(&whole).await.is_ok());
    }

    #[tokio::test]
    async fn a_converted_model_brings_rows() {
        let body = [b"onnx".as_slice(), &1.5_f64.to_le_bytes(), &f64::NAN.to_le_bytes()].concat();
        let Said::Converted(all) = said(&frame(r#"{"said":"converted","rows":1,"columns":2}"#, &body)).await.unwrap() else {
            panic!()
        };
        assert_eq!((all.model.as_slice(), all.rows[0], all.rows.len(), all.column_count), (b"onnx".as_slice(), 1.5, 2, 2));
        for head in
            [r#"{"said":"converted","rows":2,"columns":2}"#, r#"{"said":"converted","rows":9223372036854775807,"columns":9}"#]
        {
            assert!(said(&frame(head, &body)).await.is_err(), "{head}");
        }
    }

    #[test]
    fn words_of_a_program_are_cut_and_harmless() {
        assert_eq!(short("a\n\u{1b}[31mb"), "a  [31mb");
        assert_eq!(short(&"x".repeat(10_000)).len(), 500);
    }
}
