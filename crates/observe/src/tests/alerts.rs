//! From what is seen to an alert with cause and remedy, to its end.

use gate::Scope;
use kernel::{Kind, Micros};
use testkit::on_both_engines;
use watch::{EventKind, Verdict};

use super::support::World;
use crate::ops::{
    AcknowledgeAlert, AddLabels, ReceiveAlerts, RemedyDone, ResolveAlert, RunRemedy, SearchAlerts, ShowHealth, ShowMetrics, Told,
};
use crate::{Act, Alert, AlertState, HealthState, Label, News, Severity};

/// Version 1 learns its reference and is replaced by version 2, whose rows then drift.
pub(super) async fn drifted(world: &World) {
    world.minute("m/1", 2_000, 0.0, Verdict::Answered);
    for _ in 0..10 {
        world.minute("m/1", 50, 0.0, Verdict::Answered);
    }
    world.minute("m/2", 2_000, 0.0, Verdict::Answered);
    world.round().await;
    assert_eq!(world.alerts().await, []);
    for _ in 0..10 {
        world.minute("m/2", 50, 0.5, Verdict::Answered);
    }
    world.round().await;
}

#[test]
fn drift_opens_one_alert_with_cause_and_remedy_and_closes_it_when_it_is_over() {
    on_both_engines("observe", async |engine| {
        let world = World::new(engine).await;
        drifted(&world).await;
        let alerts = world.alerts().await;
        assert_eq!(alerts.len(), 1, "{alerts:#?}");
        let alert = &alerts[0];
        assert_eq!((alert.kind.as_str(), alert.state, alert.endpoint.as_deref()), ("drift", AlertState::Open, Some("e1")));
        assert!(alert.headline.starts_with("`live`: what is asked has drifted from the first rows"), "{}", alert.headline);
        assert!(alert.certainty.unwrap() > 0.99 && alert.began_at < alert.opened_at);
        assert_eq!(alert.detail.causes[0].event.as_ref().unwrap().kind, EventKind::Deploy, "{:#?}", alert.detail.causes);
        let found = world.found(&alert.id).await;
        assert_eq!(found.remedies[0].act, Act::RollBack { endpoint: "live".to_owned(), version: "1".to_owned() });
        assert_eq!(found.remedies[0].command, "strongroom endpoint update live --model churn/1");
        assert!(matches!(found.remedies[1].act, Act::Retrain { .. }));
        // It goes on: no second alert.
        world.minute("m/2", 50, 0.5, Verdict::Answered);
        world.round().await;
        assert_eq!(world.alerts().await.len(), 1);
        // Version 1 answers again, and nothing is wrong with it.
        for _ in 0..5 {
            world.minute("m/1", 50, 0.0, Verdict::Answered);
            world.round().await;
        }
        let alerts = world.alerts().await;
        assert_eq!((alerts.len(), alerts[0].state), (1, AlertState::Resolved));
        let sent = world.outside.sent.lock().clone();
        assert_eq!(
            sent.iter().map(|one| (one.0.as_str(), one.1.as_str())).collect::<Vec<_>>(),
            [("alertmanager/0", "/api/v2/alerts"); 2]
        );
        assert!(sent[0].2.contains("\"kind\":\"drift\"") && sent[1].2.contains("endsAt"), "{sent:?}");
        assert!(!world.gate.records.lock().iter().any(|line| line.contains("caller=")));
    });
}

#[test]
fn an_endpoint_that_cannot_answer_is_told_although_nobody_asks_it() {
    on_both_engines("observe", async |engine| {
        let world = World::new(engine).await;
        *world.obstacle.lock() = Some("a stored file is damaged".to_owned());
        for _ in 0..3 {
            world.round().await;
            world.later(1);
        }
        let alerts = world.alerts().await;
        assert_eq!(alerts.len(), 1, "{alerts:#?}");
        let alert = &alerts[0];
        assert_eq!((alert.kind.as_str(), alert.severity, alert.endpoint.as_deref()), ("unable", Severity::Critical, Some("e1")));
        assert_eq!(alert.headline, "`live`: it cannot answer: a stored file is damaged");
        let found = world.found(&alert.id).await;
        assert_eq!((found.remedies[0].command.as_str(), &found.remedies[0].act), ("strongroom endpoint show live", &Act::ByHand));
        *world.obstacle.lock() = None;
        for _ in 0..5 {
            world.later(1);
            world.round().await;
        }
        assert_eq!(world.alerts().await[0].state, AlertState::Resolved);
    });
}

