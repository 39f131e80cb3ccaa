//! The parts of XGBoost's files that predictions depend on.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use crate::LoadError;

/// Words of a set of categories: XGBoost's own bound is 2^24 categories.
const CATEGORY_MAX: i32 = 1 << 24;

#[derive(Deserialize)]
pub(super) struct File {
    pub learner: Learner,
    /// Of the library that wrote it.
    pub version: Vec<u32>,
}

#[derive(Deserialize)]
pub(super) struct Learner {
    #[serde(default)]
    pub attributes: Attributes,
    #[serde(default)]
    pub feature_names: Vec<String>,
    pub gradient_booster: Booster,
    learner_model_param: BTreeMap<String, String>,
    pub objective: Objective,
}

#[derive(Default, Deserialize)]
pub(super) struct Attributes {
    #[serde(default)]
    best_iteration: Option<String>,
    /// What the scikit-learn wrapper leaves: with it, predictions stop at the best iteration.
    #[serde(default)]
    scikit_learn: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Objective {
    pub name: String,
}

#[derive(Deserialize)]
pub(super) struct Booster {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub model: Option<Trees>,
    #[serde(default)]
    pub gbtree: Option<Box<Booster>>,
    #[serde(default)]
    pub weight_drop: Vec<f32>,
}

#[derive(Deserialize)]
pub(super) struct Trees {
    #[serde(default)]
    pub gbtree_model_param: BTreeMap<String, String>,
    #[serde(default)]
    pub iteration_indptr: Vec<i64>,
    #[serde(default)]
    pub tree_info: Vec<i32>,
    #[serde(default)]
    pub trees: Vec<Tree>,
    #[serde(default)]
    pub cats: Option<Cats>,
    /// Of a linear booster.
    #[serde(default)]
    pub weights: Vec<f32>,
}

#[derive(Deserialize)]
pub(super) struct Cats {
    #[serde(default)]
    enc: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct Tree {
    pub left_children: Vec<i32>,
    pub right_children: Vec<i32>,
    pub split_indices: Vec<i64>,
    pub split_conditions: Vec<f32>,
    pub default_left: Vec<Flag>,
    #[serde(default)]
    pub split_type: Vec<u8>,
    #[serde(default)]
    categories: Vec<i32>,
    #[serde(default)]
    categories_nodes: Vec<i32>,
    #[serde(default)]
    categories_segments: Vec<i64>,
    #[serde(default)]
    categories_sizes: Vec<i64>,
    #[serde(default)]
    tree_param: BTreeMap<String, String>,
}

/// Written as a number or as a boolean, by version.
pub(super) struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Flag;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a boolean, 0 or 1")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Flag, E> {
                Ok(Flag(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Flag, E> {
                Ok(Flag(value != 0))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Flag, E> {
                Ok(Flag(value != 0))
            }
        }
        from.deserialize_any(Either)
    }
}

impl Cats {
    pub(super) const fn recodes(&self) -> bool {
        !self.enc.is_empty()
    }
}

impl Learner {
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.learner_model_param.get(name).map(String::as_str)
    }

    pub(super) fn number(&self, name: &str, default: usize) -> Result<usize, LoadError> {
        match self.param(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| LoadError::invalid(format!("`{name}` is `{text}`"))),
        }
    }
}

impl Attributes {
    /// How many iterations count, if not all do.
    pub(super) fn iterations(&self) -> Result<Option<usize>, LoadError> {
        match (&self.best_iteration, &self.scikit_learn) {
            (Some(text), Some(_)) => match text.parse::<usize>() {
                Ok(best) => Ok(best.checked_add(1)),
                Err(_) => Err(LoadError::invalid(format!("the best iteration is `{text}`"))),
            },
            _ => Ok(None),
        }
    }
}

impl Tree {
    /// How many values a leaf has.
    pub(super) fn leaf_width(&self) -> u64 {
        self.tree_param.get("size_leaf_vector").and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// The bit set of the categories that go right at node `id`.
    pub(super) fn categories_of(&self, id: usize) -> Result<Vec<u32>, LoadError> {
        let broken = || LoadError::invalid("a tree's categories");
        // Nodes are in ascending order, so that a search is short even in a hostile file.
        let id = i32::try_from(id).map_err(|_| broken())?;
        let place = self.categories_nodes.binary_search(&id).map_err(|_| broken())?;
        let start = self.categories_segments.get(place).and_then(|start| usize::try_from(*start).ok()).ok_or_else(broken)?;
        let size = self.categories_sizes.get(place).and_then(|size| usize::try_from(*size).ok()).ok_or_else(broken)?;
        let end = start.checked_add(size).ok_or_else(broken)?;
        let categories = self.categories.get(start..end).ok_or_else(broken)?;
        let mut words = Vec::new();
        for category in categories {
            if !(0..CATEGORY_MAX).contains(category) {
                return Err(broken());
            }
            let word = *category as usize / 32;
            if words.len() <= word {
                words.resize(word + 1, 0_u32);
            }
            if let Some(bits) = words.get_mut(word) {
                *bits |= 1 << (category % 32);
            }
        }
        Ok(words)
    }
}
