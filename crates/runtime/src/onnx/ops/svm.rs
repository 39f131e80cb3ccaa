//! `SVMClassifier` and `SVMRegressor` with support vectors.

use super::linear::dot;
use super::{Inputs, Loaded, Request, chosen};
use crate::link::argmax;
use crate::{LoadError, PredictError, Tensor, Values};

#[derive(Clone, Copy, Debug)]
enum Kernel {
    Linear,
    Polynomial { gamma: f32, offset: f32, degree: f32 },
    Radial { gamma: f32 },
    Sigmoid { gamma: f32, offset: f32 },
}

struct Machine {
    kernel: Kernel,
    vectors: Vec<f32>,
    vector_count: usize,
    coefficients: Vec<f32>,
    rho: Vec<f32>,
}

pub(super) fn load(request: &mut Request<'_>) -> Result<Loaded, LoadError> {
    if request.attributes.text("post_transform", "NONE")? != "NONE" {
        return Err(LoadError::unsupported("an ONNX support vector machine with a post-transform"));
    }
    let kernel = kernel(request)?;
    let classifies = request.op == "SVMClassifier";
    let per_class: Result<Vec<usize>, _> =
        request.attributes.integers("vectors_per_class").into_iter().map(usize::try_from).collect();
    let per_class = per_class.map_err(|_| LoadError::invalid("ONNX: a negative number of support vectors"))?;
    let supports = usize::try_from(request.attributes.integer("n_supports", 0)).unwrap_or(0);
    let vectors = request.attributes.floats("support_vectors");
    let vector_count =
        if classifies { per_class.iter().try_fold(0_usize, |sum, count| sum.checked_add(*count)).unwrap_or(0) } else { supports };
    let coefficients = request.attributes.floats("coefficients");
    if vector_count == 0 || vectors.is_empty() || !vectors.len().is_multiple_of(vector_count) {
        return Err(LoadError::unsupported("an ONNX support vector machine without support vectors"));
    }
    let machine = Machine { kernel, vectors, vector_count, coefficients, rho: request.attributes.floats("rho") };
    if classifies { classifier(request, machine, per_class) } else { regressor(request, machine) }
}

fn kernel(request: &mut Request<'_>) -> Result<Kernel, LoadError> {
    let name = request.attributes.text("kernel_type", "LINEAR")?;
    let params = request.attributes.floats("kernel_params");
    let param =
        |place: usize| params.get(place).copied().ok_or_else(|| LoadError::invalid("ONNX: a kernel without its parameters"));
    Ok(match name.as_str() {
        "LINEAR" => Kernel::Linear,
        "POLY" => Kernel::Polynomial { gamma: param(0)?, offset: param(1)?, degree: param(2)? },
        "RBF" => Kernel::Radial { gamma: param(0)? },
        "SIGMOID" => Kernel::Sigmoid { gamma: param(0)?, offset: param(1)? },
        other => return Err(LoadError::unsupported(format!("the ONNX kernel `{}`", other.escape_default()))),
    })
}

impl Kernel {
    fn of(self, row: &[f32], vector: &[f32]) -> f32 {
        match self {
            Self::Linear => dot(row, vector),
            Self::Polynomial { gamma, offset, degree } => (gamma * dot(row, vector) + offset).powf(degree),
            Self::Radial { gamma } => {
                let distance: f64 = row.iter().zip(vector).map(|(left, right)| f64::from(left - right).powi(2)).sum();
                (-gamma * distance as f32).exp()
            }
            Self::Sigmoid { gamma, offset } => (gamma * dot(row, vector) + offset).tanh(),
        }
    }
}

impl Machine {
    /// Every row's kernels with every support vector.
    fn kernels(&self, inputs: &Inputs<'_>) -> Result<(usize, Vec<f32>), PredictError> {
        let input = inputs.get(0)?;
        let (rows, width) = input.rows_and_columns();
        if width == 0 || width.checked_mul(self.vector_count) != Some(self.vectors.len()) {
            return Err(PredictError::model(format!("its support vectors do not have {width} columns")));
        }
        let values = input.values().to_f32()?;
        let mut kernels = Vec::with_capacity(inputs.room(rows, self.vector_count)?);
        for row in values.chunks_exact(width) {
            kernels.extend(self.vectors.chunks_exact(width).map(|vector| self.kernel.of(row, vector)));
        }
        Ok((rows, kernels))
    }
}

fn regressor(request: &mut Request<'_>, machine: Machine) -> Result<Loaded, LoadError> {
    let one_class = request.attributes.integer("one_class", 0) != 0;
    let Some(rho) = machine.rho.first().copied() else { return Err(LoadError::invalid("ONNX: a machine without its offset")) };
    if machine.coefficients.len() != machine.vector_count {
        return Err(LoadError::invalid("ONNX: a machine needs one coefficient for each support vector"));
    }
    Ok(Loaded::one(move |inputs| {
        let (rows, kernels) = machine.kernels(inputs)?;
        let values = kernels.chunks_exact(machine.vector_count).map(|kernels| {
            let sum = dot(kernels, &machine.coefficients) + rho;
            match one_class {
                false => sum,
                true if sum > 0.0 => 1.0,
                true => -1.0,
            }
        });
        Tensor::new(vec![rows, 1], Values::F32(values.collect()))
    }))
}

