//! Request fields under protobuf's JSON rules, with MLflow's error texts: numbers may be strings, enums go by name,
//! unknown fields are ignored, and `NaN` and the infinities travel as strings.

use kernel::{Problem, limits};
use serde_json::{Map, Value};

use super::number::float_of_word;
use crate::Inbound;

/// The end of MLflow's texts about parameters.
const SEE_DOCS: &str = " See the API docs for more information about request parameters.";

/// The fields of one JSON object.
#[derive(Debug, Default)]
pub struct Fields(Map<String, Value>);

impl From<Map<String, Value>> for Fields {
    fn from(map: Map<String, Value>) -> Self {
        Self(map)
    }
}

impl Fields {
    /// The fields of a request: of the query for a GET that has one, else of the JSON body.
    ///
    /// # Errors
    /// `Invalid` for a body that is not a JSON object, or nested too deeply.
    pub fn of(inbound: &Inbound) -> Result<Self, Problem> {
        let query = inbound.query()?;
        if inbound.method == http::Method::GET && !query.is_empty() {
            return Ok(Self(fields_of_query(query)));
        }
        if inbound.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        check_content_type(inbound)?;
        Self::parse(&inbound.body)
    }

    /// The fields of a JSON text.
    ///
    /// # Errors
    /// `Invalid` for what is not a JSON object, or nested too deeply.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        check_depth(bytes)?;
        // MLflow's client sends a request message as a JSON string in some places; it reads both, so we do.
        match serde_json::from_slice::<Value>(bytes) {
            Ok(Value::Object(map)) => Ok(Self(map)),
            Ok(Value::String(inner)) => match serde_json::from_str::<Value>(&inner) {
                Ok(Value::Object(map)) => Ok(Self(map)),
                _ => Err(Problem::invalid("the body must be a JSON object")),
            },
            Ok(Value::Null) => Ok(Self::default()),
            Ok(_) => Err(Problem::invalid("the body must be a JSON object")),
            Err(error) => Err(Problem::invalid(format!("the body is not valid JSON: {error}"))),
        }
    }

    /// The value as it came; `null` counts as absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Whether the field came with a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// An optional text.
    ///
    /// # Errors
    /// `Invalid` if it is not a text.
    pub fn text(&self, name: &str) -> Result<Option<String>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(wrong_type(name, other)),
        }
    }

    /// A text that must be there and not empty.
    ///
    /// # Errors
    /// `Invalid` if it is missing, empty or not a text.
    pub fn need_text(&self, name: &str) -> Result<String, Problem> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| missing(name))
    }

    /// An optional whole number; a number in a string counts.
    ///
    /// # Errors
    /// `Invalid` if it is not one.
    pub fn int(&self, name: &str) -> Result<Option<i64>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => whole(value).map(Some).ok_or_else(|| wrong_type(name, value)),
        }
    }

    /// A whole number that must be there.
    ///
    /// # Errors
    /// `Invalid` if it is missing or not one.
    pub fn need_int(&self, name: &str) -> Result<i64, Problem> {
        self.int(name)?.ok_or_else(|| missing(name))
    }

    /// An optional float; strings count, `NaN`, `Infinity` and `-Infinity` among them.
    ///
    /// # Errors
    /// `Invalid` if it is not one.
    pub fn float(&self, name: &str) -> Result<Option<f64>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => float_of(value).map(Some).ok_or_else(|| wrong_type(name, value)),
        }
    }

    /// A float that must be there.
    ///
    /// # Errors
    /// `Invalid` if it is missing or not one.
    pub fn need_float(&self, name: &str) -> Result<f64, Problem> {
        self.float(name)?.ok_or_else(|| missing(name))
    }

    /// An optional flag: a JSON boolean, or `true`/`false` in a query.
    ///
    /// # Errors
    /// `Invalid` if it is not one.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(Value::String(text)) => {
                Err(Problem::invalid(format!("Invalid boolean value: {text}, must be 'true' or 'false'.")))
            }
            Some(other) => Err(wrong_type(name, other)),
        }
    }

    /// The values of a list; empty where it is absent. One value in a query counts as a list of one.
    ///
    /// # Errors
    /// `Invalid` if it is not a list.
    pub fn list(&self, name: &str) -> Result<&[Value], Problem> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(values)) => Ok(values),
            Some(Value::String(_)) => Ok(self.0.get(name).map_or(&[], std::slice::from_ref)),
            Some(other) => Err(wrong_type(name, other)),
        }
    }

    /// The texts of a list.
    ///
    /// # Errors
    /// `Invalid` if it is not a list of texts.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, Problem> {
        let list = self.list(name)?;
        list.iter()
            .map(|value| match value {
                Value::String(text) => Ok(text.clone()),
                Value::Number(number) => Ok(number.to_string()),
                _ => self.get(name).map_or_else(|| Err(missing(name)), |whole| Err(wrong_type(name, whole))),
            })
            .collect()
    }

    /// The objects of a list.
    ///
    /// # Errors
    /// `Invalid` if it is not a list of objects.
    pub fn objects(&self, name: &str) -> Result<Vec<Self>, Problem> {
        let list = self.list(name)?;
        list.iter()
            .map(|value| match value {
                Value::Object(map) => Ok(Self(map.clone())),
                _ => self.get(name).map_or_else(|| Err(missing(name)), |whole| Err(wrong_type(name, whole))),
            })
            .collect()
    }

    /// An object inside this one; empty where it is absent.
    ///
    /// # Errors
    /// `Invalid` if it is not an object.
    pub fn object(&self, name: &str) -> Result<Option<Self>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Self(map.clone()))),
            Some(other) => Err(wrong_type(name, other)),
        }
    }
}

