//! A device reports how it is.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem};

use super::{ended, own_account, own_device};
use crate::authority::verify;
use crate::posture::{Check, Facts};
use crate::{Devices, store, store_nodes};

/// The verb of [`Challenge`].
pub const CHALLENGE: Action = Action::read("devices.challenge");
/// The verb of [`Report`].
pub const REPORT: Action = Action::write("devices.report");

/// What a report's challenge is for.
const PURPOSE: &str = "report";
/// A report.
const REPORT_BYTES_MAX: usize = 4_096;
/// A signature of P-256 in DER has at most 72 bytes.
const SIGNATURE_BYTES_MAX: usize = 80;

/// What the key of a device signs of a report: nothing else that it signs begins like this.
#[must_use]
pub fn signed_text(device_id: &str, challenge: &str, facts: &str) -> String {
    format!("strongroom device report v1\n{device_id}\n{challenge}\n{facts}")
}

/// A challenge for the next report of the device that the request came from.
pub struct Challenge {
    /// The room.
    pub room: Devices,
}

impl Operation for Challenge {
    const ACTION: Action = CHALLENGE;
    type Output = (String, String);

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<(String, String), Problem> {
        let id = own_device(permit.caller())?.to_owned();
        let challenge = self.room.0.challenges.make(PURPOSE, &id, permit.entry().at);
        Ok((id, challenge))
    }
}

/// Takes a report in: facts as the device wrote them, signed by its key over a challenge that nobody answered yet.
pub struct Report {
    /// The room.
    pub room: Devices,
    /// The challenge.
    pub challenge: String,
    /// The facts, as JSON.
    pub facts: String,
    /// Over [`signed_text`].
    pub signature: Vec<u8>,
}

impl Operation for Report {
    const ACTION: Action = REPORT;
    type Output = Vec<&'static str>;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<&'static str>, Problem> {
        let at = permit.entry().at;
        let (own, id) = (own_account(permit.caller())?.to_owned(), own_device(permit.caller())?.to_owned());
        if self.facts.len() > REPORT_BYTES_MAX || self.signature.len() > SIGNATURE_BYTES_MAX {
            return Err(Problem::new(Kind::TooLarge, format!("a report has at most {REPORT_BYTES_MAX} bytes")));
        }
        let facts: Facts =
            serde_json::from_str(&self.facts).map_err(|error| Problem::invalid(format!("the report does not fit: {error}")))?;
        if !facts.is_bounded() {
            return Err(Problem::invalid("the report has a text that is too long, or no text"));
        }
        let nonce = self.room.0.challenges.read(PURPOSE, &id, &self.challenge, at)?;
        let signed = signed_text(&id, &self.challenge, &self.facts);
        let failing = facts.failing(&self.room.0.config);
        let words: Vec<&'static str> = failing.iter().copied().map(Check::word).collect();
        let (text, signature, compliant) = (self.facts, self.signature, failing.is_empty());
        let write = self.room.0.db.write(&permit, move |tx| {
            let key = store::hold_device(tx, &id, &own)?.ok_or_else(ended)?;
            verify(&key, signed.as_bytes(), &signature)
                .map_err(|()| Problem::invalid("the report is not signed by the device's key"))?;
            // Who holds the device's key may be less than who looks after the machine.
            if store_nodes::speaks_for(tx, &id)? {
                return Err(Problem::new(
                    Kind::Conflict,
                    "osquery says how this device is, as an administrator wished (`strongroom device adopt`); its own reports are not taken",
                ));
            }
            if !store::put_report(tx, &id, (&text, compliant), (nonce, at))? {
                return Err(Problem::new(Kind::Conflict, "the challenge, or a newer one, was answered already; ask for another"));
            }
            let outcome = Outcome::done().resource(id).with("compliant", i64::from(compliant)).with("failing", failing.len());
            Ok(((), outcome))
        });
        write.await?;
        Ok(words)
    }
}
