//! Which records of the log somebody is told about. What was recorded happened; what was not did not.

use audit::RecordView;
use kernel::Micros;

use crate::notice::{Kind, detail};

/// Whom a record is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Concerns {
    Account(String),
    Administrators,
}

/// What is to be told of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) to: Concerns,
    pub(crate) kind: Kind,
    pub(crate) event: String,
    pub(crate) at: Micros,
    pub(crate) detail: String,
}

/// What is to be told of a record; mostly nothing. A record that cannot be read says nothing.
pub(crate) fn told(record: &[u8]) -> Option<Told> {
    let view: RecordView<'_> = serde_json::from_slice(record).ok()?;
    if view.kind != "outcome" || view.status.as_deref() != Some("done") {
        return None;
    }
    let text = |name: &str| view.details.get(name).and_then(serde_json::Value::as_str);
    let kind = match view.action.as_ref() {
        "factors.add_passkey" => Kind::PasskeyAdded,
        "factors.confirm_totp" => Kind::CodesSetUp,
        "factors.remove" => Kind::FactorRemoved,
        "factors.recovery_codes" => Kind::RecoveryCodesMade,
        "sessions.create" if text("method") == Some("recovery_code") => Kind::RecoveryCodeUsed,
        "users.reset_factors" => Kind::FactorsReset,
        "account.password" => Kind::PasswordChanged,
        "users.set_password" => Kind::PasswordSet,
        "users.link" => Kind::AccountLinked,
        "devices.enrol" => Kind::DeviceEnrolled,
        "mail.set_key" => Kind::MailKeyChanged,
        "mail.set_address" => Kind::AddressSet,
        "elevations.break_glass" => Kind::GlassBroken,
        _ => return None,
    };
    let resource = view.resource.as_deref().unwrap_or_default();
    let to = match kind {
        Kind::GlassBroken => Concerns::Administrators,
        Kind::FactorsReset | Kind::PasswordSet | Kind::AccountLinked | Kind::AddressSet => Concerns::Account(resource.to_owned()),
        _ => Concerns::Account(view.caller.id.clone().into_owned()),
    };
    if to == Concerns::Account(String::new()) {
        return None;
    }
    let about = format!("by {} on {resource}", view.caller.id);
    Some(Told { to, kind, event: view.id.clone().into_owned(), at: Micros(view.at), detail: detail(&about) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(action: &str, kind: &str, status: &str, details: &str) -> Vec<u8> {
        format!(
            r#"{{"action":"{action}","at":7,"caller":{{"id":"u_ada","kind":"user"}},"details":{details},"id":"r1","kind":"{kind}",
                "resource":"x_1","status":"{status}","target":"myself","v":1}}"#
        )
        .into_bytes()
    }

    #[test]
    fn only_what_was_done_is_told_and_to_whom_it_concerns() {
        let of = |action: &str| told(&record(action, "outcome", "done", "{}")).map(|told| (told.to, told.kind));
        let ada = Concerns::Account("u_ada".to_owned());
        assert_eq!(of("factors.add_passkey"), Some((ada.clone(), Kind::PasskeyAdded)));
        assert_eq!(of("devices.enrol"), Some((ada.clone(), Kind::DeviceEnrolled)));
        assert_eq!(of("users.reset_factors"), Some((Concerns::Account("x_1".to_owned()), Kind::FactorsReset)));
        assert_eq!(of("elevations.break_glass"), Some((Concerns::Administrators, Kind::GlassBroken)));
        assert_eq!(of("sessions.create"), None);
        assert_eq!(of("runs.create"), None);
        let code = record("sessions.create", "outcome", "done", r#"{"method":"recovery_code"}"#);
        assert_eq!(told(&code).map(|told| (told.to, told.kind)), Some((ada, Kind::RecoveryCodeUsed)));
        for (kind, status) in [("intent", "done"), ("outcome", "failed"), ("refusal", "refused"), ("outcome", "aborted")] {
            assert_eq!(told(&record("factors.add_passkey", kind, status, "{}")), None);
        }
        assert_eq!(told(b"{broken"), None);
    }
}
