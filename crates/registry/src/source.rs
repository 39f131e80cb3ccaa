//! Where a version comes from. The server opens no address that a client names: what lies on this server is resolved, what
//! lies in a bucket is kept as an opaque text, and the rest is refused.

use kernel::Problem;

use crate::limits;
use crate::rules::{self, shown};

/// Schemes of stores that the client itself opens with its own credentials.
const OPAQUE_SCHEMES: &[&str] = &[
    "s3", "s3a", "s3n", "gs", "abfs", "abfss", "wasb", "wasbs", "dbfs", "hdfs", "viewfs", "r2", "b2", "oss", "cos", "uc", "adl",
];
/// How often a text may be percent-encoded.
const DECODE_COUNT_MAX: usize = 10;

/// A source, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// `runs:/<run id>/<path>`
    Run {
        /// The run.
        run_id: String,
        /// The path inside its artifacts.
        path: String,
    },
    /// `models:/m-<32 hex>`
    LoggedModel(String),
    /// `models:/<name>/<version>`
    Version {
        /// The registered model.
        name: String,
        /// The version.
        version: i64,
    },
    /// `models:/<name>@<alias>`
    Alias {
        /// The registered model.
        name: String,
        /// The alias.
        alias: String,
    },
    /// `mlflow-artifacts:/<experiment>/…`, and which run or logged model of that experiment it lies in.
    Artifacts {
        /// The experiment.
        experiment_id: i64,
        /// The run or logged model.
        holder: Option<Holder>,
    },
    /// A text that this server does not resolve.
    Opaque,
}

/// What holds artifacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Run(String),
    LoggedModel(String),
}

/// Reads the source of a version. `by_model` says that the request names a logged model and no run.
pub(crate) fn parse(source: &str, by_model: bool) -> Result<Source, Problem> {
    rules::within("source", limits::SOURCE_CHARS_MAX, source)?;
    let decoded = fully_decoded(source).ok_or_else(|| refused(source))?;
    let Some(scheme) = scheme(&decoded) else {
        return Err(local(source, by_model));
    };
    if decoded.chars().any(char::is_control) || decoded.contains('\\') || decoded.split(['/', '?', '#']).any(is_parent) {
        return Err(refused(source));
    }
    let rest = decoded.get(scheme.len() + 1..).unwrap_or_default();
    match scheme.as_str() {
        "file" => Err(local(source, by_model)),
        "runs" => run_source(source, rest),
        "models" => model_source(source, rest),
        "mlflow-artifacts" => artifact_source(source, rest),
        known if OPAQUE_SCHEMES.contains(&known) => Ok(Source::Opaque),
        _ => Err(refused(source)),
    }
}

/// Reads the source of a prompt's version: a placeholder without meaning.
pub(crate) fn parse_prompt(source: &str) -> Result<Source, Problem> {
    rules::within("source", limits::SOURCE_CHARS_MAX, source)?;
    let decoded = fully_decoded(source).ok_or_else(|| refused(source))?;
    match scheme(&decoded) {
        None if decoded.starts_with(['/', '~', '\\']) => Err(local_prompt(source)),
        None if decoded.split('/').any(is_parent) || decoded.chars().any(char::is_control) => Err(refused(source)),
        None => Ok(Source::Opaque),
        Some(scheme) if scheme == "file" => Err(local_prompt(source)),
        Some(_) => parse(source, false),
    }
}

fn is_parent(part: &str) -> bool {
    part.trim() == ".."
}

fn run_source(source: &str, rest: &str) -> Result<Source, Problem> {
    let path = rest.strip_prefix('/').filter(|path| !path.starts_with('/')).ok_or_else(|| refused(source))?;
    let (run_id, path) = path.split_once('/').unwrap_or((path, ""));
    let plain = !run_id.is_empty() && run_id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if !plain {
        return Err(refused(source));
    }
    Ok(Source::Run { run_id: run_id.to_owned(), path: path.trim_matches('/').to_owned() })
}

