//! A model's outputs, told as coarsely as the guard says.

use ::guard::Hardening;
use runtime::{Outputs, Role, Tensor, Values};

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

#[cfg(test)]
mod tests {
    use runtime::Output;

    use super::*;

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
