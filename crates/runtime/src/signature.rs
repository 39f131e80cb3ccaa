//! What a model takes and gives.

use crate::{DataType, Narrow};

/// What a value that a model gives means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The class that was chosen.
    Label,
    /// One number per class, in the order of [`Signature::classes`] where that is known.
    Probabilities,
    /// A prediction of a regression, or anything else.
    Value,
}

/// What `predict` of the library that a model was saved with gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Predicts {
    /// The chosen classes, or a regression's numbers.
    #[default]
    Labels,
    /// The probability of the second of two classes.
    SecondChance,
    /// The probabilities of all classes.
    Chances,
    /// A table: rows with a value for each name.
    Rows,
}

/// One input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// The width of its integers, where they are narrower than 64 bits.
    pub narrow: Option<Narrow>,
    /// Its shape; `None` is any size, the first one is that of rows.
    pub shape: Vec<Option<usize>>,
    /// The names of its columns, where the model knows them.
    pub columns: Vec<String>,
    /// What it means. Inputs are values.
    pub role: Role,
}

/// What a model takes and gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// In the model's order.
    pub inputs: Vec<Port>,
    /// In the model's order.
    pub outputs: Vec<Port>,
    /// The classes as text, in the order of the probabilities; empty if there are none or the file does not say.
    pub classes: Vec<String>,
}

impl Port {
    /// A matrix of numbers with `columns` columns.
    pub(crate) fn matrix(name: &str, data_type: DataType, columns: usize) -> Self {
        Self { shape: vec![None, Some(columns)], ..Self::list(name, data_type, Role::Value) }
    }

    /// One value per row.
    pub(crate) fn list(name: &str, data_type: DataType, role: Role) -> Self {
        Self { name: name.to_owned(), data_type, narrow: None, shape: vec![None], columns: Vec::new(), role }
    }

    /// The name of its type in the Open Inference Protocol.
    #[must_use]
    pub fn oip_name(&self) -> &'static str {
        self.narrow.map_or(self.data_type.oip_name(), Narrow::oip_name)
    }

    pub(crate) fn with_role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }
}
