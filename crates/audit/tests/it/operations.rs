//! The room's verbs through the gate, and what is written of them.

use audit::Filter;
use audit::ops::{Export, Prove, ReadCheckpoint, ReadTile, Search, Verify, Which};
use audit::proof::TlogProof;
use audit::tiles::TilePath;
use gate::Credential;
use kernel::{Kind, Micros};

use crate::common::{Denied, House, Place, attempt};

async fn find(house: &House, filter: Filter) -> audit::Page {
    house.call(Search { room: house.room.clone(), filter, before: None, limit_count: 100 }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_act_leaves_an_intent_and_an_outcome_and_no_person() {
    let place = Place::new();
    let house = place.open();
    house.look("run-a").await.unwrap();
    house.change("run-b").await.unwrap();
    assert_eq!(house.call(Denied).await.unwrap_err().kind(), Kind::Forbidden);
    let stranger = house.gate.call(attempt(Credential::Malformed), Denied).await.unwrap_err();
    assert_eq!(stranger.kind(), Kind::Unauthenticated);
    house.drained().await;
    let records = house.records().await;
    let mut kinds: Vec<_> =
        records.iter().map(|r| format!("{} {}", r["kind"].as_str().unwrap(), r["action"].as_str().unwrap())).collect();
    kinds.sort();
    let expected = [
        "intent test.change",
        "intent test.look",
        "outcome test.change",
        "outcome test.look",
        "refusal test.denied",
        "refusal test.denied",
    ];
    assert_eq!(kinds, expected);
    for record in &records {
        let text = record.to_string();
        assert!(!text.contains("10.1.2.3") && !text.contains("anonymous\",\"name"), "{text}");
        assert_eq!(record["v"], 1);
    }
    let changed = records.iter().find(|r| r["kind"] == "outcome" && r["action"] == "test.change").unwrap();
    assert_eq!(changed["resource"], "run-b");
    assert_eq!(changed["details"]["count"], 1);
    let intent = records.iter().find(|r| r["kind"] == "intent" && r["action"] == "test.change").unwrap();
    assert_eq!(intent["id"], changed["id"]);
    assert_eq!(intent["reasons"][0], "grant-1");
    assert_eq!(intent["caller"]["token"], "token-1");
    let keyed = intent["from"].as_str().unwrap();
    assert_eq!(keyed.len(), 16);
    assert_eq!(house.log.address_behind(keyed), Some(std::net::IpAddr::from([10, 1, 2, 3])), "told in memory only");
    assert_eq!(house.log.address_behind("0123456789abcdef"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_canonical_json() {
    let place = Place::new();
    let house = place.open();
    house.work(40).await;
    house.log.flush().await.unwrap();
    let (_, _, tiles) = house.log.tree().unwrap();
    tiles
        .each_entry(0, u64::MAX, |_, entry| {
            // serde_json's own map is sorted, and its text compact.
            let value: serde_json::Value = serde_json::from_slice(entry).unwrap();
            assert_eq!(value.to_string().as_bytes(), entry);
            true
        })
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_found_proven_and_exported() {
    let place = Place::new();
    let house = place.open();
    house.work(600).await;
    house.drained().await;
    let page = find(&house, Filter { resource: Some("run-77".to_owned()), ..Filter::default() }).await;
    assert_eq!(page.hits.len(), 2);
    assert!(page.hits[0].index > page.hits[1].index, "newest first");
    let entry: serde_json::Value = serde_json::from_slice(&page.hits[0].record).unwrap();
    let which = Which::Entry(entry["id"].as_str().unwrap().to_owned());
    let proven = house.call(Prove { room: house.room.clone(), which }).await.unwrap();
    assert_eq!(proven.index, page.hits[0].index);
    let proof = TlogProof::parse(&proven.proof).unwrap();
    assert_eq!(proof.to_string(), proven.proof);
    let key = house.log.verifier_key();
    assert!(proof.check(&proven.record, key).unwrap().size > proven.index);
    let mut other = proven.record.clone();
    other[5] ^= 1;
    assert!(proof.check(&other, key).is_err());
    for index in [0, 255, 256, 700] {
        let proven = house.call(Prove { room: house.room.clone(), which: Which::Index(index) }).await.unwrap();
        TlogProof::parse(&proven.proof).unwrap().check(&proven.record, key).unwrap();
    }
    let beyond = house.call(Prove { room: house.room.clone(), which: Which::Index(1 << 40) }).await.unwrap_err();
    assert_eq!(beyond.kind(), Kind::NotFound);
    let exported = house
        .call(Export { room: house.room.clone(), filter: Filter::default(), from: 10, to: None, limit_count: 500 })
        .await
        .unwrap();
    assert_eq!((exported.count, exported.next), (500, Some(510)));
    for line in exported.lines.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["type_uid"], event["class_uid"].as_i64().unwrap() * 100 + event["activity_id"].as_i64().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_gives_what_a_search_finds_page_by_page() {
    let place = Place::new();
    let house = place.open();
    house.work(400).await;
    house.drained().await;
    let outcomes = Filter { kind: Some("outcome".to_owned()), action: Some("test.ch*".to_owned()), ..Filter::default() };
    let mut found: Vec<u64> = find(&house, outcomes.clone()).await.hits.iter().map(|hit| hit.index).collect();
    found.reverse();
    assert!(found.len() > 50, "{}", found.len());
    let (from, to) = (found[3], found[40]);
    let mut at = from;
    let mut exported = Vec::new();
    loop {
        let verb = Export { room: house.room.clone(), filter: outcomes.clone(), from: at, to: Some(to), limit_count: 7 };
        let page = house.call(verb).await.unwrap();
        assert!(page.count <= 7 && page.lines.lines().count() == usize::try_from(page.count).unwrap());
        for line in page.lines.lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            exported.push(event["metadata"]["uid"].as_str().unwrap().parse::<u64>().unwrap());
        }
        let Some(next) = page.next else { break };
        assert!(next > at);
        at = next;
    }
    assert_eq!(exported, found[3..40]);
    // A time that ends before it begins has no records, which would look as if nothing had happened.
    let backwards = Filter { from: Some(Micros(2)), to: Some(Micros(1)), ..Filter::default() };
    for wrong in [Filter { action: Some("x y".to_owned()), ..Filter::default() }, backwards] {
        let verb = Export { room: house.room.clone(), filter: wrong, from: 0, to: None, limit_count: 1 };
        assert_eq!(house.call(verb).await.unwrap_err().kind(), Kind::Invalid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn search_filters_and_pages_with_and_without_the_index() {
    let place = Place::new();
    let house = place.open();
    house.work(2_600).await;
    house.drained().await;
    // At once, nothing is indexed; three seconds later, the first block is, and the rest is looked through. The answers are the same.
    for _ in 0..2 {
        let of_verb = Filter { action: Some("test.ch*".to_owned()), ..Filter::default() };
        let outcomes = Filter { kind: Some("outcome".to_owned()), ..of_verb.clone() };
        let by_text = Filter { text: Some("\"kind\":\"outcome\"".to_owned()), ..of_verb };
        for filter in [outcomes, by_text] {
            let mut before = None;
            let mut found = Vec::new();
            loop {
                let search = Search { room: house.room.clone(), filter: filter.clone(), before, limit_count: 100 };
                let page = house.call(search).await.unwrap();
                found.extend(page.hits.iter().map(|hit| hit.index));
                before = page.next_before;
                if before.is_none() {
                    break;
                }
            }
            assert_eq!(found.len(), 650, "{filter:?}");
            assert!(found.is_sorted_by(|a, b| a > b));
        }
        let nobody = find(&house, Filter { caller: Some("user-2".to_owned()), ..Filter::default() }).await;
        assert!(nobody.hits.is_empty());
        let text = find(&house, Filter { text: Some("run-123\"".to_owned()), ..Filter::default() }).await;
        assert_eq!(text.hits.len(), 2);
        let past = find(&house, Filter { to: Some(kernel::Micros(5)), ..Filter::default() }).await;
        assert!(past.hits.is_empty());
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    }
    let bad = Filter { action: Some("x' OR 1=1".to_owned()), ..Filter::default() };
    let search = Search { room: house.room.clone(), filter: bad, before: None, limit_count: 1 };
    assert_eq!(house.call(search).await.unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_verifies_itself_while_it_grows_and_serves_its_tiles() {
    let place = Place::new();
    let house = place.open();
    house.work(700).await;
    let gate = house.gate.clone();
    let load = tokio::spawn(async move {
        for at in 0..2_000 {
            gate.call(attempt(Credential::None), crate::common::Look(format!("live-{at}"))).await.unwrap();
        }
    });
    for _ in 0..5 {
        let report = house.call(Verify { room: house.room.clone() }).await.unwrap();
        assert!(report.ok, "{report:#?}");
    }
    load.await.unwrap();
    let report = house.call(Verify { room: house.room.clone() }).await.unwrap();
    assert!(report.ok && report.entry_count > 5_000, "{report:#?}");
    let note = house.call(ReadCheckpoint { room: house.room.clone() }).await.unwrap();
    assert!(audit::checkpoint::Checkpoint::open(note.as_bytes(), house.log.verifier_key()).is_ok());
    let path = TilePath::parse("tile/0/001").unwrap();
    assert_eq!(house.call(ReadTile { room: house.room.clone(), path }).await.unwrap().len(), 8192);
    let path = TilePath::parse("tile/0/x001/000").unwrap();
    assert_eq!(house.call(ReadTile { room: house.room.clone(), path }).await.unwrap_err().kind(), Kind::NotFound);
}