fn model_source(source: &str, rest: &str) -> Result<Source, Problem> {
    let improper = || {
        Problem::invalid(format!(
            "Not a proper models:/ URI: {}. Models URIs must be of the form 'models:/name/version', 'models:/name@alias' or \
             'models:/<model_id>'.",
            shown(source)
        ))
    };
    let path = rest.strip_prefix('/').filter(|path| !path.starts_with('/')).ok_or_else(improper)?;
    if is_logged_model_id(path) {
        return Ok(Source::LoggedModel(path.to_owned()));
    }
    if let Some((name, version)) = path.split_once('/') {
        rules::model_name("name", name)?;
        return Ok(Source::Version { name: name.to_owned(), version: rules::version(version).map_err(|_| improper())? });
    }
    if let Some((name, alias)) = path.rsplit_once('@') {
        rules::model_name("name", name)?;
        rules::alias(alias)?;
        return Ok(Source::Alias { name: name.to_owned(), alias: alias.to_owned() });
    }
    Err(improper())
}

/// With a host it would name another server, to which clients would carry their credentials.
fn artifact_source(source: &str, rest: &str) -> Result<Source, Problem> {
    let host_free = rest.strip_prefix('/').filter(|path| !path.starts_with('/')).ok_or_else(|| refused(source))?;
    let mut parts = host_free.split('/').filter(|part| !part.is_empty());
    let Some(first) = parts.next() else { return Err(refused(source)) };
    if !first.bytes().all(|b| b.is_ascii_digit()) {
        // No experiment has such a place: nothing can be read from it.
        return Ok(Source::Opaque);
    }
    let experiment_id = canonical_id(first).ok_or_else(|| refused(source))?;
    let holder = match (parts.next(), parts.next()) {
        (Some("models"), Some(model_id)) => Some(Holder::LoggedModel(model_id.to_owned())),
        (Some(run_id), _) if run_id != "models" => Some(Holder::Run(run_id.to_owned())),
        _ => None,
    };
    Ok(Source::Artifacts { experiment_id, holder })
}

fn canonical_id(text: &str) -> Option<i64> {
    text.parse().ok().filter(|id: &i64| id.to_string() == text)
}

/// `m-` and 32 hex digits.
pub(crate) fn is_logged_model_id(text: &str) -> bool {
    text.strip_prefix("m-")
        .is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
}

fn refused(source: &str) -> Problem {
    Problem::invalid(format!(
        "Invalid model version source: '{}'. If supplying a source as an http, https, local file path, ftp, objectstore, or \
         mlflow-artifacts uri, an absolute path must be provided without relative path references present. Please provide an \
         absolute path. This server takes runs:/, models:/, mlflow-artifacts:/ without a host, and bucket addresses such as s3://.",
        shown(source).escape_debug()
    ))
}

fn local(source: &str, by_model: bool) -> Problem {
    let id = if by_model { "model_id" } else { "run_id" };
    Problem::invalid(format!(
        "Invalid model version source: '{}'. To use a local path as a model version source, the {id} request parameter has to \
         be specified and the local path has to be contained within the artifact directory of the run specified by the {id}. \
         This server keeps no artifacts under local paths: log the model and register its runs:/ or models:/ address.",
        shown(source).escape_debug()
    ))
}

fn local_prompt(source: &str) -> Problem {
    let source = shown(source);
    Problem::invalid(format!("Invalid prompt source: '{source}'. Local source paths are not allowed for prompts."))
}

/// The scheme in lower case. One letter before a colon is a drive, which is a local path.
fn scheme(text: &str) -> Option<String> {
    let (head, _) = text.split_once(':')?;
    let fine = head.len() > 1
        && head.starts_with(|c: char| c.is_ascii_alphabetic())
        && head.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    fine.then(|| head.to_ascii_lowercase())
}

/// Percent-decoded until it no longer changes, so that no spelling hides another one.
fn fully_decoded(text: &str) -> Option<String> {
    let mut current = text.to_owned();
    for _ in 0..DECODE_COUNT_MAX {
        let next = decoded(&current)?;
        if next == current {
            return Some(current);
        }
        current = next;
    }
    None
}

fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let pair = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok()).and_then(kernel::parse_hex);
        match (first, pair.as_deref()) {
            (b'%', Some([byte])) => {
                out.push(*byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_here_is_resolved() {
        let id = "m-0123456789abcdef0123456789abcdef";
        let table: &[(&str, Source)] = &[
            ("runs:/abc/model", Source::Run { run_id: "abc".into(), path: "model".into() }),
            ("runs:/run_id_2/a/b/c", Source::Run { run_id: "run_id_2".into(), path: "a/b/c".into() }),
            ("models:/m-0123456789abcdef0123456789abcdef", Source::LoggedModel(id.into())),
            ("models:/CopyMVTest/1", Source::Version { name: "CopyMVTest".into(), version: 1 }),
            ("models:/a@b", Source::Alias { name: "a".into(), alias: "b".into() }),
            ("mlflow-artifacts:/7/r/artifacts/m", Source::Artifacts { experiment_id: 7, holder: Some(Holder::Run("r".into())) }),
            (
                "mlflow-artifacts:/7/models/m-1/artifacts",
                Source::Artifacts { experiment_id: 7, holder: Some(Holder::LoggedModel("m-1".into())) },
            ),
            ("mlflow-artifacts:/models/foo///bar", Source::Opaque),
            ("mlflow-artifacts:/models///", Source::Opaque),
            ("s3://path/to/model", Source::Opaque),
            ("S3://b/..../x", Source::Opaque),
            ("dbfs:/x/y", Source::Opaque),
        ];
        for (text, source) in table {
            assert_eq!(&parse(text, false).unwrap(), source, "{text}");
        }
    }

    #[test]
    fn hostile_sources_are_refused() {
        for bad in [
            "/etc/passwd",
            "~/x",
            "x",
            "",
            "file:///etc",
            "file:/etc",
            "FILE:///etc",
            "fi%6ce:///etc",
            "%66ile:///etc",
            "file://host/share",
            "http://127.0.0.1/x",
            "https://metadata/",
            "ftp://h/x",
            "sftp://h/x",
            "gopher://h",
            "data:,x",
            "javascript:x",
            "c:/windows",
            "C:\\windows",
            "\\\\host\\share",
            "../x",
            "s3://b/../x",
            "s3://b/%2e%2e/x",
            "s3://b/%252e%252e/x",
            "s3://b/x?a=/..",
            "s3://b/\0",
            "s3://b/%00",
            "mlflow-artifacts://host:9000/models",
            "mlflow-artifacts://host/..%2f..%2fx",
            "mlflow-artifacts:///x",
            "mlflow-artifacts:/",
            "mlflow-artifacts:/7/../8/r",
            "mlflow-artifacts:/07/r",
            "runs:/",
            "runs:/../x",
            "runs://h/x",
            "runs:x/y",
            "models:/",
            "models://h/x",
            "models:/a/latest",
            "models:/a/01",
            "models:/a/+1",
            "models:/a/b/c",
            "models:/a",
            "dbfs:/r/artifacts/a%3f/../../../",
            "s3a://my_bucket/a/../../../",
            " file:///etc",
            "unknown:/x",
            "artifacts:/1/2",
            "a\nb",
            "s3://b/a\\..\\b",
        ] {
            assert!(parse(bad, false).is_err_and(|p| p.kind() == kernel::Kind::Invalid), "{bad:?}");
        }
        assert!(parse(&format!("s3://{}", "a".repeat(2_100)), false).is_err());
    }

    #[test]
    fn the_texts_are_mlflows() {
        let text = |source| parse(source, false).unwrap_err().message().to_owned();
        assert!(text("/tmp").contains("To use a local path as a model version source, the run_id request parameter"));
        assert!(text("file:///tmp").contains("To use a local path as a model version"));
        assert!(text("http://host:9000/models/../../../").contains("If supplying a source as an http, https,"));
        assert!(text("mlflow-artifacts://host:9000/models/artifact%00").contains("If supplying a source as an http, https,"));
        assert!(parse_prompt("/etc/passwd").unwrap_err().message().contains("Local source paths are not allowed for prompts."));
        assert!(parse_prompt("prompt-template").is_ok() && parse_prompt("dummy-source").is_ok());
        assert!(parse_prompt("file:///x").is_err() && parse_prompt("http://x/y").is_err() && parse_prompt("a/../b").is_err());
    }
}
