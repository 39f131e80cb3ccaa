//! This room's SQL.

use kernel::Micros;
use vault::db::{DbError, Reader, Row, Writer};

use crate::limits::{LIST_ROWS_MAX, ROUND_COUNT, WAITING_COUNT_MAX};
use crate::notice::Kind;

/// A notice as it lies in the outbox, its content still sealed.
#[derive(Clone, Debug)]
pub(crate) struct NoticeRow {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) event: String,
    pub(crate) at: Micros,
    pub(crate) sealed: Vec<u8>,
}

/// A notice as it is listed.
#[derive(Clone, Debug)]
pub(crate) struct ListedRow {
    pub(crate) notice: NoticeRow,
    pub(crate) account: Option<(String, String)>,
    pub(crate) state: String,
    pub(crate) settled_at: Option<Micros>,
    pub(crate) attempts: i64,
    pub(crate) next_at: Micros,
    pub(crate) fault: Option<String>,
}

/// What the name of a recipient begins with where notices to an account went before.
pub(crate) const FORMER: &str = "former/";

/// Whose outbox a notice goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecipientRow {
    pub(crate) name: String,
    pub(crate) account: Option<String>,
}

impl RecipientRow {
    /// The account, if it is told where its notices go now.
    pub(crate) fn reached(&self) -> Option<&str> {
        self.account.as_deref().filter(|_| !self.name.starts_with(FORMER))
    }
}

fn notice(row: &Row<'_>) -> Result<NoticeRow, DbError> {
    Ok(NoticeRow {
        id: row.text(0)?,
        kind: Kind::parse(&row.text(1)?).ok_or(DbError::Shape(1))?,
        event: row.text(2)?,
        at: Micros(row.int(3)?),
        sealed: row.bytes(4)?,
    })
}

/// Puts a notice into the outbox, if it is not there already and there is room.
pub(crate) fn put(writer: &mut Writer<'_>, to: &RecipientRow, one: &NoticeRow) -> Result<(), DbError> {
    let known = writer.query_one("SELECT 1 FROM mail_notice WHERE id = $1", &[(&one.id).into()], |row| row.int(0))?;
    if known.is_some() {
        return Ok(());
    }
    let account = to.account.as_deref();
    writer.execute(
        "INSERT INTO mail_recipient (recipient, principal_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        &[(&to.name).into(), account.into()],
    )?;
    let sql = "SELECT count(*) FROM mail_notice WHERE recipient = $1 AND state = 'waiting'";
    let waiting = writer.query_one(sql, &[(&to.name).into()], |row| row.int(0))?.unwrap_or(0);
    if waiting >= WAITING_COUNT_MAX {
        writer.execute("UPDATE mail_recipient SET left_out = left_out + 1 WHERE recipient = $1", &[(&to.name).into()])?;
        return Ok(());
    }
    let sql = "INSERT INTO mail_notice (id, recipient, principal_id, kind, event, made_at, sealed, state)
               VALUES ($1, $2, $3, $4, $5, $6, $7, 'waiting') ON CONFLICT DO NOTHING";
    let sealed: &[u8] = &one.sealed;
    let binds = [
        (&one.id).into(),
        (&to.name).into(),
        account.into(),
        one.kind.word().into(),
        (&one.event).into(),
        one.at.0.into(),
        sealed.into(),
    ];
    writer.execute(sql, &binds)?;
    Ok(())
}

/// Recipients that something waits for, whose time has come and whom nobody is sending to.
pub(crate) fn due(reader: &mut Reader<'_>, at: Micros) -> Result<Vec<RecipientRow>, DbError> {
    let sql = "SELECT r.recipient, r.principal_id FROM mail_recipient r
               WHERE r.next_at <= $1 AND r.leased_until <= $1
                 AND EXISTS (SELECT 1 FROM mail_notice n WHERE n.recipient = r.recipient AND n.state = 'waiting')
               ORDER BY r.next_at, r.recipient LIMIT $2";
    reader
        .query(sql, &[at.0.into(), ROUND_COUNT.into()], |row| Ok(RecipientRow { name: row.text(0)?, account: row.opt_text(1)? }))
}

/// Takes a recipient for a while, so that no other process sends the same; `false` if one does, or if it is not yet time.
pub(crate) fn claim(writer: &mut Writer<'_>, name: &str, by: &str, at: Micros, until: Micros) -> Result<bool, DbError> {
    let sql = "UPDATE mail_recipient SET leased_by = $1, leased_until = $2
               WHERE recipient = $3 AND leased_until <= $4 AND next_at <= $4";
    Ok(writer.execute(sql, &[by.into(), until.0.into(), name.into(), at.0.into()])? == 1)
}

