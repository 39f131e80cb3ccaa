//! A server of somebody else's that speaks the Open Inference Protocol v2 over REST: Triton, KServe, MLServer. It computes, and the
//! guard, the log and the record stay here. Which bytes it computes with is its operator's word: this server cannot see them.
//! Source: kserve/open-inference-protocol, specification/protocol/inference_rest.md.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gate::BoxFuture;
use http::{Method, Request, StatusCode, header};
use kernel::{Kind, Problem, Secret};
use runtime::{Batch, DataType, Narrow, Output, Outputs, Port, Role, Signature, Tensor, Values};
use serde::Deserialize;
use serde_json::{Value, json};
use serving::{Compute, UpstreamConfig};

use super::raw::{HEADER_LENGTH, Named, Own, data, flatten, parts, values};
use crate::https::{Kept, Remote, RemoteAnswer};

/// What is read of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// The largest file with a token.
const TOKEN_BYTES_MAX: u64 = 8 * 1024;
/// Tensors of a model.
const TENSOR_COUNT_MAX: usize = 1_000;

/// A server.
pub(super) struct Upstream {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    remote: Kept,
    token_file: Option<PathBuf>,
    answer_max: Duration,
}

#[derive(Deserialize)]
struct About {
    #[serde(default)]
    platform: String,
    #[serde(default)]
    inputs: Vec<TensorAbout>,
    #[serde(default)]
    outputs: Vec<TensorAbout>,
}

#[derive(Deserialize)]
struct TensorAbout {
    name: String,
    datatype: String,
    shape: Vec<i64>,
}

#[derive(Deserialize)]
struct Answer {
    outputs: Vec<TensorSaid>,
}

#[derive(Deserialize)]
struct TensorSaid {
    name: String,
    datatype: String,
    shape: Vec<usize>,
    data: Option<Value>,
    parameters: Option<Said>,
}

#[derive(Deserialize)]
struct Said {
    binary_data_size: Option<usize>,
}

/// A body: JSON, and the bytes of tensors behind it.
struct Sent {
    json: Vec<u8>,
    raw: Vec<u8>,
}

impl Upstream {
    pub(super) fn open(name: &str, config: &UpstreamConfig) -> Result<Self, Problem> {
        let remote = match &config.ca {
            Some(ca) if config.url.starts_with("https://") => Remote::new(&config.url, ca)?,
            _ => Remote::new_insecure_http(&config.url)?,
        };
        let shared = Shared {
            name: name.to_owned(),
            remote: Kept::new(remote),
            token_file: config.token_file.clone(),
            answer_max: Duration::from_millis(config.answer_ms_max),
        };
        shared.token()?;
        Ok(Self { shared: Arc::new(shared) })
    }

    /// A model of it, if it is ready there.
    pub(super) async fn model(&self, model: &str) -> Result<Arc<dyn Compute>, Problem> {
        let server = &self.shared.name;
        let conflict =
            |why: &str| Problem::new(Kind::Conflict, format!("`{model}` of the server `{server}` cannot answer: {why}"));
        let path = format!("/v2/models/{model}");
        let nothing = Sent { json: Vec::new(), raw: Vec::new() };
        let answer = self.shared.ask(Method::GET, &path, nothing).await.map_err(|problem| conflict(problem.message()))?;
        if answer.status != StatusCode::OK {
            return Err(conflict(&format!("it answers {}", answer.status)));
        }
        let about: About =
            serde_json::from_slice(&answer.body).map_err(|_| conflict("what it says of the model cannot be read"))?;
        let (signature, named) = (about.signature().map_err(|why| conflict(&why))?, about.named());
        let kind = if about.platform.is_empty() { "upstream".to_owned() } else { format!("upstream_{}", about.platform) };
        let kind = kind.chars().filter(|letter| letter.is_ascii_graphic()).take(100).collect();
        Ok(Arc::new(UpstreamModel { shared: Arc::clone(&self.shared), path: format!("{path}/infer"), kind, signature, named }))
    }
}

