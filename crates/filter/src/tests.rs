//! Tables of the grammar: what is taken, and with which words the rest is refused. They agree with what MLflow 3.12.0 gives,
//! but for what it crashes on, and for lower-case operators and quoted attributes, which are taken everywhere here.

use kernel::Kind;
use serde_json::json;

use crate::*;

fn attribute(name: &'static str) -> Field {
    Field::Attribute(name)
}

fn metric(name: &str) -> Field {
    Field::Metric(name.to_owned())
}

fn param(name: &str) -> Field {
    Field::Param(name.to_owned())
}

fn tag(name: &str) -> Field {
    Field::Tag(name.to_owned())
}

fn text(value: &str) -> Literal {
    Literal::Text(value.to_owned())
}

fn list(values: &[&str]) -> Literal {
    Literal::List(values.iter().map(|value| (*value).to_owned()).collect())
}

fn number(value: f64) -> Literal {
    Literal::Number(value)
}

fn taken(entity: Entity, table: &[(&str, Field, Comparison, Literal)]) {
    for (filter, field, comparison, literal) in table {
        let clauses = parse_filter(entity, filter).unwrap_or_else(|problem| panic_with(filter, problem.message()));
        let expected = Clause { field: field.clone(), comparison: *comparison, literal: literal.clone() };
        assert_eq!(clauses, [expected], "{filter}");
    }
}

#[track_caller]
fn panic_with(filter: &str, message: &str) -> Vec<Clause> {
    assert_eq!("", message, "{filter}");
    Vec::new()
}

fn refused(entity: Entity, table: &[(&str, &str)]) {
    for (filter, message) in table {
        let problem = parse_filter(entity, filter).expect_err(filter);
        assert_eq!(problem.kind(), Kind::Invalid, "{filter}");
        assert!(problem.message().contains(message), "{filter}: `{}` does not contain `{message}`", problem.message());
    }
}

#[test]
fn runs_take_fields_under_all_their_names() {
    use Comparison::{Eq, ILike, In, IsNotNull, IsNull, Like, Ne, NotIn};
    taken(
        Entity::Run,
        &[
            ("params.a = 'x'", param("a"), Eq, text("x")),
            ("param.a='x'", param("a"), Eq, text("x")),
            ("parameters.a = \"x\"", param("a"), Eq, text("x")),
            ("`params`.a = 'x'", param("a"), Eq, text("x")),
            ("params.`learning rate` != 'x'", param("learning rate"), Ne, text("x")),
            ("params.\"learning rate\" LIKE '%x_'", param("learning rate"), Like, text("%x_")),
            ("params.a.b.c = ''", param("a.b.c"), Eq, text("")),
            ("params.a = 'it''s'", param("a"), Eq, text("it''s")),
            ("params.a = ' AND (x) = ; -- '", param("a"), Eq, text(" AND (x) = ; -- ")),
            ("params.ä = 'ö'", param("ä"), Eq, text("ö")),
            ("params.order = 'x'", param("order"), Eq, text("x")),
            ("tags.mlflow.source.type = 'x'", tag("mlflow.source.type"), Eq, text("x")),
            ("tag.a ilike 'X%'", tag("a"), ILike, text("X%")),
            ("tags.a IS NULL", tag("a"), IsNull, Literal::None),
            ("params.a is not null", param("a"), IsNotNull, Literal::None),
            ("status = 'RUNNING'", attribute("status"), Eq, text("RUNNING")),
            ("attr.run_name LIKE 'a%'", attribute("run_name"), Like, text("a%")),
            ("`run name` = 'x'", attribute("run_name"), Eq, text("x")),
            ("attributes.`Run Name` = 'x'", attribute("run_name"), Eq, text("x")),
            ("run.artifact_uri = 'x'", attribute("artifact_uri"), Eq, text("x")),
            ("run_id IN ('a', 'b')", attribute("run_id"), In, list(&["a", "b"])),
            ("attributes.run_id not in ('a')", attribute("run_id"), NotIn, list(&["a"])),
            ("datasets.name = 'd'", Field::Dataset("name"), Eq, text("d")),
            ("dataset.digest IN (\"a\",'B')", Field::Dataset("digest"), In, list(&["a", "B"])),
            ("dataset.context LIKE 'train%'", Field::Dataset("context"), Like, text("train%")),
        ],
    );
}

