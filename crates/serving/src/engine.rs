//! What computes for an endpoint: the native runtime in this process, or something elsewhere behind a port.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use gate::BoxFuture;
use kernel::{Kind, Problem};
use runtime::{Batch, Model, Outputs, Predicts, Signature};

use crate::limits::UPSTREAM_NAME_BYTES_MAX;

/// Which of them an endpoint wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Runtime {
    /// The native one: no foreign code runs.
    #[default]
    Native,
    /// A Python that is locked in.
    Python,
    /// Another server that speaks the Open Inference Protocol.
    Upstream {
        /// Its name in the configuration.
        server: String,
        /// What the model is called there.
        model: String,
    },
}

impl Runtime {
    /// Reads `native`, `python` or `upstream:SERVER/MODEL`.
    ///
    /// # Errors
    /// `Invalid` for anything else.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let plain = |name: &str| {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
            !name.is_empty() && name.len() <= UPSTREAM_NAME_BYTES_MAX && name.bytes().all(good) && !name.starts_with('.')
        };
        match (text, text.strip_prefix("upstream:").and_then(|rest| rest.split_once('/'))) {
            ("native", _) => Ok(Self::Native),
            ("python", _) => Ok(Self::Python),
            (_, Some((server, model))) if plain(server) && plain(model) => {
                Ok(Self::Upstream { server: server.to_owned(), model: model.to_owned() })
            }
            _ => {
                Err(Problem::invalid("a runtime is `native`, `python`, or `upstream:SERVER/MODEL` as in `upstream:triton/churn`"))
            }
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native => f.write_str("native"),
            Self::Python => f.write_str("python"),
            Self::Upstream { server, model } => write!(f, "upstream:{server}/{model}"),
        }
    }
}

/// A model that is computed elsewhere. It lives as long as this does.
pub trait Compute: Send + Sync + fmt::Debug {
    /// What it takes and gives.
    fn signature(&self) -> &Signature;

    /// What kind of thing it is, for people.
    fn kind(&self) -> &str;

    /// Asks it about a batch.
    ///
    /// # Errors
    /// `Invalid` for what does not fit it; `Unavailable` where it is gone or too slow; `Internal` where it breaks.
    fn predict(&self, batch: Arc<Batch>) -> BoxFuture<'_, Result<Outputs, Problem>>;
}

/// Where models are computed elsewhere. Implemented by the server.
pub trait Engines: Send + Sync {
    /// A locked-in Python with these files, or what it converted them to. `digest` names them: what could not be loaded a moment ago is not tried again at once.
    /// `ranges` are those of the columns that it was trained on, where they are known.
    ///
    /// # Errors
    /// `Conflict`, saying why it cannot answer.
    fn python(
        &self,
        digest: [u8; 32],
        files: BTreeMap<String, Vec<u8>>,
        ranges: Option<Vec<(f64, f64)>>,
    ) -> BoxFuture<'_, Result<Engine, Problem>>;

    /// A model of another server.
    ///
    /// # Errors
    /// `Conflict`, saying why it cannot answer.
    fn upstream<'a>(&'a self, server: &'a str, model: &'a str) -> BoxFuture<'a, Result<Arc<dyn Compute>, Problem>>;
}

/// The kind of a model that only MLflow's `python_function` describes.
const PYTHON_FUNCTION: &str = "python_pyfunc";

/// A model that can be asked.
#[derive(Debug)]
pub enum Engine {
    /// By the native runtime, from the version's own files.
    Native(Arc<Model>),
    /// By the native runtime, from what a locked-in Python converted it to.
    Converted(Arc<Model>),
    /// Elsewhere.
    Elsewhere(Arc<dyn Compute>),
}

impl Engine {
    pub(crate) fn signature(&self) -> &Signature {
        match self {
            Self::Native(model) | Self::Converted(model) => model.signature(),
            Self::Elsewhere(model) => model.signature(),
        }
    }

    pub(crate) fn predicts(&self) -> Predicts {
        match self {
            Self::Native(model) => model.predicts(),
            Self::Elsewhere(model) if model.kind() == PYTHON_FUNCTION => Predicts::Rows,
            Self::Converted(_) | Self::Elsewhere(_) => Predicts::Labels,
        }
    }

    /// Why what was written cannot be handed on as it is meant.
    pub(crate) fn refuses(&self, batch: &Batch) -> Option<&'static str> {
        let Self::Elsewhere(model) = self else { return None };
        // It may tell a missing text from an empty one.
        if batch.misses_text(model.signature()) {
            return Some("a missing text cannot be sent to this runtime; send an empty one if it means the same");
        }
        // Without them it would answer something else than what it was asked.
        let is_lost = batch.has_params() && model.kind() == PYTHON_FUNCTION;
        is_lost.then_some("`params` are not handed on to a `python_function`; leave them out if its defaults will do")
    }

    pub(crate) fn format(&self) -> String {
        match self {
            Self::Native(model) => format!("{:?}", model.format()).to_lowercase(),
            Self::Converted(_) => "onnx_converted".to_owned(),
            Self::Elsewhere(model) => model.kind().to_owned(),
        }
    }
}

/// Where there is nothing elsewhere.
pub(crate) fn no_engines() -> Problem {
    Problem::new(Kind::Conflict, "only a running server computes with a runtime other than `native`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_read_as_it_is_written() {
        for text in ["native", "python", "upstream:triton/churn.v-1"] {
            assert_eq!(Runtime::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "Python",
            "upstream",
            "upstream:",
            "upstream:a",
            "upstream:/b",
            "upstream:a/",
            "upstream:a/b/c",
            "upstream:a/../b",
            "upstream:a/..",
            "upstream:a b/c",
        ] {
            assert!(Runtime::parse(text).is_err(), "{text}");
        }
    }
}