/// The next mail to this recipient does not wait for its time.
pub(crate) fn hurry(writer: &mut Writer<'_>, name: &str) -> Result<(), DbError> {
    writer.execute("UPDATE mail_recipient SET next_at = 0 WHERE recipient = $1", &[name.into()])?;
    Ok(())
}

/// All that waits for a recipient, the oldest first, and how much more there would be.
pub(crate) fn waiting(reader: &mut Reader<'_>, name: &str) -> Result<(Vec<NoticeRow>, i64), DbError> {
    let sql = "SELECT id, kind, event, made_at, sealed FROM mail_notice WHERE recipient = $1 AND state = 'waiting'
               ORDER BY made_at, id LIMIT $2";
    let rows = reader.query(sql, &[name.into(), WAITING_COUNT_MAX.into()], notice)?;
    let left_out =
        reader.query_one("SELECT left_out FROM mail_recipient WHERE recipient = $1", &[name.into()], |row| row.int(0))?;
    Ok((rows, left_out.unwrap_or(0)))
}

/// These were sent. Whoever lost the lease meanwhile writes nothing over what the other does.
pub(crate) fn sent(
    writer: &mut Writer<'_>,
    (name, by): (&str, &str),
    (ids, left_out): (&[String], i64),
    (at, next_at): (Micros, Micros),
) -> Result<(), DbError> {
    for id in ids {
        let sql = "UPDATE mail_notice SET state = 'sent', settled_at = $1, fault = NULL WHERE id = $2";
        writer.execute(sql, &[at.0.into(), id.into()])?;
    }
    let sql = "UPDATE mail_recipient SET next_at = $1, attempts = 0, fault = NULL, leased_by = NULL, leased_until = 0,
               left_out = left_out - $2 WHERE recipient = $3 AND leased_by = $4";
    writer.execute(sql, &[next_at.0.into(), left_out.into(), name.into(), by.into()])?;
    Ok(())
}

/// Nothing was sent. What is older than `give_up` is not tried again.
pub(crate) fn failed(
    writer: &mut Writer<'_>,
    (name, by): (&str, &str),
    fault: &str,
    (at, next_at, give_up): (Micros, Micros, Micros),
) -> Result<(), DbError> {
    let sql = "UPDATE mail_recipient SET next_at = $1, attempts = attempts + 1, fault = $2, leased_by = NULL, leased_until = 0
               WHERE recipient = $3 AND leased_by = $4";
    writer.execute(sql, &[next_at.0.into(), fault.into(), name.into(), by.into()])?;
    let sql = "UPDATE mail_notice SET state = 'failed', settled_at = $1, fault = $2
               WHERE recipient = $3 AND state = 'waiting' AND made_at < $4";
    writer.execute(sql, &[at.0.into(), fault.into(), name.into(), give_up.0.into()])?;
    Ok(())
}

/// How often it failed in a row.
pub(crate) fn attempts(reader: &mut Reader<'_>, name: &str) -> Result<i64, DbError> {
    let found = reader.query_one("SELECT attempts FROM mail_recipient WHERE recipient = $1", &[name.into()], |row| row.int(0))?;
    Ok(found.unwrap_or(0))
}

/// The newest first; what was sent only if wanted.
pub(crate) fn list(reader: &mut Reader<'_>, with_sent: bool) -> Result<Vec<ListedRow>, DbError> {
    let sql = "SELECT n.id, n.kind, n.event, n.made_at, n.sealed, n.principal_id, p.name, n.state, n.settled_at,
                      COALESCE(r.attempts, 0), COALESCE(r.next_at, 0), n.fault, r.fault
               FROM mail_notice n LEFT JOIN mail_recipient r ON r.recipient = n.recipient LEFT JOIN principal p ON p.id = n.principal_id
               WHERE n.state <> 'sent' OR $1 = 1 ORDER BY n.made_at DESC, n.id LIMIT $2";
    reader.query(sql, &[i64::from(with_sent).into(), LIST_ROWS_MAX.into()], |row| {
        let state = row.text(7)?;
        let fault = if state == "waiting" { row.opt_text(12)? } else { row.opt_text(11)? };
        Ok(ListedRow {
            notice: notice(row)?,
            account: row.opt_text(5)?.zip(row.opt_text(6)?),
            state,
            settled_at: row.opt_int(8)?.map(Micros),
            attempts: row.int(9)?,
            next_at: Micros(row.int(10)?),
            fault,
        })
    })
}

