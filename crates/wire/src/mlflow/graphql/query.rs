//! A GraphQL request as far as MLflow's web page uses the language: one operation, root fields with an `input`, nested
//! selections, fragments. It is parsed under limits and answered from the JSON of the REST interface: `camelCase` fields are
//! its `snake_case` ones, 64-bit numbers become texts, and what is no finite number becomes null.

use std::collections::BTreeMap;

use graphql_parser::query::{
    Definition, Document, FragmentDefinition, OperationDefinition, Selection, SelectionSet, TypeCondition, Value as Literal,
    parse_query,
};
use kernel::Problem;
use serde_json::{Map, Value, json};

/// A query's text.
const QUERY_BYTES_MAX: usize = 64 * 1024;
/// How deep brackets may nest in the text, before it is parsed at all.
const BRACKET_DEPTH_MAX: usize = 32;
/// How deep selections may nest.
const DEPTH_MAX: usize = 10;
/// Selected fields of one query.
const SELECTION_COUNT_MAX: usize = 1_000;
/// Root fields of one query: each is a verb.
const ROOT_FIELD_COUNT_MAX: usize = 10;
/// Aliases on one level.
const ALIAS_COUNT_MAX: usize = 10;

/// One selected field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    /// The name under which it is answered.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Its arguments, variables filled in.
    pub arguments: Map<String, Value>,
    /// What is selected of it.
    pub fields: Vec<Field>,
}

impl Field {
    /// Whether `name` is selected of it.
    pub(super) fn selects(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }

    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.fields.iter().find(|field| field.name == name)
    }
}

struct Reading<'a> {
    variables: &'a Map<String, Value>,
    fragments: BTreeMap<&'a str, &'a FragmentDefinition<'static, String>>,
    selection_count: usize,
}

/// The root fields of a query.
///
/// # Errors
/// `Invalid`, with a text as MLflow words it, for what is not GraphQL or over a limit.
pub(super) fn root_fields(text: &str, variables: &Map<String, Value>) -> Result<Vec<Field>, Problem> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(Problem::invalid(format!("Query exceeds maximum size of {QUERY_BYTES_MAX} bytes")));
    }
    check_brackets(text)?;
    let document: Document<'static, String> =
        parse_query::<String>(text).map_err(|error| Problem::invalid(format!("Syntax Error: {error}")))?.into_static();
    let mut fragments = BTreeMap::new();
    let mut operation = None;
    for definition in &document.definitions {
        match definition {
            Definition::Fragment(fragment) => drop(fragments.insert(fragment.name.as_str(), fragment)),
            Definition::Operation(found) if operation.is_none() => operation = Some(found),
            Definition::Operation(_) => return Err(Problem::invalid("Query must hold one operation")),
        }
    }
    let set = match operation {
        Some(OperationDefinition::Query(query)) => &query.selection_set,
        Some(OperationDefinition::Mutation(mutation)) => &mutation.selection_set,
        Some(OperationDefinition::SelectionSet(set)) => set,
        Some(OperationDefinition::Subscription(_)) | None => return Err(Problem::invalid("Query must hold one operation")),
    };
    let mut reading = Reading { variables, fragments, selection_count: 0 };
    let fields = reading.fields(set, 1)?;
    if fields.len() > ROOT_FIELD_COUNT_MAX {
        return Err(Problem::invalid(format!(
            "GraphQL queries should have at most {ROOT_FIELD_COUNT_MAX} root fields, got {} root fields.",
            fields.len()
        )));
    }
    Ok(fields)
}

fn check_brackets(text: &str) -> Result<(), Problem> {
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > BRACKET_DEPTH_MAX {
            return Err(too_deep());
        }
    }
    Ok(())
}

fn too_deep() -> Problem {
    Problem::invalid(format!("Query exceeds maximum depth of {DEPTH_MAX}"))
}

impl Reading<'_> {
    fn fields(&mut self, set: &SelectionSet<'static, String>, depth: usize) -> Result<Vec<Field>, Problem> {
        if depth > DEPTH_MAX {
            return Err(too_deep());
        }
        let mut fields = Vec::new();
        let mut alias_count = 0;
        for selection in &set.items {
            match selection {
                Selection::Field(field) => {
                    self.selection_count += 1;
                    if self.selection_count > SELECTION_COUNT_MAX {
                        return Err(Problem::invalid(format!("Query exceeds maximum total selections of {SELECTION_COUNT_MAX}")));
                    }
                    alias_count += usize::from(field.alias.is_some());
                    let arguments =
                        field.arguments.iter().map(|(name, value)| (name.clone(), self.literal(value))).collect::<Map<_, _>>();
                    fields.push(Field {
                        key: field.alias.clone().unwrap_or_else(|| field.name.clone()),
                        name: field.name.clone(),
                        arguments,
                        fields: self.fields(&field.selection_set, depth + 1)?,
                    });
                }
                // A fragment counts as a level: one that names itself ends here.
                Selection::InlineFragment(fragment) => fields.extend(self.fields(&fragment.selection_set, depth + 1)?),
                Selection::FragmentSpread(spread) => {
                    let unknown = || Problem::invalid(format!("Unknown fragment \"{}\".", spread.fragment_name));
                    let fragment = *self.fragments.get(spread.fragment_name.as_str()).ok_or_else(unknown)?;
                    let TypeCondition::On(_) = &fragment.type_condition;
                    fields.extend(self.fields(&fragment.selection_set, depth + 1)?);
                }
            }
        }
        if alias_count > ALIAS_COUNT_MAX {
            return Err(Problem::invalid(format!(
                "GraphQL queries should have at most {ALIAS_COUNT_MAX} aliases, got {alias_count} aliases."
            )));
        }
        Ok(fields)
    }

    fn literal(&self, literal: &Literal<'static, String>) -> Value {
        match literal {
            Literal::Variable(name) => self.variables.get(name).cloned().unwrap_or(Value::Null),
            Literal::Int(number) => number.as_i64().map_or(Value::Null, |number| json!(number)),
            Literal::Float(number) => json!(number),
            Literal::String(text) | Literal::Enum(text) => json!(text),
            Literal::Boolean(flag) => json!(flag),
            Literal::Null => Value::Null,
            Literal::List(list) => Value::Array(list.iter().map(|item| self.literal(item)).collect()),
            Literal::Object(object) => {
                Value::Object(object.iter().map(|(name, value)| (name.clone(), self.literal(value))).collect())
            }
        }
    }
}

