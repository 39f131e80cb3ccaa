//! The served half of a model's life: a canary takes over, applications ask, the world drifts, somebody copies, a prediction is traced
//! back, and somebody else's program checks the log. Each claim is asserted: a demo that shows nothing fails.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::demo::Demo;
use crate::shell;

const ROW_COUNT: &str = "10000";
const DRIFTED_ROW_COUNT: &str = "3000";
const ATTACK_ROW_COUNT: &str = "5000";
/// How soon an alert has to be there.
const ALERT_MAX: Duration = Duration::from_secs(60);

/// A model that lives.
pub(crate) struct Life<'a> {
    pub(crate) demo: &'a Demo,
    pub(crate) python: &'a Path,
    pub(crate) url: &'a str,
    /// The endpoint, which is called as its model.
    pub(crate) endpoint: &'a str,
    /// The data set that the model learnt from.
    pub(crate) training: &'a str,
    /// A table of the user's own, and the column that is foretold.
    pub(crate) own: Option<(&'a Path, &'a str)>,
}

impl Life<'_> {
    /// Accounts of an application and of somebody curious, which may ask this model and nothing else.
    pub(crate) fn callers(&self) -> Result<(), String> {
        let token = self.demo.token();
        for name in ["app", "curious"] {
            self.demo.quiet(&["service", "create", name, "--token-file", &token])?;
            let grant = ["grant", "create", name, "predictor", "--on", "registered_model", "--id", self.endpoint];
            self.demo.quiet(&[grant.as_slice(), &["--token-file", &token]].concat())?;
            let out = self.demo.folder().join(format!("{name}.token")).display().to_string();
            self.demo.quiet(&["service", "token", name, "--out", &out, "--token-file", &token])?;
        }
        Ok(())
    }

    /// An endpoint over the model's champion.
    pub(crate) fn answers(&self) -> Result<(), String> {
        let (token, model) = (self.demo.token(), format!("{}@champion", self.endpoint));
        self.demo.quiet(&["endpoint", "create", self.endpoint, "--model", &model, "--token-file", &token]).map(drop)
    }

    /// The first version answers; its successor takes a share, and then takes over.
    pub(crate) fn canary(&self) -> Result<(), String> {
        let token = self.demo.token();
        self.demo.show("an endpoint", &["endpoint", "create", self.endpoint, "--model", "shop/1", "--token-file", &token]);
        let asked = self.ask("app", &["honest", self.endpoint, "400"])?;
        expect(&asked, "/versions/1", &Value::from(400))?;
        let rollout = ["endpoint", "rollout", self.endpoint, "--model", "shop@champion", "--share", "30", "--token-file", &token];
        self.demo.show("its good successor answers three of ten requests", &rollout);
        let asked = self.ask("app", &["honest", self.endpoint, "1000"])?;
        let versions = asked.get("versions").and_then(Value::as_object).map_or(0, serde_json::Map::len);
        if versions != 2 {
            return Err(format!("a canary takes its share, but only this answered: {asked}"));
        }
        self.demo.show("and is compared", &["endpoint", "show", self.endpoint, "--token-file", &token]);
        self.demo.show("it takes over", &["endpoint", "promote", self.endpoint, "--token-file", &token]);
        Ok(())
    }

    /// An application asks, and nobody is bothered.
    pub(crate) fn honest_traffic(&self) -> Result<(), String> {
        let asked = self.ask("app", &["honest", self.endpoint, ROW_COUNT])?;
        expect(&asked, "/rows", &Value::from(10_000))?;
        expect(&asked, "/refused", &Value::Null)?;
        println!("   {ROW_COUNT} predictions in {} requests, {} s", field(&asked, "/requests"), field(&asked, "/seconds"));
        let trails = self.json(&["endpoint", "trails", self.endpoint])?;
        if rows(&trails, "trails").iter().any(|trail| trail.get("level").and_then(Value::as_str) != Some("calm")) {
            return Err(format!("honest traffic raised an alarm: {trails}"));
        }
        let alerts = self.json(&["alerts", "list", "--state", "open"])?;
        if rows(&alerts, "alerts").iter().any(|alert| alert.get("kind").and_then(Value::as_str) == Some("drift")) {
            return Err(format!("honest traffic was called drift: {alerts}"));
        }
        Ok(())
    }

    /// What is asked changes: an alert says so soon, with its causes and what to do.
    pub(crate) fn drift(&self) -> Result<Value, String> {
        let start = Instant::now();
        let asked = self.ask("app", &["drifted", self.endpoint, DRIFTED_ROW_COUNT])?;
        expect(&asked, "/refused", &Value::Null)?;
        let alert = loop {
            let alerts = self.json(&["alerts", "list", "--state", "open"])?;
            let drift = rows(&alerts, "alerts").into_iter().find(|alert| field(alert, "/kind") == "drift");
            if let Some(alert) = drift {
                break alert;
            }
            if start.elapsed() > ALERT_MAX {
                return Err(format!("no alert within {} s of the drift: {alerts}", ALERT_MAX.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(500));
        };
        println!("   noticed {:.0} s after the first drifted request", start.elapsed().as_secs_f64());
        let (id, token) = (field(&alert, "/id"), self.demo.token());
        self.demo.show("what, since when, why, and what to do", &["alerts", "show", &id, "--token-file", &token]);
        let whole = self.json(&["alerts", "show", &id])?;
        if rows(&whole, "columns").is_empty() {
            return Err(format!("the alert does not say which column: {whole}"));
        }
        Ok(whole)
    }

    /// The alert's remedy leads back to the version before.
    pub(crate) fn remedy(&self, whole: &Value) -> Result<(), String> {
        let token = self.demo.token();
        if rows(whole, "causes").is_empty() || !whole.to_string().contains("visits") {
            return Err(format!("the alert names no cause, or not the column: {whole}"));
        }
        let remedies = rows(whole, "remedies");
        let back = remedies.iter().find(|remedy| field(remedy, "/command").contains("shop/1"));
        let remedy = field(back.ok_or_else(|| format!("no remedy leads back: {whole}"))?, "/id");
        self.demo.show("the remedy is run", &["remedy", "run", &remedy, "--token-file", &token]);
        let shown = self.json(&["endpoint", "show", self.endpoint])?;
        expect(&shown, "/answers_with", &Value::from(1))
    }

    /// Somebody copies the model by small steps, and is noticed, slowed down and refused; the application is not.
    pub(crate) fn extraction(&self) -> Result<(), String> {
        let asked = self.ask("curious", &["attack", self.endpoint, ATTACK_ROW_COUNT])?;
        let refused = asked.pointer("/refused/after_rows").and_then(Value::as_u64);
        let Some(after) = refused.filter(|after| *after < 500) else {
            return Err(format!("a copy by small steps was not refused in time: {asked}"));
        };
        println!("   refused after {after} rows: {}", field(&asked, "/refused/why"));
        let token = self.demo.token();
        self.demo.show("who asks how", &["endpoint", "trails", self.endpoint, "--token-file", &token]);
        let asked = self.ask("app", &["honest", self.endpoint, "100"])?;
        expect(&asked, "/rows", &Value::from(100))
    }

    /// One prediction, back to the people and the data behind it; and forward again.
    pub(crate) fn trace(&self) -> Result<(), String> {
        let asked = self.ask("app", &["honest", self.endpoint, "10"])?;
        let (prediction, token) = (field(&asked, "/prediction"), self.demo.token());
        self.demo.show("one prediction, traced back", &["trace", &prediction, "--token-file", &token]);
        let found = self.json(&["trace", &prediction])?;
        let counts = found.pointer("/walk/counts").cloned().unwrap_or_default();
        for kind in ["endpoint", "model_version", "run", "data_version", "person"] {
            if counts.get(kind).is_none() {
                return Err(format!("the way back from the prediction leads to no {kind}: {counts}"));
            }
        }
        let data = format!("data:{}/1", self.training);
        let forward = ["trace", &data, "--forward", "--token-file", &token];
        self.demo.show("and from the training data on to what stems from it", &forward);
        let proof = self.demo.folder().join("prediction.json");
        let text = self.demo.quiet(&["predictions", "prove", &prediction, "--token-file", &token])?;
        std::fs::write(&proof, text).map_err(|error| format!("cannot write `{}`: {error}", proof.display()))?;
        let key = self.demo.verifier_key()?;
        let words = ["predictions", "verify", &proof.display().to_string(), "--vkey", key.trim()];
        let said = shell::quiet(Command::new(self.demo.binary()).args(words))?;
        println!("\n── its proof holds, without the server\n   {}", said.lines().next().unwrap_or(""));
        Ok(())
    }

    /// A program that shares no code with the server reads the log.
    pub(crate) fn foreign_verifier(&self) -> Result<(), String> {
        let script = shell::root().join("tests").join("clients").join("independent_verifier.py");
        let token = std::fs::read_to_string(self.demo.token()).map_err(|error| format!("no administrator's token: {error}"))?;
        let mut command = Command::new(self.python);
        command.arg(script).args(["--key", self.demo.verifier_key()?.trim()]);
        command.args(["--url", &format!("{}/api/strongroom/v1/audit/log", self.url)]).arg("--ca").arg(self.demo.authority());
        let said = shell::quiet(command.env("STRONGROOM_TOKEN", token.trim()))?;
        println!("   {}", said.trim());
        Ok(())
    }

    /// What a client of `examples/demo_clients.py` saw.
    fn ask(&self, who: &str, words: &[&str]) -> Result<Value, String> {
        let script = shell::root().join("examples").join("demo_clients.py");
        let token: PathBuf = self.demo.folder().join(format!("{who}.token"));
        let mut command = self.demo.client(self.python, self.url)?;
        if let Some((file, label)) = self.own {
            command.env("DEMO_DATA", file).env("DEMO_LABEL", label);
        }
        let said = shell::quiet(command.arg(script).args(words).env("STRONGROOM_TOKEN_FILE", token))?;
        let line = said.lines().last().unwrap_or_default();
        serde_json::from_str(line).map_err(|error| format!("the client said `{line}`: {error}"))
    }

    fn json(&self, words: &[&str]) -> Result<Value, String> {
        let token = self.demo.token();
        let said = self.demo.quiet(&[words, &["--json", "--token-file", &token]].concat())?;
        serde_json::from_str(&said).map_err(|error| format!("`strongroom {}` said no JSON: {error}", words.join(" ")))
    }
}

/// Fails unless the value at this place is the wanted one.
fn expect(value: &Value, place: &str, wanted: &Value) -> Result<(), String> {
    match value.pointer(place).unwrap_or(&Value::Null) {
        found if found == wanted => Ok(()),
        found => Err(format!("{place} is {found}, not {wanted}, in {value}")),
    }
}

/// A field as text, without quotes.
fn field(value: &Value, place: &str) -> String {
    match value.pointer(place) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// The rows of a list: under its name, or alone.
fn rows(value: &Value, name: &str) -> Vec<Value> {
    value.get(name).unwrap_or(value).as_array().cloned().unwrap_or_default()
}
