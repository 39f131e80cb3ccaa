//! A version comes to be, and then never changes.

use artifacts::Manifest;

use super::support::*;
use crate::limits::OPEN_COUNT_MAX;
use crate::ops::*;
use crate::store::versions::{Wanted, datasets_asked};
use crate::{CommitWish, Fetched, Which};
use gate::DataState;
use kernel::Kind;
use testkit::gate::TEST_WORKSPACE;

#[test]
fn a_version_takes_files_until_it_is_committed() {
    on_both_engines(|world| async move {
        let id = world.opened_version("churn").await.unwrap();
        assert_eq!(kind(world.call(world.commit("churn", &id, told())).await), Kind::Conflict, "it has no files");
        world.call(world.put("churn", &id, "part/b.csv", b"first")).await.unwrap();
        world.call(world.put("churn", &id, "a.csv", b"x,y\n1,2\n")).await.unwrap();
        world.call(world.put("churn", &id, "part/b.csv", b"x,y\n3,4\n")).await.unwrap();
        for (path, expected) in
            [("../x", Kind::Invalid), ("/x", Kind::Invalid), ("a.csv/x", Kind::Conflict), ("part", Kind::Conflict)]
        {
            assert_eq!(kind(world.call(world.put("churn", &id, path, b"x")).await), expected, "{path}");
        }
        assert_eq!(world.state("churn", &id).await, DataState::Open);
        let committed = world.call(world.commit("churn", &id, told())).await.unwrap();
        assert_eq!(committed.number, 1);
        let again = world.call(world.commit("churn", &id, CommitWish::default())).await.unwrap();
        assert_eq!(again, committed, "asked again, it answers the same and changes nothing");
        assert_eq!(kind(world.call(world.put("churn", &id, "late.csv", b"x")).await), Kind::Conflict);
        let shown = world.shown("churn", "1").await;
        assert_eq!(shown.version.state, DataState::Quarantined);
        assert_eq!(shown.version.licence.as_deref(), Some("CC-BY-4.0"));
        assert_eq!((shown.version.file_count, shown.version.size_bytes), (2, 16));
        let manifest = ShowManifest { room: world.room.clone(), dataset: "churn".to_owned(), version: "latest".to_owned() };
        let files = world.call(manifest).await.unwrap();
        assert_eq!(files.committed_at, shown.version.committed_at);
        assert!(files.committed_at.is_some());
        let manifest = files.manifest;
        assert_eq!(manifest, Manifest::of(manifest.entries.clone()));
        assert_eq!(manifest.digest, committed.manifest_sha256);
        assert_eq!(manifest.entries.iter().map(|entry| entry.path.as_str()).collect::<Vec<_>>(), ["a.csv", "part/b.csv"]);
    });
}

#[test]
fn only_who_opened_a_version_fills_and_commits_it() {
    on_both_engines(|world| async move {
        let id = world.opened_version("churn").await.unwrap();
        world.call(world.put("churn", &id, "a.csv", b"mine")).await.unwrap();
        assert_eq!(kind(world.call_as("mallory", world.put("churn", &id, "a.csv", b"evil")).await), Kind::Forbidden);
        assert_eq!(kind(world.call_as("mallory", world.commit("churn", &id, told())).await), Kind::Forbidden);
        let other = world.committed("other", &[("a.csv", b"x")], told()).await;
        assert_eq!(kind(world.call(world.put("churn", &other.version_id, "a.csv", b"x")).await), Kind::NotFound);
    });
}

#[test]
fn what_will_not_be_committed_gives_its_place_back() {
    on_both_engines(|world| async move {
        let discard = |id: &str| DiscardVersion { room: world.room.clone(), dataset: "churn".to_owned(), version: id.to_owned() };
        for _ in 0..=OPEN_COUNT_MAX {
            let id = world.opened_version("churn").await.unwrap();
            world.call(world.put("churn", &id, "a.csv", b"x")).await.unwrap();
            assert_eq!(kind(world.call_as("mallory", discard(&id)).await), Kind::Forbidden);
            world.call(discard(&id)).await.unwrap();
            assert_eq!(kind(world.call(discard(&id)).await), Kind::NotFound);
        }
        let committed = world.committed("churn", &[("a.csv", b"x")], told()).await;
        assert_eq!(kind(world.call(discard(&committed.version_id)).await), Kind::Conflict, "a version stays");
        assert_eq!(world.state("churn", "1").await, DataState::Quarantined);
    });
}

