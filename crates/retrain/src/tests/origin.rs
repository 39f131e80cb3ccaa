use artifacts::Owner;
use kernel::Kind;
use lineage::{NodeKind, Trust};
use registry::ops::{CreateLoggedModel, CreateVersion};
use testkit::gate::TEST_WORKSPACE;

use super::support::{MODEL, Plan, World, on_both_engines, refused};

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
fn what_comes_of_a_job_is_its_programs_work_alone() {
    on_both_engines(async |world| {
        *world.double.plan.lock() = Plan { models: vec!["model"], ..Plan::default() };
        let job = world.submit("train.py", None).await.unwrap();
        world.runner().step().await.unwrap();
        let run = world.job(&job.id).await.run_id.unwrap();
        let logged =
            world.opened.system.read(|reader| Ok(reader.query_one("SELECT model_id FROM logged_model", &[], |row| row.text(0))?));
        let logged = logged.await.unwrap().unwrap();
        let part = "a run of your own";
        for owner in [Owner::Run(run.clone()), Owner::LoggedModel(logged.clone())] {
            refused(world.write(owner, "MLmodel", b"flavors: {}").await, Kind::Forbidden, part);
        }
        let create = |run: &str| CreateLoggedModel {
            room: world.rooms.registry.clone(),
            experiment_id: "1".to_owned(),
            name: None,
            model_type: None,
            source_run_id: Some(run.to_owned()),
            params: Vec::new(),
            tags: Vec::new(),
        };
        refused(world.call(create(&run)).await, Kind::Forbidden, part);
        // Other files that are only said to be what the job made.
        for logged_model_id in [None, Some(logged.clone())] {
            let said = CreateVersion {
                room: world.rooms.registry.clone(),
                name: MODEL.to_owned(),
                source: "runs:/run1/model".to_owned(),
                run_id: Some(run.clone()),
                run_link: None,
                description: None,
                tags: Vec::new(),
                logged_model_id,
            };
            let origin = origin_of(&world, world.call(said).await.unwrap().version).await;
            assert_eq!(origin.run, Some((run.clone(), Trust::Claimed)));
            assert!(!origin.uses.is_empty() && origin.uses.iter().all(|used| used.trust == Trust::Claimed), "{:?}", origin.uses);
        }
        world.call(create(super::support::RUN)).await.unwrap();
        world.put("model/more.txt", b"more").await;
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
