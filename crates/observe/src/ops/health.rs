//! `health.show`: how endpoints, data and the server are, and why.

use std::collections::BTreeMap;

use gate::{Action, Operation, Permit, Scope, Target};
use kernel::Problem;
use watch::{Confusion, Tally, estimate, realised};

use crate::Observe;
use crate::judge::{ACCURACY_ROWS_MIN, CONFIDENCE, LABELLED_ROWS_MIN, LABELLED_SECS, MINUTE_US};
use crate::store::places::Place;
use crate::store::{alerts, minutes, places};
use crate::types::{HealthOf, HealthState, Severity};

/// Minutes that an endpoint's health is told by.
const MINUTES: i64 = 60;

/// Shows how things are: of the models that the caller may see.
pub struct ShowHealth {
    /// The room.
    pub room: Observe,
}

impl Operation for ShowHealth {
    const ACTION: Action = super::HEALTH;
    type Output = Vec<HealthOf>;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<HealthOf>, Problem> {
        self.room.flush().await?;
        let models = match permit.scope() {
            Scope::Workspace => None,
            Scope::Only { models, .. } if !models.is_empty() => Some(models.clone()),
            _ => return Ok(Vec::new()),
        };
        let (workspace, now) = (permit.workspace()?.to_owned(), permit.entry().at);
        let (more, obstacle) = (self.room.0.more.clone(), self.room.0.obstacle.clone());
        let read = move |reader: &mut vault::db::Reader<'_>| {
            let since = now.0.div_euclid(MINUTE_US).saturating_sub(MINUTES);
            let open = alerts::open_reasons(reader)?;
            let mut all = Vec::new();
            if models.is_none() {
                all.push(server(&open));
                for more in &more {
                    all.extend(more(reader, now)?);
                }
                let mut held = places::held_back(reader, &workspace)?;
                let is_cut = held.len() > places::HELD_BACK_COUNT_MAX;
                held.truncate(places::HELD_BACK_COUNT_MAX);
                all.extend(held.into_iter().map(|(name, number, state)| HealthOf {
                    kind: "dataset",
                    name,
                    state: if state == "refused" { HealthState::Failing } else { HealthState::Degraded },
                    reasons: vec![format!("its newest version, {number}, is {state}")],
                }));
                all.extend(is_cut.then(more_held_back));
            }
            for place in places::endpoints(reader, Some(&workspace), models.as_deref())? {
                let seen = minutes::of_endpoint(reader, &place.endpoint, since)?;
                let obstacle = obstacle.as_ref().map(|look| look(reader, &place.endpoint)).transpose()?.flatten();
                let mut told = endpoint(&place, &seen, &open, obstacle);
                if let Some(version) = minutes::answering(&seen) {
                    let key = (place.endpoint.as_str(), version.as_str());
                    told.reasons.extend(real(&minutes::labelled(reader, key, now.plus_secs(-LABELLED_SECS))?));
                }
                all.push(told);
            }
            Ok(all)
        };
        self.room.db().read(&permit, read).await
    }
}

/// Of data that is held back not all is told.
fn more_held_back() -> HealthOf {
    let words =
        format!("more than {} data sets are held back; the list of data sets has all of them", places::HELD_BACK_COUNT_MAX);
    HealthOf { kind: "dataset", name: "others".to_owned(), state: HealthState::Degraded, reasons: vec![words] }
}

type Open = [(Option<String>, Severity, String)];

fn server(open: &Open) -> HealthOf {
    let own: Vec<_> = open.iter().filter(|one| one.0.is_none()).collect();
    let worst = own.iter().map(|one| one.1).max();
    let state = match worst {
        None | Some(Severity::Info) => HealthState::Healthy,
        Some(Severity::Warning | Severity::Critical) => HealthState::Degraded,
    };
    // That it answers at all says that database and log can be written to.
    let mut reasons: Vec<String> = own.iter().map(|one| one.2.clone()).collect();
    if reasons.is_empty() {
        reasons.push("database and log take writes, and nothing is open against it".to_owned());
    }
    HealthOf { kind: "server", name: "server".to_owned(), state, reasons }
}

