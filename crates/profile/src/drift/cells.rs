//! Two tables of counts over the same cells.

use super::probability::chi_squared;

/// What a cell must be expected to hold in each table to stand by itself (Cochran 1954).
const EXPECTED_MIN: f64 = 5.0;
/// The share that takes the place of none in the stability index, as is usual.
const SHARE_MIN: f64 = 1e-4;

/// Counts of both tables, cell by cell; the last one may be all the rest.
#[derive(Debug, Clone, Default)]
pub(super) struct Cells {
    pairs: Vec<(f64, f64)>,
}

impl Cells {
    pub(super) fn new(pairs: Vec<(f64, f64)>) -> Self {
        Self { pairs }
    }

    fn totals(&self) -> (f64, f64) {
        self.pairs.iter().fold((0.0, 0.0), |(was, is), pair| (was + pair.0, is + pair.1))
    }

    /// Cells that are expected to hold too little are one.
    pub(super) fn lumped(&self) -> Self {
        let (was, is) = self.totals();
        let smaller = was.min(is) / (was + is).max(1.0);
        let (mut pairs, mut rest) = (Vec::new(), (0.0, 0.0));
        for pair in &self.pairs {
            if (pair.0 + pair.1) * smaller >= EXPECTED_MIN {
                pairs.push(*pair);
            } else {
                rest = (rest.0 + pair.0, rest.1 + pair.1);
            }
        }
        if (rest.0 + rest.1) * smaller >= EXPECTED_MIN {
            pairs.push(rest);
        } else if let Some(least) = pairs.iter_mut().min_by(|left, right| (left.0 + left.1).total_cmp(&(right.0 + right.1))) {
            *least = (least.0 + rest.0, least.1 + rest.1);
        }
        Self { pairs }
    }

    /// Pearson's statistic for equal distributions, and its chance.
    pub(super) fn chi_squared(&self) -> Option<(f64, f64)> {
        let (was, is) = self.totals();
        if self.pairs.len() < 2 || was <= 0.0 || is <= 0.0 {
            return None;
        }
        let (left, right) = ((is / was).sqrt(), (was / is).sqrt());
        let cells = self.pairs.iter().filter(|pair| pair.0 + pair.1 > 0.0);
        let statistic: f64 = cells.map(|pair| (pair.0 * left - pair.1 * right).powi(2) / (pair.0 + pair.1)).sum();
        Some((statistic, chi_squared(statistic, (self.pairs.len() - 1) as f64)))
    }

    fn shares(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let (was, is) = self.totals();
        self.pairs.iter().map(move |pair| (pair.0 / was.max(1.0), pair.1 / is.max(1.0)))
    }

    /// The share of rows that would have to change their cell: total variation.
    pub(super) fn moved_share(&self) -> f64 {
        0.5 * self.shares().map(|(was, is)| (was - is).abs()).sum::<f64>()
    }

    /// The same, of cells in an order: the greatest distance of the sums.
    pub(super) fn greatest_distance(&self) -> f64 {
        let mut sum = 0.0_f64;
        self.shares()
            .map(|(was, is)| {
                sum += was - is;
                sum.abs()
            })
            .fold(0.0, f64::max)
    }

    /// The population stability index.
    pub(super) fn stability_index(&self) -> f64 {
        self.shares().map(|(was, is)| (was.max(SHARE_MIN), is.max(SHARE_MIN))).map(|(was, is)| (is - was) * (is / was).ln()).sum()
    }

    /// The Jensen-Shannon distance (the root of the divergence in bits).
    pub(super) fn jensen_shannon(&self) -> f64 {
        let part = |share: f64, middle: f64| if share > 0.0 { share * (share / middle).log2() } else { 0.0 };
        let divergence: f64 = self
            .shares()
            .map(|(was, is)| {
                let middle = 0.5 * (was + is);
                0.5 * (part(was, middle) + part(is, middle))
            })
            .sum();
        divergence.clamp(0.0, 1.0).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-6, "{left} is not {right}");
    }

    #[test]
    fn known_answers_hold() {
        let cells = Cells::new(vec![(50.0, 30.0), (30.0, 30.0), (20.0, 40.0)]);
        // The p-value is exp(-x/2) for two degrees of freedom; the distance by its definition.
        let (statistic, p_value) = cells.chi_squared().unwrap();
        near(statistic, 11.666_666_666_7);
        near(p_value, 0.002_928_3);
        near(cells.moved_share(), 0.2);
        near(cells.jensen_shannon(), 0.206_730_860_3);
        near(cells.stability_index(), 0.2 * (5.0_f64 / 3.0).ln() + 0.2 * 2.0_f64.ln());
    }

    #[test]
    fn rare_cells_are_one() {
        let cells = Cells::new(vec![(500.0, 480.0), (490.0, 500.0), (3.0, 2.0), (2.0, 3.0), (4.0, 3.0), (1.0, 12.0)]);
        assert_eq!(cells.lumped().pairs, [(500.0, 480.0), (490.0, 500.0), (1.0, 12.0), (9.0, 8.0)]);
        let few = Cells::new(vec![(500.0, 480.0), (3.0, 2.0)]);
        assert_eq!(few.lumped().pairs, [(503.0, 482.0)]);
        assert_eq!(few.lumped().chi_squared(), None);
        assert_eq!(Cells::default().lumped().chi_squared(), None);
    }
}