fn classifier(request: &mut Request<'_>, machine: Machine, per_class: Vec<usize>) -> Result<Loaded, LoadError> {
    let labels = request.attributes.labels("classlabels_strings", "classlabels_ints")?;
    let (a, b) = (request.attributes.floats("prob_a"), request.attributes.floats("prob_b"));
    let classes = labels.len();
    let pairs = classes * classes.saturating_sub(1) / 2;
    let enough = (2..=MACHINE_CLASSES_MAX).contains(&classes)
        && per_class.len() == classes
        && machine.coefficients.len() == (classes - 1) * machine.vector_count
        && machine.rho.len() >= pairs
        && a.len() == b.len()
        && (a.is_empty() || a.len() >= pairs);
    if !enough {
        return Err(LoadError::invalid("ONNX: a support vector classifier's lists have different lengths"));
    }
    let probabilities = if a.is_empty() { None } else { Some((a, b)) };
    let width = if probabilities.is_some() || classes == 2 { classes } else { pairs };
    let names = labels.clone();
    let run = move |inputs: &Inputs<'_>| {
        let (rows, kernels) = machine.kernels(inputs)?;
        let mut places = Vec::with_capacity(rows);
        let mut scores = Vec::with_capacity(inputs.room(rows, width)?);
        for kernels in kernels.chunks_exact(machine.vector_count) {
            let (votes, decisions) = duels(&machine, &per_class, kernels);
            places.push(argmax(&votes));
            match (&probabilities, decisions.as_slice()) {
                (Some((a, b)), _) => scores.extend(coupled(&decisions, a, b, classes)),
                (None, [only]) => scores.extend([-only, *only]),
                (None, all) => scores.extend_from_slice(all),
            }
        }
        Ok(vec![chosen(&labels, &places)?, Tensor::new(vec![rows, width], Values::F32(scores))?])
    };
    Ok(Loaded::new(run).classifier(&names))
}

/// Pairs of classes grow with the square.
const MACHINE_CLASSES_MAX: usize = 1_000;

/// Each pair of classes decides: votes per class, and the decisions.
fn duels(machine: &Machine, per_class: &[usize], kernels: &[f32]) -> (Vec<u32>, Vec<f32>) {
    let starts: Vec<usize> = per_class
        .iter()
        .scan(0, |sum, count| {
            let start = *sum;
            *sum += count;
            Some(start)
        })
        .collect();
    let mut votes = vec![0_u32; per_class.len()];
    let mut decisions = Vec::with_capacity(per_class.len() * per_class.len() / 2);
    let part = |row: usize, class: usize| -> f64 {
        let (start, count) = (starts.get(class).copied().unwrap_or(0), per_class.get(class).copied().unwrap_or(0));
        let offset = row * machine.vector_count + start;
        let coefficients = machine.coefficients.get(offset..offset + count).unwrap_or_default();
        let kernels = kernels.get(start..start + count).unwrap_or_default();
        coefficients.iter().zip(kernels).map(|(left, right)| f64::from(left * right)).sum()
    };
    for first in 0..per_class.len() {
        for second in first + 1..per_class.len() {
            let rho = machine.rho.get(decisions.len()).copied().unwrap_or(0.0);
            let sum = part(second - 1, first) + part(first, second) + f64::from(rho);
            decisions.push(sum as f32);
            if let Some(votes) = votes.get_mut(if sum > 0.0 { first } else { second }) {
                *votes += 1;
            }
        }
    }
    (votes, decisions)
}

/// Class probabilities from those of pairs (Wu, Lin and Weng 2004, the second method), in ONNX Runtime's precision and with its
/// bounds.
fn coupled(decisions: &[f32], a: &[f32], b: &[f32], classes: usize) -> Vec<f32> {
    let mut pair = vec![0.0_f32; classes * classes];
    let mut set = |row: usize, column: usize, value: f32| {
        if let Some(cell) = pair.get_mut(row * classes + column) {
            *cell = value;
        }
    };
    let mut next = decisions.iter().zip(a).zip(b);
    for first in 0..classes {
        for second in first + 1..classes {
            let Some(((decision, a), b)) = next.next() else { continue };
            let wins = (1.0 - super::post::logistic(decision * a + b)).clamp(1e-7, 1.0 - 1e-7);
            set(first, second, wins);
            set(second, first, 1.0 - wins);
        }
    }
    couple(&pair, classes)
}

fn couple(pair: &[f32], classes: usize) -> Vec<f32> {
    let at = |list: &[f32], row: usize, column: usize| list.get(row * classes + column).copied().unwrap_or(0.0);
    let mut q = vec![0.0_f32; classes * classes];
    for (place, cell) in q.iter_mut().enumerate() {
        let (row, column) = (place / classes, place % classes);
        *cell = if row == column {
            (0..classes).filter(|other| *other != row).map(|other| at(pair, other, row).powi(2)).sum()
        } else {
            -at(pair, column, row) * at(pair, row, column)
        };
    }
    let mut p = vec![1.0 / classes as f32; classes];
    let bound = 0.005 / classes as f32;
    for _ in 0..100 {
        let mut qp: Vec<f32> = q.chunks_exact(classes).map(|row| row.iter().zip(&p).map(|(q, p)| q * p).sum()).collect();
        let mut pqp: f32 = p.iter().zip(&qp).map(|(p, qp)| p * qp).sum();
        if qp.iter().map(|qp| (qp - pqp).abs()).fold(0.0, f32::max) < bound {
            break;
        }
        for class in 0..classes {
            let diagonal = at(&q, class, class);
            let own = qp.get(class).copied().unwrap_or(0.0);
            let step = (pqp - own) / diagonal;
            if let Some(p) = p.get_mut(class) {
                *p += step;
            }
            pqp = (pqp + step * (step * diagonal + 2.0 * own)) / (1.0 + step) / (1.0 + step);
            for (other, (qp, p)) in qp.iter_mut().zip(&mut p).enumerate() {
                *qp = (*qp + step * at(&q, class, other)) / (1.0 + step);
                *p /= 1.0 + step;
            }
        }
    }
    p
}