/// The `input` argument, in the words of the REST interface.
pub(super) fn input_of(field: &Field) -> Map<String, Value> {
    match field.arguments.get("input") {
        Some(Value::Object(input)) => input.iter().map(|(name, value)| (snake_case(name), value.clone())).collect(),
        _ => Map::new(),
    }
}

/// What was selected of a REST answer.
pub(super) fn select(answer: &Value, fields: &[Field]) -> Value {
    match answer {
        Value::Array(list) => Value::Array(list.iter().map(|item| select(item, fields)).collect()),
        Value::Object(object) => {
            let picked = fields.iter().map(|field| {
                if field.name == "__typename" {
                    return (field.key.clone(), json!("Mlflow"));
                }
                let value = object.get(&snake_case(&field.name));
                (field.key.clone(), value.map_or_else(|| absent(field), |value| leaf_or_part(value, field)))
            });
            Value::Object(picked.collect())
        }
        Value::Null => Value::Null,
        leaf => scalar(leaf, ""),
    }
}

fn leaf_or_part(value: &Value, field: &Field) -> Value {
    if field.fields.is_empty() {
        return match value {
            Value::Array(list) => Value::Array(list.iter().map(|item| scalar(item, &field.name)).collect()),
            leaf => scalar(leaf, &field.name),
        };
    }
    select(value, &field.fields)
}

/// What REST leaves out is empty or zero in protobuf's sense.
fn absent(field: &Field) -> Value {
    const LISTS: [&str; 10] = [
        "metrics",
        "params",
        "tags",
        "files",
        "runs",
        "datasetInputs",
        "modelVersions",
        "modelInputs",
        "modelOutputs",
        "aliases",
    ];
    match field.name.as_str() {
        name if LISTS.contains(&name) || name == "datasetSummaries" => json!([]),
        "fileSize" | "endTime" if field.name == "fileSize" => json!("0"),
        "context" => json!(""),
        _ => Value::Null,
    }
}

/// 64-bit numbers are texts; a float that is none is null.
fn scalar(value: &Value, name: &str) -> Value {
    match value {
        Value::Number(number) if number.is_i64() || number.is_u64() => json!(number.to_string()),
        Value::String(text) if name == "value" && matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity") => Value::Null,
        other => other.clone(),
    }
}

fn snake_case(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Result<Vec<Field>, String> {
        root_fields(text, &Map::new()).map_err(|problem| problem.message().to_owned())
    }

    #[test]
    fn a_selection_picks_from_the_rest_answer() {
        let query = "query q { r: getRun { run { info { runId startTime } data { metrics { key value } } ...more } } } \
                     fragment more on Run { gone }";
        let root = fields(query).unwrap().remove(0);
        let answer =
            json!({"run": {"info": {"run_id": "a", "start_time": 5}, "data": {"metrics": [{"key": "m", "value": "NaN"}]}}});
        assert_eq!(root.key, "r");
        assert_eq!(
            select(&answer, &root.fields),
            json!({"run": {"info": {"runId": "a", "startTime": "5"}, "data": {"metrics": [{"key": "m", "value": null}]}, "gone": null}})
        );
    }

    #[test]
    fn bombs_are_refused() {
        let deep = format!("{{ a {} }}", "{ b ".repeat(12) + &"}".repeat(12));
        assert!(fields(&deep).unwrap_err().contains("maximum depth"));
        assert!(fields(&"{".repeat(60_000)).unwrap_err().contains("maximum depth"));
        let wide = format!("{{ a {{ {} }} }}", "b ".repeat(1_002));
        assert!(fields(&wide).unwrap_err().contains("maximum total selections"));
        let aliases: String = (0..12).map(|number| format!("k{number}: b ")).collect();
        assert!(fields(&format!("{{ a {{ {aliases} }} }}")).unwrap_err().contains("aliases"));
        assert!(fields("query q { ...f } fragment f on T { ...f }").unwrap_err().contains("maximum depth"));
        assert!(fields("subscription s { a }").is_err());
        assert!(fields("{ a ").unwrap_err().starts_with("Syntax Error"));
    }
}
