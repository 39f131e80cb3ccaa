//! Operators: each is read once into a closure. An attribute that an operator does not know refuses the model.

mod elementwise;
mod encode;
mod integers;
mod linear;
mod matrix;
mod post;
mod prepare;
mod reduce;
mod shape;
mod svm;
mod trees;

use super::proto::{Attribute, Constant, texts};
use crate::{Limits, LoadError, Narrow, PredictError, Role, Tensor, Values};

/// What an operator does with its inputs.
pub(super) type Run = Box<dyn Fn(&Inputs<'_>) -> Result<Vec<Tensor>, PredictError> + Send + Sync>;

/// An operator's inputs in one run.
pub(super) struct Inputs<'a> {
    pub list: &'a [Option<&'a Tensor>],
    pub limits: &'a Limits,
}

/// An operator as the file describes it.
pub(super) struct Request<'a> {
    pub op: &'a str,
    pub domain: &'a str,
    pub version: i64,
    /// Inputs that are known when loading.
    pub constants: &'a [Option<&'a Tensor>],
    /// The widths of its inputs, where they are integers narrower than 64 bits.
    pub narrow: &'a [Option<Narrow>],
    pub attributes: Attributes<'a>,
    pub limits: &'a Limits,
}

/// An operator, read.
pub(super) struct Loaded {
    pub run: Run,
    /// What its outputs mean, where that is known.
    pub roles: Vec<Role>,
    /// Whether its output means what its first input does.
    pub keeps_role: bool,
    pub classes: Vec<String>,
    /// To which width its first output is cut.
    pub narrow: Option<Narrow>,
}

/// An operator's attributes; each is taken once.
pub(super) struct Attributes<'a>(Vec<Attribute<'a>>);

