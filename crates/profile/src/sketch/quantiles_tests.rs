//! The quantile sketch against exact ranks, against DataSketches, and against itself in parts.

use datasketches::kll::{KllFloat, KllSketch};

use super::*;

/// Seeded even numbers in 0..1.
fn uniform(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        let (later, word) = next_random(state);
        state = later;
        (word >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..count).map(|_| next()).collect()
}

fn of(values: &[f64], k: u16, seed: u64) -> Quantiles {
    let mut sketch = Quantiles::new(k, seed);
    for part in values.chunks(1_000) {
        let least = part.iter().copied().fold(f64::INFINITY, f64::min);
        let most = part.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        sketch.extend(part, least, most);
    }
    sketch
}

/// The largest difference between the sketch's ranks and the values' own.
fn fault(sketch: &Quantiles, values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let ranks = sketch.ranks();
    let step = (sorted.len() / 200).max(1);
    let differences = sorted.iter().enumerate().step_by(step).map(|(at, value)| {
        let exact = (at + 1) as f64 / sorted.len() as f64;
        (ranks.rank(*value) - exact).abs()
    });
    differences.fold(0.0, f64::max)
}

#[test]
fn ranks_are_near_whatever_the_order() {
    for count in [1, 2, 100, 1_000, 30_000, 1_200_000] {
        let values = uniform(count, 11);
        let mut ordered = values.clone();
        ordered.sort_unstable_by(f64::total_cmp);
        for values in [values, ordered] {
            let sketch = of(&values, 200, 3);
            assert_eq!(sketch.count(), count as u64);
            assert!(fault(&sketch, &values) < 0.012 + 1e-9, "{count}: {}", fault(&sketch, &values));
            let held: usize = sketch.levels.iter().map(Vec::len).sum();
            assert!(held <= 3 * 200 + 2 * BUFFER_COUNT, "{count}: {held} held");
        }
    }
}

#[test]
fn parts_merge_to_the_whole() {
    let values = uniform(900_000, 5);
    let mut merged = Quantiles::new(200, 0);
    for (at, part) in values.chunks(123_457).enumerate() {
        merged.merge(&of(part, 200, at as u64));
    }
    assert_eq!(merged.count(), 900_000);
    assert!(fault(&merged, &values) < 0.012, "{}", fault(&merged, &values));
    let weights: u64 = merged.levels.iter().enumerate().map(|(level, held)| (held.len() as u64) << level).sum();
    assert_eq!(weights, 900_000);
}

#[test]
fn weighted_values_are_as_many_values() {
    let mut sketch = Quantiles::new(200, 1);
    for value in 0..1_000 {
        sketch.insert(f64::from(value), 1_000 + u64::from(value % 7 == 0));
    }
    let ranks = sketch.ranks();
    for share in [0.1, 0.5, 0.9] {
        assert!((ranks.quantile(share).unwrap() / 1_000.0 - share).abs() < 0.015);
    }
    assert_eq!(ranks.quantile(0.0), Some(0.0));
    assert_eq!(ranks.quantile(1.0), Some(999.0));
    assert_eq!(Quantiles::new(200, 1).ranks().quantile(0.5), None);
}

#[test]
fn data_sketches_reads_ours_and_we_theirs() {
    for count in [0, 1, 2, 257, 5_000, 700_001] {
        let values = uniform(count, 8);
        let sketch = of(&values, 200, 2);
        let bytes = sketch.to_bytes();
        let theirs = KllSketch::<KllFloat<f64>>::deserialize(&bytes).unwrap();
        assert_eq!(theirs.n(), count as u64);
        let back = Quantiles::from_bytes(&bytes).unwrap();
        assert_eq!(back.to_bytes(), bytes, "{count}");
        let mut other = KllSketch::<KllFloat<f64>>::new(200).unwrap();
        values.iter().take(5_000).for_each(|value| other.update(KllFloat::<f64>::new(*value).unwrap()));
        if count > 1 && count <= 5_000 {
            let read = Quantiles::from_bytes(&serialised_sorted(&other));
            assert!(read.is_err() || fault(&read.unwrap(), &values) < 0.02);
        }
    }
}

fn serialised_sorted(sketch: &KllSketch<KllFloat<f64>>) -> Vec<u8> {
    sketch.serialize()
}

#[test]
fn broken_bytes_are_refused() {
    let bytes = of(&uniform(3_000, 1), 64, 1).to_bytes();
    for length in 0..bytes.len() {
        assert!(Quantiles::from_bytes(&bytes[..length]).is_err(), "length {length}");
    }
    for at in 0..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 0xff;
        // Some changes make another valid sketch; none may panic or hold more than it says.
        if let Ok(sketch) = Quantiles::from_bytes(&other) {
            assert_eq!(sketch.count(), 3_000);
        }
    }
}

/// Two sketches of the same values differ by their own errors alone. The mean of the greatest difference between two samples of
/// `m` is `0.8687 × sqrt(2/m)` (Kolmogorov), which gives the m that a sketch is worth.
#[test]
fn worth_is_as_measured() {
    let values = uniform(300_000, 21);
    for k in [200, 512] {
        let rounds = 20;
        let mean: f64 = (0..rounds)
            .map(|seed| {
                let (left, right) = (of(&values, k, seed).ranks(), of(&values, k, 1_000 + seed).ranks());
                left.values().chain(right.values()).map(|at| (left.rank(at) - right.rank(at)).abs()).fold(0.0, f64::max)
            })
            .sum::<f64>()
            / rounds as f64;
        let worth = 2.0 * (0.8687 / mean).powi(2);
        let per_k = worth.sqrt() / f64::from(k);
        assert!(per_k >= WORTH_PER_K, "a sketch of {k} is worth less than is claimed");
        assert!(per_k < 1.5 * WORTH_PER_K, "a sketch of {k} is worth more than is claimed");
    }
}
