//! Mail: the room's wiring, what it is told of accounts, and its job.

use std::sync::Arc;

use detect::Source;
use gate::{Gate, JobKey};
use identity::Identity;
use kernel::{Clock, Micros, Problem, Secret};
use mail::{Accounts, MAILER, Mail, MailConfig, Mailer, Records};
use policy::Policy;
use serde_json::Value;
use tokio::task::JoinHandle;
use vault::db::{Opened, Reader};
use vault::keys::Keyring;

use crate::boot::Rooms;
use crate::detecting::LogSource;

/// Opens the room.
///
/// # Errors
/// `Invalid` for files of the configuration that cannot be used; `Unavailable` if the keys cannot be had.
pub(crate) async fn open(
    opened: &Opened,
    keyring: &Keyring,
    config: &MailConfig,
    (identity, policy): (&Identity, &Policy),
) -> Result<Mail, Problem> {
    let key = Secret::clone(&*keyring.secret("mail/outbox").await?);
    let known = Known { identity: identity.clone(), policy: policy.clone() };
    Mail::open((opened.db.clone(), opened.system.clone()), config.clone(), key, Arc::new(known))
}

/// Begins to send, where a server is configured. Only a server does: a command ends too soon.
pub(crate) fn begin(rooms: &Rooms, (gate, jobs): (&Gate, &JobKey), clock: Arc<dyn Clock>) -> Option<JoinHandle<()>> {
    if !rooms.mail.is_configured() {
        return None;
    }
    let records = Arc::new(LogSource(Arc::clone(rooms.audit.log())));
    let mailer = Mailer::new(rooms.mail.clone(), (gate.clone(), jobs.pass(MAILER)), records, clock);
    Some(tokio::spawn(mailer.run()))
}

impl Records for LogSource {
    fn origin(&self) -> String {
        Source::origin(self)
    }

    fn size(&self) -> Result<u64, Problem> {
        Source::size(self)
    }

    fn read(&self, from: u64, to: u64, each: &mut dyn FnMut(u64, &[u8]) -> bool) -> Result<(), Problem> {
        Source::read(self, from, to, each)
    }
}

/// What accounts' rooms know of them.
struct Known {
    identity: Identity,
    policy: Policy,
}

impl Accounts for Known {
    fn find(&self, reader: &mut Reader<'_>, id_or_name: &str) -> Result<Option<String>, Problem> {
        let found = identity::principal_with_groups(reader, id_or_name)?.map(|(principal, _)| principal);
        Ok(found.filter(|one| one.kind == identity::PrincipalKind::User).map(|one| one.id))
    }

    fn directory_address(&self, reader: &mut Reader<'_>, account: &str) -> Result<Option<String>, Problem> {
        Ok(self.identity.profile(reader, account)?.and_then(|document| first_address(&document)))
    }

    fn administrators(&self, reader: &mut Reader<'_>, at: Micros) -> Result<Vec<String>, Problem> {
        self.policy.administrators(reader, at)
    }
}

/// The primary one of `emails` (RFC 7643, 4.1.2), or the first.
fn first_address(document: &str) -> Option<String> {
    let document: Value = serde_json::from_str(document).ok()?;
    let all = document.get("emails")?.as_array()?;
    let primary = all.iter().find(|one| one.get("primary").and_then(Value::as_bool) == Some(true));
    Some(primary.or_else(|| all.first())?.get("value")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::first_address;

    #[test]
    fn the_primary_address_of_a_directory_goes_first() {
        let of = |emails: &str| first_address(&format!(r#"{{"emails": {emails}}}"#));
        let two = r#"[{"value": "a@home"}, {"value": "a@work", "primary": true}]"#;
        assert_eq!(of(two).as_deref(), Some("a@work"));
        assert_eq!(of(r#"[{"value": "a@home"}]"#).as_deref(), Some("a@home"));
        assert_eq!(of("[]"), None);
        assert_eq!(first_address("{broken"), None);
    }
}