/// A required parameter that did not come.
#[must_use]
pub fn missing(name: &str) -> Problem {
    Problem::invalid(format!("Missing value for required parameter '{name}'.{SEE_DOCS}"))
}

/// A parameter of the wrong type.
#[must_use]
pub fn wrong_type(name: &str, value: &Value) -> Problem {
    let shown: String = value.to_string().chars().take(500).collect();
    let kind = python_type(value);
    Problem::invalid(format!(
        "Invalid value {shown} for parameter '{name}' supplied:  Hint: Value was of type '{kind}'.{SEE_DOCS}"
    ))
}

fn python_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(whole_of_float)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
fn whole_of_float(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 9.0e15).then_some(number as i64)
}

fn float_of(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) if text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) => text.parse().ok(),
        Value::String(text) => float_of_word(text),
        _ => None,
    }
}

fn fields_of_query(query: Vec<(String, String)>) -> Map<String, Value> {
    let mut map = Map::new();
    for (name, value) in query {
        match map.get_mut(&name) {
            None => drop(map.insert(name, Value::String(value))),
            Some(Value::Array(list)) => list.push(Value::String(value)),
            Some(one) => *one = Value::Array(vec![one.take(), Value::String(value)]),
        }
    }
    map
}

/// A page of another origin can send `text/plain` without asking; JSON it cannot (CSRF).
pub(super) fn check_content_type(inbound: &Inbound) -> Result<(), Problem> {
    let kind = inbound.header("content-type").unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::invalid("Bad Request. Content-Type must be one of ['application/json']."))
}

/// A text that nests deeper than we read is refused before it is parsed.
pub(crate) fn check_depth(bytes: &[u8]) -> Result<(), Problem> {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                if depth > limits::JSON_DEPTH_MAX {
                    let message = format!("the body is nested deeper than {} levels", limits::JSON_DEPTH_MAX);
                    return Err(Problem::invalid(message));
                }
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        Fields::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn numbers_may_be_strings_and_floats_may_be_words() {
        let all = fields(r#"{"a": "17", "b": 17, "c": "NaN", "d": "-Infinity", "e": "1e3", "f": 2.0}"#);
        assert_eq!(all.int("a").unwrap(), Some(17));
        assert_eq!(all.int("b").unwrap(), Some(17));
        assert_eq!(all.int("f").unwrap(), Some(2));
        assert!(all.need_float("c").unwrap().is_nan());
        assert_eq!(all.float("d").unwrap(), Some(f64::NEG_INFINITY));
        assert_eq!(all.float("e").unwrap(), Some(1000.0));
    }

    #[test]
    fn texts_of_errors_are_mlflows() {
        let all = fields(r#"{"name": 5, "empty": ""}"#);
        assert_eq!(
            all.text("name").unwrap_err().message(),
            "Invalid value 5 for parameter 'name' supplied:  Hint: Value was of type 'int'. See the API docs for more \
             information about request parameters."
        );
        assert_eq!(
            all.need_text("empty").unwrap_err().message(),
            "Missing value for required parameter 'empty'. See the API docs for more information about request parameters."
        );
    }

    #[test]
    fn depth_is_counted_outside_of_texts_only() {
        assert!(Fields::parse(format!("{{\"a\":{}1{}}}", "[".repeat(40), "]".repeat(40)).as_bytes()).is_err());
        assert!(Fields::parse(format!("{{\"a\":\"{}\"}}", "[".repeat(40)).as_bytes()).is_ok());
    }
}
