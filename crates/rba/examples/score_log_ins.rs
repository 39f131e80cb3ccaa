//! Scores log-ins in the plain, published form: for the test that compares it with a second implementation.
//!
//! Each line of the standard input is `learn` or `score`, a person, and the seven values of the two hierarchies, tab-separated. Each
//! `score` answers with a line of JSON.
#![expect(clippy::unwrap_used, reason = "a program of the tests")]

use std::io::{BufRead, Write};

use kernel::Micros;
use rba::{Form, Keyed, Model, Seen};

const LEVELS: [&str; 7] = ["address", "network", "country", "agent", "browser", "system", "device"];

fn main() {
    let keyed = Keyed::new(&kernel::random_bytes::<32>());
    let mut model = Model::new(Form::PLAIN);
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let fields: Vec<&str> = line.split('\t').collect();
        let [verb, person, texts @ ..] = fields.as_slice() else { continue };
        let mut values = [[0; 16]; 7];
        for ((value, level), text) in values.iter_mut().zip(LEVELS).zip(texts) {
            *value = keyed.value(level, &[text.as_bytes()]);
        }
        let seen = Seen { values, known_device: false, at: Micros(0) };
        if *verb == "learn" {
            model.learn(person, seen);
            continue;
        }
        let score = model.score(person, &seen);
        let terms: Vec<f64> = score.terms.iter().flatten().map(|term| term.nats).collect();
        writeln!(out, "{}", serde_json::json!({ "nats": score.nats, "terms": terms })).unwrap();
    }
}