impl Shared {
    fn token(&self) -> Result<Option<Secret>, Problem> {
        let Some(path) = &self.token_file else { return Ok(None) };
        let name = &self.name;
        let unreadable = |why: String| {
            Problem::invalid(format!("`serving.upstreams.{name}.token_file` (`{}`) cannot be read: {why}", path.display()))
        };
        let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
        if size > TOKEN_BYTES_MAX {
            return Err(unreadable(format!("it is longer than {TOKEN_BYTES_MAX} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        Ok(Some(Secret::new(text.trim().as_bytes().to_vec())))
    }

    async fn ask(&self, method: Method, path: &str, Sent { json, raw }: Sent) -> Result<RemoteAnswer, Problem> {
        let content_type = if raw.is_empty() { "application/json" } else { "application/octet-stream" };
        let mut head = Request::builder().method(method).header(header::CONTENT_TYPE, content_type);
        if !raw.is_empty() {
            head = head.header(HEADER_LENGTH, json.len());
        }
        let body = Bytes::from([json, raw].concat());
        if let Some(token) = self.token()? {
            head = head.header(header::AUTHORIZATION, format!("Bearer {}", token.expose_text().unwrap_or_default()));
        }
        match tokio::time::timeout(self.answer_max, self.remote.send(head, path, body, ANSWER_BYTES_MAX)).await {
            Ok(answer) => answer,
            Err(_) => {
                let limit = self.answer_max.as_secs_f64();
                Err(Problem::unavailable(format!("the server `{}` took longer than {limit} s", self.name)))
            }
        }
    }
}

/// A model there.
struct UpstreamModel {
    shared: Arc<Shared>,
    path: String,
    kind: String,
    signature: Signature,
    named: Named,
}

impl std::fmt::Debug for UpstreamModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamModel").field("server", &self.shared.name).field("path", &self.path).finish_non_exhaustive()
    }
}

impl Compute for UpstreamModel {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn kind(&self) -> &str {
        &self.kind
    }

    fn predict(&self, batch: Arc<Batch>) -> BoxFuture<'_, Result<Outputs, Problem>> {
        Box::pin(async move {
            let body = asked(&batch, &self.signature, &self.named).map_err(Problem::invalid)?;
            let answer = self.shared.ask(Method::POST, &self.path, body).await?;
            let server = &self.shared.name;
            match answer.status {
                StatusCode::OK => {}
                status if status.is_client_error() => {
                    tracing::info!(server, %status, "another server refused a request");
                    return Err(Problem::invalid(format!(
                        "the request does not fit the model: the server `{server}` answers {status}"
                    )));
                }
                status => return Err(Problem::unavailable(format!("the server `{server}` answers {status}"))),
            }
            let broken = |why: String| Problem::internal("the server that computes gave an answer that cannot be used", why);
            let (json, raw) = parts(&answer.headers, &answer.body).map_err(broken)?;
            let said: Answer = serde_json::from_slice(json).map_err(|error| broken(error.to_string()))?;
            said.outputs(batch.rows(), &self.signature, raw).map_err(broken)
        })
    }
}

impl About {
    fn signature(&self) -> Result<Signature, String> {
        if self.inputs.len() > TENSOR_COUNT_MAX || self.outputs.len() > TENSOR_COUNT_MAX {
            return Err(format!("it has more than {TENSOR_COUNT_MAX} tensors"));
        }
        let port = |one: &TensorAbout, role: Role| -> Result<Port, String> {
            let data_type = data_type(&one.datatype).ok_or_else(|| format!("`{}` is of type {}", one.name, one.datatype))?;
            let shape = one.shape.iter().map(|size| usize::try_from(*size).ok());
            // The first dimension is that of rows, whether or not it is said to be any.
            let shape = std::iter::once(None).chain(shape.skip(1)).collect();
            Ok(Port { name: one.name.clone(), data_type, narrow: None, shape, columns: Vec::new(), role })
        };
        let input = |one: &TensorAbout| port(one, Role::Value).map(|known| Port { narrow: narrow(&one.datatype), ..known });
        Ok(Signature {
            inputs: self.inputs.iter().map(input).collect::<Result<_, String>>()?,
            outputs: self.outputs.iter().map(|one| port(one, role(one, &self.outputs))).collect::<Result<_, String>>()?,
            classes: Vec::new(),
        })
    }

