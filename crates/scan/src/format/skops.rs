//! skops: `schema.json` says which types are made, and how. All of them must stand on an allow-list, in that use.

use std::collections::BTreeSet;
use std::io;

use serde_json::{Map, Value};

use crate::allow::{AllowList, Mode};
use crate::context::Context;
use crate::pickle::{INPUT, OPENS_FILES, POINTERS, is_harmless, is_vectorizer};
use crate::report::shown;
use crate::rules;
use crate::source::Window;

/// Types that skops' own loaders make of plain data.
const OWN: [&str; 13] = [
    "builtins.NoneType",
    "builtins.str",
    "builtins.int",
    "builtins.float",
    "builtins.bool",
    "builtins.dict",
    "builtins.list",
    "builtins.tuple",
    "builtins.set",
    "builtins.frozenset",
    "builtins.bytes",
    "builtins.bytearray",
    "builtins.slice",
];
/// Made of pairs, their keys would be other texts than the keys of the schema.
const DICTIONARIES: [&str; 4] = ["builtins.dict", "collections.OrderedDict", "collections.defaultdict", "collections.Counter"];
const FUNCTION: &str = "FunctionNode";
const PLAIN: &str = "JsonNode";
/// All kinds of nodes that skops has, in all its versions.
const KINDS: [&str; 27] = [
    "BytearrayNode",
    "BytesNode",
    "CachedNode",
    "ConstructorFromReduceNode",
    "DTypeNode",
    "DefaultDictNode",
    "DictNode",
    FUNCTION,
    PLAIN,
    "ListNode",
    "LossNode",
    "MaskedArrayNode",
    "MethodNode",
    "NdArrayNode",
    "ObjectNode",
    "OperatorFuncNode",
    "PartialNode",
    "QuantileForestNode",
    "RandomGeneratorNode",
    "RandomStateNode",
    "SetNode",
    "SliceNode",
    "SparseMatrixNode",
    "TreeNode",
    "TupleNode",
    "TypeNode",
    "_DictWithDeprecatedKeysNode",
];
const FINDINGS_MAX: usize = 32;

pub(super) fn look(context: &mut Context<'_>, window: Window<'_>) -> io::Result<()> {
    let Some(bytes) = context.whole_text(window)? else { return Ok(()) };
    let Ok(value) = serde_json::from_slice::<Value>(&bytes) else {
        context.find(rules::FORMAT_MALFORMED, 0, "the schema is no JSON");
        return Ok(());
    };
    let mut schema = Schema {
        allow: context.scanner.allow_list(),
        is_first: value.get("protocol").and_then(Value::as_u64) == Some(0),
        problems: BTreeSet::new(),
    };
    schema.collect(&value);
    // Written again, no letter is escaped that need not be.
    schema.check_text(&value.to_string());
    let problems = schema.problems;
    if opens_files(&value) {
        context.find(rules::OPENS_FILES, None, OPENS_FILES);
    }
    for problem in problems.into_iter().take(FINDINGS_MAX) {
        context.find(rules::SKOPS_TYPE, None, problem);
    }
    Ok(())
}

struct Schema<'a> {
    allow: &'a AllowList,
    /// Of the first version of the format, in which a function is named by the content of its node alone.
    is_first: bool,
    problems: BTreeSet<String>,
}

impl Schema<'_> {
    fn collect(&mut self, value: &Value) {
        match value {
            Value::Object(map) => {
                self.node(map);
                map.values().for_each(|inner| self.collect(inner));
            }
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            _ => {}
        }
    }

    fn node(&mut self, map: &Map<String, Value>) {
        let text = |key: &str| map.get(key).and_then(Value::as_str);
        let loader = text("__loader__").unwrap_or_default();
        // Where it is a node itself, it is an entry of a dictionary.
        let is_known = |kind: &Value| kind.as_str().is_some_and(|kind| KINDS.contains(&kind));
        if map.get("__loader__").is_some_and(|kind| !kind.is_object() && !is_known(kind)) {
            self.problems.insert(format!("a node of the kind `{}`, which is none of skops'", shown(loader)));
        }
        if let (Some(module), Some(function)) = (text("module_path"), text("function")) {
            self.judge(FUNCTION, module, function);
        }
        if let Some(content) = text("content") {
            self.check_content(content);
        }
        if self.is_first && loader == FUNCTION {
            return;
        }
        if let (Some(module), Some(class)) = (text("__module__"), text("__class__")) {
            self.judge(loader, module, class);
        }
    }

    fn judge(&mut self, loader: &str, module: &str, class: &str) {
        let name = format!("{module}.{class}");
        if !self.may_be(loader, &name) {
            self.problems.insert(format!("the type `{}` in a `{}`", shown(&name), shown(loader)));
        }
    }

    /// Whether a node of this kind may have this name: some make an empty object of it, some call it, some hand it on.
    fn may_be(&self, loader: &str, name: &str) -> bool {
        let mode = self.allow.dotted_mode(name);
        let is_own = OWN.contains(&name) || mode == Some(Mode::Any);
        match loader {
            "MethodNode" | "OperatorFuncNode" => false,
            // The types of a dictionary's keys are called with their texts. Older versions name a type inside of `type`.
            "TypeNode" | FUNCTION | "" => is_own || name == "builtins.type" || mode.is_some_and(Mode::is_value),
            "ObjectNode" => is_own || mode == Some(Mode::Empty),
            "ConstructorFromReduceNode" => {
                let is_made = matches!(mode, Some(Mode::Any | Mode::Texts)) || name == "zoneinfo.ZoneInfo";
                is_made && !DICTIONARIES.contains(&name)
            }
            "ListNode" | "SetNode" => is_own && !DICTIONARIES.contains(&name),
            "NdArrayNode" | "MaskedArrayNode" => matches!(mode, Some(Mode::Any | Mode::Reference | Mode::ArrayClass)),
            "DTypeNode" => matches!(mode, Some(Mode::Any | Mode::Dtype)),
            _ => is_own,
        }
    }

    /// A plain value is JSON in a text.
    fn check_content(&mut self, content: &str) {
        match serde_json::from_str::<Value>(content) {
            Ok(plain) => self.check_text(&plain.to_string()),
            Err(_) if content.contains('\\') => {
                self.problems.insert("a plain value that is not JSON".to_owned());
            }
            Err(_) => {}
        }
    }

    fn check_text(&mut self, text: &str) {
        if let Some(name) = POINTERS.into_iter().find(|name| text.contains(*name)) {
            self.problems.insert(format!("an attribute `{name}`: loading follows pointers that the file makes up"));
        }
    }
}

