//! Addresses and keys of mail that were changed or removed since a backup stay so in what is restored from it, and what was mailed since is not
//! mailed again.

use std::collections::{HashMap, HashSet};

use kernel::Problem;
use vault::db::{Reader, Writer};

/// What the old database holds of mail.
#[derive(Clone, Debug, Default)]
pub(super) struct OldMail {
    /// Address (sealed), source and time, by account.
    addresses: HashMap<String, (Vec<u8>, String, i64)>,
    /// Account and fingerprint.
    keys: HashSet<(String, String)>,
    waiting: HashSet<String>,
}

impl OldMail {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        let addresses = reader.query("SELECT principal_id, sealed, source, set_at FROM mail_address", &[], |row| {
            Ok((row.text(0)?, (row.bytes(1)?, row.text(2)?, row.int(3)?)))
        })?;
        Ok(Self { addresses: addresses.into_iter().collect(), keys: keys(reader)?, waiting: waiting(reader)? })
    }

    pub(super) fn replay(&self, writer: &mut Writer<'_>) -> Result<(), Problem> {
        let there = writer.query("SELECT principal_id FROM mail_address", &[], |row| row.text(0))?;
        for id in there {
            let Some((sealed, source, set_at)) = self.addresses.get(&id) else {
                writer.execute("DELETE FROM mail_address WHERE principal_id = $1", &[(&id).into()])?;
                continue;
            };
            let sql = "UPDATE mail_address SET sealed = $1, source = $2, set_at = $3 WHERE principal_id = $4 AND set_at < $3";
            let sealed: &[u8] = sealed;
            writer.execute(sql, &[sealed.into(), source.into(), (*set_at).into(), (&id).into()])?;
        }
        // Which key came in the place of one that is gone, its holder says again.
        for (id, fingerprint) in keys(writer)?.difference(&self.keys) {
            let sql = "DELETE FROM mail_key WHERE principal_id = $1 AND fingerprint = $2";
            writer.execute(sql, &[id.as_str().into(), fingerprint.as_str().into()])?;
        }
        for id in waiting(writer)?.difference(&self.waiting) {
            writer.execute("DELETE FROM mail_notice WHERE id = $1", &[id.as_str().into()])?;
        }
        Ok(())
    }
}

fn keys(reader: &mut Reader<'_>) -> Result<HashSet<(String, String)>, Problem> {
    let found = reader.query("SELECT principal_id, fingerprint FROM mail_key", &[], |row| Ok((row.text(0)?, row.text(1)?)))?;
    Ok(found.into_iter().collect())
}

fn waiting(reader: &mut Reader<'_>) -> Result<HashSet<String>, Problem> {
    let found = reader.query("SELECT id FROM mail_notice WHERE state = 'waiting'", &[], |row| row.text(0))?;
    Ok(found.into_iter().collect())
}

/// An address or key that the old log says was removed last.
pub(super) fn forget(writer: &mut Writer<'_>, (what, account): &(Forgotten, String)) -> Result<(), Problem> {
    let sql = match what {
        Forgotten::Address => "DELETE FROM mail_address WHERE principal_id = $1",
        Forgotten::Key => "DELETE FROM mail_key WHERE principal_id = $1",
    };
    writer.execute(sql, &[account.into()])?;
    Ok(())
}

/// What was taken back of mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Forgotten {
    Address,
    Key,
}
