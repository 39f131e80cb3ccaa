//! Batches that are asked together, and their answers taken apart.

use runtime::{Batch, Output, Outputs, PredictError, Tensor, Values};

/// Whether two batches can be asked as one: the same inputs, of the same types and widths.
pub(crate) fn fits(one: &Batch, other: &Batch) -> bool {
    let width = |tensor: &Tensor| tensor.shape().iter().skip(1).product::<usize>();
    let same = |((name, tensor), (other_name, other)): ((&str, &Tensor), (&str, &Tensor))| {
        name == other_name
            && tensor.values().data_type() == other.values().data_type()
            && tensor.shape().len() == other.shape().len()
            && tensor.shape().len() > 1
            && width(tensor) == width(other)
            && tensor.shape().get(1..) == other.shape().get(1..)
    };
    one.inputs().count() == other.inputs().count() && one.inputs().zip(other.inputs()).all(same)
}

/// All rows of batches that fit.
pub(crate) fn merged(batches: &[&Batch]) -> Result<Batch, PredictError> {
    let Some(first) = batches.first() else { return Batch::tensors(Vec::new()) };
    let rows: usize = batches.iter().map(|batch| batch.rows()).sum();
    let mut inputs = Vec::new();
    for (place, (name, tensor)) in first.inputs().enumerate() {
        let parts = batches.iter().filter_map(|batch| batch.inputs().nth(place)).map(|(_, tensor)| tensor.values());
        let shape = std::iter::once(rows).chain(tensor.shape().iter().skip(1).copied()).collect();
        inputs.push((name.to_owned(), Tensor::new(shape, joined(tensor.values(), parts))?));
    }
    Batch::tensors(inputs)
}

fn joined<'a>(like: &Values, parts: impl Iterator<Item = &'a Values>) -> Values {
    macro_rules! joined {
        ($kind:ident) => {
            Values::$kind(
                parts
                    .filter_map(|part| if let Values::$kind(all) = part { Some(all) } else { None })
                    .flatten()
                    .cloned()
                    .collect(),
            )
        };
    }
    match like {
        Values::F32(_) => joined!(F32),
        Values::F64(_) => joined!(F64),
        Values::I64(_) => joined!(I64),
        Values::Bool(_) => joined!(Bool),
        Values::Text(_) => joined!(Text),
    }
}

/// The answer to each of the batches that had these numbers of rows. None if it has not as many rows as they had together.
pub(crate) fn split(outputs: Outputs, rows: &[usize]) -> Option<Vec<Outputs>> {
    let total: usize = rows.iter().sum();
    if outputs.all.iter().any(|output| output.tensor.shape().first() != Some(&total)) {
        return None;
    }
    if rows.len() == 1 {
        return Some(vec![outputs]);
    }
    let mut begin = 0;
    let mut parts = Vec::with_capacity(rows.len());
    for count in rows {
        let cut = |output: &Output| {
            let shape: Vec<usize> = std::iter::once(*count).chain(output.tensor.shape().iter().skip(1).copied()).collect();
            let width: usize = shape.iter().skip(1).product();
            let values = part(output.tensor.values(), begin * width, count * width)?;
            Some(Output { name: output.name.clone(), role: output.role, tensor: Tensor::new(shape, values).ok()? })
        };
        parts.push(Outputs { all: outputs.all.iter().map(cut).collect::<Option<_>>()? });
        begin += count;
    }
    Some(parts)
}

fn part(values: &Values, begin: usize, count: usize) -> Option<Values> {
    let range = begin..begin.checked_add(count)?;
    Some(match values {
        Values::F32(all) => Values::F32(all.get(range)?.to_vec()),
        Values::F64(all) => Values::F64(all.get(range)?.to_vec()),
        Values::I64(all) => Values::I64(all.get(range)?.to_vec()),
        Values::Bool(all) => Values::Bool(all.get(range)?.to_vec()),
        Values::Text(all) => Values::Text(all.get(range)?.to_vec()),
    })
}

#[cfg(test)]
mod tests {
    use runtime::Role;

    use super::*;

    fn matrix(rows: usize, first: f64) -> Batch {
        Batch::matrix(rows, 2, Values::F64((0..rows * 2).map(|place| first + place as f64).collect())).unwrap()
    }

    #[test]
    fn what_is_put_together_comes_apart_again() {
        let (one, other) = (matrix(2, 0.0), matrix(1, 10.0));
        assert!(fits(&one, &other));
        let whole = merged(&[&one, &other]).unwrap();
        let (_, tensor) = whole.inputs().next().unwrap();
        assert_eq!((whole.rows(), tensor.values()), (3, &Values::F64(vec![0.0, 1.0, 2.0, 3.0, 10.0, 11.0])));
        let output = |role, shape, values| Output { name: "o".to_owned(), role, tensor: Tensor::new(shape, values).unwrap() };
        let answer = Outputs {
            all: vec![
                output(Role::Label, vec![3], Values::Text(vec!["a".into(), "b".into(), "c".into()])),
                output(Role::Probabilities, vec![3, 2], Values::F64(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0])),
            ],
        };
        let parts = split(answer.clone(), &[2, 1]).unwrap();
        assert_eq!(parts[0].labels(), Some(&Values::Text(vec!["a".into(), "b".into()])));
        assert_eq!(parts[1].probabilities().unwrap().values(), &Values::F64(vec![4.0, 5.0]));
        assert_eq!(split(answer.clone(), &[3]).unwrap(), std::slice::from_ref(&answer));
        assert_eq!(split(answer, &[2, 2]), None, "as many rows as were asked, or nothing");
    }

    #[test]
    fn what_differs_is_asked_apart() {
        let one = matrix(1, 0.0);
        let wider = Batch::matrix(1, 3, Values::F64(vec![0.0; 3])).unwrap();
        let other_type = Batch::matrix(1, 2, Values::F32(vec![0.0; 2])).unwrap();
        let named = Batch::columns(vec![("a".to_owned(), Values::F64(vec![0.0]))]).unwrap();
        for other in [wider, other_type, named] {
            assert!(!fits(&one, &other), "{other:?}");
        }
        let deeper = |shape: [usize; 3]| {
            Batch::tensors(vec![(String::new(), Tensor::new(shape.to_vec(), Values::F64(vec![0.0; 6])).unwrap())])
        };
        assert!(!fits(&deeper([1, 2, 3]).unwrap(), &deeper([1, 3, 2]).unwrap()));
    }
}
