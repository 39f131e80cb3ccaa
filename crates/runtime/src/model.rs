//! A model of any format.

use crate::lightgbm::Lightgbm;
use crate::onnx::Onnx;
use crate::skops::Skops;
use crate::tensor::element_count;
use crate::xgboost::Xgboost;
use crate::{Batch, DataType, Files, Limits, LoadError, Outputs, Port, PredictError, Predicts, Signature, Tensor, Values};

/// Elements of one tensor while a model is tried out.
const TRIED_ELEMENTS_MAX: usize = 1 << 20;

/// A file format that is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// ONNX.
    Onnx,
    /// XGBoost's JSON.
    XgboostJson,
    /// XGBoost's binary JSON.
    XgboostUbj,
    /// LightGBM's text.
    Lightgbm,
    /// scikit-learn, by skops.
    Skops,
}

/// A model, checked and ready to be asked. Asking it changes nothing: one model serves all threads.
#[derive(Debug)]
pub struct Model {
    format: Format,
    file: String,
    engine: Engine,
    /// Whether it was saved as the library's bare booster, whose `predict` gives probabilities.
    is_booster: bool,
}

#[derive(Debug)]
enum Engine {
    Onnx(Onnx),
    Xgboost(Xgboost),
    Lightgbm(Lightgbm),
    Skops(Skops),
}

impl Format {
    /// The format of a file, by its name and first bytes.
    fn of(name: &str, start: &[u8]) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        let text = start.trim_ascii_start();
        match extension {
            "onnx" => Some(Self::Onnx),
            "ubj" => Some(Self::XgboostUbj),
            "xgb" | "json" if text.starts_with(b"{\"learner\"") => Some(Self::XgboostJson),
            "xgb" if start.starts_with(b"{") => Some(Self::XgboostUbj),
            "lgb" | "txt" if start.starts_with(b"tree\n") => Some(Self::Lightgbm),
            "skops" => Some(Self::Skops),
            _ => None,
        }
    }

    /// MLflow's name for it.
    const fn flavor(self) -> &'static str {
        match self {
            Self::Onnx => "onnx",
            Self::XgboostJson | Self::XgboostUbj => "xgboost",
            Self::Lightgbm => "lightgbm",
            Self::Skops => "sklearn",
        }
    }
}

impl Model {
    /// Finds the one model among the files and loads it. Where there is an `MLmodel`, the model must be of a flavor that
    /// it names.
    ///
    /// # Errors
    /// If there is none or more than one, or it is broken, too large, or not understood in full.
    pub fn load(files: &dyn Files, limits: &Limits) -> Result<Self, LoadError> {
        let mut found = Vec::new();
        let about = about(files)?;
        for (name, size) in files.list() {
            let known = name.rsplit_once('.').map_or("", |(_, extension)| extension);
            if !matches!(known, "onnx" | "ubj" | "xgb" | "json" | "lgb" | "txt" | "skops") {
                continue;
            }
            if size > limits.model_bytes_max {
                return Err(LoadError::TooLarge { what: "bytes", limit: limits.model_bytes_max });
            }
            let bytes = files.read(&name).map_err(LoadError::Unreadable)?;
            if let Some(format) = Format::of(&name, &bytes)
                && about.as_ref().is_none_or(|about| about.flavors.iter().any(|flavor| flavor == format.flavor()))
            {
                found.push((name.clone(), format));
            }
        }
        match found.as_slice() {
            [] => Err(LoadError::NoModel),
            [(name, format)] => {
                let model = Self::of(name, *format, &files.read(name).map_err(LoadError::Unreadable)?, limits)?;
                Ok(Self { is_booster: about.is_some_and(|about| about.is_booster), ..model })
            }
            [(first, _), (second, _), ..] => {
                Err(LoadError::unsupported(format!("a folder of several models (`{first}`, `{second}`)")))
            }
        }
    }

    fn of(name: &str, format: Format, bytes: &[u8], limits: &Limits) -> Result<Self, LoadError> {
        if bytes.len() as u64 > limits.model_bytes_max {
            return Err(LoadError::TooLarge { what: "bytes", limit: limits.model_bytes_max });
        }
        let engine = match format {
            Format::Onnx => Engine::Onnx(Onnx::load(bytes, limits)?),
            Format::XgboostJson => Engine::Xgboost(Xgboost::load_json(bytes, limits)?),
            Format::XgboostUbj => Engine::Xgboost(Xgboost::load_ubj(bytes, limits)?),
            Format::Lightgbm => Engine::Lightgbm(Lightgbm::load(bytes, limits)?),
            Format::Skops => Engine::Skops(Skops::load(bytes, limits)?),
        };
        let mut model = Self { format, file: name.to_owned(), engine, is_booster: false };
        model.bound(limits.tensor_elements_max.min(TRIED_ELEMENTS_MAX));
        model.try_out()?;
        model.bound(limits.tensor_elements_max);
        Ok(model)
    }

