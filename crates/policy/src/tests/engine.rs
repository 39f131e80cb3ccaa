//! The built-in texts, and the traps of Cedar.

use std::sync::Arc;

use super::{grant, user, workspace};
use crate::circumstances::{Circumstances, DataContext};
use crate::engine::Engine;
use crate::place::Place;
use crate::types::Grant;

const CALM: Circumstances = Circumstances::CALM;

#[test]
fn the_built_in_policies_are_valid_strictly() {
    let engine = Engine::embedded().unwrap();
    assert_eq!(engine.validate(), Vec::<String>::new());
    assert_eq!(engine.version.len(), 64);
    assert!(engine.version_reason.starts_with("policy:") && engine.version_reason.len() == 15);
    for role in engine.roles.values() {
        assert!(!role.verbs.contains("grants.escalate"), "{} may escalate", role.name);
    }
}

#[test]
fn every_verb_of_this_room_is_known_with_its_access() {
    for action in crate::ACTIONS {
        let write = action.access == gate::Access::Write;
        assert_eq!(crate::is_write(action.name), Some(write), "{}", action.name);
    }
}

const TINY_SCHEMA: &str = r#"
entity Group; entity User in [Group]; entity Service; entity Job; entity Anonymous; entity Server; entity AuditLog;
entity Workspace in [Server]; entity Experiment in [Workspace]; entity RegisteredModel in [Workspace];
action "reads", "writes";
action "runs.get" in ["reads"] appliesTo {
    principal: [User], resource: [Workspace], context: { risk: Long, assurance: Long, locked: Bool } };
"#;
const TINY_ROLES: &str = "[viewer]\nwhat = 'x'\non = ['workspace']\nverbs = ['runs.get']";
const TINY_TEMPLATE: &str =
    r#"@id("role:viewer") permit (principal in ?principal, action in Action::"role:viewer", resource in ?resource);"#;

fn tiny(forbid: &str) -> Engine {
    Engine::load(TINY_SCHEMA, TINY_ROLES, TINY_TEMPLATE, &[forbid]).unwrap()
}

fn allowed(engine: &Engine, grants: Vec<Arc<Grant>>, circumstances: Circumstances) -> bool {
    let verb = engine.verb("runs.get").unwrap();
    let place = Place::Workspace("ws".to_owned());
    let prepared = engine.prepare(&user("ann"), verb, &place, grants, 0).unwrap();
    engine.judge(&prepared, circumstances, DataContext::NONE).allowed
}

/// Cedar skips a `forbid` that errs and so answers yes; here it is a no.
#[test]
fn a_forbid_that_errs_refuses() {
    let grants = || vec![Arc::new(grant("g_1", "ann", "viewer", workspace()))];
    assert!(allowed(&tiny(""), grants(), CALM));
    let overflow = r#"@id("f") forbid (principal, action, resource) when { context.risk + 9223372036854775807 > 0 };"#;
    let risky = Circumstances { risk: 1, ..CALM };
    assert!(!allowed(&tiny(overflow), grants(), risky));
    let missing = r#"@id("f") forbid (principal, action, resource) when { principal.flag };"#;
    assert!(!allowed(&tiny(missing), grants(), CALM));
}

/// One request asked again and again, in an order that makes it forget, beside one that is put together anew each time.
#[test]
fn a_kept_verdict_is_what_cedar_says() {
    let forbid = r#"@id("f") forbid (principal, action, resource) when { context.risk > 50 || context.assurance < 2 };"#;
    let engine = tiny(forbid);
    let verb = engine.verb("runs.get").unwrap();
    let prepare = || {
        let grants = vec![Arc::new(grant("g_1", "ann", "viewer", workspace()))];
        engine.prepare(&user("ann"), verb, &Place::Workspace("ws".to_owned()), grants, 0).unwrap()
    };
    let kept = prepare();
    for step in 0..600_u32 {
        let risk = u8::try_from(step * 37 % 101).unwrap();
        let around =
            Circumstances { risk, assurance: u8::try_from(step % 4).unwrap(), locked: step % 3 == 0, ..Circumstances::CALM };
        for _ in 0..2 {
            let verdict = engine.judge(&kept, around, DataContext::NONE);
            assert_eq!(verdict, engine.judge(&prepare(), around, DataContext::NONE), "{around:?}");
            assert_eq!(verdict.allowed, risk <= 50 && around.assurance >= 2, "{around:?}");
        }
    }
}

#[test]
fn integers_are_held_in_range() {
    let forbid = r#"@id("f") forbid (principal, action, resource) when { context.risk > 100 || context.assurance > 3 };"#;
    let engine = tiny(forbid);
    let extreme = Circumstances { risk: u8::MAX, assurance: u8::MAX, locked: false, ..Circumstances::CALM };
    assert!(allowed(&engine, vec![Arc::new(grant("g_1", "ann", "viewer", workspace()))], extreme));
}

/// A grant that cannot be linked (here: twice the same id) makes the whole request fail, and that refuses.
#[test]
fn a_grant_that_cannot_be_linked_refuses() {
    let engine = tiny("");
    let one = Arc::new(grant("g_1", "ann", "viewer", workspace()));
    let twice = vec![Arc::clone(&one), one];
    let verb = engine.verb("runs.get").unwrap();
    assert!(engine.prepare(&user("ann"), verb, &Place::Workspace("ws".to_owned()), twice, 0).is_err());
}

#[test]
fn texts_that_are_no_policy_are_errors() {
    for (schema, roles, template, built_in) in [
        (TINY_SCHEMA, TINY_ROLES, TINY_TEMPLATE, r#"permit (principal, action, resource);"#),
        (TINY_SCHEMA, TINY_ROLES, TINY_TEMPLATE, r#"@id("f") permit (principal in ?principal, action, resource);"#),
        (TINY_SCHEMA, TINY_ROLES, TINY_TEMPLATE, r#"@id("f") forbid (principal, action, resource == Experiment::"1");"#),
        (TINY_SCHEMA, TINY_ROLES, r#"@id("f") permit (principal, action, resource);"#, ""),
        (TINY_SCHEMA, "[viewer]\nwhat='x'\non=[]\nverbs=['runs.put']", TINY_TEMPLATE, ""),
        ("entity", TINY_ROLES, TINY_TEMPLATE, ""),
    ] {
        assert!(Engine::load(schema, roles, template, &[built_in]).is_err(), "{built_in} {roles}");
    }
}

#[test]
fn another_text_is_another_version() {
    let forbid = r#"@id("f") forbid (principal, action, resource) when { context.locked };"#;
    assert_ne!(tiny("").version, tiny(forbid).version);
    assert_eq!(tiny("").version, tiny("").version);
}
