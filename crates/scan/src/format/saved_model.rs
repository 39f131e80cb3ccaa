//! TensorFlow's SavedModel: the operators of its graphs and functions, by a list of harmless ones and one of dangerous ones.

mod graph;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::context::Context;
use crate::report::shown;
use crate::rules;
use crate::source::Window;

use super::cursor::{Stop, malformed};
use super::protobuf::{Content, fields};
use graph::{MetaGraph, Node, Reader};

/// Operators that a graph may have.
const HARMLESS: &str = include_str!("../../allow/tensorflow-operators.txt");
/// Operators that reach files, processes or Python.
const DANGEROUS: [&str; 22] = [
    "ReadFile",
    "WriteFile",
    "PyFunc",
    "EagerPyFunc",
    "PyFuncStateless",
    "MatchingFiles",
    "ImmutableConst",
    "PrintV2",
    "ShellExecute",
    "LoadLibrary",
    "DebugIdentity",
    "DebugIdentityV2",
    "DebugIdentityV3",
    "RpcClient",
    "FixedLengthRecordDatasetV2",
    "TextLineDataset",
    "TFRecordDataset",
    "WholeFileReaderV2",
    "TextLineReaderV2",
    "XlaLaunch",
    "TPUExecute",
    "CreateSummaryFileWriter",
];
/// Operators that write a checkpoint to where they are told.
const WRITERS: [&str; 2] = ["SaveV2", "MergeV2Checkpoints"];
const FINDINGS_EACH_MAX: usize = 16;

/// Whether the fields are those of a SavedModel: a version and graphs.
pub(super) fn is_saved_model(window: Window<'_>) -> io::Result<bool> {
    let (mut version, mut graphs) = (false, false);
    let walked = fields(window, |field| {
        match (field.number, field.content) {
            (1, Content::Number(1)) => version = true,
            (2, Content::Bytes(graph)) if graph.size() > 0 => graphs = true,
            _ => return malformed("no field of a SavedModel"),
        }
        Ok(())
    });
    match walked {
        Err(Stop::Source(error)) => Err(error),
        Err(Stop::Malformed(_)) => Ok(false),
        Ok(()) => Ok(version && graphs),
    }
}

/// Whether the fields are those of a model's fingerprint: numbers, a version and a text, which nothing runs.
pub(super) fn is_fingerprint(window: Window<'_>) -> io::Result<bool> {
    const BYTES_MAX: u64 = 4_096;
    let walked = fields(window, |field| match (field.number, field.content) {
        (1..=5, Content::Number(_)) | (6 | 7, Content::Bytes(_)) => Ok(()),
        _ => malformed("no field of a fingerprint"),
    });
    match walked {
        Err(Stop::Source(error)) => Err(error),
        Err(Stop::Malformed(_)) => Ok(false),
        Ok(()) => Ok(window.size() <= BYTES_MAX),
    }
}

pub(super) fn look(context: &mut Context<'_>, window: Window<'_>) -> io::Result<()> {
    let harmless: BTreeSet<&str> = HARMLESS.lines().map(str::trim).filter(|line| !line.starts_with('#')).collect();
    let mut reader = Reader::default();
    let walked = fields(window, |field| {
        if let (2, Some(meta)) = (field.number, field.bytes()) {
            let found = reader.meta_graph(meta)?;
            judge(context, &found, &harmless);
        }
        Ok(())
    });
    match walked {
        Ok(()) => {}
        Err(Stop::Source(error)) => return Err(error),
        Err(Stop::Malformed(problem)) => context.find(rules::FORMAT_MALFORMED, None, problem),
    }
    Ok(())
}

/// Judges one MetaGraph: functions of another one do not count in it.
fn judge(context: &mut Context<'_>, found: &MetaGraph, harmless: &BTreeSet<&str>) {
    let dangerous = found.operators.iter().filter(|name| DANGEROUS.contains(&name.as_str()));
    for name in dangerous.take(FINDINGS_EACH_MAX) {
        context.find(rules::SAVED_MODEL_OPERATOR, None, format!("the operator `{}`", shown(name)));
    }
    let unknown = found.operators.iter().filter(|name| {
        let is_function = found.functions.contains_key(*name) && is_named_as_function(name);
        !harmless.contains(name.as_str()) && !DANGEROUS.contains(&name.as_str()) && !is_function
    });
    for name in unknown.take(FINDINGS_EACH_MAX) {
        context.find(rules::SAVED_MODEL_UNKNOWN, None, format!("the operator `{}`", shown(name)));
    }
    if let Some(place) = saves_elsewhere(found) {
        let message = format!("`{}` writes a checkpoint, and is no part of the model's saver", shown(&place));
        context.find(rules::SAVED_MODEL_OPERATOR, None, message);
    }
}

/// Operators are named `LikeThis`; a function of that name would excuse the operator.
fn is_named_as_function(name: &str) -> bool {
    name.starts_with("__")
        || name.starts_with(|letter: char| letter.is_ascii_lowercase())
        || name.trim_start_matches('_').contains('_')
}

/// What writes a checkpoint without being a part of the saver, which only runs when somebody saves the model.
fn saves_elsewhere(found: &MetaGraph) -> Option<String> {
    let writing = writing_functions(found);
    if let Some(name) = writing.iter().find(|name| found.called.contains(**name)) {
        return Some((*name).to_owned());
    }
    let writes = |name: &String| WRITERS.contains(&name.as_str()) || writing.contains(name.as_str());
    let writers: Vec<&Node> = found.nodes.iter().filter(|node| node.calls.iter().any(writes)).collect();
    let (mut inputs, mut dependents): (Edges<'_>, Edges<'_>) = (BTreeMap::new(), BTreeMap::new());
    for (node, input) in found.nodes.iter().flat_map(|node| node.inputs.iter().map(move |input| (node, input))) {
        dependents.entry(input).or_default().push(&node.name);
        inputs.entry(&node.name).or_default().push(input);
    }
    let saver = reached(found.saver.as_deref().into_iter().collect(), &inputs);
    if let Some(node) = writers.iter().find(|node| !saver.contains(node.name.as_str())) {
        return Some(node.name.clone());
    }
    let after = reached(writers.iter().map(|node| node.name.as_str()).collect(), &dependents);
    found.used.iter().find(|used| after.contains(used.as_str())).cloned()
}

type Edges<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// All names that the edges lead to, with those from where they start.
fn reached<'a>(mut queue: Vec<&'a str>, edges: &Edges<'a>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    while let Some(name) = queue.pop() {
        if reached.insert(name) {
            queue.extend(edges.get(name).into_iter().flatten());
        }
    }
    reached
}

/// Functions that write a checkpoint, themselves or by another.
fn writing_functions(found: &MetaGraph) -> BTreeSet<&str> {
    let mut callers: Edges<'_> = BTreeMap::new();
    for (name, calls) in &found.functions {
        for call in calls {
            callers.entry(call).or_default().push(name);
        }
    }
    let mut writing = reached(WRITERS.to_vec(), &callers);
    writing.retain(|name| !WRITERS.contains(name));
    writing
}