    const fn bound(&mut self, tensor_elements_max: usize) {
        if let Engine::Onnx(model) = &mut self.engine {
            model.bound(tensor_elements_max);
        }
    }

    /// Asks about a row of zeros and one of ones: what can answer neither, whatever they mean, is refused before somebody asks.
    fn try_out(&self) -> Result<(), LoadError> {
        let mut why = None;
        for fill in [0_u8, 1] {
            let tensors: Option<Vec<_>> =
                self.signature().inputs.iter().map(|port| Some((port.name.clone(), filled(port, fill)?))).collect();
            let Some(Ok(batch)) = tensors.map(Batch::tensors) else { return Ok(()) };
            match self.predict(&batch) {
                Err(PredictError::Model(reason)) => why = Some(reason),
                _ => return Ok(()),
            }
        }
        why.map_or(Ok(()), |why| Err(LoadError::unsupported(format!("a model that cannot answer ({why})"))))
    }

    /// The format.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The file that was loaded.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What it takes and gives.
    #[must_use]
    pub const fn signature(&self) -> &Signature {
        match &self.engine {
            Engine::Onnx(model) => model.signature(),
            Engine::Xgboost(model) => model.signature(),
            Engine::Lightgbm(model) => model.signature(),
            Engine::Skops(model) => model.signature(),
        }
    }

    /// What `predict` of the library gives, with which it was saved.
    #[must_use]
    pub const fn predicts(&self) -> Predicts {
        match &self.engine {
            Engine::Xgboost(model) if self.is_booster => model.booster_predicts(),
            Engine::Lightgbm(model) if self.is_booster => model.booster_predicts(),
            _ => Predicts::Labels,
        }
    }

    /// Says what the file could not: the names of the columns of its one matrix, and those of its classes. What does not fit is left out.
    pub fn describe(&mut self, columns: Vec<String>, classes: Vec<String>) {
        let Engine::Onnx(model) = &mut self.engine else { return };
        model.describe(columns, classes);
    }

    /// Has batches refused, as not fitting, that hold missing values in these columns of its one matrix, or infinite ones.
    pub fn refuse(&mut self, missing: Vec<bool>, infinite: bool) {
        let Engine::Onnx(model) = &mut self.engine else { return };
        model.refuse(missing, infinite);
    }

    /// Predicts every row of the batch.
    ///
    /// # Errors
    /// If the batch does not fit the signature, or would exceed a limit.
    pub fn predict(&self, batch: &Batch) -> Result<Outputs, PredictError> {
        match &self.engine {
            Engine::Onnx(model) => model.predict(batch),
            Engine::Xgboost(model) => model.predict(batch),
            Engine::Lightgbm(model) => model.predict(batch),
            Engine::Skops(model) => model.predict(batch),
        }
    }
}

/// One row for a port, if its shape says how wide that is.
fn filled(port: &Port, fill: u8) -> Option<Tensor> {
    let (first, rest) = port.shape.split_first()?;
    let rest: Option<Vec<usize>> = rest.iter().copied().collect();
    let shape: Vec<usize> = std::iter::once(first.unwrap_or(1)).chain(rest?).collect();
    let count = element_count(&shape).filter(|count| *count <= TRIED_ELEMENTS_MAX)?;
    let values = match port.data_type {
        DataType::F32 => Values::F32(vec![f32::from(fill); count]),
        DataType::F64 => Values::F64(vec![f64::from(fill); count]),
        DataType::I64 => Values::I64(vec![i64::from(fill); count]),
        DataType::Bool => Values::Bool(vec![fill > 0; count]),
        DataType::Text => Values::Text(vec![fill.to_string(); count]),
    };
    Tensor::new(shape, values).ok()
}

/// What an `MLmodel` says.
struct About {
    flavors: Vec<String>,
    is_booster: bool,
}

