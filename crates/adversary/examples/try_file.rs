//! Tries a small neural network given as a file: `cargo run --release -p adversary --example try_file -- FILE`.
//!
//! The file is JSON: `rows` and `labels` of held-back data, `training_rows` and `training_labels`, the network's `layers`
//! (each with `weights` of `inputs × outputs` and `offsets`; rectified between layers, a softmax at the end), and the `config`
//! of the run. The report is printed as JSON. `bench/adversary/side_by_side.py` writes such a file and tries the same network
//! with another suite.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use adversary::{
    EvaluationData, Feature, FeatureKind, Predict, PredictError, Predictions, Rows, Suite, SuiteConfig, Truth, Watch,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Layer {
    weights: Vec<Vec<f64>>,
    offsets: Vec<f64>,
}

#[derive(Deserialize)]
struct File {
    rows: Vec<Vec<f64>>,
    labels: Vec<u32>,
    training_rows: Vec<Vec<f64>>,
    training_labels: Vec<u32>,
    layers: Vec<Layer>,
    config: SuiteConfig,
}

struct Network(Vec<Layer>);

impl Predict for Network {
    fn predict(&self, rows: &Rows) -> Result<Predictions, PredictError> {
        let mut values = Vec::new();
        let mut classes = 0;
        for row in rows {
            let mut own = row.to_vec();
            for (place, layer) in self.0.iter().enumerate() {
                let mut next = layer.offsets.clone();
                for (value, weights) in own.iter().zip(&layer.weights) {
                    next.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * weight);
                }
                if place + 1 < self.0.len() {
                    next.iter_mut().for_each(|value| *value = value.max(0.0));
                }
                own = next;
            }
            let greatest = own.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let powers: Vec<f64> = own.iter().map(|value| (value - greatest).exp()).collect();
            let total: f64 = powers.iter().sum();
            classes = own.len();
            values.extend(powers.iter().map(|power| power / total));
        }
        Ok(Predictions::Probabilities { classes, values })
    }
}

fn table(rows: &[Vec<f64>], labels: Vec<u32>, names: &[String]) -> Result<(Rows, Truth), Box<dyn std::error::Error>> {
    let width = rows.first().map_or(0, Vec::len);
    Ok((Rows::new(width, rows.concat())?, Truth::Classes { of_rows: labels, names: names.to_vec() }))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("which file?")?;
    let file: File = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let classes = file.layers.last().map_or(0, |layer| layer.offsets.len());
    let names: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
    let (rows, truth) = table(&file.rows, file.labels, &names)?;
    let kind = FeatureKind::Number { least: f64::NEG_INFINITY, greatest: f64::INFINITY };
    let feature = |column| Feature { name: format!("x{column}"), kind: kind.clone(), immutable: false };
    let data = EvaluationData {
        features: (0..rows.width()).map(feature).collect(),
        image: None,
        rows,
        truth,
        training: Some(table(&file.training_rows, file.training_labels, &names)?),
        triggers: Vec::new(),
    };
    let (stop, began) = (AtomicBool::new(false), Instant::now());
    let watch = Watch { stop: &stop, progress: &|_| {}, elapsed: &|| began.elapsed() };
    let report = Suite::run(&Network(file.layers), &data, &file.config, &watch)?;
    println!("{}", serde_json::to_string(&report)?);
    eprintln!("{:.2} s", began.elapsed().as_secs_f64());
    Ok(())
}
