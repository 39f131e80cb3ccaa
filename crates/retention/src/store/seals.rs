//! Which objects must be held by what they lie on, and which are.

use kernel::{Micros, Problem};
use vault::db::{Reader, Writer};
use vault::objects::{ObjectId, Seal, SealMode, stored_outside};

use super::kept::lock_from;
use crate::lock::{Lock, Mode};

/// Objects that one look gives.
pub(crate) const ROUND_COUNT_MAX: i64 = 1_000;

/// Everything that names an object and may be locked: versions of objects, files of data sets, and what models are made of.
const LOCKED: &str = "
    SELECT p.object_id AS object_id, v.lock_mode AS lock_mode, v.retain_until AS retain_until, v.legal_hold AS legal_hold
    FROM bucket_version v JOIN bucket_part p ON p.version_row = v.id
    WHERE (v.retain_until IS NOT NULL OR v.legal_hold = 1) AND (v.legal_hold = 1 OR v.retain_until > $1)
    UNION ALL
    SELECT f.object_id, r.lock_mode, r.retain_until, r.legal_hold
    FROM retained r JOIN data_file f ON f.version_id = r.subject
    WHERE r.kind = 'dataset' AND (r.legal_hold = 1 OR r.retain_until > $1)
    UNION ALL
    SELECT o.object_id, r.lock_mode, r.retain_until, r.legal_hold
    FROM retained r JOIN retained_object o ON o.retained_id = r.id
    WHERE r.legal_hold = 1 OR r.retain_until > $1";

/// What one object must be held with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) object: ObjectId,
    pub(crate) lock: Lock,
}

impl Wanted {
    pub(crate) fn seal(&self) -> Seal {
        seal_of(self.lock)
    }
}

/// A lock as a store knows it.
pub(crate) fn seal_of(lock: Lock) -> Seal {
    let mode = |mode| if mode == Mode::Compliance { SealMode::Compliance } else { SealMode::Governance };
    Seal { retention: lock.retention.map(|one| (mode(one.mode), one.until)), hold: lock.hold }
}

/// Objects whose lock is not the one that they are sealed with. `compliance_only`: where nothing else can be held.
pub(crate) fn to_seal(reader: &mut Reader<'_>, now: Micros, compliance_only: bool) -> Result<Vec<Wanted>, Problem> {
    let which = if compliance_only { "WHERE l.lock_mode = 'COMPLIANCE' AND l.retain_until > $1" } else { "" };
    // An object that several things hold is held by the strictest of each kind: compliance sorts before governance.
    let sql = format!(
        "SELECT w.object_id, w.lock_mode, w.retain_until, w.legal_hold
         FROM (SELECT l.object_id AS object_id, min(l.lock_mode) AS lock_mode, max(l.retain_until) AS retain_until,
                      max(l.legal_hold) AS legal_hold
               FROM ({LOCKED}) l {which} GROUP BY l.object_id) w
         LEFT JOIN object_seal s ON s.object_id = w.object_id
         WHERE (s.object_id IS NULL OR s.lock_mode IS DISTINCT FROM w.lock_mode OR s.retain_until IS DISTINCT FROM w.retain_until
            OR s.legal_hold <> w.legal_hold) AND {}
         ORDER BY w.object_id LIMIT $2",
        // Small ones have no file to be held by: the database's own triggers hold them.
        stored_outside("w")
    );
    let read = |row: &vault::db::Row<'_>| Ok((row.text(0)?, lock_from(row, 1)?));
    let found = reader.query(&sql, &[now.0.into(), ROUND_COUNT_MAX.into()], read)?;
    found.into_iter().map(|(id, lock)| Ok(Wanted { object: ObjectId::parse(&id)?, lock })).collect()
}

/// Objects that are sealed, and that nothing holds any more.
pub(crate) fn to_unseal(reader: &mut Reader<'_>, now: Micros) -> Result<Vec<ObjectId>, Problem> {
    let sql = format!(
        "SELECT s.object_id FROM object_seal s
         WHERE NOT EXISTS (SELECT 1 FROM ({LOCKED}) l WHERE l.object_id = s.object_id)
         ORDER BY s.object_id LIMIT $2"
    );
    let found = reader.query(&sql, &[now.0.into(), ROUND_COUNT_MAX.into()], |row| row.text(0))?;
    found.iter().map(|id| ObjectId::parse(id)).collect()
}

pub(crate) fn put(writer: &mut Writer<'_>, wanted: &Wanted, at: Micros) -> Result<(), Problem> {
    let retention = wanted.lock.retention;
    writer.execute(
        "INSERT INTO object_seal (object_id, lock_mode, retain_until, legal_hold, sealed_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (object_id) DO UPDATE SET lock_mode = excluded.lock_mode, retain_until = excluded.retain_until,
             legal_hold = excluded.legal_hold, sealed_at = excluded.sealed_at",
        &[
            wanted.object.as_str().into(),
            retention.map(|one| one.mode.word()).into(),
            retention.map(|one| one.until.0).into(),
            wanted.lock.hold.into(),
            at.0.into(),
        ],
    )?;
    Ok(())
}

pub(crate) fn forget(writer: &mut Writer<'_>, id: &ObjectId) -> Result<(), Problem> {
    writer.execute("DELETE FROM object_seal WHERE object_id = $1", &[id.as_str().into()])?;
    Ok(())
}

/// How many objects are sealed.
pub(crate) fn count(reader: &mut Reader<'_>) -> Result<i64, Problem> {
    Ok(reader.query_one("SELECT COUNT(*) FROM object_seal", &[], |row| row.int(0))?.unwrap_or(0))
}
