//! Endpoints in the graph, and predictions in front of it.

use kernel::Micros;
use testkit::gate::TEST_CALLER;

use super::{World, a_training, on_both_engines};
use crate::ops::{WalkGraph, Walked};
use crate::record::{Answers, endpoint_answers};
use crate::{Direction, Made, NodeKind, Root, Trust};

impl World {
    async fn walked(&self, subject: &str, direction: Direction) -> Walked {
        let (room, root) = (self.room(), Root::parse(subject).unwrap());
        self.gate.call(WalkGraph { room, subject: subject.to_owned(), root, direction, depth: None }).await.unwrap()
    }
}

fn made(caller: &str) -> Made {
    Made {
        id: "p1".to_owned(),
        at: Micros(9),
        entry: "a9".to_owned(),
        endpoint_id: "e1".to_owned(),
        endpoint: "churn-live".to_owned(),
        caller: caller.to_owned(),
        caller_name: Some("bob".to_owned()),
    }
}

#[test]
fn what_an_endpoint_answered_with_stays_an_edge() {
    on_both_engines(|world| async move {
        world.record(a_training).await;
        world
            .record(|writer, scene| {
                let answers = Answers { endpoint_id: "e1", endpoint: "churn-live", model: "rm_1", number: 1 };
                endpoint_answers(writer, scene, &answers)?;
                endpoint_answers(writer, scene, &answers)
            })
            .await;
        let walked = world.walked("run:run1", Direction::Down).await;
        let endpoints: Vec<_> = walked.found.iter().filter(|found| found.kind == NodeKind::Endpoint).collect();
        assert!(matches!(endpoints.as_slice(), [one] if one.name == "e1" && one.trust == Trust::Observed), "{endpoints:?}");
        let text = walked.to_text();
        assert!(text.contains("1 endpoint") && text.contains("endpoint churn-live answered with it [observed]"), "{text}");
    });
}

#[test]
fn a_prediction_leads_back_to_everything_behind_its_model() {
    on_both_engines(|world| async move {
        world.record(a_training).await;
        let walked = world.walked("churn/1", Direction::Up).await;
        let (behind, deepest) = (walked.found.len(), walked.found.iter().map(|found| found.depth).max().unwrap());
        for (caller, is_known) in [("somebody", false), (TEST_CALLER, true)] {
            let from = walked.clone().begun_at(&made(caller));
            // The endpoint, the version, and whoever asked, if not one of those who made it.
            assert_eq!(from.found.len(), behind + if is_known { 2 } else { 3 });
            assert_eq!(from.found.iter().map(|found| found.depth).max(), Some(deepest + 2));
            assert!(from.found.is_sorted_by_key(|found| found.depth));
            let text = from.to_text();
            let who = if is_known { "asked for by ann" } else { "asked for by bob" };
            for part in [
                "prediction p1",
                "came out of endpoint churn-live",
                "answers with model churn version 1",
                "ran git commit abc123",
                who,
            ] {
                assert!(text.contains(part), "`{part}` is not in {text}");
            }
            assert!(from.to_svg().contains("churn-live"));
        }
    });
}
