//! The Open Inference Protocol v2 over gRPC: `inference.GRPCInferenceService`, six unary calls. A call is a POST over HTTP/2
//! whose body is one length-prefixed message, and whose status comes in a trailer, so it passes the same door as all others.
//! Sources: kserve/open-inference-protocol, specification/protocol/open_inference_grpc.proto; grpc/grpc, doc/PROTOCOL-HTTP2.md.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use http_body_util::StreamBody;
use kernel::{Kind, Problem};
use serving::ops::{GetEndpoint, Predict, Ready, SearchEndpoints};
use serving::{Batch, Port, Prediction, Serving, Tensor, Values};

use super::oip::answering;
use super::request::TENSOR_COUNT_MAX;
use super::{binary, request, subject};
use crate::protobuf::{Field, Written, fields, fixed, varints};
use crate::{Answer, Door, Inbound, outbound};

/// What a call's body is.
pub(crate) const CONTENT_TYPE: &str = "application/grpc";
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// A status line longer than this is cut.
const MESSAGE_BYTES_MAX: usize = 1_000;
/// What a status line escapes besides all that is not ASCII.
const ESCAPED: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS.add(b'%');
/// Before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// Adds these routes.
pub(super) fn routes(door: &mut Door, room: &Serving) {
    let at = |call: &str| format!("/inference.GRPCInferenceService/{call}");
    for call in ["ServerLive", "ServerReady"] {
        door.route(Method::POST, &at(call), any(room), |_| {
            let mut message = Written::default();
            message.varint(1, 1);
            Ok(answer(message))
        });
    }
    door.route(Method::POST, &at("ServerMetadata"), any(room), |_| {
        let mut message = Written::default();
        message.text(1, "strongroom").text(2, env!("CARGO_PKG_VERSION")).text(3, "binary_tensor_data");
        Ok(answer(message))
    });
    door.route_with(Method::POST, &at("ModelReady"), asked(room), |found: Ready, version: Option<String>| {
        let mut message = Written::default();
        message.varint(1, u64::from(answering(&found, version.as_deref()).is_ok()));
        Ok(answer(message))
    });
    door.route_with(Method::POST, &at("ModelMetadata"), asked(room), |found: Ready, version: Option<String>| {
        let model = answering(&found, version.as_deref())?;
        let mut message = Written::default();
        message.text(1, &found.endpoint.name).text(2, &model.number.to_string());
        message.text(3, &format!("strongroom_{}", model.format()));
        for port in &model.signature().inputs {
            message.message(4, &about(port));
        }
        for port in &model.signature().outputs {
            message.message(5, &about(port));
        }
        Ok(answer(message))
    });
    let room = room.clone();
    let infer = move |inbound: &Inbound| {
        let call = Call::read(message_of(inbound)?)?;
        let predict = Predict {
            room: room.clone(),
            endpoint: call.model.clone(),
            version: call.version,
            routing_key: super::routing_key(inbound),
            batch: call.batch,
            subject: subject(inbound)?,
        };
        Ok((predict, (call.model, call.id, call.wanted)))
    };
    door.route_with(Method::POST, &at("ModelInfer"), infer, |prediction: Prediction, (model, id, wanted)| {
        inferred(&prediction, &model, &id, &wanted)
    });
}

/// Whoever may list no endpoint learns nothing of the server.
fn any(room: &Serving) -> impl Fn(&Inbound) -> Result<SearchEndpoints, Problem> + Send + Sync + 'static {
    let room = room.clone();
    move |inbound| {
        message_of(inbound)?;
        Ok(SearchEndpoints { room: room.clone(), model: None, after: None, rows: Some(1) })
    }
}

