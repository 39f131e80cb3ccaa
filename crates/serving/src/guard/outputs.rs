//! A model's outputs, told as coarsely as the guard says.

use ::guard::Hardening;
use runtime::{Outputs, Port, Role, Signature, Tensor, Values};

/// Makes outputs coarser. Labels stay; forms and types do.
pub(super) fn harden(outputs: &mut Outputs, hardening: &Hardening) {
    if hardening.is_none() {
        return;
    }
    for output in &mut outputs.all {
        let shape = output.tensor.shape().to_vec();
        let width = shape.iter().skip(1).product::<usize>().max(1);
        let apply = |values: &mut [f64]| match output.role {
            Role::Label => {}
            Role::Probabilities => hardening.probabilities(values, width),
            Role::Value if are_probabilities(values, width) => hardening.probabilities(values, width),
            Role::Value => hardening.numbers(values),
        };
        let hardened = match output.tensor.values() {
            _ if output.role == Role::Label => continue,
            Values::F64(values) => {
                let mut values = values.clone();
                apply(&mut values);
                Values::F64(values)
            }
            Values::F32(values) => {
                let mut wide: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
                apply(&mut wide);
                Values::F32(wide.into_iter().map(|value| value as f32).collect())
            }
            Values::I64(_) | Values::Bool(_) | Values::Text(_) => continue,
        };
        // The same number of values has the same shape.
        if let Ok(tensor) = Tensor::new(shape, hardened) {
            output.tensor = tensor;
        }
    }
}

/// How far the probabilities of a row may be from 1 together: they are 32-bit floats, or were rounded.
const SUM_ERROR_MAX: f64 = 1e-3;

/// Whether numbers of which a model does not say what they are look like probabilities: the rows of a network that was exported as it is.
fn are_probabilities(values: &[f64], width: usize) -> bool {
    let is_one = |row: &[f64]| row.iter().all(|value| *value >= 0.0) && (row.iter().sum::<f64>() - 1.0).abs() <= SUM_ERROR_MAX;
    width > 1 && !values.is_empty() && values.chunks(width).all(is_one)
}

/// An output of which fewer numbers cannot be told: several numbers a row, and nothing says that they are probabilities.
pub(super) fn untold(model: &Signature) -> Option<&Port> {
    let is_wide =
        |port: &&Port| port.role == Role::Value && port.shape.iter().skip(1).any(|size| size.is_none_or(|size| size > 1));
    model.outputs.iter().find(is_wide)
}

#[cfg(test)]
mod tests {
    use runtime::{DataType, Output};

    use super::*;

    #[test]
    fn rows_that_look_like_probabilities_are_told_as_such() {
        let tensor = |values: Vec<f32>| Tensor::new(vec![2, 2], Values::F32(values)).unwrap();
        let output = |values| Output { name: "p".to_owned(), role: Role::Value, tensor: tensor(values) };
        let mut outputs = Outputs { all: vec![output(vec![0.1, 0.9, 0.7, 0.3]), output(vec![0.1, 0.9, 7.0, 0.3])] };
        harden(&mut outputs, &Hardening { digits: None, top_k: Some(1), label_only: false });
        assert_eq!(outputs.all[0].tensor, tensor(vec![0.0, 0.9, 0.7, 0.0]));
        assert_eq!(outputs.all[1].tensor, tensor(vec![0.1, 0.9, 7.0, 0.3]));
    }

    #[test]
    fn outputs_that_nobody_can_cut_are_named() {
        let port = |name: &str, role: Role, width: usize| {
            let shape = if width == 0 { vec![None] } else { vec![None, Some(width)] };
            Port { name: name.to_owned(), data_type: DataType::F32, narrow: None, shape, columns: Vec::new(), role }
        };
        let check = |outputs: Vec<Port>, expected: Option<&str>| {
            let model = Signature { outputs, ..Signature::default() };
            assert_eq!(untold(&model).map(|port| port.name.as_str()), expected);
        };
        check(vec![port("label", Role::Label, 0), port("p", Role::Probabilities, 3)], None);
        check(vec![port("y", Role::Value, 0)], None);
        check(vec![port("y", Role::Value, 1)], None);
        check(vec![port("y", Role::Value, 3)], Some("y"));
        check(vec![port("z", Role::Value, 3), port("p", Role::Probabilities, 3)], Some("z"));
    }

    #[test]
    fn labels_stay_and_numbers_become_coarser() {
        let output = |role: Role, tensor: Tensor| Output { name: "o".to_owned(), role, tensor };
        let chances = Tensor::new(vec![2, 2], Values::F32(vec![0.123, 0.877, 0.6, 0.4])).unwrap();
        let mut outputs = Outputs {
            all: vec![
                output(Role::Label, Tensor::list(Values::I64(vec![1, 0]))),
                output(Role::Probabilities, chances),
                output(Role::Value, Tensor::list(Values::F64(vec![1234.5, 0.0]))),
            ],
        };
        let before = outputs.clone();
        harden(&mut outputs, &Hardening::default());
        assert_eq!(outputs, before);
        harden(&mut outputs, &Hardening { digits: Some(2), top_k: None, label_only: true });
        let values: Vec<&Values> = outputs.all.iter().map(|output| output.tensor.values()).collect();
        assert_eq!(values[0], &Values::I64(vec![1, 0]));
        assert_eq!(values[1], &Values::F32(vec![0.0, 1.0, 1.0, 0.0]));
        assert_eq!(values[2], &Values::F64(vec![1200.0, 0.0]));
        assert_eq!(outputs.all[1].tensor.shape(), [2, 2]);
    }
}
