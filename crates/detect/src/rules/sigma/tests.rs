//! What the parts of Sigma mean here.

use super::*;
use serde_json::json;

fn rule(detection: &Value) -> Result<SigmaRule, String> {
    let rule = json!({ "detection": detection });
    SigmaRule::read(rule.as_object().unwrap())
}

fn check(detection: Value, event: Value, wanted: bool) {
    assert_eq!(rule(&detection).unwrap().matches(&event), wanted, "{detection} on {event}");
}

#[test]
fn selections_mean_what_sigma_says() {
    let one = |fields: Value| json!({ "s": fields, "condition": "s" });
    for (fields, event, wanted) in [
        (json!({ "a": "x" }), json!({ "a": "X" }), true),
        (json!({ "a|cased": "x" }), json!({ "a": "X" }), false),
        (json!({ "a": "x*z" }), json!({ "a": "xyyz" }), true),
        (json!({ "a": "x?z" }), json!({ "a": "xyyz" }), false),
        (json!({ "a": "x\\*z" }), json!({ "a": "xyz" }), false),
        (json!({ "a": "x\\*z" }), json!({ "a": "x*z" }), true),
        (json!({ "a": "*a*a*a*b" }), json!({ "a": "a".repeat(2_000) }), false),
        (json!({ "a": [1, 2] }), json!({ "a": 2 }), true),
        (json!({ "a": "2" }), json!({ "a": 2 }), true),
        (json!({ "a": true }), json!({ "a": true }), true),
        (json!({ "a": null }), json!({ "b": 1 }), true),
        (json!({ "a": null }), json!({ "a": 1 }), false),
        (json!({ "a|exists": true }), json!({ "a": 1 }), true),
        (json!({ "a|exists": false }), json!({ "a": 1 }), false),
        (json!({ "a.b.c": "x" }), json!({ "a": { "b": { "c": "x" } } }), true),
        (json!({ "a": "x" }), json!({ "a": ["y", "x"] }), true),
        (json!({ "a|contains": ["x", "y"] }), json!({ "a": "--y--" }), true),
        (json!({ "a|contains|all": ["x", "y"] }), json!({ "a": "--y--" }), false),
        (json!({ "a|startswith": "ab" }), json!({ "a": "abc" }), true),
        (json!({ "a|endswith": "ab" }), json!({ "a": "abc" }), false),
        (json!({ "a|re": "^x+$" }), json!({ "a": "xxx" }), true),
        (json!({ "a|gte": 3 }), json!({ "a": 3 }), true),
        (json!({ "a|gt": 3 }), json!({ "a": 3 }), false),
        (json!({ "a|lt": 3 }), json!({ "a": 2.5 }), true),
        (json!({ "a|fieldref": "b" }), json!({ "a": "q", "b": "q" }), true),
        (json!({ "a|fieldref|neq": "b" }), json!({ "a": "q", "b": "q" }), false),
        (json!({ "a|neq|fieldref": "b" }), json!({ "a": "q", "b": "r" }), true),
        (json!({ "a|neq": "x" }), json!({ "a": "X" }), false),
        (json!({ "a|neq|cased": "x" }), json!({ "a": "X" }), true),
        (json!({ "a|neq": ["x", "y"] }), json!({ "a": "y" }), false),
        (json!({ "a|neq": ["x", "y"] }), json!({ "a": "z" }), true),
        (json!({ "a|neq": ["x", "y"] }), json!({ "a": ["z", "y"] }), false),
        (json!({ "a|neq": "x" }), json!({ "b": 1 }), true),
        (json!({ "a|neq": null }), json!({ "a": 1 }), true),
        (json!({ "a|neq": null }), json!({ "b": 1 }), false),
        (json!({ "a|neq": 2 }), json!({ "a": 2 }), false),
        (json!({ "a|startswith|neq": "ab" }), json!({ "a": "abc" }), false),
        (json!({ "a|gte": 3, "a|lt": 5 }), json!({ "a": 4 }), true),
        (json!({ "a|gte": 3, "a|lt": 5 }), json!({ "a": 5 }), false),
        (json!({ "a|re|i": "^x+$" }), json!({ "a": "XxX" }), true),
        (json!({ "a|re|m": "^b$" }), json!({ "a": "a\nb" }), true),
        (json!({ "a|re": "a.b" }), json!({ "a": "a\nb" }), false),
        (json!({ "a|re|s": "a.b" }), json!({ "a": "a\nb" }), true),
        (json!({ "a|cidr": "192.0.2.0/24" }), json!({ "a": "192.0.2.200" }), true),
        (json!({ "a|cidr": "192.0.2.0/24" }), json!({ "a": "192.0.3.1" }), false),
        (json!({ "a|cidr": "192.0.2.0/24" }), json!({ "a": "::ffff:192.0.2.1" }), true),
        (json!({ "a|cidr": ["10.0.0.0/8", "2001:db8::/32"] }), json!({ "a": "2001:db8:7::1" }), true),
        (json!({ "a|cidr": "2001:db8::/32" }), json!({ "a": "2001:db9::1" }), false),
        (json!({ "a|cidr": "0.0.0.0/0" }), json!({ "a": "no address" }), false),
        (json!({ "a|cidr|neq": "10.0.0.0/8" }), json!({ "a": "192.0.2.1" }), true),
        (json!({ "a|fieldref": "b" }), json!({ "a": "q", "b": "r" }), false),
        (json!({ "a": "x", "b": "y" }), json!({ "a": "x" }), false),
        (json!([{ "a": "x" }, { "b": "y" }]), json!({ "b": "y" }), true),
        (json!(["needle"]), json!({ "a": { "b": ["a needle here"] } }), true),
    ] {
        check(one(fields), event, wanted);
    }
}