#[test]
fn runs_take_numbers_in_all_spellings() {
    use Comparison::{Eq, Ge, Gt, Le, Lt, Ne};
    taken(
        Entity::Run,
        &[
            ("metrics.acc > 0.5", metric("acc"), Gt, number(0.5)),
            ("metric.acc>=-1", metric("acc"), Ge, number(-1.0)),
            ("metrics.acc<1e-3", metric("acc"), Lt, number(0.001)),
            ("metrics.acc <= .5", metric("acc"), Le, number(0.5)),
            ("metrics.`a b` = 3", metric("a b"), Eq, number(3.0)),
            ("metrics.\"a/b\" != 3.", metric("a/b"), Ne, number(3.0)),
            ("metrics.1a > 1", metric("1a"), Gt, number(1.0)),
            ("start_time > 1700000000000", attribute("start_time"), Gt, number(1_700_000_000_000.0)),
            ("Created < 3", attribute("start_time"), Lt, number(3.0)),
            ("attributes.end_time != 1.5", attribute("end_time"), Ne, number(1.5)),
        ],
    );
}

#[test]
fn clauses_are_joined_by_and_only() {
    let all = parse_filter(Entity::Run, "params.a='x'AND metrics.b >= 2 and tags.c IS NULL AND").unwrap();
    let fields: Vec<Field> = all.into_iter().map(|clause| clause.field).collect();
    assert_eq!(fields, [param("a"), metric("b"), tag("c")]);
    assert!(parse_filter(Entity::Run, "").unwrap().is_empty());
    refused(
        Entity::Run,
        &[
            ("status = 'X' OR status='Y'", "Invalid clause(s) in filter string: 'OR'"),
            ("(status='X')", "Invalid clause(s) in filter string: '(status='X')'"),
            ("garbage", "Invalid clause(s) in filter string: 'garbage'"),
            ("params.a = 'x' -- y", "Invalid clause(s) in filter string: '-- y'"),
            ("metrics.acc = +1", "Invalid clause(s) in filter string: 'metrics.acc', '=', '+', '1'"),
            ("metrics.loss >", "Invalid clause(s) in filter string: 'metrics.loss', '>'"),
            ("params.a BETWEEN 1 AND 2", "Invalid clause(s) in filter string: 'params.a', 'BETWEEN', '1', '2'"),
            ("params.a = 'x", "Invalid clause(s) in filter string: 'params.a', '=', ''', 'x'"),
            ("params.a = 'x'; params.b = 'y'", "Search filter contained multiple expression"),
            ("  ", "Invalid filter '  '. Could not be parsed."),
        ],
    );
}

