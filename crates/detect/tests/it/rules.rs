//! Files of rules are input like any other.

use std::sync::Arc;

use detect::{Engine, Level, RuleSet};

use crate::world::{Log, ORIGIN, findings, person};

const GOOD: &str = "title: A\nid: 0ebe6f5e-7a3e-4d28-9a4f-000000000001\nname: a\nlevel: low\nlogsource: {product: strongroom, service: audit}\ndetection:\n  selection:\n    api.operation: runs.get\n  condition: selection\n";

fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replace(from, to)
}

#[test]
fn a_rule_that_cannot_work_is_refused_and_the_error_says_why() {
    RuleSet::of_text(GOOD).unwrap();
    let deep = format!("{}x{}", "[".repeat(60), "]".repeat(60));
    let brackets = format!("{}selection{}", "(".repeat(40), ")".repeat(40));
    let long = "x".repeat(600);
    let correlation = |body: &str| {
        format!("{GOOD}---\ntitle: B\nid: 0ebe6f5e-7a3e-4d28-9a4f-000000000002\nname: b\nlevel: low\ncorrelation:\n{body}")
    };
    let cases = [
        (changed("title: A\n", ""), "needs a `title`"),
        (changed("level: low", "level: terrible"), "`level` is"),
        (changed("name: a", "nmae: a"), "no field of a rule"),
        (changed("0ebe6f5e-7a3e-4d28-9a4f-000000000001", "one"), "UUID"),
        (changed("product: strongroom", "product: windows"), "would find nothing here"),
        (changed("condition: selection", "condition: selection | count() > 5"), "old form"),
        (changed("condition: selection", "condition: selektion"), "selektion"),
        (changed("condition: selection", &format!("condition: '{brackets}'")), "brackets"),
        (changed("api.operation: runs.get", &format!("api.operation: {long}")), "characters"),
        (changed("api.operation: runs.get", "api.operation|re: '('"), "regular expression"),
        (changed("api.operation: runs.get", "api.operation|re: '(x{500}){500}'"), "regular expression"),
        (changed("api.operation: runs.get", "api.operation|starts: x"), "starts"),
        (changed("api.operation: runs.get", "api.opertion: runs.get"), "`api.opertion` is no field of a record"),
        (changed("api.operation: runs.get", "src_endpoint.ip: 192.0.2.1"), "`src_endpoint.ip` is no field"),
        (changed("api.operation: runs.get", "api.operation|fieldref: nothing"), "`nothing` is no field"),
        (changed("api.operation: runs.get", "api.operation|startswith|endswith: x"), "do not go together"),
        (changed("api.operation: runs.get", "src_endpoint.uid|cidr: 192.0.2.0/24"), "holds no address"),
        (changed("api.operation: runs.get", "unmapped.record.details.x|cidr: here"), "not a network"),
        (changed("runs.get", &deep), "no YAML"),
        (changed("api.operation: runs.get", "api.operation: &a runs.get"), "no YAML"),
        (changed("level: low", "level: low\nstrongroom: {response: shoot}"), "`response` is one of"),
        (changed("level: low", "level: low\nstrongroom: {reponse: note}"), "unknown field"),
        (format!("{GOOD}---\n{GOOD}"), "two rules are called"),
        (String::new(), "no rule"),
        ("just a text".to_owned(), "a map"),
        ("a: [".to_owned(), "no YAML"),
        (GOOD.repeat(9_000), "bytes"),
        (correlation("  type: event_count\n  rules: [nobody]\n  timespan: 1m\n  condition: {gte: 2}\n"), "which is no rule"),
        (correlation("  type: event_count\n  rules: [b]\n  timespan: 1m\n  condition: {gte: 2}\n"), "refers to itself"),
        (correlation("  type: event_count\n  rules: [a]\n  timespan: 1y\n  condition: {gte: 2}\n"), "no time"),
        (correlation("  type: event_count\n  rules: [a]\n  timespan: 60d\n  condition: {gte: 2}\n"), "7d"),
        (correlation("  type: event_count\n  rules: [a]\n  timespan: 1m\n  condition: {lt: 2}\n"), "no event"),
        (correlation("  type: event_count\n  rules: [a]\n  timespan: 1m\n  condition: {gte: 999999999}\n"), "counts from 1"),
        (correlation("  type: event_count\n  rules: [a]\n  timespan: 1m\n  condition: {gte: 2, lte: 5000}\n"), "counts from 1"),
        (correlation("  type: event_count\n  rules: [a]\n  timespan: 1m\n  condition: {gt: 2, lt: 3}\n"), "nothing lies between"),
        (correlation("  type: event_count\n  rules: [a]\n  timespan: 1m\n  condition: {gt: 2, gte: 3}\n"), "a condition has one"),
        (correlation("  type: event_count\n  rules: [a]\n  timespan: 1m\n  condition: {eq: 2, lte: 3}\n"), "by itself"),
        (correlation("  type: event_count\n  rules: [a]\n  timespan: 1m\n"), "`gt`, `gte` or `eq`"),
        (correlation("  type: event_count\n  rules: [a]\n  timespan: 1m\n  condition: {neq: 2}\n"), "of conditions there are"),
        (
            correlation(
                "  type: event_count\n  rules: [a]\n  timespan: 1m\n  condition: {eq: 2}\n---\ntitle: C\nname: c\ncorrelation: {type: temporal, rules: [a, b], timespan: 1m}\n",
            ),
            "has an upper bound",
        ),
        (correlation("  type: value_count\n  rules: [a]\n  timespan: 1m\n  condition: {gte: 2}\n"), "needs a `field`"),
        (correlation("  type: temporal\n  rules: [a]\n  timespan: 1m\n"), "at least two"),
        (correlation("  type: temporal\n  rules: [a, a]\n  timespan: 1m\n"), "the rule `a` once"),
    ];
    for (text, why) in cases {
        let start: String = text.chars().take(300).collect();
        let problem = RuleSet::of_text(&text).expect_err(&start).to_string();
        assert!(problem.contains(why), "`{why}` is not in `{problem}`");
        assert!(problem.len() < 1_500, "{problem}");
    }
}

