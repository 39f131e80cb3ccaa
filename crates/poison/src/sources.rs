//! Sources whose rows are over-represented among the doubtful ones.
//!
//! Source: Baracaldo et al. 2017 (provenance defence), without its retraining: a two-proportion test a source.

use crate::at::{add, at};
use crate::input::Groups;

/// A source is suspect beyond this many standard deviations; the worst of fifty honest ones reaches 3.7.
pub const SOURCE_Z_MIN: f64 = 5.0;
/// Rows that a source needs to be judged.
const SOURCE_ROW_COUNT_MIN: usize = 10;

/// What the labels of one source look like.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SourceMark {
    /// The source's name.
    pub source: String,
    /// Its rows.
    pub rows: u64,
    /// Its rows whose label the models do not expect.
    pub doubtful: u64,
    /// Standard deviations above the other sources.
    pub z: f64,
    /// Whether that is too much.
    pub suspect: bool,
}

/// Tests each source against all others, the most striking first.
pub(crate) fn marks(sources: &Groups, doubtful: &[bool]) -> Vec<SourceMark> {
    let count = sources.names.len();
    let (mut rows, mut hits) = (vec![0_u64; count], vec![0_u64; count]);
    for (source, doubtful) in sources.of_rows.iter().zip(doubtful) {
        add(&mut rows, *source as usize, 1);
        add(&mut hits, *source as usize, u64::from(*doubtful));
    }
    let (all_rows, all_hits) = (rows.iter().sum::<u64>() as f64, hits.iter().sum::<u64>() as f64);
    let mut marks = Vec::with_capacity(count);
    for (source, name) in sources.names.iter().enumerate() {
        let (own, own_hits) = (at(&rows, source) as f64, at(&hits, source) as f64);
        let others = all_rows - own;
        if own < SOURCE_ROW_COUNT_MIN as f64 || others < SOURCE_ROW_COUNT_MIN as f64 {
            continue;
        }
        let both = all_hits / all_rows;
        let spread = (both * (1.0 - both) * (1.0 / own + 1.0 / others)).sqrt().max(1e-12);
        let z = (own_hits / own - (all_hits - own_hits) / others) / spread;
        let (rows, doubtful) = (own as u64, own_hits as u64);
        marks.push(SourceMark { source: name.clone(), rows, doubtful, z, suspect: z > SOURCE_Z_MIN });
    }
    marks.sort_by(|left, right| right.z.total_cmp(&left.z));
    marks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_one_bad_source_is_found_and_no_good_one() {
        for seed in 0..20 {
            let mut random = Random::new(seed, 0);
            let sources: Vec<u32> = (0..5_000).map(|_| u32::try_from(random.below(25)).unwrap()).collect();
            let bad = u32::try_from(seed % 25).unwrap();
            let doubtful: Vec<bool> =
                sources.iter().map(|source| random.unit() < if *source == bad { 0.35 } else { 0.08 }).collect();
            let names = (0..25).map(|source| source.to_string()).collect();
            let marks = marks(&Groups { of_rows: sources, names }, &doubtful);
            assert_eq!(marks[0].source, bad.to_string());
            assert!(marks[0].suspect && !marks[1].suspect, "{:?}", &marks[..2]);
        }
    }

    #[test]
    fn a_tiny_source_and_a_single_one_are_not_judged() {
        let names = vec!["a".to_owned(), "b".to_owned()];
        let sources = [vec![0; 50], vec![1; 3]].concat();
        assert!(marks(&Groups { of_rows: sources, names }, &[true; 53]).is_empty());
    }
}
