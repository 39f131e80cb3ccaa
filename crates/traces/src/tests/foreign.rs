//! Whoever may write to one experiment reaches no trace of another one, and learns nothing of it.

use gate::Scope;
use kernel::Kind;

use super::support::{id_of, on_both_engines, refused, span, trace};
use crate::ops::{BatchGetInfos, BatchGetTraces, DeleteTraces, LinkToRun, Which};

/// The id of the trace of spans with trace number 9.
const FOREIGN: &str = "tr-09090909090909090909090909090909";

#[test]
fn an_id_in_use_elsewhere_is_refused_alike_wherever_it_is() {
    on_both_engines(|world| async move {
        let (mine, other) = (world.experiment("mine").await, world.experiment("other").await);
        world.foreign(FOREIGN).await;
        world.start(&other, trace(&id_of(8), 1, &[], &[])).await.unwrap();
        assert_eq!(id_of(9), FOREIGN);
        let mut texts = Vec::new();
        for number in [8, 9] {
            let id = id_of(number);
            texts.push(world.start(&mine, trace(&id, 1, &[], &[])).await.unwrap_err().to_string());
            texts.push(world.log(&mine, vec![span(number, 1, "x", Vec::new())]).await.unwrap_err().to_string());
            let delete = DeleteTraces { room: world.room.clone(), experiment_id: mine.clone(), which: Which::Ids(vec![id]) };
            assert_eq!(world.call(delete).await.unwrap(), 0);
        }
        texts.dedup();
        assert_eq!(texts.len(), 1, "one text, wherever it is: {texts:?}");
        assert_eq!(world.info(&id_of(8)).await.unwrap().experiment_id.to_string(), other, "untouched");
    });
}

#[test]
fn a_batch_with_one_foreign_span_is_refused_whole() {
    on_both_engines(|world| async move {
        let mine = world.experiment("mine").await;
        world.foreign(FOREIGN).await;
        let both = vec![span(1, 1, "mine", Vec::new()), span(9, 1, "theirs", Vec::new())];
        refused(world.log(&mine, both).await, Kind::AlreadyExists, "cannot be used");
        refused(world.info(&id_of(1)).await, Kind::NotFound, "not found");
    });
}

#[test]
fn a_trace_of_another_workspace_does_not_exist() {
    on_both_engines(|world| async move {
        let theirs = world.foreign(FOREIGN).await.to_string();
        let (unknown, foreign) = (world.info("tr-unknown").await, world.info(FOREIGN).await);
        let text = |id: &str| format!("Trace with ID '{id}' not found.");
        refused(unknown, Kind::NotFound, &text("tr-unknown"));
        refused(foreign, Kind::NotFound, &text(FOREIGN));
        assert!(world.found(&[&theirs], "").await.is_empty());
        let infos = world.call(BatchGetInfos { room: world.room.clone(), trace_ids: vec![FOREIGN.to_owned()] }).await.unwrap();
        assert!(infos.is_empty());
        let whole = world.call(BatchGetTraces { room: world.room.clone(), trace_ids: vec![FOREIGN.to_owned()] }).await.unwrap();
        assert!(whole.is_empty());
    });
}

#[test]
fn a_link_to_a_trace_out_of_sight_means_nothing_there() {
    on_both_engines(|world| async move {
        let (mine, other) = (world.experiment("mine").await, world.experiment("other").await);
        world.start(&other, trace("tr-other", 1, &[], &[])).await.unwrap();
        let run_id = world.run(&mine).await;
        let (mine_number, link) = (mine.parse().unwrap(), || LinkToRun {
            room: world.room.clone(),
            run_id: run_id.clone(),
            trace_ids: vec!["tr-other".to_owned(), "tr-later".to_owned()],
        });
        // The caller has only its own experiment.
        world.gate.set_scope(Scope::Only { experiments: vec![mine_number], models: Vec::new() });
        world.call(link()).await.unwrap();
        world.gate.set_scope(Scope::Workspace);
        world.start(&mine, trace("tr-later", 1, &[], &[])).await.unwrap();
        let filter = format!("run_id = '{run_id}'");
        assert_eq!(world.found(&[&mine, &other], &filter).await, ["tr-later"], "a link may come before its trace");
    });
}