/// As the examples of Sigma's specification have it: most say neither what their id is nor how bad it is.
#[test]
fn a_rule_needs_no_id_and_no_level() {
    let part = GOOD.replace("id: 0ebe6f5e-7a3e-4d28-9a4f-000000000001\n", "").replace("level: low\n", "");
    let joined = "title: B\ncorrelation:\n  type: event_count\n  rules: [a]\n  timespan: 1m\n  condition: {gte: 2}\n";
    let found = |text: &str| -> Vec<(String, Level)> {
        let set = RuleSet::of_text(text).unwrap();
        set.rules().iter().map(|rule| (rule.id.clone(), rule.level)).collect()
    };
    let alone = found(&part);
    assert_eq!(alone[0].1, Level::Medium);
    assert!(alone[0].0.len() == 36 && alone[0].0.as_bytes()[14] == b'8', "{alone:?}");
    // The id is of what it looks for: other words about it leave it as it is.
    assert_eq!(found(&part.replace("title: A", "title: A\ndescription: more words")), alone);
    assert_ne!(found(&part.replace("runs.get", "runs.create"))[0].0, alone[0].0);
    // What a correlation is made of tells nothing by itself, unless that is asked for or it says how bad it is.
    for (first, second, level) in [
        (part.clone(), joined.to_owned(), Level::Informational),
        (part.clone(), format!("{joined}generate: true\n"), Level::Medium),
        (part.clone(), joined.replace("  timespan", "  generate: true\n  timespan"), Level::Medium),
        (format!("{part}level: high\n"), joined.to_owned(), Level::High),
    ] {
        let both = found(&format!("{first}---\n{second}"));
        assert_eq!((both[0].1, both[1].1), (level, Level::Medium), "{second}");
    }
    let unclear = RuleSet::of_text(&format!("{part}generate: perhaps\n")).expect_err("generate").to_string();
    assert!(unclear.contains("`generate` is true or false"), "{unclear}");
}

