//! How strongly two filters go together: normalised pointwise mutual information (G. Bouma, "Normalized (Pointwise) Mutual
//! Information in Collocation Extraction", GSCL 2009), in [-1, 1], with the edge cases that MLflow's users know.

/// What is added to each cell of the table where few traces are counted (Jeffreys' prior).
const SMOOTHING: f64 = 0.5;

/// How two filters go together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correlation {
    /// Of the counts as they are; NaN where one filter matches nothing.
    pub npmi: f64,
    /// Of the smoothed counts.
    pub npmi_smoothed: f64,
    /// Traces that match the first filter.
    pub first_count: i64,
    /// Traces that match the second filter.
    pub second_count: i64,
    /// Traces that match both.
    pub joint_count: i64,
    /// Traces in all.
    pub total_count: i64,
}

impl Correlation {
    /// From the four counts.
    #[must_use]
    pub(crate) fn of_counts(total_count: i64, first_count: i64, second_count: i64, joint_count: i64) -> Self {
        let table = [
            joint_count,
            first_count - joint_count,
            second_count - joint_count,
            total_count - first_count - second_count + joint_count,
        ];
        let (npmi, npmi_smoothed) =
            if total_count <= 0 || first_count == 0 || second_count == 0 || table.iter().any(|cell| *cell < 0) {
                (f64::NAN, f64::NAN)
            } else {
                let plain = if joint_count == 0 { -1.0 } else { of_table(table, 0.0) };
                (plain, of_table(table, SMOOTHING))
            };
        Self { npmi, npmi_smoothed, first_count, second_count, joint_count, total_count }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of traces are far below 2^53")]
fn of_table([both, first, second, neither]: [i64; 4], smoothing: f64) -> f64 {
    if first == 0 && second == 0 && neither == 0 {
        return 1.0;
    }
    let [both, first, second, neither] = [both, first, second, neither].map(|count| count as f64 + smoothing);
    let total = both + first + second + neither;
    let pmi = (both.ln() + total.ln()) - ((both + first).ln() + (both + second).ln());
    (pmi / (total.ln() - both.ln())).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_tables_have_their_values() {
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        // ln(6·10 / (6·7)) / -ln(6/10)
        close(Correlation::of_counts(10, 6, 7, 6).npmi, (60.0_f64 / 42.0).ln() / (10.0_f64 / 6.0).ln());
        close(Correlation::of_counts(10, 5, 5, 5).npmi, 1.0);
        close(Correlation::of_counts(10, 10, 10, 10).npmi, 1.0);
        close(Correlation::of_counts(10, 5, 5, 0).npmi, -1.0);
        assert!(Correlation::of_counts(10, 5, 5, 0).npmi_smoothed > -1.0);
        assert!(Correlation::of_counts(10, 0, 5, 0).npmi.is_nan());
        assert!(Correlation::of_counts(0, 0, 0, 0).npmi.is_nan());
    }
}
