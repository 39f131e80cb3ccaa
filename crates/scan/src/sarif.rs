//! SARIF 2.1.0, as CI systems read it.

use serde_json::{Value, json};

use crate::report::Report;
use crate::rules::{Effect, RULES};

/// The report as a SARIF log.
#[must_use]
pub fn sarif(report: &Report) -> Value {
    let level = |effect: Effect| match effect {
        Effect::Block => "error",
        Effect::Unknown => "warning",
        Effect::Note => "note",
    };
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "shortDescription": { "text": rule.consequence },
                "defaultConfiguration": { "level": level(rule.effect) },
            })
        })
        .collect();
    let mut results = Vec::new();
    for file in &report.files {
        for finding in &file.findings {
            let mut region = json!({});
            if let (Some(offset), true) = (finding.offset, finding.member.is_empty()) {
                region = json!({ "byteOffset": offset, "byteLength": 1 });
            }
            let within = if finding.member.is_empty() { String::new() } else { format!(" (in `{}`)", finding.member) };
            let mut location = json!({ "artifactLocation": { "uri": uri(&file.path) } });
            if region.get("byteOffset").is_some()
                && let Some(location) = location.as_object_mut()
            {
                location.insert("region".to_owned(), region);
            }
            results.push(json!({
                "ruleId": finding.rule.id,
                "ruleIndex": RULES.iter().position(|rule| *rule == finding.rule),
                "level": level(finding.rule.effect),
                "message": { "text": format!("{}{within}: {}", finding.message, finding.rule.consequence) },
                "locations": [{ "physicalLocation": location }],
                "partialFingerprints": { "strongroom/v1": format!("{}:{}:{}", file.path, finding.rule.id, finding.message) },
            }));
        }
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "strongroom scan",
                "version": report.rules.version,
                "properties": { "rulesDigest": report.rules.digest },
                "rules": rules,
            } },
            "properties": { "verdict": report.verdict },
            "results": results,
        }],
    })
}

/// A relative reference: letters that a URI may not have are escaped.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Scanner};

    #[test]
    fn findings_become_results_of_their_rules() {
        let scanner = Scanner::new(Limits::default()).unwrap();
        let file = scanner.scan("a b.pkl", &b"cos\nsystem\n(S'true'\ntR.".to_vec()).unwrap();
        let log = sarif(&scanner.report(vec![file]));
        let result = &log["runs"][0]["results"][0];
        assert_eq!(result["ruleId"], "pickle.dangerous_global");
        assert_eq!(result["level"], "error");
        assert_eq!(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "a%20b.pkl");
        let index = result["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(log["runs"][0]["tool"]["driver"]["rules"][index]["id"], "pickle.dangerous_global");
    }
}
