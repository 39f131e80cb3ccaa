use lineage::{NodeKind, Trust};
use testkit::gate::TEST_WORKSPACE;

use super::support::{Plan, World, on_both_engines};

async fn origin_of(world: &World, number: i64) -> lineage::Origin {
    let look = move |reader: &mut vault::db::Reader<'_>| {
        let model = reader.query_one("SELECT model_id FROM registered_model", &[], |row| row.text(0))?.unwrap();
        Ok(lineage::origin_of_version(reader, TEST_WORKSPACE, &model, number)?)
    };
    world.opened.system.read(look).await.unwrap()
}

#[test]
fn the_origin_of_what_was_made_is_whole_and_executed() {
    on_both_engines(async |world| {
        *world.double.plan.lock() = Plan { reads_data: true, models: vec!["model"], ..Plan::default() };
        let job = world.submit("train.py", None).await.unwrap();
        world.runner().step().await.unwrap();
        let run = world.job(&job.id).await.run_id.unwrap();
        let origin = origin_of(&world, 2).await;
        assert_eq!(origin.run, Some((run, Trust::Executed)));
        let code = format!("sha256:{}", job.spec.code.manifest_sha256);
        let of = |kind: NodeKind| -> Vec<(String, Trust)> {
            origin.uses.iter().filter(|used| used.kind == kind).map(|used| (used.name.clone(), used.trust)).collect()
        };
        assert_eq!(of(NodeKind::DataVersion), [("d/1".to_owned(), Trust::Executed)]);
        assert!(of(NodeKind::Code).contains(&(code.clone(), Trust::Executed)));
        assert!(!of(NodeKind::Code).contains(&(code, Trust::Claimed)), "the tag says nothing that is not known better");
    });
}

#[test]
fn data_that_was_not_read_is_not_said_to_have_been() {
    on_both_engines(async |world| {
        *world.double.plan.lock() = Plan { reads_data: false, models: vec!["model"], ..Plan::default() };
        world.submit("train.py", None).await.unwrap();
        world.runner().step().await.unwrap();
        let origin = origin_of(&world, 2).await;
        assert!(origin.uses.iter().all(|used| used.kind != NodeKind::DataVersion), "{:?}", origin.uses);
    });
}
