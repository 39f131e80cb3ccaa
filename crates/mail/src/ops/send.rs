//! `mail.send`: one mail leaves, or is kept with the reason.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Micros, Problem};

use crate::compose::{Line, compose};
use crate::limits::{FAULT_BYTES_MAX, FIRST_WAIT_S, LEASE_S, WAIT_S_MAX};
use crate::notice::one_line;
use crate::openpgp::RecipientKey;
use crate::outbox::Unsealed;
use crate::store::{self, NoticeRow, RecipientRow};
use crate::{Address, Mail};

/// The verb of [`SendMail`].
pub const SEND: Action = Action::write("mail.send");

/// Sends all that waits for one recipient, in one mail.
pub struct SendMail {
    /// The room.
    pub(crate) room: Mail,
    /// Who.
    pub(crate) recipient: RecipientRow,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Notices in the mail; none if another process is at it.
    pub notice_count: usize,
    /// Whether it was encrypted.
    pub is_encrypted: bool,
    /// Why it was not sent.
    pub fault: Option<String>,
}

impl Operation for SendMail {
    const ACTION: Action = SEND;
    type Output = Sent;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Sent, Problem> {
        send(&self.room, &permit, self.recipient).await
    }
}

/// What is to be written down behind an attempt.
struct Attempted {
    sent: Sent,
    ids: Vec<String>,
    left_out: i64,
}

/// Takes the recipient, sends, and writes down what came of it with the outcome.
pub(super) async fn send<O>(room: &Mail, permit: &Permit<O>, to: RecipientRow) -> Result<Sent, Problem> {
    let (at, by) = (permit.entry().at, kernel::random_id());
    let (name, lease) = (to.name.clone(), format!("{}/{by}", room.0.source));
    let (taken, holder) = (name.clone(), lease.clone());
    let claim = move |writer: &mut vault::db::Writer<'_>| Ok(store::claim(writer, &taken, &holder, at, at.plus_secs(LEASE_S))?);
    let attempted = if room.0.system.write(claim).await? {
        attempt(room, permit, &to, at).await?
    } else {
        Attempted { sent: Sent::default(), ids: Vec::new(), left_out: 0 }
    };
    let (digest_s, give_up_s) = (i64::from(room.0.config.digest_minutes) * 60, i64::from(room.0.config.give_up_hours) * 3_600);
    let written = room.0.db.write(permit, move |writer| {
        let Attempted { sent, ids, left_out } = attempted;
        match &sent.fault {
            Some(fault) => {
                let next_at = at.plus_secs(wait_s(store::attempts(writer, &name)?));
                store::failed(writer, (&name, &lease), fault, (at, next_at, at.plus_secs(-give_up_s)))?;
            }
            None => store::sent(writer, (&name, &lease), (&ids, left_out), (at, at.plus_secs(digest_s)))?,
        }
        let mut outcome = Outcome::done()
            .with("notices", sent.notice_count)
            .with("sent", usize::from(sent.fault.is_none()))
            .with("encrypted", usize::from(sent.is_encrypted));
        if let Some(account) = to.account {
            outcome = outcome.resource(account);
        }
        Ok((sent, outcome))
    });
    written.await
}

async fn attempt<O>(room: &Mail, permit: &Permit<O>, to: &RecipientRow, at: Micros) -> Result<Attempted, Problem> {
    let (reading, wanted) = (room.clone(), to.clone());
    let read = move |reader: &mut vault::db::Reader<'_>| {
        let (rows, left_out) = store::waiting(reader, &wanted.name)?;
        let (address, key) = match wanted.reached() {
            Some(account) => (reading.address_of(reader, account)?.map(|found| found.0), store::key(reader, account)?),
            None => (None, None),
        };
        Ok((rows, left_out, address, key.map(|(bytes, _)| bytes)))
    };
    let (rows, left_out, address, key) = room.0.db.read(permit, read).await?;
    let mut attempted = Attempted { sent: Sent::default(), ids: rows.iter().map(|row| row.id.clone()).collect(), left_out };
    if rows.is_empty() {
        return Ok(attempted);
    }
    attempted.sent.notice_count = rows.len();
    match carry(room, (rows, left_out), (address, key), at).await {
        Ok(is_encrypted) => attempted.sent.is_encrypted = is_encrypted,
        // The message alone: what is behind it may name people.
        Err(problem) => attempted.sent.fault = Some(one_line(problem.message(), FAULT_BYTES_MAX)),
    }
    Ok(attempted)
}

/// Gives whether it was encrypted.
async fn carry(
    room: &Mail,
    (rows, left_out): (Vec<NoticeRow>, i64),
    (mut to, mut key): (Option<Address>, Option<Vec<u8>>),
    at: Micros,
) -> Result<bool, Problem> {
    let way = room.way()?;
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        let Unsealed { detail, address: own, key: own_key } = room.opened(&row)?;
        (to, key) = (to.or(own), key.or(own_key));
        lines.push(Line { kind: row.kind, event: row.event, at: row.at, detail });
    }
    let to = to.ok_or_else(|| Problem::not_found("no address of this account is known any more"))?;
    // A key that has expired since is refused here: then nothing is sent in the open instead.
    let key = key.map(|bytes| RecipientKey::parse(&bytes, at)).transpose()?;
    let mail = compose(&way.paper, (&to, key.as_ref()), (&lines, left_out), (&kernel::random_id(), at))?;
    way.carry.carry(&to, &mail).await?;
    Ok(key.is_some())
}

pub(crate) fn wait_s(attempts: i64) -> i64 {
    let doublings = u32::try_from(attempts.clamp(0, 16)).unwrap_or(0);
    FIRST_WAIT_S.saturating_mul(1 << doublings).min(WAIT_S_MAX)
}
