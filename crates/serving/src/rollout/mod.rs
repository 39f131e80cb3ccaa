//! A second version beside the one that answers: heard in a share of the requests (canary), or asked along and not heard (shadow).
//! What it does is compared with the champion's doing; where it exceeds what its owner allows it is out at once, by itself.

mod answer;
mod compare;
mod interval;
mod keeper;
mod tally;

use std::sync::Arc;

use kernel::{Micros, Problem};

use crate::Loaded;
use crate::types::Choice;

pub use compare::{ArmView, Comparison, LabelView, PairView};
pub(crate) use keeper::Halts;
pub use keeper::{KEEPER, Keeper};
pub(crate) use tally::{Arm, Tally};

/// Thousandths that make a whole.
pub const WHOLE_PERMILLE: u16 = 1_000;

/// How the second version takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It answers a share of the requests.
    Canary,
    /// It is asked along in a share of the requests; only the champion is heard.
    Shadow,
}

impl Mode {
    /// Reads its word.
    ///
    /// # Errors
    /// `Invalid` for any other.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        match text {
            "canary" => Ok(Self::Canary),
            "shadow" => Ok(Self::Shadow),
            _ => Err(Problem::invalid("a rollout's mode is `canary` or `shadow`")),
        }
    }

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Shadow => "shadow",
        }
    }
}

/// When a rollout ends by itself. Each limit counts once it is exceeded beyond doubt: by the near end of a 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stops {
    /// Requests that the challenger fails, of a thousand.
    pub errors_permille: u16,
    /// Rows of a shadow that are answered otherwise than by the champion, of a thousand.
    pub disagreement_permille: Option<u16>,
    /// How much longer the challenger's 99th percentile may be than the champion's, in thousandths of it.
    pub slower_permille: Option<u32>,
}

impl Default for Stops {
    fn default() -> Self {
        Self { errors_permille: 10, disagreement_permille: None, slower_permille: None }
    }
}

/// A rollout of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// Its id: what is counted is counted for it.
    pub id: String,
    /// The challenger.
    pub choice: Choice,
    /// How it takes part.
    pub mode: Mode,
    /// In how many requests of a thousand.
    pub share_permille: u16,
    /// When it ends by itself.
    pub stops: Stops,
    /// Since when.
    pub began_at: Micros,
    /// By whom.
    pub began_by: String,
    /// When and why it ended by itself.
    pub halted: Option<(Micros, String)>,
}

impl Rollout {
    /// Refuses shares and limits that mean nothing.
    ///
    /// # Errors
    /// `Invalid`, naming what.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let whole = 1..=WHOLE_PERMILLE;
        if !whole.contains(&self.share_permille) {
            return Err(Problem::invalid("the share is between 0.1 % and 100 %"));
        }
        let shares = [Some(self.stops.errors_permille), self.stops.disagreement_permille];
        if shares.iter().flatten().any(|limit| *limit > WHOLE_PERMILLE) {
            return Err(Problem::invalid("a limit is a share between 0 % and 100 %"));
        }
        if self.stops.disagreement_permille.is_some() && self.mode == Mode::Canary {
            return Err(Problem::invalid(
                "only a shadow's answers are compared row by row: use `--shadow`, or leave that limit out",
            ));
        }
        Ok(())
    }

    /// Whether a request goes to the challenger (too). `key` decides: the same key always goes the same way, and one that the
    /// challenger had keeps it while the share grows.
    pub(crate) fn takes(&self, key: &[u8]) -> bool {
        let seed = [self.id.as_bytes(), b"\0", key].concat();
        let [first, second, third, fourth, ..] = kernel::sha256(&seed);
        // Of 2^32 equal steps: the error of the share is below 2^-22.
        let place = (u64::from(u32::from_be_bytes([first, second, third, fourth])) * u64::from(WHOLE_PERMILLE)) >> 32;
        place < u64::from(self.share_permille)
    }
}

/// A rollout with the model that takes part, and what was counted since this server knows it, until it was halted.
#[derive(Debug)]
pub(crate) struct Challenge {
    pub(crate) rollout: Rollout,
    /// Why there is no model is said where the endpoint is shown.
    pub(crate) model: Result<Arc<Loaded>, String>,
    pub(crate) tally: Arc<Tally>,
}

impl Challenge {
    /// The challenger, if a request with this key is its.
    pub(crate) fn takes(&self, key: &[u8]) -> Option<&Arc<Loaded>> {
        let model = self.model.as_ref().ok()?;
        (self.runs() && self.rollout.takes(key)).then_some(model)
    }

    fn runs(&self) -> bool {
        self.rollout.halted.is_none() && self.tally.halted().is_none()
    }

    /// Whether clients may hear the challenger.
    pub(crate) fn is_heard(&self) -> bool {
        self.rollout.mode == Mode::Canary && self.runs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(share_permille: u16) -> Rollout {
        Rollout {
            id: "r1".to_owned(),
            choice: Choice::Number(2),
            mode: Mode::Canary,
            share_permille,
            stops: Stops::default(),
            began_at: Micros(0),
            began_by: "ann".to_owned(),
            halted: None,
        }
    }

    #[test]
    fn the_share_is_met_and_a_key_stays_where_it_is() {
        let keys: Vec<String> = (0..20_000).map(|number| format!("key{number}")).collect();
        let taken = |share: u16| -> Vec<bool> { keys.iter().map(|key| rollout(share).takes(key.as_bytes())).collect() };
        let (few, more) = (taken(50), taken(200));
        let count = |taken: &[bool]| taken.iter().filter(|one| **one).count();
        assert!((900..1_100).contains(&count(&few)), "{}", count(&few));
        assert!((3_800..4_200).contains(&count(&more)), "{}", count(&more));
        assert!(few.iter().zip(&more).all(|(few, more)| !few || *more), "who had the challenger keeps it");
        assert_eq!(count(&taken(1_000)), keys.len());
    }

    #[test]
    fn shares_that_mean_nothing_are_refused() {
        assert!(rollout(0).check().is_err() && rollout(1_001).check().is_err());
        rollout(1).check().unwrap();
        let stops = Stops { disagreement_permille: Some(10), ..Stops::default() };
        assert!(Rollout { stops, ..rollout(10) }.check().is_err(), "a canary has no pairs");
        Rollout { stops, mode: Mode::Shadow, ..rollout(10) }.check().unwrap();
    }
}

#[cfg(test)]
mod tests_support {
    use runtime::{Outputs, Tensor, Values};

    pub(super) fn labels(all: &[&str]) -> Outputs {
        let values = Values::Text(all.iter().map(|one| (*one).to_owned()).collect());
        output(runtime::Role::Label, values)
    }

    pub(super) fn values(all: &[f64]) -> Outputs {
        output(runtime::Role::Value, Values::F64(all.to_vec()))
    }

    fn output(role: runtime::Role, values: Values) -> Outputs {
        Outputs { all: vec![runtime::Output { name: "y".to_owned(), role, tensor: Tensor::column(values) }] }
    }
}
