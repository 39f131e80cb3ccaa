//! What a job is told in its environment.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::Errand;
use crate::limits::DATA_ADDRESSES_BYTES_MAX;

/// What stands for itself in a part of an address.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The variables of a job that finds the server at `url`, whose authority lies in the file `ca` there.
#[must_use]
pub fn environment(errand: &Errand, url: &str, ca: &str) -> BTreeMap<String, String> {
    let part = |text: &str| utf8_percent_encode(text, PART).to_string();
    let (dataset, number) = &errand.data;
    let files = format!("{url}/api/strongroom/v1/datasets/{}/versions/{number}/files", part(dataset));
    let address = |path: &String| {
        let parts: Vec<String> = path.split('/').map(part).collect();
        (path.clone(), Value::String(format!("{files}/{}?run={}", parts.join("/"), errand.run_id)))
    };
    let addresses = Value::Object(errand.data_files.iter().map(address).collect()).to_string();
    let addresses = if addresses.len() > DATA_ADDRESSES_BYTES_MAX { "{}".to_owned() } else { addresses };
    let token = errand.token.expose_text().unwrap_or_default().to_owned();
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |name: &str, value: String| variables.insert(name.to_owned(), value);
    set("MLFLOW_TRACKING_URI", url.to_owned());
    set("MLFLOW_TRACKING_TOKEN", token);
    set("MLFLOW_RUN_ID", errand.run_id.clone());
    set("MLFLOW_EXPERIMENT_ID", errand.experiment_id.to_string());
    set("MLFLOW_WORKSPACE", errand.workspace.clone());
    set("STRONGROOM_JOB", errand.job_id.clone());
    set("STRONGROOM_DATA", files);
    set("STRONGROOM_DATA_FILES", addresses);
    set("STRONGROOM_PARAMETERS", json!(errand.parameters).to_string());
    for name in ["MLFLOW_TRACKING_SERVER_CERT_PATH", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"] {
        set(name, ca.to_owned());
    }
    // Clients that report to their makers would only run into the sandbox's walls.
    for name in ["MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"] {
        set(name, "1".to_owned());
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Secret;

    #[test]
    fn addresses_of_data_name_the_run() {
        let errand = Errand {
            job_id: "j".to_owned(),
            code: Vec::new(),
            words: Vec::new(),
            parameters: BTreeMap::from([("a".to_owned(), "1".to_owned())]),
            run_id: "r1".to_owned(),
            experiment_id: 7,
            workspace: "default".to_owned(),
            data: ("churn".to_owned(), 4),
            data_files: vec!["a b/c?.csv".to_owned()],
            token: Secret::from("s".to_owned()),
            seconds_max: 1,
        };
        let variables = environment(&errand, "https://h:1", "/ca.pem");
        assert_eq!(
            variables["STRONGROOM_DATA_FILES"],
            "{\"a b/c?.csv\":\"https://h:1/api/strongroom/v1/datasets/churn/versions/4/files/a%20b/c%3F.csv?run=r1\"}"
        );
        assert_eq!(variables["STRONGROOM_PARAMETERS"], "{\"a\":\"1\"}");
        let many = Errand { data_files: (0..9_000).map(|at| format!("a file with a name {at}")).collect(), ..errand };
        assert_eq!(environment(&many, "https://h:1", "/ca.pem")["STRONGROOM_DATA_FILES"], "{}");
    }
}
