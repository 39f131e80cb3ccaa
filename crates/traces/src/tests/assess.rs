//! Feedback, expectations and issues.

use kernel::Kind;

use super::support::{World, on_both_engines, pairs, refused, trace};
use crate::limits;
use crate::ops::{CreateAssessment, DeleteAssessment, GetAssessment, UpdateAssessment};
use crate::types::{Assessment, AssessmentChange, AssessmentKind, AssessmentSource, NewAssessment, NewTrace};

fn feedback(name: &str, value: &str) -> NewAssessment {
    NewAssessment {
        assessment_id: None,
        kind: AssessmentKind::Feedback,
        name: name.to_owned(),
        value: value.to_owned(),
        error: None,
        source: AssessmentSource { kind: "HUMAN".to_owned(), id: "someone".to_owned() },
        span_id: None,
        rationale: None,
        metadata: None,
        overrides: None,
        created_ms: None,
        updated_ms: None,
    }
}

async fn create(world: &World, assessment: NewAssessment) -> Result<Assessment, kernel::Problem> {
    world.call(CreateAssessment { room: world.room.clone(), trace_id: "tr-1".to_owned(), assessment }).await
}

async fn get(world: &World, id: &str) -> Result<Assessment, kernel::Problem> {
    world.call(GetAssessment { room: world.room.clone(), trace_id: "tr-1".to_owned(), assessment_id: id.to_owned() }).await
}

async fn delete(world: &World, id: &str) {
    let delete = DeleteAssessment { room: world.room.clone(), trace_id: "tr-1".to_owned(), assessment_id: id.to_owned() };
    world.call(delete).await.unwrap();
}

#[test]
fn one_that_is_put_right_holds_again_when_that_is_taken_back() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("e").await;
        world.start(&experiment, trace("tr-1", 1, &[], &[])).await.unwrap();
        let first = create(&world, feedback("quality", "{\"rating\":4}")).await.unwrap();
        assert!(first.valid && first.assessment_id.starts_with("a-"));
        let second = create(&world, NewAssessment { overrides: Some(first.assessment_id.clone()), ..feedback("quality", "3") })
            .await
            .unwrap();
        assert!(!get(&world, &first.assessment_id).await.unwrap().valid);
        assert_eq!(world.found(&[&experiment], "feedback.quality = '3'").await, ["tr-1"]);
        assert!(
            world.found(&[&experiment], "feedback.quality LIKE '%rating%'").await.is_empty(),
            "what no longer holds is not found"
        );
        delete(&world, &second.assessment_id).await;
        delete(&world, &second.assessment_id).await;
        refused(get(&world, &second.assessment_id).await, Kind::NotFound, "not found for trace 'tr-1'");
        assert!(get(&world, &first.assessment_id).await.unwrap().valid);
        let lost = NewAssessment { overrides: Some("a-none".to_owned()), ..feedback("x", "1") };
        refused(create(&world, lost).await, Kind::NotFound, "Assessment with ID 'a-none' not found");
        assert_eq!(world.info("tr-1").await.unwrap().assessments.len(), 1);
    });
}

#[test]
fn changes_keep_what_they_do_not_name() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("e").await;
        world.start(&experiment, trace("tr-1", 1, &[], &[])).await.unwrap();
        let new = NewAssessment {
            metadata: Some("{\"a\":\"1\",\"b\":\"2\"}".to_owned()),
            rationale: Some("why".to_owned()),
            ..feedback("f", "\"yes\"")
        };
        let id = create(&world, new).await.unwrap().assessment_id;
        let update = |change| UpdateAssessment {
            room: world.room.clone(),
            trace_id: "tr-1".to_owned(),
            assessment_id: id.clone(),
            change,
        };
        let change = AssessmentChange {
            name: Some("g".to_owned()),
            value: Some((Some(AssessmentKind::Feedback), "\"no\"".to_owned(), None)),
            rationale: None,
            metadata: pairs(&[("b", "3")]),
        };
        let after = world.call(update(change)).await.unwrap();
        assert_eq!((after.name.as_str(), after.value.as_str(), after.rationale.as_deref()), ("g", "\"no\"", Some("why")));
        assert_eq!(after.metadata.as_deref(), Some("{\"a\":\"1\",\"b\":\"3\"}"));
        assert_eq!(get(&world, &id).await.unwrap(), after);
        let other_kind = AssessmentChange {
            value: Some((Some(AssessmentKind::Expectation), "1".to_owned(), None)),
            ..AssessmentChange::default()
        };
        refused(world.call(update(other_kind)).await, Kind::Invalid, "Cannot update expectation value on a Feedback assessment.");
        assert_eq!(world.found(&[&experiment], "feedback.g = 'no'").await, ["tr-1"], "a text is found without its quotes");
        assert!(world.found(&[&experiment], "feedback.f IS NOT NULL").await.is_empty());
    });
}

#[test]
fn assessments_have_their_limits() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("e").await;
        world.start(&experiment, trace("tr-1", 1, &[], &[])).await.unwrap();
        for (bad, kind, part) in [
            (feedback("", "1"), Kind::Invalid, "assessment_name"),
            (feedback(&"n".repeat(251), "1"), Kind::Invalid, "maximum length of 250"),
            (feedback("f", &"1".repeat(limits::ASSESSMENT_TEXT_BYTES_MAX + 1)), Kind::TooLarge, "at most 262144"),
            (
                NewAssessment { source: AssessmentSource { kind: "GOD".to_owned(), id: String::new() }, ..feedback("f", "1") },
                Kind::Invalid,
                "source type",
            ),
            (NewAssessment { rationale: Some("\0".to_owned()), ..feedback("f", "1") }, Kind::Invalid, "NUL"),
        ] {
            refused(create(&world, bad).await, kind, part);
        }
        let many = vec![feedback("f", "1"); usize::try_from(limits::ASSESSMENT_COUNT_MAX).unwrap() + 1];
        let trace = NewTrace { assessments: many, ..trace("tr-2", 1, &[], &[]) };
        refused(world.start(&experiment, trace).await, Kind::TooLarge, "at most 1000 assessments");
        refused(world.info("tr-2").await, Kind::NotFound, "not found");
    });
}

#[test]
fn an_id_that_a_client_chose_replaces_nobody_elses() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("e").await;
        world.start(&experiment, trace("tr-1", 1, &[], &[])).await.unwrap();
        let first = create(&world, feedback("f", "1")).await.unwrap();
        let second = create(&world, NewAssessment { assessment_id: Some(first.assessment_id.clone()), ..feedback("f", "2") })
            .await
            .unwrap();
        assert_ne!(first.assessment_id, second.assessment_id);
        assert_eq!(get(&world, &first.assessment_id).await.unwrap().value, "1");
    });
}