#[test]
fn runs_refuse_what_does_not_fit_a_field() {
    refused(
        Entity::Run,
        &[
            ("params.a = 5", "Expected a quoted string value for parameter (e.g. 'my-value'). Got value 5"),
            ("tags.a IN ('x')", "Expected a quoted string value for tag (e.g. 'my-value'). Got value ('x')"),
            ("params.a = foo", "Parameter value is either not quoted or unidentified quote types used for string value foo."),
            ("metrics.a < '3'", "Expected numeric value type for metric. Found '3'"),
            ("start_time > 'x'", "Expected numeric value type for numeric attribute: start_time. Found 'x'"),
            ("status = 5", "Expected a quoted string value for attributes. Got value 5"),
            ("dataset.name = 5", "Expected a quoted string value for dataset attributes. Got value 5"),
            ("status IN ('A')", "Only the 'run_id' attribute supports comparison with a list of quoted string values."),
            ("run_id IN ()", "expected a non-empty list of string values, but got empty list"),
            ("run_id IN ('a', 5)", "but got different type in list: ('a', 5)"),
            ("run_id IN ('a' 'b')", "but got ill-formed list."),
            ("metrics.a IS NULL", "IS NULL / IS NOT NULL is only supported for tags and params, not for 'metric' 'a'"),
            ("a.b = 'c'", "Invalid entity type 'a'. Valid values are ['metric', 'parameter', 'tag', 'attribute', 'dataset']"),
            ("attribute.foo = 'x'", "Invalid attribute key 'foo' specified."),
            ("dataset.foo = 'x'", "Invalid dataset key 'foo' specified."),
            ("'a' = params.b", "Invalid comparison clause. Expected 'Identifier' found ''a''"),
            ("1 = 1", "Invalid comparison clause. Expected 'Identifier' found '1'"),
            ("params.a-b = 'x'", "Invalid comparison clause. Expected 'Identifier' found 'params.a-b'"),
            ("params.a/b = 'x'", "Invalid comparison clause. Expected 'Identifier' found 'params.a/b'"),
            ("params.a > 'x'", "Invalid comparator '>' not one of"),
            ("params.a == 'x'", "Invalid comparator '==' not one of"),
            ("params.a <> 'x'", "Invalid comparator '<>' not one of"),
            ("params.a NOT LIKE 'x'", "Invalid comparator 'NOT LIKE' not one of"),
            ("metrics.a ~ 1", "Invalid comparator '~' not one of"),
            ("status > 'x'", "Invalid comparator '>' not one of"),
            ("start_time LIKE 5", "Invalid comparator 'LIKE' not one of"),
        ],
    );
}

#[test]
fn evaluation_datasets_have_names_times_authors_and_tags() {
    use Comparison::{Eq, Ge, ILike, Ne};
    taken(
        Entity::EvaluationDataset,
        &[
            ("name ILIKE 'a%'", attribute("name"), ILike, text("a%")),
            ("created_time >= 5", attribute("created_time"), Ge, number(5.0)),
            ("last_updated_by = 'a'", attribute("last_updated_by"), Eq, text("a")),
            ("tags.team != 'x'", tag("team"), Ne, text("x")),
        ],
    );
    refused(
        Entity::EvaluationDataset,
        &[
            ("digest = 'a'", "Invalid attribute key 'digest' specified."),
            ("params.a = 'x'", "Invalid entity type 'params'."),
            ("tags.k > 'v'", "Invalid comparator for tag: >"),
            ("tags.k IS NULL", "Expected 3 tokens found 2"),
            ("name > 'a'", "Invalid comparator '>' not one of"),
            ("created_time = 'x'", "Expected numeric value type for numeric attribute: created_time. Found 'x'"),
        ],
    );
}

#[test]
fn experiments_have_names_times_and_tags() {
    use Comparison::{Eq, Gt, ILike, IsNull, Like, Ne};
    taken(
        Entity::Experiment,
        &[
            ("name = 'a'", attribute("name"), Eq, text("a")),
            ("attribute.`name` ILIKE '%A%'", attribute("name"), ILike, text("%A%")),
            ("creation_time > 5", attribute("creation_time"), Gt, number(5.0)),
            ("last_update_time != 5", attribute("last_update_time"), Ne, number(5.0)),
            ("tags.`a b` LIKE 'x'", tag("a b"), Like, text("x")),
            ("tag.k IS NULL", tag("k"), IsNull, Literal::None),
        ],
    );
    refused(
        Entity::Experiment,
        &[
            ("attributes.name = 'a'", "Invalid entity type 'attributes'. Valid entity types are ('attribute', 'tag', 'tags')"),
            ("params.a = 'x'", "Invalid entity type 'params'."),
            ("experiment_id = '1'", "Invalid attribute key 'experiment_id' specified."),
            ("name IS NULL", "IS NULL / IS NOT NULL is only supported for tags, not for attribute 'name'"),
            ("name > 'a'", "Invalid comparator '>' not one of"),
            ("tags.k > 'v'", "Invalid comparator for tag: >"),
            ("name LIKE 'x' OR name LIKE 'y'", "Invalid clause(s) in filter string: OR"),
            ("creation_time > 'x'", "Expected numeric value type for numeric attribute: creation_time. Found 'x'"),
        ],
    );
}