    fn named(&self) -> Named {
        let own = |one: &TensorAbout| Some((one.name.clone(), Own::of(&one.datatype)?));
        Named { inputs: self.inputs.iter().filter_map(own).collect(), outputs: self.outputs.iter().filter_map(own).collect() }
    }
}

/// What an output means. The protocol has no word for it: names, types and shapes tell.
fn role(one: &TensorAbout, all: &[TensorAbout]) -> Role {
    let is_float = |one: &TensorAbout| matches!(data_type(&one.datatype), Some(DataType::F32 | DataType::F64));
    let named = |one: &TensorAbout, words: &[&str]| words.iter().any(|word| one.name.to_ascii_lowercase().contains(word));
    let is_label = |one: &TensorAbout| !is_float(one) && named(one, &["label", "class"]);
    let is_wide = one.shape.get(1).is_some_and(|width| *width > 1);
    match () {
        () if is_label(one) => Role::Label,
        // One number per class beside a label, or numbers that say what they are.
        () if is_float(one) && is_wide && all.iter().any(is_label) => Role::Probabilities,
        () if is_float(one) && named(one, &["prob", "softmax"]) => Role::Probabilities,
        () => Role::Value,
    }
}

fn data_type(word: &str) -> Option<DataType> {
    Some(match word {
        "FP32" | "FP16" | "BF16" => DataType::F32,
        "FP64" => DataType::F64,
        "INT8" | "INT16" | "INT32" | "INT64" | "UINT8" | "UINT16" | "UINT32" | "UINT64" => DataType::I64,
        "BOOL" => DataType::Bool,
        "BYTES" => DataType::Text,
        _ => return None,
    })
}

/// Servers refuse integers of another width than the model's, Triton among them.
fn narrow(word: &str) -> Option<Narrow> {
    Some(match word {
        "INT8" => Narrow::I8,
        "UINT8" => Narrow::U8,
        "INT16" => Narrow::I16,
        "UINT16" => Narrow::U16,
        "INT32" => Narrow::I32,
        "UINT32" => Narrow::U32,
        _ => return None,
    })
}

/// A batch as the request says it, under the names and types that the model there has.
fn asked(batch: &Batch, signature: &Signature, named: &Named) -> Result<Sent, String> {
    let only = batch.inputs().count() == 1;
    let (mut inputs, mut raw) = (Vec::new(), Vec::new());
    for (name, tensor) in batch.inputs() {
        let port = signature.inputs.iter().find(|port| port.name == name);
        let port = port.or_else(|| signature.inputs.first().filter(|_| only && signature.inputs.len() == 1));
        let values = tensor.values();
        let given = values.data_type();
        let (name, wanted) = port.map_or((name, given), |port| (port.name.as_str(), port.data_type));
        let is_number = |one: DataType| matches!(one, DataType::F32 | DataType::F64 | DataType::I64);
        // Numbers are written as they are: the other server reads them as its own type.
        let kind = if is_number(given) && is_number(wanted) { wanted } else { given };
        let data = data(values, kind).ok_or_else(|| format!("`{name}` holds what JSON has no number for, or no whole number"))?;
        let own = named.inputs.get(name).copied().filter(|_| kind == wanted);
        let shape = tensor.shape();
        let Some(own) = own else {
            let word = port.filter(|port| port.data_type == kind).map_or(kind.oip_name(), Port::oip_name);
            inputs.push(json!({ "name": name, "shape": shape, "datatype": word, "data": data }));
            continue;
        };
        if !own.is_half() {
            if data.iter().any(|one| !one.is_u64()) {
                return Err(format!("`{name}` holds a number below 0, which its type {} has not", own.word()));
            }
            inputs.push(json!({ "name": name, "shape": shape, "datatype": own.word(), "data": data }));
            continue;
        }
        let numbers: Option<Vec<f64>> = data.iter().map(Value::as_f64).collect();
        let bytes = numbers.and_then(|numbers| own.bytes(&numbers));
        let bytes = bytes.ok_or_else(|| format!("`{name}` holds a number beyond its type {}", own.word()))?;
        let size = json!({ "binary_data_size": bytes.len() });
        inputs.push(json!({ "name": name, "shape": shape, "datatype": own.word(), "parameters": size }));
        raw.extend_from_slice(&bytes);
    }
    let is_half = |name: &str| named.outputs.get(name).is_some_and(|own| own.is_half());
    let output = |port: &Port| json!({ "name": port.name, "parameters": { "binary_data": is_half(&port.name) } });
    let mut whole = serde_json::Map::from_iter([("inputs".to_owned(), Value::Array(inputs))]);
    if signature.outputs.iter().any(|port| is_half(&port.name)) {
        whole.insert("outputs".to_owned(), signature.outputs.iter().map(output).collect());
    }
    Ok(Sent { json: Value::Object(whole).to_string().into_bytes(), raw })
}

impl Answer {
    fn outputs(self, rows: usize, signature: &Signature, mut raw: &[u8]) -> Result<Outputs, String> {
        if self.outputs.is_empty() || self.outputs.len() > TENSOR_COUNT_MAX {
            return Err(format!("it holds {} outputs", self.outputs.len()));
        }
        let mut all = Vec::with_capacity(self.outputs.len());
        for said in self.outputs {
            let kind = data_type(&said.datatype).ok_or_else(|| format!("`{}` is of type {}", said.name, said.datatype))?;
            if said.shape.first() != Some(&rows) {
                return Err(format!("`{}` has the shape {:?} where {rows} rows were asked", said.name, said.shape));
            }
            let wrong = || format!("`{}` holds other values than {}", said.name, said.datatype);
            let size = said.parameters.as_ref().and_then(|said| said.binary_data_size);
            let values = match (&said.data, size) {
                (Some(data), None) => {
                    let mut flat = Vec::new();
                    flatten(data, 0, &mut flat)?;
                    values(&flat, kind).ok_or_else(wrong)?
                }
                (None, Some(size)) => {
                    let own = Own::of(&said.datatype).filter(|own| own.is_half()).ok_or_else(wrong)?;
                    let (bytes, rest) = raw.split_at_checked(size).ok_or_else(wrong)?;
                    raw = rest;
                    Values::F32(own.numbers(bytes).ok_or_else(wrong)?)
                }
                _ => return Err(wrong()),
            };
            let port = signature.outputs.iter().find(|port| port.name == said.name);
            let role = port.map_or(Role::Value, |port| port.role);
            let tensor = Tensor::new(said.shape, values).map_err(|error| error.to_string())?;
            all.push(Output { name: said.name, role, tensor });
        }
        Ok(Outputs { all })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(text: &str) -> About {
        serde_json::from_str(text).unwrap()
    }

    fn sent(batch: &Batch, model: &str) -> Result<(Value, Vec<u8>), String> {
        let model = about(model);
        let Sent { json, raw } = asked(batch, &model.signature().unwrap(), &model.named())?;
        Ok((serde_json::from_slice(&json).unwrap(), raw))
    }

    const TRITON: &str = r#"{"name":"m","versions":["1"],"platform":"onnxruntime_onnx",
        "inputs":[{"name":"X","datatype":"FP32","shape":[-1,2]}],
        "outputs":[{"name":"label","datatype":"INT64","shape":[-1]},{"name":"chances","datatype":"FP32","shape":[-1,3]}]}"#;