/// Such as those with too many rows: they are counted, and are no version that answered before.
#[test]
fn what_was_refused_before_a_version_was_chosen_is_none_to_roll_back_to() {
    on_both_engines("observe", async |engine| {
        let world = World::new(engine).await;
        world.minute("", 1, 0.0, Verdict::Invalid);
        world.minute("m/1", 2_000, 0.0, Verdict::Answered);
        for _ in 0..10 {
            world.minute("m/1", 50, 0.0, Verdict::Answered);
        }
        world.minute("", 1, 0.0, Verdict::Invalid);
        world.round().await;
        for _ in 0..10 {
            world.minute("m/1", 50, 0.5, Verdict::Answered);
        }
        world.round().await;
        let alerts = world.alerts().await;
        let alert = alerts.iter().find(|alert| alert.kind == "drift").unwrap();
        let mut events = alert.detail.causes.iter().filter_map(|cause| cause.event.as_ref());
        assert!(!events.any(|event| event.kind == EventKind::Deploy), "{:#?}", alert.detail.causes);
        assert_eq!(alert.detail.origin, ["strongroom lineage show churn/1"]);
        let found = world.found(&alert.id).await;
        assert!(matches!(found.remedies[0].act, Act::Retrain { .. }), "{:?}", found.remedies[0].command);
    });
}

/// However many are newer.
#[test]
fn the_gravest_alerts_come_first_and_those_of_one_endpoint_are_found() {
    on_both_engines("observe", async |engine| {
        let world = World::new(engine).await;
        let workspace = {
            drifted(&world).await;
            world.alerts().await[0].workspace.clone()
        };
        let alert = |number: i64, severity: Severity, endpoint: &str| Alert {
            id: format!("x{number}"),
            workspace: workspace.clone(),
            endpoint: Some(endpoint.to_owned()),
            model: None,
            kind: "external".to_owned(),
            severity,
            state: AlertState::Open,
            headline: String::new(),
            began_at: Micros(number),
            opened_at: Micros(number),
            seen_at: Micros(number),
            crosses_at: None,
            certainty: None,
            detail: crate::types::Detail::default(),
            acknowledged: None,
            resolved: None,
        };
        let mut all = vec![alert(1, Severity::Critical, "grave"), alert(2, Severity::Warning, "grave")];
        all.extend((10..30).map(|number| alert(number, Severity::Info, "mild")));
        let raise = move |writer: &mut vault::db::Writer<'_>| {
            for alert in &all {
                crate::store::alerts::raise(
                    writer,
                    &crate::store::alerts::Raised { fingerprint: &alert.id, alert, remedies: &[] },
                )?;
            }
            Ok(())
        };
        world.opened.system.write(raise).await.unwrap();
        let gravest = |after, rows| SearchAlerts {
            state: Some(AlertState::Open),
            gravest_first: true,
            with_remedies: true,
            after,
            rows: Some(rows),
            ..SearchAlerts::all(world.room.clone())
        };
        let whole = world.call(gravest(None, 100)).await.unwrap();
        let place = |id: &str| whole.rows.iter().position(|row| row.id == id).unwrap();
        assert_eq!((whole.rows.len(), whole.next.is_none()), (23, true));
        assert!(place("x1") < 2 && place("x2") < 3, "only what is as grave and newer comes before");
        assert!(whole.rows.is_sorted_by(|one, next| (one.severity, one.opened_at) >= (next.severity, next.opened_at)));
        assert!(
            !whole.remedies.is_empty()
                && whole.remedies.iter().all(|one| one.alert == whole.rows.iter().find(|row| row.kind == "drift").unwrap().id)
        );
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = world.call(gravest(after, 5)).await.unwrap();
            paged.extend(page.rows);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(paged, whole.rows);
        let wrong = world.call(gravest(Some("5/x".to_owned()), 5)).await.unwrap_err();
        assert_eq!(wrong.kind(), Kind::Invalid, "the place of the other order");
        let of = SearchAlerts { endpoint: Some("grave".to_owned()), rows: Some(1), ..SearchAlerts::all(world.room.clone()) };
        let found = world.call(of).await.unwrap();
        assert_eq!((found.rows[0].id.as_str(), found.next.is_some()), ("x2", true));
    });
}

