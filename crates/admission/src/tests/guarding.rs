//! What the guard of endpoints compares queries with: handed over, kept, and not shown.

use guard::{Given, calibrate};
use inspection::Section;
use kernel::Problem;

use super::support::*;
use crate::types::Subject;
use crate::{Admission, DocumentKind};

/// A verb of a room above, which asks for what the guard needs.
struct Ask {
    room: Admission,
    subject: Subject,
}

impl gate::Operation for Ask {
    const ACTION: gate::Action = gate::Action::read("endpoints.predict");
    type Output = Option<guard::Reference>;

    fn target(&self) -> gate::Target {
        gate::Target::RegisteredModel(MODEL.to_owned())
    }

    async fn run(self, permit: gate::Permit<Self>) -> Result<Self::Output, Problem> {
        self.room.guard_reference(&permit, &self.subject).await
    }
}

async fn reference(world: &World) -> Option<guard::Reference> {
    let model_id = world.shown(1).await.standing.subject.model_id;
    world.call(Ask { room: world.room.clone(), subject: Subject { model_id, number: 1 } }).await.unwrap()
}

#[test]
fn the_worker_gets_the_training_data_and_what_it_makes_is_kept_apart() {
    on_both_engines(|world| async move {
        world.data_version("refused").await;
        world.run_used().await;
        let values: Vec<f64> = (0..500).map(|row| f64::from(row * row % 991)).collect();
        let made = calibrate(&[Given::Numbers { name: "a", values: &values }], "d@1", 12_345_678).unwrap();
        *world.worker.guard.lock() = Some(Section::of(&made).unwrap());
        world.registered().await;
        world.inspected().await;
        let job = world.worker.jobs.lock().pop().unwrap();
        let spec = job.guard.unwrap();
        assert_eq!((spec.tables[0].name.as_str(), spec.tables[0].place, spec.trained), ("d@1", 0, true));
        assert!(job.others[0].version == "d@1" && spec.seed != 0 && job.trial.is_none());
        assert_eq!(reference(&world).await.unwrap().to_json().unwrap(), made.to_json().unwrap());
        let report = world.document(DocumentKind::Report).await.unwrap();
        assert!(!String::from_utf8(report).unwrap().contains("12345678"), "the secret is in the report");
        assert_eq!(DocumentKind::parse(DocumentKind::Guard.word()), None);
    });
}

#[test]
fn without_known_data_there_is_none_and_what_a_worker_breaks_is_left_out() {
    on_both_engines(|world| async move {
        *world.worker.guard.lock() = Some(Section::of(&"nonsense").unwrap());
        world.registered().await;
        world.inspected().await;
        assert_eq!(world.worker.jobs.lock().pop().unwrap().guard, None);
        assert!(reference(&world).await.is_none());
    });
}