    #[test]
    fn what_the_server_says_of_a_model_becomes_its_signature() {
        let signature = about(TRITON).signature().unwrap();
        assert_eq!(signature.inputs[0].shape, [None, Some(2)]);
        assert_eq!(signature.outputs.iter().map(|port| port.role).collect::<Vec<_>>(), [Role::Label, Role::Probabilities]);
        assert!(about(r#"{"inputs":[{"name":"x","datatype":"FP8","shape":[1]}]}"#).signature().is_err());
    }

    #[test]
    fn a_batch_is_asked_under_the_models_names_and_types() {
        let batch = Batch::matrix(1, 2, Values::F64(vec![1.5, 2.0])).unwrap();
        let input = json!({ "name": "X", "shape": [1, 2], "datatype": "FP32", "data": [1.5, 2.0] });
        assert_eq!(sent(&batch, TRITON).unwrap(), (json!({ "inputs": [input] }), Vec::new()));
        for width in ["INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64", "UINT64"] {
            let text = format!(r#"{{"inputs":[{{"name":"ids","datatype":"{width}","shape":[-1,2]}}]}}"#);
            let whole = Batch::matrix(1, 2, Values::F64(vec![7.0, 2.0])).unwrap();
            let input = json!({ "name": "ids", "shape": [1, 2], "datatype": width, "data": [7, 2] });
            assert_eq!(sent(&whole, &text).unwrap(), (json!({ "inputs": [input] }), Vec::new()));
        }
        let below = Batch::matrix(1, 2, Values::I64(vec![7, -2])).unwrap();
        let unsigned = r#"{"inputs":[{"name":"ids","datatype":"UINT64","shape":[-1,2]}]}"#;
        assert!(sent(&below, unsigned).unwrap_err().contains("below 0"));
        let missing = Batch::matrix(1, 2, Values::F64(vec![f64::NAN, 2.0])).unwrap();
        assert!(sent(&missing, TRITON).is_err(), "a missing value is not sent as another one");
    }

    #[test]
    fn floats_of_16_bits_go_and_come_as_bytes() {
        for (word, one_and_a_half, beyond) in [("FP16", [0x00, 0x3e], 1e6), ("BF16", [0xc0, 0x3f], 3.4e38)] {
            let text = format!(
                r#"{{"inputs":[{{"name":"x","datatype":"{word}","shape":[-1,1]}}],
                    "outputs":[{{"name":"y","datatype":"{word}","shape":[-1,1]}},{{"name":"n","datatype":"INT64","shape":[-1]}}]}}"#
            );
            let of = |value: f64| Batch::matrix(1, 1, Values::F64(vec![value])).unwrap();
            let (whole, raw) = sent(&of(1.5), &text).unwrap();
            let input = json!({ "name": "x", "shape": [1, 1], "datatype": word, "parameters": { "binary_data_size": 2 } });
            let output = |name: &str, is: bool| json!({ "name": name, "parameters": { "binary_data": is } });
            let outputs = [output("y", true), output("n", false)];
            assert_eq!((whole, raw), (json!({ "inputs": [input], "outputs": outputs }), one_and_a_half.to_vec()));
            assert!(sent(&of(beyond), &text).unwrap_err().contains(word));
            let said = format!(
                r#"{{"outputs":[{{"name":"n","datatype":"INT64","shape":[1],"data":[7]}},
                    {{"name":"y","datatype":"{word}","shape":[1,1],"parameters":{{"binary_data_size":2}}}}]}}"#
            );
            let answer: Answer = serde_json::from_str(&said).unwrap();
            let outputs = answer.outputs(1, &about(&text).signature().unwrap(), &one_and_a_half).unwrap();
            assert_eq!(outputs.all[1].tensor.values(), &Values::F32(vec![1.5]));
        }
    }

    #[test]
    fn an_answer_that_does_not_fit_is_refused() {
        let signature = about(TRITON).signature().unwrap();
        let read = |rows: usize, outputs: &str| {
            let answer: Answer = serde_json::from_str(&format!(r#"{{"outputs":[{outputs}]}}"#)).unwrap();
            answer.outputs(rows, &signature, &[])
        };
        let good = r#"{"name":"chances","datatype":"FP32","shape":[2,2],"data":[[0.5,0.5],[1,null]]}"#;
        let outputs = read(2, good).unwrap();
        assert_eq!(outputs.probabilities().unwrap().shape(), [2, 2]);
        assert!(read(1, good).is_err());
        for bad in [
            "",
            r#"{"name":"label","datatype":"INT64","shape":[2]}"#,
            r#"{"name":"chances","datatype":"FP32","shape":[2,1],"data":null}"#,
            r#"{"name":"chances","datatype":"FP16","shape":[2,1],"parameters":{"binary_data_size":4}}"#,
            r#"{"name":"label","datatype":"INT64","shape":[2],"data":[1]}"#,
            r#"{"name":"label","datatype":"INT64","shape":[2],"data":[1,"2"]}"#,
            r#"{"name":"label","datatype":"FP8","shape":[2],"data":[1,2]}"#,
            r#"{"name":"label","datatype":"INT64","shape":[2],"data":[[[[[[[[[[[1,2]]]]]]]]]]]}"#,
        ] {
            assert!(read(2, bad).is_err(), "{bad}");
        }
    }
}