#[test]
fn a_caller_that_brings_the_drift_can_be_slowed_down() {
    on_both_engines("observe", async |engine| {
        let world = World::new(engine).await;
        world.minute("m/1", 2_000, 0.0, Verdict::Answered);
        for _ in 0..10 {
            world.minute("m/1", 50, 0.0, Verdict::Answered);
        }
        world.round().await;
        for _ in 0..10 {
            world.asked("newcomer", "m/1", 60, 0.9, Verdict::Answered);
            world.minute("m/1", 60, 0.0, Verdict::Answered);
        }
        world.round().await;
        let alerts = world.alerts().await;
        assert_eq!(alerts.len(), 1, "{alerts:#?}");
        let remedies = world.found(&alerts[0].id).await.remedies;
        let throttle = Act::Throttle { endpoint: "live".to_owned(), caller: "newcomer".to_owned() };
        let remedy = remedies.iter().find(|remedy| remedy.act == throttle);
        let remedy = remedy.unwrap_or_else(|| panic!("{remedies:#?} {:#?}", alerts[0].detail.causes));
        assert_eq!(remedy.command, "strongroom endpoint throttle live newcomer --level slower --minutes 60");
    });
}

#[test]
fn people_take_alerts_on_and_remedies_are_noted() {
    on_both_engines("observe", async |engine| {
        let world = World::new(engine).await;
        drifted(&world).await;
        let id = world.alerts().await[0].id.clone();
        let remedy = world.found(&id).await.remedies[0].id.clone();
        let taken = world.call(RunRemedy { room: world.room.clone(), id: remedy.clone() }).await.unwrap();
        assert!(matches!(taken.act, Act::RollBack { .. }));
        assert_eq!(world.found(&id).await.alert.state, AlertState::Acknowledged);
        let twice = world.call(AcknowledgeAlert { room: world.room.clone(), id: id.clone() }).await.unwrap_err();
        assert_eq!(twice.kind(), Kind::Conflict);
        let done = RemedyDone { room: world.room.clone(), id: remedy.clone(), result: "done".to_owned() };
        let busy = world.call(RunRemedy { room: world.room.clone(), id: remedy.clone() }).await.unwrap_err();
        assert_eq!((busy.kind(), busy.message().contains("now")), (Kind::Conflict, true), "{}", busy.message());
        assert_eq!(world.call(done).await.unwrap().run.unwrap().2, "done");
        let again = world.call(RunRemedy { room: world.room.clone(), id: remedy.clone() }).await.unwrap_err();
        assert_eq!((again.kind(), again.message().contains("run already: done")), (Kind::Conflict, true), "{}", again.message());
        assert_eq!(world.found(&id).await.remedies[0].run.as_ref().unwrap().2, "done", "the record of what was done stays");
        let closed = world.call(ResolveAlert { room: world.room.clone(), id: id.clone() }).await.unwrap();
        assert_eq!((closed.state, closed.resolved.is_some()), (AlertState::Resolved, true));
        let late = world.call(RunRemedy { room: world.room.clone(), id: remedy }).await.unwrap_err();
        assert_eq!(late.kind(), Kind::Conflict);
        let unknown = world.call(ResolveAlert { room: world.room.clone(), id: "nosuch".to_owned() }).await.unwrap_err();
        assert_eq!(unknown.kind(), Kind::NotFound);
        // Another model's reader sees nothing of it.
        world.gate.set_scope(Scope::Only { experiments: Vec::new(), models: vec!["another".to_owned()] });
        assert_eq!(world.alerts().await, []);
        let hidden = world.call(crate::ops::GetAlert { room: world.room.clone(), id }).await.unwrap_err();
        assert_eq!(hidden.kind(), Kind::NotFound);
    });
}

#[test]
fn a_remedy_that_failed_or_was_left_halfway_may_be_run_again() {
    on_both_engines("observe", async |engine| {
        let world = World::new(engine).await;
        drifted(&world).await;
        let id = world.alerts().await[0].id.clone();
        let remedy = world.found(&id).await.remedies[0].id.clone();
        let run = || RunRemedy { room: world.room.clone(), id: remedy.clone() };
        world.call(run()).await.unwrap();
        let result = format!("{}the version is refused", crate::FAILED);
        world.call(RemedyDone { room: world.room.clone(), id: remedy.clone(), result }).await.unwrap();
        world.call(run()).await.unwrap();
        assert_eq!(world.call(run()).await.unwrap_err().kind(), Kind::Conflict);
        // A server that stopped notes nothing.
        world.later(11);
        world.call(run()).await.unwrap();
    });
}

#[test]
fn news_that_cannot_be_delivered_is_tried_again_later() {
    on_both_engines("observe", async |engine| {
        let world = World::new(engine).await;
        *world.outside.status.lock() = 503;
        drifted(&world).await;
        assert_eq!(world.outside.sent.lock().len(), 1);
        world.round().await;
        assert_eq!(world.outside.sent.lock().len(), 1, "it waits first");
        *world.outside.status.lock() = 200;
        world.later(1);
        world.round().await;
        world.round().await;
        assert_eq!(world.outside.sent.lock().len(), 2);
        let mailed = world.outside.mailed.lock().clone();
        assert!(mailed.len() == 2 && mailed[0] == mailed[1], "the same news again, by the same id: {mailed:?}");
        assert_eq!((mailed[0].0.as_str(), mailed[0].2.starts_with("firing ")), ("mail/0", true));
    });
}