#[test]
fn what_is_built_in_can_be_read_and_is_looked_at_by_its_verb() {
    let set = RuleSet::built_in().unwrap();
    assert!(set.rules().len() >= 60);
    assert!(set.rules().iter().all(|rule| rule.built_in && rule.description.len() > 10));
}

#[test]
fn a_folder_adds_rules_and_a_name_switches_one_off_with_what_leans_on_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.yml"), GOOD).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "no rule").unwrap();
    let all = RuleSet::load(Some(folder.path()), &[]).unwrap();
    assert!(all.rules().iter().any(|rule| rule.name == "a" && !rule.built_in));
    let fewer = RuleSet::load(None, &["credential_refused".to_owned()]).unwrap();
    let left = |name: &str| fewer.rules().iter().any(|rule| rule.name == name);
    assert!(!left("credential_refused") && !left("guessing_from_one_address") && left("guess_came_through"));
    let fewer = RuleSet::load(None, &["password_refused".to_owned()]).unwrap();
    let left = |name: &str| fewer.rules().iter().any(|rule| rule.name == name);
    assert!(!left("guessing_at_an_account") && !left("guess_came_through") && left("prompt_fatigue"));
    RuleSet::load(None, &["nobody".to_owned()]).unwrap_err();
    RuleSet::check(&folder.path().join("own.yml")).unwrap();
    RuleSet::check(&folder.path().join("nowhere.yml")).unwrap_err();
}

#[test]
fn a_count_between_two_bounds_is_told_of_once_no_more_can_come() {
    let part = changed("api.operation: runs.get", "metadata.event_code: refusal");
    // Refusals of one person, by the second, and of how many each finding is.
    let told = |condition: &str, seconds: &[i64]| -> Vec<usize> {
        let joined =
            "title: B\nname: b\ncorrelation:\n  type: event_count\n  rules: [a]\n  group-by: [actor.user.uid]\n  timespan: 1m\n";
        let set = RuleSet::of_text(&format!("{part}---\n{joined}  condition: {condition}\n")).unwrap();
        let mut engine = Engine::new(Arc::new(set), ORIGIN, &[]);
        let mut log = Log::default();
        for at in seconds {
            log.refused(person("eve"), *at, "runs.get", "forbidden");
        }
        log.refused(person("bob"), 10_000, "runs.get", "forbidden");
        let found = findings(&mut engine, log);
        let of_joined = found.iter().filter(|one| engine.rules().rules()[one.rule].name == "b");
        of_joined.map(|one| one.evidence.len()).collect()
    };
    let cases: [(&str, Vec<i64>, Vec<usize>); 12] = [
        ("{gte: 3, lte: 4}", vec![0, 10], vec![]),
        ("{gte: 3, lte: 4}", vec![0, 10, 20], vec![3]),
        ("{gte: 3, lte: 4}", vec![0, 10, 20, 30], vec![4]),
        ("{gte: 3, lte: 4}", vec![0, 10, 20, 30, 40], vec![]),
        // What is left in the window of more than that is not few.
        ("{gte: 3, lte: 4}", vec![0, 10, 20, 30, 40, 80, 90], vec![]),
        ("{gte: 3, lte: 4}", vec![0, 10, 20, 30, 40, 200, 210, 220], vec![3]),
        ("{gte: 3, lte: 4}", vec![0, 10, 20, 3_000, 3_010, 3_020], vec![3, 3]),
        ("{gt: 2, lt: 4}", vec![0, 10, 20], vec![3]),
        ("{gt: 2, lt: 4}", vec![0, 10, 20, 30], vec![]),
        ("{eq: 2}", vec![0, 10], vec![2]),
        ("{eq: 2}", vec![0, 10, 20], vec![]),
        ("{gte: 3}", vec![0, 10, 20, 30, 40], vec![3]),
    ];
    for (condition, seconds, wanted) in cases {
        assert_eq!(told(condition, &seconds), wanted, "{condition} {seconds:?}");
    }
}
