//! Every rule that makes alerts: an attack that it finds, and something near that it does not.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::world::{CANARY, DAY, HOUR, Log, MINUTE, Who, engine, findings, names, person};

type Scene = fn(&mut Log);

fn none() -> Value {
    json!({})
}

/// `count` acts, one each `every` seconds, each on another thing.
fn many(log: &mut Log, who: Who<'_>, (count, every): (i64, i64), action: &str, details: &Value) {
    (0..count).for_each(|at| log.done(who, at * every, action, &format!("thing-{at}"), details.clone()));
}

fn guesses(log: &mut Log, from: &str, count: i64, every: i64) {
    (0..count).for_each(|at| log.guess(from, at * every));
}

fn wrong_passwords(log: &mut Log, from: &str, (count, every): (i64, i64), of: fn(i64) -> String) {
    (0..count).for_each(|at| log.wrong_password(from, at * every, &of(at)));
}

/// A person who came from the same two places for weeks.
fn settled(log: &mut Log, id: &'static str, days: i64) {
    for day in 0..days {
        let from = if day % 3 == 0 { "office" } else { "home" };
        log.done(Who { from, ..person(id) }, day * DAY + 9 * HOUR, "runs.get", "r", none());
    }
}

/// Habits: everybody fetches a few dozen things in some hours of the days before.
fn habits(log: &mut Log, people: &[&'static str], days: i64, things: i64) {
    for day in 0..days {
        for who in people {
            for hour in [9, 11, 14] {
                for thing in 0..things {
                    let details = json!({ "path_hash": format!("{day}/{hour}/{thing}") });
                    log.done(person(who), day * DAY + hour * HOUR + thing, "artifacts.read", "run", details);
                }
            }
        }
    }
}

fn downloads(log: &mut Log, who: Who<'_>, at: i64, count: i64) {
    (0..count).for_each(|one| log.done(who, at + one, "artifacts.read", "run", json!({ "path_hash": format!("loot-{one}") })));
}

const GROUP: [&str; 8] = ["p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8"];

/// Turns between two addresses, every `every` seconds.
fn turns(log: &mut Log, at: i64, places: (&str, &str), count: i64, every: i64) {
    for turn in 0..count {
        let from = if turn % 2 == 0 { places.0 } else { places.1 };
        log.done(Who { from, ..person("alice") }, at + turn * every, "runs.get", "r", none());
    }
}

fn log_in() -> Vec<(&'static str, Scene, Scene)> {
    vec![
        ("guessing_from_one_address", |log| guesses(log, "x", 20, 25), |log| guesses(log, "x", 40, 40)),
        (
            "guessing_from_many_addresses",
            |log| (0..40).for_each(|at| log.guess(&format!("bot-{at}"), at * 10)),
            |log| (0..400).for_each(|at| log.guess(&format!("bot-{}", at % 30), at)),
        ),
        (
            "guess_came_through",
            |log| {
                wrong_passwords(log, "x", (25, 20), |_| "victim".to_owned());
                log.done(Who { from: "x", ..person("victim") }, 15 * MINUTE, "sessions.create", "s_1", none());
            },
            // The owner logs in from elsewhere meanwhile; whoever guesses comes back an hour later only; somebody else behind the same
            // address logs in; and so does one behind whose address a program keeps sending a token that has ended.
            |log| {
                wrong_passwords(log, "x", (25, 20), |_| "victim".to_owned());
                log.done(person("victim"), 15 * MINUTE, "sessions.create", "s_1", none());
                log.done(Who { from: "x", ..person("colleague") }, 16 * MINUTE, "sessions.create", "s_3", none());
                log.done(Who { from: "x", ..person("victim") }, 90 * MINUTE, "sessions.create", "s_2", none());
                guesses(log, "office", 60, 10);
                log.done(Who { from: "office", ..person("ada") }, 11 * MINUTE, "sessions.create", "s_4", none());
            },
        ),
        (
            "spray_came_through",
            |log| {
                wrong_passwords(log, "x", (20, 20), |at| format!("u_{at}"));
                log.done(Who { from: "x", ..person("u_7") }, 15 * MINUTE, "sessions.create", "s_1", none());
            },
            // An office in which some mistype in the morning.
            |log| {
                wrong_passwords(log, "x", (60, 10), |at| format!("u_{}", at % 12));
                log.done(Who { from: "x", ..person("u_7") }, 15 * MINUTE, "sessions.create", "s_1", none());
            },
        ),
        (
            "prompt_fatigue",
            |log| (0..3).for_each(|at| log.refused(person("alice"), at * 3 * MINUTE, "grants.create", "step_up")),
            |log| (0..6).for_each(|at| log.refused(person("alice"), at * 6 * MINUTE, "grants.create", "step_up")),
        ),
        (
            "owner_locked_out",
            |log| (0..5).for_each(|at| log.refused(person("alice"), at * 5 * MINUTE, "runs.search", "too_many")),
            |log| (0..4).for_each(|at| log.refused(person("alice"), at * 5 * MINUTE, "runs.search", "too_many")),
        ),
        (
            "dormant_account",
            |log| [0, 70 * DAY].iter().for_each(|at| log.done(person("old"), *at, "runs.get", "r", none())),
            |log| [0, 45 * DAY].iter().for_each(|at| log.done(person("old"), *at, "runs.get", "r", none())),
        ),
        (
            "token_new_network",
            |log| {
                settled(log, "alice", 30);
                let thief = Who { from: "elsewhere", ..person("alice") };
                log.done(thief, 30 * DAY + 3 * HOUR, "runs.get", "r", none());
                log.done(thief, 30 * DAY + 3 * HOUR + 60, "tokens.create", "t_2", none());
            },
            // Home again is no new place; from a hotel work goes on; and a token that is only a week old has not settled.
            |log| {
                settled(log, "alice", 30);
                log.done(Who { from: "home", ..person("alice") }, 30 * DAY + 3 * HOUR, "datasets.export", "r", none());
                log.done(Who { from: "hotel", ..person("alice") }, 31 * DAY, "runs.get", "r", none());
                log.done(Who { from: "hotel", ..person("alice") }, 31 * DAY + 2 * HOUR, "datasets.export", "r", none());
                let young = Who { token: "t_young", ..person("alice") };
                (0..7).for_each(|day| log.done(young, day * DAY, "runs.get", "r", none()));
                log.done(Who { from: "elsewhere", ..young }, 8 * DAY, "datasets.export", "r", none());
            },
        ),
        (
            "token_two_places",
            |log| {
                settled(log, "alice", 10);
                turns(log, 10 * DAY, ("home", "thief"), 8, 30);
            },
            // To and fro between home and office is a day's way; and one change of place is a walk.
            |log| {
                settled(log, "alice", 10);
                turns(log, 10 * DAY, ("home", "office"), 20, 30);
                turns(log, 11 * DAY, ("home", "phone"), 2, 30);
                turns(log, 12 * DAY, ("home", "hotel"), 8, 10 * MINUTE);
            },
        ),
        (
            "token_impossible_travel",
            |log| {
                settled(log, "alice", 10);
                log.done(Who { from: "sydney", ..person("alice") }, 9 * DAY + 9 * HOUR + 20 * MINUTE, "runs.get", "r", none());
            },
            // The same country; an address that nobody knows; a flight of two days; and a machine there that alice uses on other days too.
            |log| {
                settled(log, "alice", 10);
                for (at, from) in [
                    (9 * DAY + 9 * HOUR + 10 * MINUTE, "home"),
                    (9 * DAY + 9 * HOUR + 20 * MINUTE, "elsewhere"),
                    (11 * DAY + 9 * HOUR, "sydney"),
                    (14 * DAY, "home"),
                    (14 * DAY + 20 * MINUTE, "sydney"),
                ] {
                    log.done(Who { from, ..person("alice") }, at, "runs.get", "r", none());
                }
            },
        ),
    ]
}

fn accounts() -> Vec<(&'static str, Scene, Scene)> {
    vec![
        (
            "code_shown_twice",
            |log| log.done(person("alice"), 0, "tokens.exchange", "tok_1", json!({ "revoked": 1 })),
            |log| log.done(person("alice"), 0, "tokens.exchange", "tok_1", json!({ "principal": "u_1" })),
        ),
        (
            "account_enabled",
            |log| log.done(person("root"), 0, "users.enable", "u_2", none()),
            |log| {
                log.failed(person("root"), 0, "users.enable", "not_found");
                log.done(person("root"), 9, "users.disable", "u_2", none());
            },
        ),
        (
            "mass_bar",
            |log| many(log, person("root"), (5, 60), "users.disable", &none()),
            |log| (0..9).for_each(|at| log.done(person("root"), at * 60, "users.disable", "the-same", none())),
        ),
        (
            "mass_revocation",
            |log| many(log, person("root"), (20, 60), "tokens.revoke_any", &none()),
            |log| many(log, person("root"), (40, 120), "tokens.revoke_any", &none()),
        ),
        (
            "token_hoard",
            |log| many(log, person("alice"), (30, 60), "tokens.create", &none()),
            // The job that trains mints tokens by itself.
            |log| {
                many(log, Who { kind: "job", ..person("retrainer") }, (60, 30), "tokens.create_for", &none());
                many(log, person("alice"), (29, 60), "tokens.create", &none());
            },
        ),
        (
            "mass_password_reset",
            |log| many(log, person("root"), (5, 300), "users.set_password", &none()),
            |log| many(log, person("root"), (8, 1_200), "users.set_password", &none()),
        ),
    ]
}

fn grant(log: &mut Log, who: Who<'_>, at: i64, (to, role, on): (&str, &str, &str)) {
    log.done(who, at, "grants.create", "g_9", json!({ "principal": to, "role": role, "on": on, "on_id": on }));
}

fn decided(log: &mut Log, decided: &str, role: &str) {
    let details = json!({ "principal": "bob", "role": role, "decided": decided });
    log.done(person("root"), 0, "elevations.decide", "es_1", details);
}

fn power() -> Vec<(&'static str, Scene, Scene)> {
    vec![
        (
            "grant_to_self",
            |log| grant(log, person("alice"), 0, ("alice", "viewer", "workspace")),
            |log| {
                grant(log, person("alice"), 0, ("bob", "viewer", "workspace"));
                log.refused(person("alice"), 9, "grants.create", "forbidden");
            },
        ),
        (
            "new_administrator",
            |log| grant(log, person("root"), 0, ("bob", "administrator", "server")),
            |log| {
                grant(log, person("root"), 0, ("bob", "administrator", "workspace"));
                // `init` makes the first one.
                grant(log, Who { kind: "job", ..person("bootstrap") }, 9, ("first", "administrator", "server"));
            },
        ),
        (
            "broad_grant",
            |log| grant(log, person("root"), 0, ("bob", "owner", "server")),
            |log| {
                grant(log, person("root"), 0, ("bob", "owner", "workspace"));
                grant(log, person("root"), 9, ("bob", "auditor", "server"));
            },
        ),
        (
            "power_then_sensitive_read",
            |log| {
                grant(log, person("root"), 0, ("bob", "contributor", "workspace"));
                log.done(person("bob"), 40 * MINUTE, "datasets.export", "d", none());
            },
            // Somebody else reads; bob reads when the hour is over; and reading comes before the grant.
            |log| {
                grant(log, person("root"), 2 * HOUR, ("bob", "contributor", "workspace"));
                log.done(person("carol"), 2 * HOUR + 9, "datasets.export", "d", none());
                log.done(person("bob"), 4 * HOUR, "datasets.export", "d", none());
                log.done(person("bob"), HOUR, "datasets.export", "d", none());
            },
        ),
        (
            "group_then_sensitive_read",
            |log| {
                log.done(person("root"), 0, "groups.add_member", "team", json!({ "member": "bob" }));
                log.done(person("bob"), 20 * MINUTE, "predictions.read", "e", none());
            },
            |log| {
                log.done(person("root"), 0, "groups.add_member", "team", json!({ "member": "bob" }));
                log.done(person("bob"), 20 * MINUTE, "runs.get", "e", none());
            },
        ),
        (
            "made_and_made_powerful",
            |log| {
                log.done(person("root"), 0, "users.create", "u_new", none());
                grant(log, person("root"), 10 * MINUTE, ("u_new", "administrator", "server"));
            },
            |log| {
                log.done(person("root"), 0, "users.create", "u_new", none());
                grant(log, person("other"), 10 * MINUTE, ("u_new", "administrator", "server"));
            },
        ),
        (
            "elevated_administrator",
            |log| decided(log, "given", "administrator"),
            |log| {
                decided(log, "refused", "administrator");
                decided(log, "given", "contributor");
            },
        ),
        (
            "administrator_by_group",
            |log| {
                log.done(person("root"), 0, "groups.add_member", "g", json!({ "member": "bob", "changed": 1, "administers": 1 }))
            },
            |log| {
                log.done(person("root"), 0, "groups.add_member", "g", json!({ "member": "bob", "changed": 1, "administers": 0 }));
                log.done(person("root"), 9, "groups.add_member", "g", json!({ "member": "bob", "changed": 0, "administers": 1 }));
            },
        ),
        (
            "made_and_put_in_power",
            |log| {
                log.done(person("root"), 0, "users.create", "u_new", none());
                let details = json!({ "member": "u_new", "changed": 1, "administers": 1 });
                log.done(person("root"), 10 * MINUTE, "groups.add_member", "g", details);
            },
            |log| {
                log.done(person("root"), 0, "users.create", "u_new", none());
                let details = json!({ "member": "u_new", "changed": 1, "administers": 0 });
                log.done(person("root"), 10 * MINUTE, "groups.add_member", "g", details);
            },
        ),
        (
            "factors_taken_away",
            |log| log.done(person("root"), 0, "users.reset_factors", "u_2", none()),
            |log| log.refused(person("alice"), 0, "users.reset_factors", "forbidden"),
        ),
        (
            "account_linked",
            |log| log.done(person("root"), 0, "users.link", "u_2", none()),
            |log| log.failed(person("root"), 0, "users.link", "invalid"),
        ),
        (
            "factors_exchanged",
            |log| {
                log.done(person("alice"), 0, "factors.add_passkey", "key_2", none());
                log.done(person("alice"), 5 * MINUTE, "factors.remove", "totp", none());
            },
            |log| {
                log.done(person("alice"), 0, "factors.add_passkey", "key_2", none());
                log.done(person("bob"), 5 * MINUTE, "factors.remove", "totp", none());
                log.done(person("alice"), 2 * HOUR, "factors.remove", "totp", none());
            },
        ),
        (
            "many_agreed",
            |log| many(log, person("alice"), (6, 300), "tokens.agree", &none()),
            |log| many(log, person("alice"), (12, 900), "tokens.agree", &none()),
        ),
        (
            "rights_mapped",
            |log| many(log, person("alice"), (60, 5), "access.check", &none()),
            |log| many(log, person("alice"), (90, 20), "access.check", &none()),
        ),
        (
            "reconnaissance",
            |log| {
                ["users.list", "grants.list", "groups.list"]
                    .iter()
                    .for_each(|verb| log.refused(person("alice"), 60, verb, "forbidden"))
            },
            |log| (0..9).for_each(|at| log.refused(person("alice"), at * 60, "users.list", "forbidden")),
        ),
        (
            "enumeration",
            |log| (0..45).for_each(|at| log.refused(person("alice"), at * 10, "models.get", "not_found")),
            // A client that looks whether a name is free does something for each that is not.
            |log| {
                for at in 0..60 {
                    log.failed(person("alice"), at * 10, "experiments.get", "not_found");
                    log.done(person("alice"), at * 10 + 1, "experiments.create", "x", none());
                }
            },
        ),
    ]
}

fn data() -> Vec<(&'static str, Scene, Scene)> {
    vec![
        (
            "mass_download",
            |log| {
                habits(log, &GROUP, 8, 30);
                downloads(log, person("p1"), 8 * DAY + 2 * HOUR, 1_500);
            },
            // The same one file a thousand times; and an account whose habit it is.
            |log| {
                habits(log, &GROUP, 8, 30);
                (0..1_500)
                    .for_each(|at| log.done(person("p1"), 8 * DAY + at, "artifacts.read", "run", json!({ "path_hash": "one" })));
                let service = Who { id: "pipeline", kind: "service", ..person("pipeline") };
                (0..8).for_each(|day| downloads(log, service, day * DAY + 2 * HOUR, 1_000));
                downloads(log, service, 8 * DAY + 2 * HOUR, 1_500);
            },
        ),
        (
            "canary_touched",
            |log| log.done(person("alice"), 0, "runs.get", CANARY, none()),
            |log| log.done(person("alice"), 0, "runs.get", "run-everybody-needs", none()),
        ),
        (
            "waived_and_trained",
            |log| {
                log.done(person("alice"), 0, "datasets.waive", "d", none());
                log.done(person("alice"), 30 * MINUTE, "retraining.submit", "m", none());
            },
            |log| {
                log.done(person("alice"), 0, "datasets.waive", "d", none());
                log.done(person("bob"), 30 * MINUTE, "retraining.submit", "m", none());
                log.done(person("alice"), 2 * HOUR, "retraining.submit", "m", none());
            },
        ),
        (
            "training_flood",
            |log| many(log, person("alice"), (30, 60), "retraining.submit", &none()),
            |log| many(log, person("alice"), (40, 200), "retraining.submit", &none()),
        ),
        (
            "source_trust_changed",
            |log| log.done(person("alice"), 0, "sources.add", "s", none()),
            |log| log.done(person("alice"), 0, "sources.list", "s", none()),
        ),
        (
            "mass_deletion",
            |log| many(log, person("alice"), (25, 20), "versions.delete", &none()),
            |log| many(log, person("alice"), (60, 40), "versions.delete", &none()),
        ),
        (
            "evidence_erased",
            |log| many(log, person("alice"), (10, 300), "predictions.erase", &none()),
            |log| many(log, person("alice"), (20, 600), "predictions.erase", &none()),
        ),
        (
            "path_probing",
            |log| (0..10).for_each(|at| log.failed(person("alice"), at * 20, "artifacts.read", "invalid")),
            |log| (0..30).for_each(|at| log.failed(person("alice"), at * 20, "artifacts.read", "not_found")),
        ),
        (
            "scanner",
            |log| {
                (0..50).for_each(|at| {
                    log.refused(Who { kind: "anonymous", token: "", ..person("anonymous") }, at, "server.unrouted", "not_found")
                })
            },
            |log| (0..45).for_each(|at| log.refused(person("alice"), at, "server.unrouted", "not_found")),
        ),
    ]
}

fn models() -> Vec<(&'static str, Scene, Scene)> {
    vec![
        (
            "gate_changed",
            |log| log.done(person("alice"), 0, "gates.set", "m", none()),
            |log| log.done(person("alice"), 0, "gates.get", "m", none()),
        ),
        (
            "waived_and_served",
            |log| {
                log.done(person("alice"), 0, "admissions.waive", "m/3", none());
                log.done(person("alice"), 10 * MINUTE, "models.alias", "m", none());
            },
            |log| {
                log.done(person("alice"), 0, "admissions.waive", "m/3", none());
                log.done(person("bob"), 10 * MINUTE, "models.alias", "m", none());
            },
        ),
        (
            "gate_lowered_and_served",
            |log| {
                log.done(person("alice"), 0, "gates.set", "m", none());
                log.done(person("alice"), 10 * MINUTE, "endpoints.update", "e", none());
            },
            |log| {
                log.done(person("alice"), 0, "models.alias", "m", none());
                log.done(person("alice"), 10 * MINUTE, "gates.set", "m", none());
            },
        ),
        (
            "guard_weakened",
            |log| log.done(person("alice"), 0, "endpoints.guard", "e", json!({ "ladder": 0, "ranges": "refuse" })),
            |log| log.done(person("alice"), 0, "endpoints.guard", "e", json!({ "ladder": 1, "ranges": "refuse" })),
        ),
        (
            "signers_changed",
            |log| log.done(person("alice"), 0, "signers.set", "w", none()),
            |log| log.refused(person("alice"), 0, "signers.set", "forbidden"),
        ),
        (
            "model_extraction",
            |log| (0..50).for_each(|at| log.failed(person("alice"), at * 30, "endpoints.predict", "too_many")),
            |log| {
                (0..20).for_each(|at| log.failed(person("alice"), at * 30, "endpoints.predict", "too_many"));
                many(log, person("alice"), (900, 1), "endpoints.predict", &none());
            },
        ),
    ]
}

fn safeguards() -> Vec<(&'static str, Scene, Scene)> {
    vec![
        (
            "retention_bypassed",
            |log| log.done(person("alice"), 0, "retention.bypass", "k", none()),
            |log| log.refused(person("alice"), 0, "retention.bypass", "forbidden"),
        ),
        (
            "hold_lifted",
            |log| log.done(person("alice"), 0, "retention.hold", "k", json!({ "legal_hold": 0 })),
            |log| log.done(person("alice"), 0, "retention.hold", "k", json!({ "legal_hold": 1 })),
        ),
        (
            "bucket_lock_changed",
            |log| log.done(person("alice"), 0, "buckets.lock", "b", json!({ "mode": "GOVERNANCE" })),
            |log| log.done(person("alice"), 0, "buckets.retention", "b", none()),
        ),
        (
            "prediction_log_off",
            |log| log.done(person("alice"), 0, "predictions.set_policy", "e", json!({ "log": "off" })),
            |log| log.done(person("alice"), 0, "predictions.set_policy", "e", json!({ "log": "hashes" })),
        ),
        (
            "key_destruction",
            |log| log.done(person("alice"), 0, "keys.request_destroy", "k", none()),
            |log| log.done(person("alice"), 0, "keys.rotate", "k", none()),
        ),
        (
            "restore_asked",
            |log| log.done(person("alice"), 0, "backups.request_restore", "b", none()),
            |log| log.done(person("alice"), 0, "backups.drill", "b", none()),
        ),
        (
            "keys_in_escrow",
            |log| log.done(person("alice"), 0, "backups.escrow", "b", none()),
            |log| log.done(person("alice"), 0, "backups.list", "b", none()),
        ),
        ("log_tampered", |log| log.notice(0, "audit.forged"), |log| log.notice(0, "audit.recovered")),
        ("server_restored", |log| log.notice(0, "backup.restored"), |log| log.notice(0, "backup.made")),
        (
            "log_carried_off",
            |log| many(log, person("alice"), (200, 10), "audit.export", &none()),
            |log| many(log, person("alice"), (200, 30), "audit.export", &none()),
        ),
    ]
}

fn scenes() -> Vec<(&'static str, Scene, Scene)> {
    [log_in(), accounts(), power(), data(), models(), safeguards()].into_iter().flatten().collect()
}

#[test]
fn each_rule_finds_its_attack_and_not_the_near_miss() {
    let mut faults = Vec::new();
    for (rule, attack, near_miss) in scenes() {
        for (scene, wanted) in [(attack, true), (near_miss, false)] {
            let (mut log, mut engine) = (Log::default(), engine());
            scene(&mut log);
            let found = findings(&mut engine, log);
            if names(&engine, &found).contains(rule) != wanted {
                faults.push(format!("{rule}: {}", if wanted { "missed its attack" } else { "fired on the near miss" }));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_rule_that_makes_alerts_has_its_scene_and_there_are_at_least_25() {
    let engine = engine();
    let alerting: BTreeSet<&str> =
        engine.rules().rules().iter().filter(|rule| rule.alerts()).map(|rule| rule.name.as_str()).collect();
    let played: BTreeMap<&str, ()> = scenes().iter().map(|(rule, _, _)| (*rule, ())).collect();
    assert_eq!(alerting, played.keys().copied().collect::<BTreeSet<_>>());
    assert!(alerting.len() >= 25, "{}", alerting.len());
}

#[test]
fn a_command_line_that_waits_for_its_person_guesses_nothing() {
    let (mut log, mut engine) = (Log::default(), engine());
    for round in 0..300 {
        log.awaited("home", 2 * round);
    }
    let found = findings(&mut engine, log);
    assert_eq!(names(&engine, &found), BTreeSet::new());
}

#[test]
fn what_was_found_names_its_records_and_is_not_told_of_at_once_again() {
    let (mut log, mut engine) = (Log::default(), engine());
    guesses(&mut log, "x", 100, 5);
    let found = findings(&mut engine, log);
    assert_eq!(found.len(), 1, "{found:?}");
    let only = found.first().unwrap();
    assert_eq!(only.evidence, (0..20).collect::<Vec<u64>>());
    assert_eq!((only.index, only.subject.as_str(), &only.caller), (19, "x", &None));
}
