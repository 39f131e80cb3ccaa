//! `mail.list`: what waits in the outbox, what failed and why.

use gate::{Action, Operation, Permit, Target};
use kernel::{Micros, Problem};

use crate::{Kind, Mail, store};

/// The verb of [`ListMail`].
pub const LIST: Action = Action::read("mail.list");

/// Lists the outbox. Neither bodies nor whole addresses are shown.
pub struct ListMail {
    /// The room.
    pub room: Mail,
    /// Whether what was sent is listed too.
    pub with_sent: bool,
}

/// A notice of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// The account's name, or the address, of which only enough is shown to know it again.
    pub to: String,
    /// The account's id.
    pub account: Option<String>,
    /// What it tells.
    pub kind: Kind,
    /// By what the event is found.
    pub event: String,
    /// When it happened.
    pub at: Micros,
    /// `waiting`, `sent` or `failed`.
    pub state: String,
    /// Since when it is sent or failed.
    pub settled_at: Option<Micros>,
    /// How often in a row mail to this recipient could not be sent.
    pub attempts: i64,
    /// When it is tried next, if it waits.
    pub next_at: Option<Micros>,
    /// Why it was not sent.
    pub fault: Option<String>,
}

impl Operation for ListMail {
    const ACTION: Action = LIST;
    type Output = Vec<Listed>;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<Listed>, Problem> {
        let with_sent = self.with_sent;
        let rows = self.room.0.db.read(&permit, move |reader| Ok(store::list(reader, with_sent)?)).await?;
        let mut listed = Vec::with_capacity(rows.len());
        for row in rows {
            let to = match &row.account {
                Some((_, name)) => name.clone(),
                None => self.room.opened(&row.notice)?.address.map_or_else(|| "?".to_owned(), |address| address.masked()),
            };
            let is_waiting = row.state == "waiting";
            listed.push(Listed {
                id: row.notice.id,
                to,
                account: row.account.map(|(id, _)| id),
                kind: row.notice.kind,
                event: row.notice.event,
                at: row.notice.at,
                attempts: if is_waiting { row.attempts } else { 0 },
                next_at: is_waiting.then_some(row.next_at),
                state: row.state,
                settled_at: row.settled_at,
                fault: row.fault,
            });
        }
        Ok(listed)
    }
}
