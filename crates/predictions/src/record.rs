//! What is kept of a prediction besides its values: canonical JSON (sorted keys, no spaces), the leaf of its batch's tree. It
//! commits to the values by a digest that nobody can guess them by, so that they can be erased and the record still be proven.

use std::io::Write;

use audit::merkle::{Hash, leaf_hash};
use serde::{Deserialize, Serialize};

/// The version of this layout.
pub(crate) const VERSION: u8 = 1;

/// A prediction's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// When it was made, in microseconds since the epoch.
    pub at: i64,
    /// Who asked, by id.
    pub caller: String,
    /// The endpoint's name.
    pub endpoint: String,
    /// The endpoint's id.
    pub endpoint_id: String,
    /// The audit entry of the request.
    pub entry: String,
    /// Its id.
    pub id: String,
    /// The keyed hash of the inputs, where no values are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs_hmac: Option<String>,
    /// From the door to the answer, in microseconds.
    pub latency_us: i64,
    /// What is kept: `values` or `hashes`.
    pub log: String,
    /// The digest of the model's manifest.
    pub manifest_sha256: String,
    /// The keyed hash of the outputs, where no values are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs_hmac: Option<String>,
    /// How many rows were asked.
    pub rows: u64,
    /// Whom it concerns: a random id of this server's, which means nothing once the subject is erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The version of this layout.
    pub v: u8,
    /// The digest of the values, where they are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values_sha256: Option<String>,
    /// What the guard found.
    pub verdicts: Vec<String>,
    /// The version that answered: the model's internal id and the number.
    pub version: String,
    /// The workspace's id.
    pub workspace: String,
}

impl Record {
    /// Reads one.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|record: &Self| record.v == VERSION)
    }

    /// Its bytes. Written field by field: this is on the path of every prediction, and hardly any text has something to escape.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = Json(Vec::with_capacity(1_024));
        json.number("{\"at\":", self.at);
        json.text(",\"caller\":", &self.caller)?;
        json.text(",\"endpoint\":", &self.endpoint)?;
        json.text(",\"endpoint_id\":", &self.endpoint_id)?;
        json.text(",\"entry\":", &self.entry)?;
        json.text(",\"id\":", &self.id)?;
        json.optional(",\"inputs_hmac\":", self.inputs_hmac.as_deref())?;
        json.number(",\"latency_us\":", self.latency_us);
        json.text(",\"log\":", &self.log)?;
        json.text(",\"manifest_sha256\":", &self.manifest_sha256)?;
        json.optional(",\"outputs_hmac\":", self.outputs_hmac.as_deref())?;
        json.number(",\"rows\":", self.rows);
        json.optional(",\"subject\":", self.subject.as_deref())?;
        json.number(",\"v\":", self.v);
        json.optional(",\"values_sha256\":", self.values_sha256.as_deref())?;
        json.raw(",\"verdicts\":[");
        for (place, verdict) in self.verdicts.iter().enumerate() {
            json.text(if place == 0 { "" } else { "," }, verdict)?;
        }
        json.text("],\"version\":", &self.version)?;
        json.text(",\"workspace\":", &self.workspace)?;
        json.raw("}");
        Ok(json.0)
    }

    /// The internal id of the model, and the number of the version.
    #[must_use]
    pub fn model(&self) -> Option<(&str, i64)> {
        let (model, number) = self.version.rsplit_once('/')?;
        Some((model, number.parse().ok()?))
    }
}

struct Json(Vec<u8>);

impl Json {
    fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, before: &str, number: impl std::fmt::Display) {
        self.raw(before);
        // Writing into memory cannot fail.
        drop(write!(self.0, "{number}"));
    }

    fn text(&mut self, before: &str, text: &str) -> Result<(), serde_json::Error> {
        self.raw(before);
        if text.bytes().fold(false, |found, byte| found | (byte < 0x20 || byte == b'"' || byte == b'\\')) {
            return serde_json::to_writer(&mut self.0, text);
        }
        self.raw("\"");
        self.raw(text);
        self.raw("\"");
        Ok(())
    }

    fn optional(&mut self, before: &str, text: Option<&str>) -> Result<(), serde_json::Error> {
        text.map_or(Ok(()), |text| self.text(before, text))
    }
}

/// The digest of a record: its leaf in the batch's tree, and what the audit record of the request names.
pub(crate) fn digest(record: &[u8]) -> Hash {
    leaf_hash(record)
}

/// One for tests.
#[cfg(test)]
pub(crate) fn example(id: &str, at: i64) -> Record {
    Record {
        at,
        caller: "u1".to_owned(),
        endpoint: "churn".to_owned(),
        endpoint_id: "e1".to_owned(),
        entry: "a1".to_owned(),
        id: id.to_owned(),
        inputs_hmac: None,
        latency_us: 40,
        log: "values".to_owned(),
        manifest_sha256: "00".repeat(32),
        outputs_hmac: None,
        rows: 1,
        subject: None,
        v: VERSION,
        values_sha256: None,
        verdicts: Vec::new(),
        version: "m/1".to_owned(),
        workspace: "w".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_canonical_and_read_back() {
        let record = example("p1", 5);
        let bytes = record.bytes().unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        // A map of `serde_json` sorts its keys.
        assert_eq!(value.to_string(), text);
        assert_eq!(Record::parse(&bytes), Some(record.clone()));
        assert_eq!((record.model(), Record::parse(b"{}")), (Some(("m", 1)), None));
        let other = Record { v: 2, ..record };
        assert_eq!(Record::parse(&other.bytes().unwrap()), None);
    }

    #[test]
    fn it_is_written_as_serde_writes_it() {
        let check = |record: &Record| {
            let text = String::from_utf8(record.bytes().unwrap()).unwrap();
            assert_eq!(text, serde_json::to_string(record).unwrap());
        };
        check(&example("p1", i64::MIN));
        check(&Record {
            endpoint: "a\"b\\c\n\u{1}\u{7f}ü".to_owned(),
            inputs_hmac: Some("1".to_owned()),
            outputs_hmac: Some(String::new()),
            rows: u64::MAX,
            subject: Some("s\t".to_owned()),
            values_sha256: Some("2".to_owned()),
            verdicts: vec!["one".to_owned(), "t\"wo".to_owned()],
            ..example("p2", 1)
        });
    }
}
