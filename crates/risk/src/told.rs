//! What is told of a judged log-in, and how it is kept: sealed, because a country and a network say where somebody was.

use kernel::{Micros, Problem, Secret};
use rba::geo::{Country, Whence};
use rba::{Judged, Reason};
use serde::{Deserialize, Serialize};

use crate::store::JudgedRow;

/// A judged log-in.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedLogIn {
    /// When.
    pub at: Micros,
    /// `verified`, `unproved`, `failed` or `refused`.
    pub outcome: String,
    /// The country, as two letters; none if no table knew it.
    pub country: Option<String>,
    /// The network's number; none if no table knew it.
    pub network: Option<u32>,
    /// Whether it came from inside the organisation or the machine.
    pub is_private: bool,
    /// The score, in nats.
    pub score: f64,
    /// The percentage of accepted log-ins that scored lower.
    pub percentile: Option<f64>,
    /// 0 to 100, for policies.
    pub risk: u8,
    /// What was asked for: `nothing`, `second_factor`, `phishing_resistant` or `refuse`.
    pub band: String,
    /// Why.
    pub reasons: Vec<ToldReason>,
}

impl JudgedLogIn {
    /// Whether somebody else may have the password: it was refused for its risk, or the strongest proof was asked for. A second factor is asked for
    /// too often to be news.
    #[must_use]
    pub fn is_grave(&self) -> bool {
        is_grave(&self.outcome, &self.band)
    }
}

pub(crate) fn is_grave(outcome: &str, band: &str) -> bool {
    outcome == "refused" || matches!(band, "phishing_resistant" | "refuse")
}

/// A reason, as it is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToldReason {
    /// A stable word.
    pub word: String,
    /// Nats that it added.
    pub weight: f64,
    /// What a rule asked for.
    pub asks: Option<String>,
}

impl From<&Reason> for ToldReason {
    fn from(reason: &Reason) -> Self {
        Self { word: reason.word.to_owned(), weight: reason.weight, asks: reason.asks.map(|band| band.word().to_owned()) }
    }
}

#[derive(Serialize, Deserialize)]
struct Kept {
    country: Option<String>,
    network: Option<u32>,
    is_private: bool,
    score: f64,
    percentile: Option<f64>,
    risk: u8,
    band: String,
    reasons: Vec<ToldReason>,
}

#[derive(Serialize, Deserialize)]
struct Place {
    country: Option<String>,
}

/// Seals and opens what is kept of people.
pub(crate) struct Sealing(Secret);

impl Sealing {
    pub(crate) const fn new(key: Secret) -> Self {
        Self(key)
    }

    pub(crate) fn judged(&self, person: &str, whence: Whence, judged: &Judged) -> Result<Vec<u8>, Problem> {
        let kept = Kept {
            country: whence.country.map(|country| country.text().to_owned()),
            network: whence.network,
            is_private: whence.is_private,
            score: judged.score,
            percentile: judged.percentile,
            risk: judged.risk,
            band: judged.band.word().to_owned(),
            reasons: judged.reasons.iter().map(ToldReason::from).collect(),
        };
        self.seal(&kept, &aad("judged", person))
    }

    pub(crate) fn open_judged(&self, person: &str, row: JudgedRow) -> Result<JudgedLogIn, Problem> {
        let kept: Kept = self.open(&row.told, &aad("judged", person))?;
        Ok(JudgedLogIn {
            at: row.at,
            outcome: row.outcome,
            country: kept.country,
            network: kept.network,
            is_private: kept.is_private,
            score: kept.score,
            percentile: kept.percentile,
            risk: kept.risk,
            band: kept.band,
            reasons: kept.reasons,
        })
    }

    pub(crate) fn place(&self, person: &str, whence: Whence) -> Result<Vec<u8>, Problem> {
        self.seal(&Place { country: whence.country.map(|country| country.text().to_owned()) }, &aad("place", person))
    }

    pub(crate) fn open_place(&self, person: &str, sealed: &[u8]) -> Result<Option<Country>, Problem> {
        let place: Place = self.open(sealed, &aad("place", person))?;
        Ok(place.country.as_deref().and_then(Country::parse))
    }

    fn seal(&self, value: &impl Serialize, aad: &[u8]) -> Result<Vec<u8>, Problem> {
        let plain = serde_json::to_vec(value).map_err(|error| Problem::internal("a judgement could not be written", error))?;
        vault::keys::seal(&self.0, &plain, aad)
    }

    fn open<T: for<'a> Deserialize<'a>>(&self, sealed: &[u8], aad: &[u8]) -> Result<T, Problem> {
        let plain = vault::keys::open(&self.0, sealed, aad)?;
        serde_json::from_slice(&plain).map_err(|error| Problem::internal("a judgement could not be read", error))
    }
}

fn aad(what: &str, person: &str) -> Vec<u8> {
    format!("strongroom risk {what} {person}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_is_grave_that_was_refused_or_asked_for_the_strongest_proof() {
        for (outcome, band, expected) in [
            ("verified", "nothing", false),
            ("failed", "nothing", false),
            ("verified", "second_factor", false),
            ("verified", "phishing_resistant", true),
            ("failed", "phishing_resistant", true),
            ("refused", "refuse", true),
        ] {
            assert_eq!(is_grave(outcome, band), expected, "{outcome} {band}");
        }
    }
}