#[test]
fn registered_models_and_versions_have_theirs() {
    use Comparison::{Eq, Ge, ILike, In, Like, Ne};
    taken(
        Entity::RegisteredModel,
        &[
            ("name ILIKE '%rm%00%'", attribute("name"), ILike, text("%rm%00%")),
            ("tags.`mlflow.prompt.is_prompt` != 'true'", tag("mlflow.prompt.is_prompt"), Ne, text("true")),
        ],
    );
    refused(
        Entity::RegisteredModel,
        &[
            ("run_id = 'x'", "Invalid attribute key 'run_id' specified. Valid keys are '{'name'}'"),
            ("name > 'a'", "Invalid comparator for attribute: >"),
            ("tags.k > 'v'", "Invalid comparator for tag: >"),
            ("name = 5", "Expected a quoted string value or a list of quoted string values for attributes. Got value 5"),
            ("tags.k IS NULL", "Invalid comparison clause. Expected 3 tokens found 2"),
            ("name IN ('a')", "Only the 'run_id' attribute supports comparison with a list"),
        ],
    );
    taken(
        Entity::ModelVersion,
        &[
            ("name LIKE '%2'", attribute("name"), Like, text("%2")),
            ("version_number >= 2", attribute("version_number"), Ge, number(2.0)),
            ("version_number = '2'", attribute("version_number"), Eq, number(2.0)),
            ("run_id IN ('a', 'b')", attribute("run_id"), In, list(&["a", "b"])),
            ("source_path = 'runs:/x/y'", attribute("source_path"), Eq, text("runs:/x/y")),
        ],
    );
    refused(
        Entity::ModelVersion,
        &[
            ("run_id NOT IN ('a')", "Invalid comparator for attribute: NOT IN"),
            ("version_number LIKE 5", "Invalid comparator for attribute version_number: LIKE"),
            ("run_id = 5", "attributes support comparison with numeric values."),
            ("status = 'x'", "Invalid attribute key 'status' specified."),
        ],
    );
}

#[test]
fn logged_models_have_a_dialect_of_their_own() {
    use Comparison::{Eq, Gt, In, Lt, NotIn};
    taken(
        Entity::LoggedModel,
        &[
            ("name = 'a'", attribute("name"), Eq, text("a")),
            ("params.lr = 0.01", param("lr"), Eq, text("0.01")),
            ("metrics.`a b` > 1", metric("a b"), Gt, number(1.0)),
            ("creation_time < 9", attribute("creation_timestamp"), Lt, number(9.0)),
            ("attributes.model_id IN ('m-1', 'm-2')", attribute("model_id"), In, list(&["m-1", "m-2"])),
            ("tags.k NOT IN ('v')", tag("k"), NotIn, list(&["v"])),
        ],
    );
    refused(
        Entity::LoggedModel,
        &[
            ("metrics.a LIKE 'x'", "Invalid comparison operator for metrics.a: 'LIKE'. Expected one of"),
            ("foo.bar = 'x'", "Invalid entity type: 'foo'. Expected one of ['attributes', 'metrics', 'params', 'tags']."),
            ("name = 'a' OR name = 'b'", "Invalid filter string: \"name = 'a' OR name = 'b'\". Expected a list of comparisons"),
            ("a = 'b'; c = 'd'", "Expected a single SQL expression."),
            ("tags.a IS NULL", "Expected a comparison with 3 tokens."),
            ("name IN ()", "but got empty list"),
        ],
    );
}