pub(crate) fn endpoint(
    place: &Place,
    seen: &BTreeMap<String, BTreeMap<i64, Tally>>,
    open: &Open,
    obstacle: Option<String>,
) -> HealthOf {
    let mut whole = Tally::default();
    seen.values().flat_map(BTreeMap::values).for_each(|tally| whole.merge(tally));
    let own: Vec<_> = open.iter().filter(|one| one.0.as_deref() == Some(place.endpoint.as_str())).collect();
    let mut reasons: Vec<String> = own.iter().map(|one| one.2.clone()).collect();
    let tried = whole.answered + whole.failed;
    let mut state = if own.iter().any(|one| one.1 > Severity::Info) {
        HealthState::Degraded
    } else if whole.requests() == 0 {
        reasons.push(format!("nobody asked it within {MINUTES} minutes"));
        HealthState::Unknown
    } else {
        HealthState::Healthy
    };
    if tried > 0 && whole.failed * 2 > tried {
        state = HealthState::Failing;
        reasons.insert(0, format!("{} of {tried} requests failed within {MINUTES} minutes", whole.failed));
    }
    if place.model.is_none() {
        state = HealthState::Failing;
        reasons.insert(0, "its model is deleted".to_owned());
    } else if let Some(why) = obstacle {
        state = HealthState::Failing;
        reasons.insert(0, format!("it cannot answer: {why}"));
    }
    if reasons.is_empty() {
        let mean_ms = whole.mean_latency_us().unwrap_or(0.0) / 1_000.0;
        reasons.push(format!("{} of {tried} requests were answered, in {mean_ms:.2} ms on average", whole.answered));
    }
    reasons.extend(expected(&whole));
    HealthOf { kind: "endpoint", name: place.name.clone(), state, reasons }
}

/// How many answers are expected to be right, where enough of them came with probabilities.
fn expected(whole: &Tally) -> Option<String> {
    let is = estimate(whole, CONFIDENCE).filter(|is| is.row_count >= ACCURACY_ROWS_MIN)?;
    let [accuracy, low, high] = [is.accuracy, is.low, is.high].map(|share| 100.0 * share);
    Some(format!("{accuracy:.1} % (from {low:.1} % to {high:.1} %) of the answers are expected to be right"))
}

/// How many answers were right, of those whose labels came.
fn real(labelled: &Confusion) -> Option<String> {
    let is = realised(labelled, CONFIDENCE).filter(|is| is.row_count >= LABELLED_ROWS_MIN)?;
    let [accuracy, low, high] = [is.accuracy, is.low, is.high].map(|share| 100.0 * share);
    Some(format!("{accuracy:.1} % (from {low:.1} % to {high:.1} %) of {} labelled answers were right", is.row_count))
}

#[cfg(test)]
mod tests {
    use kernel::Micros;
    use watch::ConfidenceBin;

    use super::*;

    fn place() -> Place {
        Place {
            endpoint: "e".to_owned(),
            workspace: "w".to_owned(),
            name: "live".to_owned(),
            model_id: "m".to_owned(),
            model: Some("churn".to_owned()),
            choice: "2".to_owned(),
            changed_at: Micros(0),
        }
    }

    #[test]
    fn the_expected_accuracy_is_told_where_enough_rows_tell_it() {
        for (count, is_told) in [(199_u64, false), (400, true)] {
            let rows = f64::from(u32::try_from(count).unwrap());
            let confidence = vec![ConfidenceBin { count, expected: 0.9 * rows, variance: 0.09 * rows }];
            let tally = Tally { answered: 9, confidence, ..Tally::default() };
            let seen = BTreeMap::from([("m/2".to_owned(), BTreeMap::from([(0, tally)]))]);
            let told = endpoint(&place(), &seen, &[], None);
            let expected = "90.0 % (from 86.1 % to 93.9 %) of the answers are expected to be right";
            assert_eq!(told.reasons.last().is_some_and(|reason| reason == expected), is_told, "{:?}", told.reasons);
            assert_eq!(told.reasons.len(), 1 + usize::from(is_told));
        }
    }

    #[test]
    fn the_real_accuracy_is_told_where_enough_labels_came() {
        let mut labelled = Confusion::default();
        (0..29).for_each(|number| labelled.add("a", if number < 20 { "a" } else { "b" }, None));
        assert_eq!(real(&labelled), None);
        labelled.add("b", "b", None);
        // Wilson's interval of 21 in 30, at 99 %.
        assert_eq!(real(&labelled).unwrap(), "70.0 % (from 46.5 % to 86.2 %) of 30 labelled answers were right");
    }

    #[test]
    fn what_cannot_answer_is_not_healthy_however_well_it_answered_before() {
        let place = place();
        let tally = Tally { answered: 9, ..Tally::default() };
        let seen = BTreeMap::from([("m/2".to_owned(), BTreeMap::from([(0, tally)]))]);
        assert_eq!(endpoint(&place, &seen, &[], None).state, HealthState::Healthy);
        let told = endpoint(&place, &seen, &[], Some("version 2 was refused".to_owned()));
        assert_eq!(told.state, HealthState::Failing);
        assert_eq!(told.reasons, ["it cannot answer: version 2 was refused"]);
    }
}