/// Whether a vectorizer in it takes texts for names of files.
fn opens_files(schema: &Value) -> bool {
    let mut nodes = Vec::new();
    gather(schema, &mut nodes);
    if !nodes.iter().any(|node| is_vectorizer(text_of(node, "__module__"), text_of(node, "__class__"))) {
        return false;
    }
    let inputs: Vec<&Map<String, Value>> = nodes.iter().filter_map(|node| node.get(INPUT)?.as_object()).collect();
    // The reader takes the first node of an id for all of them.
    let ids: BTreeSet<String> = inputs.iter().filter_map(|input| id_of(input)).collect();
    let is_read = |node: &Map<String, Value>| id_of(node).is_some_and(|id| ids.contains(&id));
    inputs.iter().any(|input| !is_content(input)) || nodes.iter().any(|node| is_read(node) && !is_content(node))
}

fn gather<'a>(value: &'a Value, nodes: &mut Vec<&'a Map<String, Value>>) {
    match value {
        Value::Object(map) => {
            nodes.push(map);
            map.values().for_each(|inner| gather(inner, nodes));
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, nodes)),
        _ => {}
    }
}

fn text_of<'a>(node: &'a Map<String, Value>, key: &str) -> &'a str {
    node.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The id of a node, equal where Python's would be: 1, 1.0 and true are one.
fn id_of(node: &Map<String, Value>) -> Option<String> {
    let id = node.get("__id__")?;
    let number = id.as_f64().or_else(|| id.as_bool().map(|id| f64::from(u8::from(id))));
    Some(number.map_or_else(|| id.to_string(), |number| (number + 0.0).to_string()))
}

/// Whether a node is a text that a vectorizer may have as its `input`.
fn is_content(node: &Map<String, Value>) -> bool {
    let content = serde_json::from_str::<Value>(text_of(node, "content")).unwrap_or_default();
    text_of(node, "__loader__") == PLAIN && content.as_str().is_some_and(is_harmless)
}

#[cfg(test)]
mod tests {
    use crate::Verdict;
    use crate::tests::{scan, zip};