#[test]
fn filters_are_bounded_and_hostile_ones_end_quickly() {
    let many = vec!["params.a = 'x'"; CLAUSE_COUNT_MAX + 1].join(" AND ");
    refused(Entity::Run, &[(&many, "it has 101 clauses, but at most 100 are allowed")]);
    assert!(parse_filter(Entity::Run, &vec!["params.a = 'x'"; CLAUSE_COUNT_MAX].join(" AND ")).is_ok());
    let long = format!("params.a = '{}'", "x".repeat(FILTER_BYTES_MAX));
    refused(Entity::Run, &[(&long, "bytes, but at most 65536 are allowed")]);
    let list = format!("run_id IN ({})", vec!["'a'"; LIST_COUNT_MAX + 1].join(","));
    assert!(list.len() < FILTER_BYTES_MAX);
    refused(Entity::Run, &[(&list, "at most 10000 values")]);
    for hostile in
        ["(", ")", "'", "\"", "`", "\\'", "a.", ".", "-", "((", "'\\'", "é", "NOT ", "a-", "\u{0}", "\u{2028}", "- a.b"]
    {
        let text = hostile.repeat(FILTER_BYTES_MAX / hostile.len());
        for entity in [
            Entity::Run,
            Entity::Experiment,
            Entity::RegisteredModel,
            Entity::ModelVersion,
            Entity::LoggedModel,
            Entity::EvaluationDataset,
        ] {
            let problem = parse_filter(entity, &text).expect_err(hostile);
            assert!(problem.message().len() < 4_000, "{hostile}");
        }
    }
}

#[test]
fn orders_are_read() {
    let one = |entity, clause: &str| parse_order_by(entity, &[clause]).map(|mut all| all.remove(0));
    let order = |field, ascending| OrderBy { field, ascending };
    for (entity, clause, expected) in [
        (Entity::Run, "metrics.acc DESC", order(metric("acc"), false)),
        (Entity::Run, "metrics.`a b` asc", order(metric("a b"), true)),
        (Entity::Run, "metrics.\"a b\"", order(metric("a b"), true)),
        (Entity::Run, "params.a.b desc", order(param("a.b"), false)),
        (Entity::Run, "tags.`mlflow.runName`", order(tag("mlflow.runName"), true)),
        (Entity::Run, "attribute.start_time ASC", order(attribute("start_time"), true)),
        (Entity::Run, "  Created   DESC ", order(attribute("start_time"), false)),
        (Entity::Experiment, "experiment_id", order(attribute("experiment_id"), true)),
        (Entity::Experiment, "last_update_time DESC", order(attribute("last_update_time"), false)),
        (Entity::RegisteredModel, "timestamp DESC", order(attribute("last_updated_timestamp"), false)),
        (Entity::RegisteredModel, "name", order(attribute("name"), true)),
        (Entity::ModelVersion, "version_number DESC", order(attribute("version_number"), false)),
        (Entity::ModelVersion, "creation_timestamp", order(attribute("creation_timestamp"), true)),
    ] {
        assert_eq!(one(entity, clause).unwrap(), expected, "{clause}");
    }
    for (entity, clause, message) in [
        (Entity::Run, "metrics.acc foo", "Invalid ordering key in order_by clause 'metrics.acc foo'."),
        (Entity::Run, "metrics.acc DESC x", "Invalid order_by clause 'metrics.acc DESC x'. Could not be parsed."),
        (Entity::Run, "", "Invalid order_by clause ''. Could not be parsed."),
        (Entity::Run, "metrics.`a", "Could not be parsed."),
        (Entity::Run, "a; b", "Could not be parsed."),
        (Entity::Run, "foo.bar", "Invalid entity type 'foo'."),
        (Entity::Run, "`run name`", "Invalid attribute key 'run name' specified."),
        (Entity::Experiment, "tags.a", "Invalid order_by entity: tag"),
        (Entity::EvaluationDataset, "tags.a", "Invalid order_by entity: tag"),
        (Entity::EvaluationDataset, "created_by", "Invalid attribute key 'created_by' specified."),
        (Entity::Experiment, "foo", "Invalid attribute key 'foo' specified."),
        (Entity::RegisteredModel, "creation_timestamp", "Invalid order by key 'creation_timestamp' specified. Valid keys are"),
        (Entity::ModelVersion, "run_id", "Invalid attribute key 'run_id' specified."),
    ] {
        let problem = one(entity, clause).expect_err(clause);
        assert!(problem.message().contains(message), "{clause}: {}", problem.message());
    }
    let twice = parse_order_by(Entity::Run, &["start_time", "created DESC"]).unwrap_err();
    assert_eq!(twice.message(), "`order_by` contains duplicate fields: ['start_time', 'created DESC']");
}

