//! The nodes of a `schema.json`: what an object's state is, by name.

use serde_json::Value;

use super::npy::Array;
use super::zip::Zip;
use crate::{LoadError, Values};

/// A node, and the archive that its arrays lie in.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub value: &'a Value,
    pub zip: &'a Zip<'a>,
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

impl<'a> Node<'a> {
    /// Its class, with the module.
    pub(super) fn class(self) -> (&'a str, &'a str) {
        (text(self.value, "__module__"), text(self.value, "__class__"))
    }

    fn with(self, value: &'a Value) -> Self {
        Self { value, zip: self.zip }
    }

    fn is(self, loader: &str) -> bool {
        text(self.value, "__loader__") == loader
    }

    fn unexpected(self, what: &str) -> LoadError {
        let (module, class) = self.class();
        LoadError::unsupported(format!("skops: {what} that is a `{}.{}`", module.escape_default(), class.escape_default()))
    }

    /// An attribute of an object; `None` if there is none.
    pub(super) fn find(self, name: &str) -> Option<Self> {
        let content = self.value.get("content")?.get("content")?.get(name)?;
        Some(self.with(content))
    }

    pub(super) fn get(self, name: &str) -> Result<Self, LoadError> {
        self.find(name).ok_or_else(|| LoadError::invalid(format!("skops: `{}` has no `{name}`", self.class().1.escape_default())))
    }

    /// The items of a list, a tuple, or an array of objects.
    pub(super) fn items(self) -> Result<Vec<Self>, LoadError> {
        let known = self.is("ListNode") || self.is("TupleNode") || self.is("NdArrayNode");
        match self.value.get("content").and_then(Value::as_array) {
            Some(items) if known => Ok(items.iter().map(|item| self.with(item)).collect()),
            _ => Err(self.unexpected("a list")),
        }
    }

    /// A plain value: number, text, boolean or nothing.
    pub(super) fn plain(self) -> Result<Value, LoadError> {
        if !self.is("JsonNode") {
            return Err(self.unexpected("a plain value"));
        }
        serde_json::from_str(text(self.value, "content")).map_err(|_| LoadError::invalid("skops: a plain value is not JSON"))
    }

    /// Whether it is `None`.
    pub(super) fn is_none(self) -> bool {
        self.is("JsonNode") && text(self.value, "content") == "null"
    }

    pub(super) fn flag(self, name: &str) -> Result<bool, LoadError> {
        self.get(name)?.plain()?.as_bool().ok_or_else(|| LoadError::invalid(format!("skops: `{name}` is no boolean")))
    }

    pub(super) fn word(self, name: &str) -> Result<String, LoadError> {
        let plain = self.get(name)?.plain()?;
        plain.as_str().map(str::to_owned).ok_or_else(|| LoadError::unsupported(format!("skops: a `{name}` that is no text")))
    }

    pub(super) fn count(self, name: &str) -> Result<usize, LoadError> {
        let plain = self.get(name)?.plain()?;
        let count = plain.as_u64().and_then(|count| usize::try_from(count).ok());
        count.ok_or_else(|| LoadError::invalid(format!("skops: `{name}` is no count")))
    }

    /// A number, plain or a NumPy scalar.
    pub(super) fn number(self) -> Result<f64, LoadError> {
        if self.is("NdArrayNode") {
            return match self.floats()?.1.as_slice() {
                [only] => Ok(*only),
                _ => Err(LoadError::unsupported("skops: several numbers where one is expected")),
            };
        }
        self.plain()?.as_f64().ok_or_else(|| LoadError::invalid("skops: no number"))
    }

    fn file(self) -> Result<Vec<u8>, LoadError> {
        if !self.is("NdArrayNode") || text(self.value, "type") != "numpy" {
            return Err(self.unexpected("an array"));
        }
        self.zip.read(text(self.value, "file"))
    }

    /// An array's shape and numbers.
    pub(super) fn floats(self) -> Result<(Vec<usize>, Vec<f64>), LoadError> {
        let bytes = self.file()?;
        let array = Array::parse(&bytes)?;
        Ok((array.shape.clone(), array.floats()?))
    }

    /// Calls `act` with an array of records.
    pub(super) fn records<T>(self, act: impl FnOnce(&Array<'_>) -> Result<T, LoadError>) -> Result<T, LoadError> {
        let bytes = self.file()?;
        act(&Array::parse(&bytes)?)
    }

    /// Labels: an array of integers or text, or of objects that are text.
    pub(super) fn labels(self) -> Result<Values, LoadError> {
        if self.value.get("content").is_some() {
            let texts = self.items()?.into_iter().map(|item| item.plain().map(|plain| plain.as_str().map(str::to_owned)));
            let texts: Option<Vec<String>> = texts.collect::<Result<Option<Vec<_>>, _>>()?;
            return texts
                .map(Values::Text)
                .ok_or_else(|| LoadError::unsupported("skops: labels that are neither integers nor text"));
        }
        let bytes = self.file()?;
        let array = Array::parse(&bytes)?;
        if array.shape.len() != 1 {
            return Err(LoadError::unsupported("skops: several outputs"));
        }
        array.labels()
    }
}
