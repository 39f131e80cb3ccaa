//! What a model says of a batch.

use crate::{Role, Tensor, Values};

/// One output.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Its name in the signature.
    pub name: String,
    /// What it means.
    pub role: Role,
    /// Its values; the first dimension is that of rows.
    pub tensor: Tensor,
}

/// All outputs, in the signature's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outputs {
    /// In the signature's order.
    pub all: Vec<Output>,
}

impl Outputs {
    pub(crate) fn push(&mut self, name: &str, role: Role, tensor: Tensor) {
        self.all.push(Output { name: name.to_owned(), role, tensor });
    }

    fn first(&self, role: Role) -> Option<&Tensor> {
        self.all.iter().find(|output| output.role == role).map(|output| &output.tensor)
    }

    /// The chosen classes, if the model is a classifier.
    #[must_use]
    pub fn labels(&self) -> Option<&Values> {
        self.first(Role::Label).map(Tensor::values)
    }

    /// One number per row and class, if the model gives them.
    #[must_use]
    pub fn probabilities(&self) -> Option<&Tensor> {
        self.first(Role::Probabilities)
    }

    /// The predictions of a regression.
    #[must_use]
    pub fn value(&self) -> Option<&Tensor> {
        self.first(Role::Value)
    }
}