#[test]
fn labels_find_their_predictions_once() {
    on_both_engines("observe", async |engine| {
        let world = World::new(engine).await;
        let prediction = format!("p-{}", kernel::Clock::now(&world.gate.clock).0);
        world.minute("m/1", 3, 0.0, Verdict::Answered);
        let label = |row| Label { prediction: prediction.clone(), row, truth: "yes".to_owned() };
        let add = |labels| AddLabels { room: world.room.clone(), endpoint: "live".to_owned(), labels };
        let labelled = world.call(add(vec![label(0), label(2), label(3)])).await.unwrap();
        assert_eq!((labelled.stored_count, labelled.unknown_count), (2, 1));
        let again = world.call(add(vec![label(0), label(3)])).await.unwrap();
        assert_eq!((again.stored_count, again.repeated_count, again.unknown_count), (0, 1, 1));
        let corrected = Label { truth: "no".to_owned(), ..label(0) };
        assert_eq!(world.call(add(vec![corrected])).await.unwrap().stored_count, 1);
        let empty = Label { truth: String::new(), ..label(0) };
        assert_eq!(world.call(add(vec![empty])).await.unwrap_err().kind(), Kind::Invalid);
        let elsewhere = AddLabels { room: world.room.clone(), endpoint: "gone".to_owned(), labels: vec![label(1)] };
        assert_eq!(world.call(elsewhere).await.unwrap_err().kind(), Kind::NotFound);
    });
}

#[test]
fn an_alertmanagers_alerts_come_and_go() {
    on_both_engines("observe", async |engine| {
        let world = World::new(engine).await;
        let told = |news| Told {
            news,
            fingerprint: "f".to_owned(),
            name: "HighLoad".to_owned(),
            severity: Some("page".to_owned()),
            summary: "load\nis high".to_owned(),
            began_at: Micros(5),
        };
        let receive = |news| ReceiveAlerts { room: world.room.clone(), told: vec![told(news)] };
        assert_eq!(world.call(receive(News::Firing)).await.unwrap().opened_count, 1);
        assert_eq!(world.call(receive(News::Firing)).await.unwrap().opened_count, 0);
        let alert = world.alerts().await.remove(0);
        assert_eq!((alert.headline.as_str(), alert.severity.word()), ("HighLoad: load is high", "critical"));
        // What came from elsewhere is closed from there.
        world.later(100);
        world.round().await;
        assert_eq!(world.alerts().await[0].state, AlertState::Open);
        assert_eq!(world.call(receive(News::Resolved)).await.unwrap().resolved_count, 1);
        assert_eq!(world.call(receive(News::Resolved)).await.unwrap().resolved_count, 0);
        // Nothing that came from an Alertmanager goes back to one.
        assert!(world.outside.sent.lock().is_empty());
    });
}

#[test]
fn health_has_reasons_and_metrics_follow() {
    on_both_engines("observe", async |engine| {
        let world = World::new(engine).await;
        let health = async || {
            let all = world.call(ShowHealth { room: world.room.clone() }).await.unwrap();
            let endpoint = all.into_iter().find(|one| one.kind == "endpoint").unwrap();
            (endpoint.state, endpoint.reasons.join("; "))
        };
        assert_eq!(health().await, (HealthState::Unknown, "nobody asked it within 60 minutes".to_owned()));
        world.minute("m/1", 5, 0.0, Verdict::Answered);
        assert_eq!(health().await.0, HealthState::Healthy);
        for _ in 0..3 {
            world.minute("m/1", 5, 0.0, Verdict::Failed);
        }
        let (state, why) = health().await;
        assert!(state == HealthState::Failing && why.starts_with("3 of 4 requests failed"), "{why}");
        let text = world.call(ShowMetrics { room: world.room.clone(), own: vec![("up", 1.0)] }).await.unwrap();
        for line in ["strongroom_endpoint_health{endpoint=\"live\",workspace=\"ws-test\",state=\"failing\"} 1", "up 1"] {
            assert!(text.lines().any(|own| own == line), "{line}\n{text}");
        }
        assert!(text.contains("version=\"1\",result=\"failed\"} 3") && !text.contains("caller"), "{text}");
    });
}