    /// A node of the schema with more than its name.
    fn with(loader: &str, name: &str, more: &str) -> String {
        let (module, class) = name.rsplit_once('.').unwrap();
        format!(r#"{{"__module__":"{module}","__class__":"{class}","__loader__":"{loader}"{more}}}"#)
    }

    fn node(loader: &str, name: &str) -> String {
        with(loader, name, "")
    }

    /// A dictionary with one key of this type, which is called with its text.
    fn keyed(kind: &str) -> String {
        let kinds = with("ListNode", "builtins.list", &format!(r#","content":[{kind}]"#));
        with("DictNode", "builtins.dict", &format!(r#","key_types":{kinds},"content":{{"true":{}}}"#, plain("1")))
    }

    fn plain(json: &str) -> String {
        with("JsonNode", "builtins.str", &format!(r#","content":"{json}""#))
    }

    #[track_caller]
    fn check(schema: &str, wanted: Verdict) {
        let report = scan("a.skops", &zip(&[("schema.json", schema.as_bytes())]));
        assert_eq!(report.verdict, wanted, "{schema}: {:?}", report.findings);
    }

    #[test]
    fn a_name_counts_wherever_a_reader_takes_it_from() {
        const ADD: &str = r#","content":{"module_path":"numpy","function":"add"}"#;
        const SYSTEM: &str = r#","content":{"module_path":"os","function":"system"}"#;
        for loader in ["TypeNode", "FunctionNode"] {
            check(&keyed(&node(loader, "os.system")), Verdict::Blocked);
            check(&keyed(&node(loader, "builtins.int")), Verdict::Clean);
            check(&node(loader, "numpy.add"), Verdict::Clean);
        }
        // The version of the format says which of two names a function has.
        check(&keyed(&with("FunctionNode", "os.system", ADD)), Verdict::Blocked);
        check(&with("FunctionNode", "numpy.add", SYSTEM), Verdict::Blocked);
        check(&with("FunctionNode", "builtins.function", &format!(r#"{ADD},"protocol":0"#)), Verdict::Clean);
        check(&with("FunctionNode", "builtins.function", &format!(r#"{SYSTEM},"protocol":0"#)), Verdict::Blocked);
        check(&with("TypeNode", "os.system", r#","content":{},"protocol":0"#), Verdict::Blocked);
        check(&with("FunctionNode", "os.system", &format!(r#"{ADD},"protocol":1"#)), Verdict::Blocked);
    }

    #[test]
    fn names_are_used_as_the_lists_say() {
        for (loader, name, wanted) in [
            ("ObjectNode", "lightgbm.basic.Booster", Verdict::Clean),
            ("ConstructorFromReduceNode", "lightgbm.basic.Booster", Verdict::Blocked),
            ("TypeNode", "lightgbm.basic.Booster", Verdict::Blocked),
            ("NdArrayNode", "numpy.ndarray", Verdict::Clean),
            ("ConstructorFromReduceNode", "numpy.ndarray", Verdict::Blocked),
            ("ConstructorFromReduceNode", "builtins.complex", Verdict::Clean),
            ("ConstructorFromReduceNode", "builtins.str", Verdict::Blocked),
            ("ConstructorFromReduceNode", "builtins.type", Verdict::Blocked),
            ("ConstructorFromReduceNode", "pathlib.PosixPath", Verdict::Clean),
            ("ConstructorFromReduceNode", "zoneinfo.ZoneInfo", Verdict::Clean),
            ("ListNode", "builtins.list", Verdict::Clean),
            ("ListNode", "builtins.dict", Verdict::Blocked),
            ("PartialNode", "functools.partial", Verdict::Clean),
            ("MethodNode", "builtins.str", Verdict::Blocked),
        ] {
            check(&node(loader, name), wanted);
        }
    }

    #[test]
    fn a_node_of_no_known_kind_is_not_clean() {
        check(&with("JsonNode", "builtins.str", r#","content":"1""#), Verdict::Clean);
        for kind in ["EvilNode", "jsonNode", "JsonNode "] {
            check(&with(kind, "builtins.str", r#","content":"1""#), Verdict::Blocked);
        }
        check(r#"{"__loader__":"EvilNode","content":"1"}"#, Verdict::Blocked);
        check(r#"{"__loader__":7,"__module__":"builtins","__class__":"int"}"#, Verdict::Blocked);
        let entry = format!(r#","content":{{"__loader__":{}}}"#, plain("1"));
        check(&with("DictNode", "builtins.dict", &entry), Verdict::Clean);
    }

    #[test]
    fn a_vectorizer_that_opens_files_is_not_clean() {
        let vectorizer = |name: &str, input: &str| {
            let state = with("DictNode", "builtins.dict", &format!(r#","content":{{"input":{input}}}"#));
            with("ObjectNode", &format!("sklearn.feature_extraction.text.{name}"), &format!(r#","content":{state}"#))
        };
        let known = |text: &str, id: &str| with("JsonNode", "builtins.str", &format!(r#","content":"{text}","__id__":{id}"#));
        for name in ["CountVectorizer", "HashingVectorizer", "TfidfVectorizer"] {
            check(&vectorizer(name, &plain(r#"\"content\""#)), Verdict::Clean);
            check(&vectorizer(name, &plain(r#"\"filename\""#)), Verdict::Unknown);
            check(&vectorizer(name, &plain(r#"\"f\\u0069lename\""#)), Verdict::Unknown);
        }
        let list = |items: &[&str]| with("ListNode", "builtins.list", &format!(r#","content":[{}]"#, items.join(",")));
        let content = vectorizer("CountVectorizer", &known(r#"\"content\""#, "1"));
        check(&list(&[&known(r#"\"content\""#, "1"), &known(r#"\"filename\""#, "2"), &content]), Verdict::Clean);
        for id in ["1", "1.0", "true"] {
            check(&list(&[&known(r#"\"filename\""#, id), &content]), Verdict::Unknown);
        }
        let elsewhere = with("DictNode", "builtins.dict", &format!(r#","content":{{"input":{}}}"#, plain(r#"\"filename\""#)));
        check(&elsewhere, Verdict::Clean);
    }

    #[test]
    fn no_attribute_is_a_pointer() {
        let attributes = r#","content":{"__array\u005finterface__":1}"#;
        check(&with("DictNode", "builtins.dict", attributes), Verdict::Blocked);
        check(&plain(r#"\"__array\\u005fstruct__\""#), Verdict::Blocked);
        check(&plain(r#"[\"__array\\u005fstruct__\",NaN]"#), Verdict::Blocked);
        check(&plain(r#"\"__array__\""#), Verdict::Clean);
        check(&plain("NaN"), Verdict::Clean);
    }
}