#[test]
fn orders_of_logged_models_are_objects() {
    let read = |value: serde_json::Value| parse_logged_model_order_by(value.as_array().unwrap());
    let all = read(json!([
        { "field_name": "metrics.acc", "ascending": false, "dataset_name": "d", "dataset_digest": "1" },
        { "field_name": "creation_time" },
    ]))
    .unwrap();
    let first = LoggedModelOrder {
        field: metric("acc"),
        ascending: false,
        dataset_name: Some("d".to_owned()),
        dataset_digest: Some("1".to_owned()),
    };
    assert_eq!(all.first(), Some(&first));
    assert_eq!(all.get(1).map(|order| (order.field.clone(), order.ascending)), Some((attribute("creation_timestamp"), true)));
    for (value, message) in [
        (json!(["x"]), "`order_by` must be a list of dictionaries."),
        (json!([{}]), "`field_name` in the `order_by` clause must be specified."),
        (json!([{ "field_name": "params.a" }]), "Only metrics are supported."),
        (json!([{ "field_name": "foo" }]), "Invalid order by field name: foo"),
        (json!([{ "field_name": "name", "ascending": 5 }]), "must be a boolean"),
        (json!([{ "field_name": "name", "dataset_digest": "1" }]), "`dataset_digest` can only be specified if"),
    ] {
        assert!(read(value).unwrap_err().message().contains(message), "{message}");
    }
}

#[test]
fn page_tokens_go_round_and_are_checked() {
    assert_eq!(encode_page_token(10), "eyJvZmZzZXQiOiAxMH0=", "as MLflow writes it");
    assert_eq!(decode_page_token(Some(&encode_page_token(12))).unwrap(), 12);
    assert_eq!(decode_page_token(None).unwrap(), 0);
    assert_eq!(decode_page_token(Some("")).unwrap(), 0);
    for (token, message) in [
        ("!", "Invalid page token, could not base64-decode"),
        ("bm90IGpzb24=", "Invalid page token, decoded value=not json"),
        ("e30=", "Invalid page token, parsed value={}"),
        ("eyJvZmZzZXQiOiAieCJ9", "Invalid page token, not stringable x"),
        ("eyJvZmZzZXQiOiAtMX0=", "Invalid page token, parsed value="),
    ] {
        assert!(decode_page_token(Some(token)).unwrap_err().message().contains(message), "{token}");
    }
    let ids = ["1".to_owned()];
    let page = LoggedModelPage { experiment_ids: &ids, filter: Some("name = 'a'"), order_by: None };
    let token = encode_logged_model_page_token(&page, 5);
    assert_eq!(decode_logged_model_page_token(&page, Some(&token)).unwrap(), 5);
    let other = LoggedModelPage { filter: None, ..page.clone() };
    let problem = decode_logged_model_page_token(&other, Some(&token)).unwrap_err();
    assert!(problem.message().starts_with("Filter string in the page token does not match the requested filter string."));
    let elsewhere = ["2".to_owned()];
    let other = LoggedModelPage { experiment_ids: &elsewhere, ..page };
    let problem = decode_logged_model_page_token(&other, Some(&token)).unwrap_err();
    assert!(problem.message().starts_with("Experiment IDs in the page token do not match the requested experiment IDs."));
}

#[test]
fn like_patterns_match_whole_texts() {
    for (pattern, text, case_insensitive, expected) in [
        ("%7", "x7", false, true),
        ("%7", "7x", false, false),
        ("a_c", "abc", false, true),
        ("a_c", "ac", false, false),
        ("%RM%00%", "CreateRM001", false, true),
        ("%rm%00%", "CreateRM001", false, false),
        ("%rm%00%", "CreateRM001", true, true),
        ("", "", false, true),
        ("%", "", false, true),
        ("%%a%%", "xxax", false, true),
        ("ä%", "Äb", true, true),
        (".*", "anything", false, false),
    ] {
        assert_eq!(like_matches(pattern, text, case_insensitive), expected, "{pattern} {text}");
    }
    assert!(!like_matches(&"%a".repeat(50), &"b".repeat(50_000), false), "no blow-up");
}