/// What the `MLmodel` says, if there is one.
fn about(files: &dyn Files) -> Result<Option<About>, LoadError> {
    const BYTES_MAX: u64 = 16 << 20;
    let Some((name, size)) = files.list().into_iter().find(|(name, _)| name == "MLmodel") else { return Ok(None) };
    if size > BYTES_MAX {
        return Err(LoadError::TooLarge { what: "bytes in its MLmodel", limit: BYTES_MAX });
    }
    let bytes = files.read(&name).map_err(LoadError::Unreadable)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| LoadError::invalid("`MLmodel` is not UTF-8"))?;
    let inside = text.lines().skip_while(|line| *line != "flavors:").skip(1).take_while(|line| line.starts_with(' '));
    let inside: Vec<&str> = inside.filter_map(|line| line.strip_prefix("  ")).collect();
    let names = inside.iter().filter(|line| !line.starts_with(' ')).filter_map(|line| line.strip_suffix(':'));
    let class = inside.iter().find_map(|line| line.trim_start().strip_prefix("model_class:"));
    let is_booster = class.is_some_and(|class| class.trim().ends_with(".Booster"));
    Ok(Some(About { flavors: names.map(str::to_owned).collect(), is_booster }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn load(files: &[(&str, &[u8])]) -> Result<Model, LoadError> {
        let files: BTreeMap<String, Vec<u8>> = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
        Model::load(&files, &Limits::default())
    }

    const TREE: &[u8] = b"tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=0\nobjective=regression\n\
        feature_names=a\n\nTree=0\nnum_leaves=1\nnum_cat=0\nleaf_value=1\n\nend of trees\n";

    #[test]
    fn the_one_model_of_a_folder_is_found() {
        let flavors: &[u8] =
            b"artifact_path: model\nflavors:\n  lightgbm:\n    data: model.lgb\n  python_function:\n    x: y\nrun_id: a\n";
        let model = load(&[("MLmodel", flavors), ("model.lgb", TREE), ("requirements.txt", b"lightgbm\n")]).unwrap();
        assert_eq!((model.format(), model.file()), (Format::Lightgbm, "model.lgb"));
        let batch = Batch::matrix(1, 1, crate::Values::F64(vec![0.0])).unwrap();
        assert_eq!(model.predict(&batch).unwrap().value().unwrap().values(), &crate::Values::F64(vec![1.0]));
    }

    #[test]
    fn a_bare_booster_predicts_probabilities_and_a_classifier_labels() {
        let check = |class: &str, objective: &str, trees: usize, expected: Predicts| {
            let about = format!("flavors:\n  lightgbm:\n    data: model.lgb\n    model_class: {class}\nrun_id: a\n");
            let tree = std::str::from_utf8(TREE).unwrap().replace("objective=regression", &format!("objective={objective}"));
            let tree = tree.replace("iteration=1", &format!("iteration={trees}"));
            let (head, leaf) = tree.split_once("Tree=0\n").unwrap();
            let (leaf, end) = leaf.split_once("\nend").unwrap();
            let leaves: String = (0..trees).map(|number| format!("Tree={number}\n{leaf}\n")).collect();
            let model = load(&[("MLmodel", about.as_bytes()), ("model.lgb", format!("{head}{leaves}\nend{end}").as_bytes())]);
            assert_eq!(model.unwrap().predicts(), expected, "{class} {objective}");
        };
        check("lightgbm.basic.Booster", "binary sigmoid:1", 1, Predicts::SecondChance);
        check("lightgbm.basic.Booster", "multiclass num_class:3", 3, Predicts::Chances);
        check("lightgbm.basic.Booster", "regression", 1, Predicts::Labels);
        check("lightgbm.sklearn.LGBMClassifier", "binary sigmoid:1", 1, Predicts::Labels);
    }

    #[test]
    fn one_model_serves_all_threads() {
        fn shared<T: Send + Sync>(_: &T) {}
        shared(&load(&[("model.lgb", TREE)]).unwrap());
    }

    #[test]
    fn doubt_refuses() {
        assert_eq!(load(&[]).err(), Some(LoadError::NoModel));
        assert_eq!(load(&[("model.pkl", b"\x80\x04.")]).err(), Some(LoadError::NoModel));
        assert!(matches!(load(&[("a.lgb", TREE), ("b.lgb", TREE)]), Err(LoadError::Unsupported(_))));
        let pickled: &[u8] = b"flavors:\n  sklearn:\n    pickled_model: model.pkl\n";
        assert_eq!(load(&[("MLmodel", pickled), ("model.lgb", TREE)]).err(), Some(LoadError::NoModel));
        let limits = Limits { model_bytes_max: 10, ..Limits::default() };
        let files = BTreeMap::from([("model.lgb".to_owned(), TREE.to_vec())]);
        assert!(matches!(Model::load(&files, &limits), Err(LoadError::TooLarge { .. })));
    }
}