impl Loaded {
    fn new(run: impl Fn(&Inputs<'_>) -> Result<Vec<Tensor>, PredictError> + Send + Sync + 'static) -> Self {
        Self { run: Box::new(run), roles: Vec::new(), keeps_role: false, classes: Vec::new(), narrow: None }
    }

    /// An operator of one output.
    fn one(run: impl Fn(&Inputs<'_>) -> Result<Tensor, PredictError> + Send + Sync + 'static) -> Self {
        Self::new(move |inputs| Ok(vec![run(inputs)?]))
    }

    fn keeping(mut self) -> Self {
        self.keeps_role = true;
        self
    }

    /// An operator whose output is one number per class.
    fn probable(mut self) -> Self {
        self.roles = vec![Role::Probabilities];
        self
    }

    fn narrowed(mut self, to: Option<Narrow>) -> Self {
        self.narrow = to;
        self
    }

    fn classifier(mut self, labels: &Values) -> Self {
        self.roles = vec![Role::Label, Role::Probabilities];
        self.classes = match labels {
            Values::Text(labels) => labels.clone(),
            Values::I64(labels) => labels.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        };
        self
    }
}

pub(super) fn load(mut request: Request<'_>) -> Result<Loaded, LoadError> {
    let name = format!("ONNX's operator {}.{} version {}", request.domain, request.op, request.version);
    if !matches!(request.domain, "" | "ai.onnx.ml") {
        return Err(LoadError::Unsupported(name));
    }
    let narrow = integers::width(&request)?;
    let mut loaded = match request.domain {
        "ai.onnx.ml" => match request.op {
            "TreeEnsembleClassifier" | "TreeEnsembleRegressor" | "TreeEnsemble" => trees::load(&mut request)?,
            "LinearClassifier" | "LinearRegressor" => linear::load(&mut request)?,
            "SVMClassifier" | "SVMRegressor" => svm::load(&mut request)?,
            "Scaler" | "Imputer" | "Normalizer" | "Binarizer" => prepare::load(&mut request)?,
            "OneHotEncoder" | "LabelEncoder" | "CategoryMapper" | "FeatureVectorizer" | "ArrayFeatureExtractor" | "ZipMap" => {
                encode::load(&mut request)?
            }
            _ => return Err(LoadError::Unsupported(name)),
        },
        _ => {
            let found = match elementwise::load(&mut request)? {
                Some(found) => Some(found),
                None => match shape::load(&mut request)? {
                    Some(found) => Some(found),
                    None => match reduce::load(&mut request)? {
                        Some(found) => Some(found),
                        None => matrix::load(&mut request)?,
                    },
                },
            };
            found.ok_or_else(|| LoadError::Unsupported(name.clone()))?
        }
    };
    loaded.narrow = loaded.narrow.or(narrow);
    match request.attributes.0.first() {
        None => Ok(loaded),
        Some(left) => Err(LoadError::Unsupported(format!("the attribute `{}` of {name}", left.name.escape_default()))),
    }
}

/// The tensor of a `Constant` operator.
pub(super) fn constant(attributes: Vec<Attribute<'_>>) -> Result<Option<Constant<'_>>, LoadError> {
    let [attribute] = attributes.try_into().map_err(|_| LoadError::invalid("ONNX: a constant of several values"))?;
    let scalar = |values| Tensor::new(Vec::new(), values).ok();
    let tensor = match attribute.name {
        "value" => return Ok(attribute.tensor),
        "value_float" => scalar(Values::F32(vec![attribute.float])),
        "value_int" => scalar(Values::I64(vec![attribute.integer])),
        "value_floats" => Some(Tensor::list(Values::F32(attribute.floats))),
        "value_ints" => Some(Tensor::list(Values::I64(attribute.integers))),
        "value_strings" => Some(Tensor::list(Values::Text(texts(&attribute.texts)?))),
        _ => None,
    };
    Ok(tensor.map(|tensor| Constant { name: "", tensor, narrow: None }))
}

impl<'a> Attributes<'a> {
    pub(super) const fn new(list: Vec<Attribute<'a>>) -> Self {
        Self(list)
    }

    fn take(&mut self, name: &str) -> Option<Attribute<'a>> {
        let place = self.0.iter().position(|attribute| attribute.name == name)?;
        Some(self.0.swap_remove(place))
    }

    fn skip(&mut self, name: &str) {
        self.take(name);
    }

    fn integer(&mut self, name: &str, default: i64) -> i64 {
        self.take(name).map_or(default, |attribute| attribute.integer)
    }

    fn float(&mut self, name: &str, default: f32) -> f32 {
        self.take(name).map_or(default, |attribute| attribute.float)
    }

    fn optional_float(&mut self, name: &str) -> Option<f32> {
        self.take(name).map(|attribute| attribute.float)
    }

    fn text(&mut self, name: &str, default: &str) -> Result<String, LoadError> {
        match self.take(name) {
            None => Ok(default.to_owned()),
            Some(attribute) => match std::str::from_utf8(attribute.text) {
                Ok(text) => Ok(text.to_owned()),
                Err(_) => Err(LoadError::invalid(format!("ONNX: the attribute `{name}` is not UTF-8"))),
            },
        }
    }

    fn integers(&mut self, name: &str) -> Vec<i64> {
        self.take(name).map_or_else(Vec::new, |attribute| attribute.integers)
    }

    fn floats(&mut self, name: &str) -> Vec<f32> {
        self.take(name).map_or_else(Vec::new, |attribute| attribute.floats)
    }

    fn texts(&mut self, name: &str) -> Result<Vec<String>, LoadError> {
        self.take(name).map_or_else(|| Ok(Vec::new()), |attribute| texts(&attribute.texts))
    }

    fn tensor(&mut self, name: &str) -> Option<Tensor> {
        self.take(name).and_then(|attribute| attribute.tensor).map(|constant| constant.tensor)
    }

    /// Class labels: text or integers, at least one.
    fn labels(&mut self, texts: &str, integers: &str) -> Result<Values, LoadError> {
        let (texts, integers) = (self.texts(texts)?, self.integers(integers));
        match (texts.is_empty(), integers.is_empty()) {
            (false, true) => Ok(Values::Text(texts)),
            (true, false) => Ok(Values::I64(integers)),
            _ => Err(LoadError::invalid("ONNX: a classifier needs labels of one type")),
        }
    }
}

impl<'a> Inputs<'a> {
    fn get(&self, place: usize) -> Result<&'a Tensor, PredictError> {
        self.optional(place).ok_or_else(|| PredictError::model(format!("input {place} is missing")))
    }

    fn optional(&self, place: usize) -> Option<&'a Tensor> {
        self.list.get(place).copied().flatten()
    }

    /// A list of integers, such as axes and shapes.
    fn integers(&self, place: usize) -> Result<Option<&'a [i64]>, PredictError> {
        match self.optional(place).map(Tensor::values) {
            None => Ok(None),
            Some(Values::I64(list)) => Ok(Some(list)),
            Some(_) => Err(PredictError::model(format!("input {place} holds no integers"))),
        }
    }

    /// Whether so many elements may be made.
    fn room(&self, rows: usize, width: usize) -> Result<usize, PredictError> {
        match rows.checked_mul(width) {
            Some(count) if count <= self.limits.tensor_elements_max => Ok(count),
            _ => Err(PredictError::TooLarge { what: "the model's values", limit: self.limits.tensor_elements_max as u64 }),
        }
    }
}

/// The labels at the places.
fn chosen(labels: &Values, places: &[usize]) -> Result<Tensor, PredictError> {
    let missing = || PredictError::model("a class without a label");
    Ok(Tensor::list(match labels {
        Values::Text(labels) => {
            let label = |place: &usize| labels.get(*place).cloned().ok_or_else(missing);
            Values::Text(places.iter().map(label).collect::<Result<_, _>>()?)
        }
        Values::I64(labels) => {
            let label = |place: &usize| labels.get(*place).copied().ok_or_else(missing);
            Values::I64(places.iter().map(label).collect::<Result<_, _>>()?)
        }
        _ => return Err(missing()),
    }))
}
