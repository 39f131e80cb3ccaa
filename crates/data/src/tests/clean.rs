//! A version without some rows of another one.

use kernel::Kind;

use super::support::*;
use crate::ops::*;
use crate::{Cleaned, Parent, VersionName};

#[test]
fn a_cleaned_version_says_what_it_was_made_from() {
    on_both_engines(|world| async move {
        world.committed("d", &[("a.csv", b"x\n1\n2\n3\n")], told()).await;
        world.inspected().await;
        let id = world.opened_version("d").await.unwrap();
        world.call(world.put("d", &id, "a.csv", b"x\n1\n3\n")).await.unwrap();
        let clean = |from, rows| CleanVersion {
            room: world.room.clone(),
            dataset: "d".to_owned(),
            version: id.clone(),
            cleaned: Cleaned { from, rows, why: "row 1 is poisoned".to_owned() },
        };
        assert_eq!(kind(world.call(clean(VersionName::Number(9), vec![(1, 1)])).await), Kind::NotFound);
        assert_eq!(kind(world.call(clean(VersionName::Number(1), vec![])).await), Kind::Invalid);
        world.call(clean(VersionName::Number(1), vec![(1, 1)])).await.unwrap();
        let shown = world.shown("d", "2").await;
        assert_eq!(shown.parents, [Parent { number: 1, how: "cleaned".to_owned() }]);
        assert_eq!(shown.version.source_uri, told().source_uri, "its origin is that of the other one");
        world.inspected().await;
        let job = world.worker.jobs.lock().last().cloned().unwrap();
        assert_eq!(job.reference.unwrap().name, "d@1", "it is compared with the other one");
        let recorded = world.gate.recorded();
        let cleaned = recorded.iter().find(|line| line.starts_with("sealed datasets.clean done")).unwrap();
        assert!(cleaned.contains("removed_row_count=1") && cleaned.contains("removed_rows_sha256="), "{cleaned}");
    });
}