/// Takes away what was settled before a moment, and recipients of nothing.
pub(crate) fn sweep(writer: &mut Writer<'_>, before: Micros) -> Result<(), DbError> {
    writer.execute("DELETE FROM mail_notice WHERE settled_at < $1", &[before.0.into()])?;
    let sql = "DELETE FROM mail_recipient WHERE next_at < $1 AND leased_until < $1
               AND NOT EXISTS (SELECT 1 FROM mail_notice n WHERE n.recipient = mail_recipient.recipient)";
    writer.execute(sql, &[before.0.into()])?;
    Ok(())
}

/// What is set of an account's address: sealed, and by whom.
pub(crate) fn address(reader: &mut Reader<'_>, account: &str) -> Result<Option<(Vec<u8>, String)>, DbError> {
    let sql = "SELECT sealed, source FROM mail_address WHERE principal_id = $1";
    reader.query_one(sql, &[account.into()], |row| Ok((row.bytes(0)?, row.text(1)?)))
}

/// Sets the address by an administrator's word, which goes before a provider's.
pub(crate) fn set_address(writer: &mut Writer<'_>, account: &str, sealed: &[u8], at: Micros) -> Result<(), DbError> {
    let sql = "INSERT INTO mail_address (principal_id, sealed, source, set_at) VALUES ($1, $2, 'administrator', $3)
               ON CONFLICT (principal_id) DO UPDATE SET sealed = excluded.sealed, source = excluded.source, set_at = excluded.set_at";
    writer.execute(sql, &[account.into(), sealed.into(), at.0.into()])?;
    Ok(())
}

/// Notes the address that a provider vouched for.
pub(crate) fn learn_address(writer: &mut Writer<'_>, account: &str, sealed: &[u8], at: Micros) -> Result<(), DbError> {
    let sql = "INSERT INTO mail_address (principal_id, sealed, source, set_at) VALUES ($1, $2, 'provider', $3)
               ON CONFLICT (principal_id) DO UPDATE SET sealed = excluded.sealed, set_at = excluded.set_at
               WHERE mail_address.source = 'provider'";
    writer.execute(sql, &[account.into(), sealed.into(), at.0.into()])?;
    Ok(())
}

pub(crate) fn forget_address(writer: &mut Writer<'_>, account: &str) -> Result<(), DbError> {
    writer.execute("DELETE FROM mail_address WHERE principal_id = $1", &[account.into()])?;
    Ok(())
}

/// The key that an account gave: its bytes and fingerprint.
pub(crate) fn key(reader: &mut Reader<'_>, account: &str) -> Result<Option<(Vec<u8>, String)>, DbError> {
    let sql = "SELECT public_key, fingerprint FROM mail_key WHERE principal_id = $1";
    reader.query_one(sql, &[account.into()], |row| Ok((row.bytes(0)?, row.text(1)?)))
}

pub(crate) fn set_key(writer: &mut Writer<'_>, account: &str, (key, print): (&[u8], &str), at: Micros) -> Result<(), DbError> {
    let sql = "INSERT INTO mail_key (principal_id, public_key, fingerprint, set_at) VALUES ($1, $2, $3, $4)
               ON CONFLICT (principal_id) DO UPDATE SET public_key = excluded.public_key, fingerprint = excluded.fingerprint,
               set_at = excluded.set_at";
    writer.execute(sql, &[account.into(), key.into(), print.into(), at.0.into()])?;
    Ok(())
}

pub(crate) fn forget_key(writer: &mut Writer<'_>, account: &str) -> Result<(), DbError> {
    writer.execute("DELETE FROM mail_key WHERE principal_id = $1", &[account.into()])?;
    Ok(())
}

/// How far a log was read; none if it never was.
pub(crate) fn position(reader: &mut Reader<'_>, origin: &str) -> Result<Option<i64>, DbError> {
    reader.query_one("SELECT next_index FROM mail_position WHERE origin = $1", &[origin.into()], |row| row.int(0))
}

/// Moves the position on if it still is `before`; `false` if another process moved it.
pub(crate) fn move_on(writer: &mut Writer<'_>, origin: &str, before: Option<i64>, next: i64) -> Result<bool, DbError> {
    let changed = match before {
        None => writer.execute(
            "INSERT INTO mail_position (origin, next_index) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            &[origin.into(), next.into()],
        )?,
        Some(before) => writer.execute(
            "UPDATE mail_position SET next_index = $1 WHERE origin = $2 AND next_index = $3",
            &[next.into(), origin.into(), before.into()],
        )?,
    };
    Ok(changed == 1)
}