fn asked(room: &Serving) -> impl Fn(&Inbound) -> Result<(GetEndpoint, Option<String>), Problem> + Send + Sync + 'static {
    let room = room.clone();
    move |inbound| {
        let (mut name, mut version) = (String::new(), String::new());
        fields(message_of(inbound)?, |number, field| {
            match number {
                1 => name = field.text()?,
                2 => version = field.text()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok((GetEndpoint { room: room.clone(), name }, Some(version).filter(|version| !version.is_empty())))
    }
}

fn about(port: &Port) -> Written {
    let mut tensor = Written::default();
    tensor.text(1, &port.name).text(2, port.oip_name());
    // An open dimension is -1, which protobuf writes as all ones.
    tensor.packed(3, port.shape.iter().map(|one| one.map_or(u64::MAX, |one| one as u64)));
    tensor
}

/// The one message of a call.
fn message_of(inbound: &Inbound) -> Result<&[u8], Problem> {
    let kind = inbound.header("content-type").unwrap_or_default();
    if !kind.starts_with(CONTENT_TYPE) {
        return Err(Problem::invalid(format!("the content type is `{CONTENT_TYPE}`")));
    }
    let wrong = || Problem::invalid("the body is one message behind its length, as gRPC sends it");
    let (prefix, message) = inbound.body.split_first_chunk::<PREFIX_BYTES>().ok_or_else(wrong)?;
    let [compressed, length @ ..] = *prefix;
    if compressed != 0 {
        return Err(Problem::invalid("compressed messages are not accepted; send them without compression"));
    }
    if u32::from_be_bytes(length) as usize != message.len() {
        return Err(wrong());
    }
    Ok(message)
}

/// `ModelInferRequest`.
struct Call {
    model: String,
    version: Option<String>,
    id: String,
    batch: Batch,
    /// Outputs by name; none for all.
    wanted: Vec<String>,
}

#[derive(Default)]
struct Input<'a> {
    name: String,
    datatype: String,
    shape: Vec<u64>,
    contents: Option<&'a [u8]>,
}

impl Call {
    fn read(message: &[u8]) -> Result<Self, Problem> {
        let (mut model, mut version, mut id) = (String::new(), String::new(), String::new());
        let (mut inputs, mut raw, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
        fields(message, |number, field| {
            match number {
                1 => model = field.text()?,
                2 => version = field.text()?,
                3 => id = field.text()?,
                5 => inputs.push(Input::read(field.bytes()?)?),
                6 => wanted.push(name_of(field.bytes()?)?),
                7 => raw.push(field.bytes()?),
                _ => {}
            }
            if inputs.len() > TENSOR_COUNT_MAX || raw.len() > TENSOR_COUNT_MAX || wanted.len() > TENSOR_COUNT_MAX {
                return Err(Problem::invalid(format!("a request has at most {TENSOR_COUNT_MAX} tensors")));
            }
            Ok(())
        })?;
        if inputs.is_empty() {
            return Err(Problem::invalid("`inputs` holds no tensor"));
        }
        if !raw.is_empty() && raw.len() != inputs.len() {
            return Err(Problem::invalid("`raw_input_contents` holds the bytes of every input, or of none"));
        }
        let mut raw = raw.into_iter();
        let tensors: Result<Vec<_>, Problem> = inputs.into_iter().map(|input| input.tensor(raw.next())).collect();
        let batch = Batch::tensors(tensors?).map_err(|error| Problem::invalid(error.to_string()))?;
        Ok(Self { model, version: Some(version).filter(|version| !version.is_empty()), id, batch, wanted })
    }
}

/// The name of a requested output.
fn name_of(message: &[u8]) -> Result<String, Problem> {
    let mut name = String::new();
    fields(message, |number, field| {
        if number == 1 {
            name = field.text()?;
        }
        Ok(())
    })?;
    Ok(name)
}

impl<'a> Input<'a> {
    fn read(message: &'a [u8]) -> Result<Self, Problem> {
        let mut input = Self::default();
        fields(message, |number, field| {
            match number {
                1 => input.name = field.text()?,
                2 => input.datatype = field.text()?,
                3 => varints(field, &mut input.shape)?,
                5 => input.contents = Some(field.bytes()?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(input)
    }

    fn tensor(self, raw: Option<&[u8]>) -> Result<(String, Tensor), Problem> {
        request::shaped(self.name, &self.shape, |count| match (raw, self.contents) {
            (Some(raw), None) => binary::values(&self.datatype, count, raw),
            (None, Some(contents)) => typed(&self.datatype, contents),
            _ => Err(Problem::invalid("a tensor has either `contents` or its bytes in `raw_input_contents`")),
        })
    }
}

/// `InferTensorContents`: the field that fits the type.
fn typed(datatype: &str, contents: &[u8]) -> Result<Values, Problem> {
    let wanted = match datatype {
        "BOOL" => 1,
        "INT8" | "INT16" | "INT32" => 2,
        "INT64" => 3,
        "UINT8" | "UINT16" | "UINT32" => 4,
        "UINT64" => 5,
        "FP32" => 6,
        "FP64" => 7,
        "BYTES" => 8,
        "FP16" | "BF16" => {
            return Err(Problem::invalid(format!("{datatype} has no typed contents; send it in `raw_input_contents`")));
        }
        other => return Err(request::unknown_type(other)),
    };
    let (mut whole, mut singles, mut doubles, mut texts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    fields(contents, |number, field| {
        match (number, field) {
            (number, _) if number != wanted => {}
            (6, field) => fixed(field, f32::from_le_bytes, &mut singles)?,
            (7, field) => fixed(field, f64::from_le_bytes, &mut doubles)?,
            (8, Field::Bytes(text)) => {
                let text = std::str::from_utf8(text).map_err(|_| Problem::invalid("a text is not UTF-8"))?;
                texts.push(text.to_owned());
            }
            (_, field) => varints(field, &mut whole)?,
        }
        Ok(())
    })?;
    Ok(match wanted {
        1 => Values::Bool(whole.into_iter().map(|one| one != 0).collect()),
        6 => Values::F32(singles),
        7 => Values::F64(doubles),
        8 => Values::Text(texts),
        5 => {
            let all: Result<Vec<i64>, _> = whole.into_iter().map(i64::try_from).collect();
            Values::I64(all.map_err(|_| Problem::invalid("a value is beyond what models here compute with"))?)
        }
        // A negative number is written as its 64 bits.
        _ => Values::I64(request::within(datatype, whole.into_iter().map(|one| one as i64).collect())?),
    })
}

fn inferred(prediction: &Prediction, model: &str, id: &str, wanted: &[String]) -> Result<Answer, Problem> {
    super::oip::has_outputs(prediction, wanted.iter().map(String::as_str))?;
    let mut message = Written::default();
    message.text(1, model).text(2, &prediction.model.number.to_string()).text(3, id);
    let mut parameter = Written::default();
    parameter.text(3, &prediction.id);
    let mut entry = Written::default();
    entry.text(1, "prediction_id").message(2, &parameter);
    message.message(4, &entry);
    let chosen = prediction.outputs.all.iter().filter(|output| wanted.is_empty() || wanted.contains(&output.name));
    let mut raw = Vec::new();
    for output in chosen {
        let values = output.tensor.values();
        let mut tensor = Written::default();
        tensor.text(1, &output.name).text(2, values.data_type().oip_name());
        tensor.packed(3, output.tensor.shape().iter().map(|one| *one as u64));
        message.message(5, &tensor);
        raw.push(binary::bytes(values));
    }
    for bytes in &raw {
        message.bytes(6, bytes);
    }
    Ok(answer(message))
}

/// A message, and then that all is well.
fn answer(message: Written) -> Answer {
    let message = message.into_bytes();
    let mut framed = Vec::with_capacity(message.len() + PREFIX_BYTES);
    framed.push(0);
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend_from_slice(&message);
    let trailers = HeaderMap::from_iter([(STATUS, HeaderValue::from_static("0"))]);
    let frames = [
        Ok::<_, std::convert::Infallible>(http_body::Frame::data(Bytes::from(framed))),
        Ok(http_body::Frame::trailers(trailers)),
    ];
    let mut answer = Answer::new(Body::new(StreamBody::new(stream::iter(frames))));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    outbound::harden(&mut answer);
    answer
}

/// A problem as gRPC tells it: 200, and the status in the headers.
pub(crate) fn problem_answer(problem: &Problem) -> Answer {
    // https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
    let status = match problem.kind() {
        Kind::Invalid | Kind::TooLarge => "3",
        Kind::NotFound | Kind::Gone => "5",
        Kind::AlreadyExists => "6",
        Kind::Forbidden => "7",
        Kind::TooMany => "8",
        Kind::Conflict => "9",
        Kind::NotImplemented => "12",
        Kind::Internal => "13",
        Kind::Unavailable => "14",
        Kind::Unauthenticated | Kind::StepUp => "16",
    };
    let mut answer = Answer::new(Body::empty());
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert(STATUS, HeaderValue::from_static(status));
    let text: String = problem.message().chars().take(MESSAGE_BYTES_MAX).collect();
    if let Ok(text) = HeaderValue::from_str(&percent_encoding::utf8_percent_encode(&text, ESCAPED).to_string()) {
        headers.insert(MESSAGE, text);
    }
    outbound::harden(&mut answer);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_of_their_type() {
        let contents = |field: u64, value: i64| {
            let mut message = Written::default();
            message.packed(field, std::iter::once(value as u64));
            message.into_bytes()
        };
        assert_eq!(typed("UINT8", &contents(4, 255)).unwrap(), Values::I64(vec![255]));
        assert_eq!(typed("INT8", &contents(2, -128)).unwrap(), Values::I64(vec![-128]));
        for (word, field, value) in [("UINT8", 4, 4_000_000), ("INT8", 2, -40_000), ("UINT32", 4, -1), ("INT32", 2, 1 << 40)] {
            assert!(typed(word, &contents(field, value)).unwrap_err().message().contains("outside"), "{word}");
        }
    }
}
