//! Where artifacts go. The server never opens an address that a client names: it keeps it as an opaque text, and refuses
//! those that point at a machine's files or at a host.

use kernel::Problem;

use crate::limits;

/// Schemes that name a bucket, a share or a store which the client itself opens. Anything else is refused.
const OPAQUE_SCHEMES: &[&str] = &[
    "s3", "s3a", "s3n", "gs", "abfs", "abfss", "wasb", "wasbs", "dbfs", "hdfs", "viewfs", "r2", "b2", "oss", "cos", "uc", "adl",
];

/// The default location of an experiment's artifacts: through this server, so that every byte passes its door.
pub(crate) fn default_location(experiment_id: i64) -> String {
    format!("mlflow-artifacts:/{experiment_id}")
}

/// The location of a run's artifacts inside its experiment's.
pub(crate) fn of_run(location: &str, run_id: &str) -> String {
    let (path, query) = match location.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (location, None),
    };
    let mut uri = format!("{}/{run_id}/artifacts", path.trim_end_matches('/'));
    if let Some(query) = query {
        uri.push('?');
        uri.push_str(query);
    }
    uri
}

/// Whether a client may give this location to an experiment.
pub(crate) fn check(location: &str) -> Result<(), Problem> {
    if location.starts_with("runs:") {
        return Err(Problem::invalid(format!("Artifact location cannot be a runs:/ URI. Given: '{location}'")));
    }
    if location.chars().count() > limits::ARTIFACT_LOCATION_CHARS_MAX {
        return Err(Problem::invalid(format!(
            "Invalid artifact path length. The length of the artifact path cannot be greater than {} characters.",
            limits::ARTIFACT_LOCATION_CHARS_MAX
        )));
    }
    if location.contains(['#', ';']) {
        return Err(Problem::invalid("'artifact_location' URL can't include fragments or params."));
    }
    let decoded = fully_decoded(location).ok_or_else(|| refused(location, "it is encoded too often"))?;
    let (path, query) = decoded.split_once('?').unwrap_or((&decoded, ""));
    if query.contains("..") {
        return Err(Problem::invalid("Invalid query string"));
    }
    if decoded.chars().any(char::is_control) || decoded.contains('\\') {
        return Err(refused(location, "it contains control characters or backslashes"));
    }
    if path.split('/').any(|part| part.trim() == "..") {
        return Err(refused(location, "it contains `..`"));
    }
    match scheme(&decoded) {
        None if path.starts_with(['/', '~']) => Err(refused(location, "it is a local path, which this server never opens")),
        None => Ok(()),
        Some(scheme) if OPAQUE_SCHEMES.contains(&scheme.as_str()) => Ok(()),
        Some(scheme) if scheme == "mlflow-artifacts" => {
            Err(refused(location, "leave it out to keep artifacts on this server: it gives each experiment its own place"))
        }
        Some(scheme) => Err(refused(location, &format!("the scheme `{scheme}` names a file or a host"))),
    }
}

fn refused(location: &str, why: &str) -> Problem {
    Problem::invalid(format!(
        "Invalid artifact location '{}': {why}. Use a bucket address such as s3://bucket/path, or leave it out.",
        location.escape_debug()
    ))
}

/// The scheme in lower case. One letter before a colon is a drive, which is a local path.
fn scheme(text: &str) -> Option<String> {
    let (head, _) = text.trim_start().split_once(':')?;
    let first = head.chars().next()?;
    let fine = first.is_ascii_alphabetic() && head.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    fine.then(|| head.to_ascii_lowercase())
}

/// Percent-decoded until it no longer changes, so that no spelling hides another one.
fn fully_decoded(text: &str) -> Option<String> {
    let mut current = text.to_owned();
    for _ in 0..10 {
        let next = decoded(&current);
        if next == current {
            return Some(current);
        }
        current = next;
    }
    None
}

fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let pair = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok()).and_then(kernel::parse_hex);
        if let (b'%', Some([byte])) = (first, pair.as_deref()) {
            out.push(*byte);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opaque_locations_are_kept() {
        for good in [
            "s3://bucket/path",
            "S3://bucket",
            "gs://b",
            "dbfs:/x",
            "abfss://c@a.dfs.core.windows.net/x",
            "my_location",
            "my/location",
            "s3://b/p?region=x",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn hostile_locations_are_refused() {
        for bad in [
            "/etc/passwd",
            "~/x",
            "file:///etc",
            "file:/etc",
            "FILE:///etc",
            "file://host/share",
            "fi%6ce:///etc",
            "%66ile:///etc",
            "http://127.0.0.1/x",
            "https://metadata/",
            "ftp://h/x",
            "sftp://h/x",
            "ssh://h",
            "mysql://h/x",
            "gopher://h",
            "data:,x",
            "javascript:x",
            "c:/windows",
            "C:\\windows",
            "\\\\host\\share",
            "../x",
            "a/../b",
            "s3://b/../x",
            "s3://b/%2e%2e/x",
            "s3://b/%252e%252e/x",
            "s3://b/x#f",
            "s3://b/x;p",
            "s3://b?x=..",
            "s3://b?x=%2e%2e",
            "runs:/x/y",
            "runs:x",
            "s3://b/\0",
            "s3://b/%00",
            "mlflow-artifacts:/0",
            "mlflow-artifacts://host/x",
            " file:///etc",
            "models:/x/1",
            "a\nb",
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        assert!(check(&"a".repeat(2_049)).is_err());
    }

    #[test]
    fn a_runs_place_is_inside_its_experiments() {
        assert_eq!(of_run("mlflow-artifacts:/7", "r"), "mlflow-artifacts:/7/r/artifacts");
        assert_eq!(of_run("s3://b/p/?region=x", "r"), "s3://b/p/r/artifacts?region=x");
        assert_eq!(of_run("loc", "r"), "loc/r/artifacts");
    }
}
