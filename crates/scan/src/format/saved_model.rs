//! TensorFlow's SavedModel: the operators of its graphs and functions, by a list of harmless ones and one of dangerous ones.

use std::collections::BTreeSet;
use std::io;

use crate::context::Context;
use crate::report::shown;
use crate::rules;
use crate::source::Window;

use super::cursor::{Stop, malformed};
use super::protobuf::{Content, fields};

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

pub(super) fn look(context: &mut Context<'_>, window: Window<'_>) -> io::Result<()> {
    let mut operators = BTreeSet::new();
    let mut functions = BTreeSet::new();
    let walked = fields(window, |field| match (field.number, field.bytes()) {
        (2, Some(meta)) => fields(meta, |field| match (field.number, field.bytes()) {
            (2, Some(graph)) => walk_graph(graph, &mut operators, &mut functions),
            _ => Ok(()),
        }),
        _ => Ok(()),
    });
    match walked {
        Ok(()) => {}
        Err(Stop::Source(error)) => return Err(error),
        Err(Stop::Malformed(problem)) => context.find(rules::FORMAT_MALFORMED, None, problem),
    }
    let harmless: BTreeSet<&str> = HARMLESS.lines().map(str::trim).filter(|line| !line.starts_with('#')).collect();
    let odd = operators.iter().filter(|name| !harmless.contains(name.as_str()) && !functions.contains(*name));
    let (dangerous, unknown): (Vec<&String>, Vec<&String>) = odd.partition(|name| DANGEROUS.contains(&name.as_str()));
    for name in dangerous.into_iter().take(FINDINGS_EACH_MAX) {
        context.find(rules::SAVED_MODEL_OPERATOR, None, format!("the operator `{}`", shown(name)));
    }
    for name in unknown.into_iter().take(FINDINGS_EACH_MAX) {
        context.find(rules::SAVED_MODEL_UNKNOWN, None, format!("the operator `{}`", shown(name)));
    }
    Ok(())
}

fn walk_graph(graph: Window<'_>, operators: &mut BTreeSet<String>, functions: &mut BTreeSet<String>) -> Result<(), Stop> {
    fields(graph, |field| match (field.number, field.bytes()) {
        (1, Some(node)) => walk_node(node, operators),
        (2, Some(library)) => fields(library, |field| match (field.number, field.bytes()) {
            (1, Some(function)) => fields(function, |field| match (field.number, field.bytes()) {
                (1, Some(signature)) => fields(signature, |field| {
                    if field.number == 1 {
                        functions.insert(field.text()?);
                    }
                    Ok(())
                }),
                (3, Some(node)) => walk_node(node, operators),
                _ => Ok(()),
            }),
            _ => Ok(()),
        }),
        _ => Ok(()),
    })
}

fn walk_node(node: Window<'_>, operators: &mut BTreeSet<String>) -> Result<(), Stop> {
    fields(node, |field| {
        if field.number == 2 && field.bytes().is_some() {
            operators.insert(field.text()?);
        }
        Ok(())
    })
}
