//! The same attacks by other verbs than those of `attacks`, and what looks like them.

use serde_json::json;

use crate::world::{DAY, HOUR, Log, MINUTE, Who, engine, findings, names, person};

fn check(rule: &str, is_found: bool, scene: impl FnOnce(&mut Log)) {
    let (mut log, mut engine) = (Log::default(), engine());
    scene(&mut log);
    let found = findings(&mut engine, log);
    assert_eq!(names(&engine, &found).contains(rule), is_found, "{rule}");
}

#[test]
fn data_is_carried_out_by_a_query_as_well() {
    for (details, is_found) in [(json!({ "query_sha256": "00" }), true), (json!({ "path_hash": "00" }), false)] {
        check("power_then_sensitive_read", is_found, |log| {
            let role = json!({ "principal": "bob", "role": "contributor", "on": "workspace", "on_id": "w" });
            log.done(person("root"), 0, "grants.create", "g_9", role);
            log.done(person("bob"), 40 * MINUTE, "datasets.read", "d", details.clone());
        });
        check("token_new_network", is_found, |log| {
            for day in 0..30 {
                log.done(person("alice"), day * DAY + 9 * HOUR, "runs.get", "r", json!({}));
            }
            let thief = Who { from: "elsewhere", ..person("alice") };
            log.done(thief, 30 * DAY, "runs.get", "r", json!({}));
            log.done(thief, 30 * DAY + 60, "datasets.read", "d", details.clone());
        });
    }
}

#[test]
fn accounts_are_deleted_and_pipelines_barred() {
    let acts = ["users.disable", "users.delete", "services.disable", "services.delete", "services.disable"];
    for (count, is_found) in [(5, true), (4, false)] {
        check("mass_bar", is_found, |log| {
            for (at, action) in (0..).zip(acts.iter().take(count)) {
                log.done(person("root"), at * MINUTE, action, &format!("account-{at}"), json!({}));
            }
        });
    }
}

#[test]
fn what_was_waved_through_goes_to_work_by_a_new_endpoint_a_rollout_or_a_stage() {
    for action in ["endpoints.create", "endpoints.rollout", "versions.stage"] {
        for (who, is_found) in [("alice", true), ("bob", false)] {
            check("waived_and_served", is_found, |log| {
                log.done(person("alice"), 0, "admissions.waive", "m/3", json!({}));
                log.done(person(who), 10 * MINUTE, action, "e", json!({}));
            });
        }
    }
}