#[test]
fn a_record_that_cannot_match_is_known_by_its_kind_and_status() {
    let rule = |selection: Value, condition: &str| {
        rule(&json!({ "selection": selection, "other": { "a": 1 }, "condition": condition })).unwrap()
    };
    let failed = json!({ "status": ["failure", "unknown"], "metadata.event_code": "outcome" });
    for (condition, kind, status, wanted) in [
        ("selection", "outcome", "Failure", true),
        ("selection", "outcome", "Success", false),
        ("selection", "intent", "Unknown", false),
        ("selection and not other", "outcome", "Success", false),
        ("selection or other", "outcome", "Success", true),
        ("not selection and other", "outcome", "Success", true),
        ("selection and other OR other", "outcome", "Success", true),
        ("selection and (other)or other", "outcome", "Success", true),
        ("other AND (selection)", "outcome", "Success", false),
        ("all of them", "outcome", "Success", false),
        ("1 of them", "outcome", "Success", true),
    ] {
        assert_eq!(rule(failed.clone(), condition).can_match(kind, status), wanted, "{condition}, {kind} {status}");
    }
    for open in [
        json!({ "status|exists": true }),
        json!({ "status|re": "^S" }),
        json!({ "b": 1 }),
        json!([{ "status": "x" }, { "b": 1 }]),
    ] {
        assert!(rule(open.clone(), "selection").can_match("outcome", "Success"), "{open}");
    }
}

#[test]
fn verbs_are_found_without_case() {
    let rule = rule(&json!({ "selection": { "api.operation": "Runs.Create" }, "condition": "selection" })).unwrap();
    assert_eq!(*rule.reach(), Reach::Verbs(BTreeSet::from(["runs.create".to_owned()])));
}

#[test]
fn modifiers_that_contradict_each_other_are_an_error() {
    let neither = ["a|neq|all", "a|neq|exists", "a|gt|neq", "a|contains|i", "a|m"];
    for key in ["a|startswith|endswith", "a|gt|lt", "a|re|contains", "a|exists|fieldref", "a|cidr|re"].into_iter().chain(neither)
    {
        let told = rule(&json!({ "s": { key: 1 }, "condition": "s" })).expect_err(key);
        assert!(told.contains("do not go together"), "{key}: {told}");
    }
    rule(&json!({ "s": { "a|gt": 1, "a|lt": 9, "b|contains|all|cased": ["x", "y"] }, "condition": "s" })).unwrap();
    for network in ["192.0.2.0/33", "example.com", "192.0.2.0/24\n10.0.0.0/8", "AS64500", ""] {
        let told = rule(&json!({ "s": { "a|cidr": network }, "condition": "s" })).expect_err(network);
        assert!(told.contains("a network"), "{network}: {told}");
    }
}

#[test]
fn conditions_bind_as_sigma_says() {
    let with =
        |condition: &str| json!({ "sel_a": { "a": 1 }, "sel_b": { "b": 1 }, "filter": { "c": 1 }, "condition": condition });
    for (condition, event, wanted) in [
        ("sel_a and sel_b", json!({ "a": 1 }), false),
        ("sel_a or sel_b and filter", json!({ "a": 1 }), true),
        ("(sel_a or sel_b) and filter", json!({ "a": 1 }), false),
        ("sel_a and not filter", json!({ "a": 1 }), true),
        ("sel_a and not filter", json!({ "a": 1, "c": 1 }), false),
        ("1 of sel_*", json!({ "b": 1 }), true),
        ("all of sel_*", json!({ "b": 1 }), false),
        ("all of them", json!({ "a": 1, "b": 1, "c": 1 }), true),
        ("1 of them and not (all of sel_*)", json!({ "a": 1, "b": 1 }), false),
    ] {
        check(with(condition), event, wanted);
    }
    for bad in ["", "sel_a and", "sel_a sel_b", "(sel_a", "sel_a)", "nobody", "1 of nobody*", "2 of them", "not", "of them"] {
        rule(&with(bad)).expect_err(bad);
    }
}