#[test]
fn lists_are_paged_and_narrowed() {
    on_both_engines(|world| async move {
        for name in ["a", "b", "c"] {
            world.committed(name, &[("f.csv", b"1")], told()).await;
        }
        world.committed("b", &[("f.csv", b"2")], told()).await;
        let list = |which: Which, after: Option<&str>, rows| SearchDatasets {
            room: world.room.clone(),
            which,
            after: after.map(str::to_owned),
            rows: Some(rows),
        };
        let page = |after: Option<&str>, rows| list(Which::All, after, rows);
        let first = world.call(page(None, 2)).await.unwrap();
        assert_eq!(first.rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((first.rows[1].latest_number, first.rows[1].admitted_number), (2, None));
        let rest = world.call(page(first.next.as_deref(), 2)).await.unwrap();
        assert_eq!((rest.rows.len(), rest.next), (1, None));
        assert_eq!(world.call(list(Which::In(DataState::Quarantined), Some("a"), 9)).await.unwrap().rows.len(), 2);
        assert!(world.call(list(Which::In(DataState::Admitted), None, 9)).await.unwrap().rows.is_empty());
        let versions = ShowDataset { room: world.room.clone(), dataset: "b".to_owned(), after: None, rows: Some(1) };
        let versions = world.call(versions).await.unwrap();
        assert_eq!((versions.rows[0].number, versions.next), (Some(2), Some(2)));
        let b = world.opened.system.read(|reader| {
            Ok(reader.query_one("SELECT dataset_id FROM data_set WHERE name = 'b'", &[], |row| row.text(0))?.unwrap())
        });
        world.gate.set_scope(gate::Scope::Datasets(vec![b.await.unwrap()]));
        let only = world.call(page(None, 9)).await.unwrap();
        assert_eq!(only.rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["b"]);
        world.gate.set_scope(gate::Scope::Nothing);
        assert!(world.call(page(None, 2)).await.unwrap().rows.is_empty());
    });
}

#[test]
fn what_waits_is_listed_by_its_newest_version_and_found_by_its_state() {
    on_both_engines(|world| async move {
        for name in ["a", "b", "c", "d"] {
            world.committed(name, &[("f.csv", b"1")], told()).await;
            world.committed(name, &[("f.csv", b"2")], told()).await;
        }
        let by_number = "UPDATE data_version SET state = CASE WHEN number = 2 THEN 'refused' ELSE 'admitted' END
                         WHERE dataset_id IN (SELECT dataset_id FROM data_set WHERE name = $1)";
        let by_age = "UPDATE data_version SET state = CASE WHEN number = 2 THEN 'admitted' ELSE 'refused' END
                      WHERE dataset_id IN (SELECT dataset_id FROM data_set WHERE name = $1)";
        for (sql, name) in [(by_number, "b"), (by_number, "d"), (by_age, "c")] {
            world.sql(sql, name).await;
        }
        let listed = async |state, after: Option<&str>, rows| {
            let after = after.map(str::to_owned);
            let search = SearchDatasets { room: world.room.clone(), which: Which::In(state), after, rows: Some(rows) };
            let found = world.call(search).await.unwrap();
            (found.rows.into_iter().map(|row| row.name).collect::<Vec<_>>(), found.next)
        };
        assert_eq!(listed(DataState::Refused, None, 9).await.0, ["b", "d"], "a refused version of `c` is not its newest");
        assert_eq!(listed(DataState::Admitted, None, 9).await.0, ["c"]);
        assert_eq!(listed(DataState::Quarantined, None, 9).await.0, ["a"]);
        assert!(listed(DataState::Open, None, 9).await.0.is_empty());
        let (first, next) = listed(DataState::Refused, None, 1).await;
        assert_eq!((first, listed(DataState::Refused, next.as_deref(), 1).await.0), (vec!["b".to_owned()], vec!["d".to_owned()]));
    });
}

#[test]
fn what_waits_is_found_without_looking_at_all_data_sets() {
    on_both_engines(|world| async move {
        // PostgreSQL plans by what is there, which is nothing yet.
        if !world.folder.path().join("test.db").exists() {
            return;
        }
        for (state, index) in
            [(DataState::Refused, "data_version_in_state"), (DataState::Admitted, "sqlite_autoindex_data_set_2")]
        {
            let plan = world.opened.system.read(move |reader| {
                let wanted = Wanted { workspace: TEST_WORKSPACE, only: None, which: Which::In(state), after: "", count: 51 };
                let (sql, binds) = datasets_asked(&wanted, kernel::Micros(5));
                Ok(reader.query(&format!("EXPLAIN QUERY PLAN {sql}"), &binds, |row| row.text(3))?)
            });
            let plan = plan.await.unwrap();
            assert!(plan[0].contains(index), "{state:?}: {plan:?}");
        }
    });
}

#[test]
fn records_hold_no_name_no_path_and_no_value() {
    on_both_engines(|world| async move {
        let wish = CommitWish { licence: Some("SECRET-licence".to_owned()), ..told() };
        world.committed("secret-name", &[("secret-path.csv", b"secret-value")], wish).await;
        world.inspected().await;
        let read = world.call(world.read("secret-name", "1", "secret-path.csv")).await.unwrap();
        let Fetched::File(download) = read else { unreachable!("it is there") };
        assert_eq!(whole(download.body).await, b"secret-value");
        let recorded = world.gate.recorded();
        assert!(recorded.iter().all(|line| !line.to_lowercase().contains("secret")), "{recorded:?}");
        let intents = recorded.iter().filter(|line| line.starts_with("intent")).count();
        assert_eq!(intents * 2, recorded.len(), "each intent has one outcome: {recorded:?}");
        let committed = recorded.iter().find(|line| line.starts_with("sealed datasets.commit done")).unwrap();
        assert!(committed.contains("manifest_sha256=") && committed.contains("file_count=1"), "{committed}");
    });
}

#[test]
fn a_difference_names_what_changed() {
    on_both_engines(|world| async move {
        world.committed("d", &[("same", b"1"), ("gone", b"2"), ("changed", b"3")], told()).await;
        world.committed("d", &[("same", b"1"), ("new", b"2"), ("changed", b"4")], told()).await;
        let diff = |against| Diff { room: world.room.clone(), dataset: "d".to_owned(), version: "2".to_owned(), against };
        assert_eq!(kind(world.call(diff(None)).await), Kind::Invalid, "it was compared with none");
        let found = world.call(diff(crate::VersionName::parse("1"))).await.unwrap();
        assert_eq!(
            (found.added, found.removed, found.changed),
            (vec!["new".into()], vec!["gone".into()], vec!["changed".into()])
        );
        assert_eq!(found.counts, [1, 1, 1, 1]);
    });
}
