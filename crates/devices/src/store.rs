//! All SQL of this room.

use gate::DataFacts;
use identity::PageWish;
use kernel::{Kind, Micros, Problem, hex, random_id};
use vault::db::{Bind, DbError, Reader, Row, Writer};

use crate::authority::Certified;
use crate::config::DevicesConfig;
use crate::posture::{Check, Facts};
use crate::tier::{Standing, tier};
use crate::types::{Device, Rule, Vouched};

/// Devices of one account that count.
pub(crate) const DEVICES_OF_PRINCIPAL_COUNT_MAX: i64 = 32;
/// Leave of one account that waits to be used.
const ENROLMENTS_OF_PRINCIPAL_COUNT_MAX: i64 = 8;
/// Devices ended longer ago than this are not listed.
const SHOWN_SECONDS: i64 = 30 * 86_400;

/// What fails of a device about whose person an issuer said so, beside the words of checks.
const TOLD_AGAINST: &str = "told_not_compliant";

/// Whether an issuer whose word counts said last that this person's devices are not as they must be (`identity` writes it down): it names
/// a person, so that it is about all of them.
macro_rules! told_against {
    () => {
        "CASE WHEN EXISTS (SELECT 1 FROM device_statement s WHERE s.principal_id = d.principal_id AND s.compliant = 0) THEN 1 ELSE 0 END"
    };
}

/// What is found of a certificate that counts.
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) principal_id: String,
    pub(crate) tier: u8,
}

/// The device of a certificate: all that could end it is asked in this one read.
pub(crate) fn by_certificate(
    reader: &mut Reader<'_>,
    sha256: &[u8; 32],
    (at, config): (Micros, &DevicesConfig),
) -> Result<Option<Found>, DbError> {
    reader.query_one(
        concat!(
            "SELECT d.id, d.principal_id, d.reported_at, d.report, d.attested_at,
                CASE WHEN d.ek_by_root <> 0 OR e.ek_sha256 IS NOT NULL THEN 1 ELSE 0 END, ",
            told_against!(),
            " FROM device_certificate c JOIN device d ON d.id = c.device_id JOIN principal p ON p.id = d.principal_id
         LEFT JOIN device_endorsement e ON e.ek_sha256 = d.ek_sha256
         WHERE c.sha256 = $1 AND c.expires_at > $2 AND d.revoked_at IS NULL AND p.disabled = 0"
        ),
        &[sha256.as_slice().into(), at.0.into()],
        |row| {
            let is_in_order = reported(&row.text(3)?).is_some_and(|facts| facts.failing(config).is_empty());
            let standing = Standing {
                reported_at: row.opt_int(2)?.map(Micros),
                compliant: is_in_order && !row.flag(6)?,
                attested_at: row.opt_int(4)?.map(Micros),
                is_vouched: row.flag(5)?,
            };
            Ok(Found { id: row.text(0)?, principal_id: row.text(1)?, tier: tier(standing, at) })
        },
    )
}

/// What a device said last. Whether that is in order is asked at each use: what is required may have changed since.
fn reported(report: &str) -> Option<Facts> {
    serde_json::from_str(report).ok()
}

/// Leave to enrol that was not used yet: its id and account.
pub(crate) fn enrolment(reader: &mut Reader<'_>, sha256: &[u8; 32], at: Micros) -> Result<Option<(String, String)>, DbError> {
    reader.query_one(
        "SELECT id, principal_id FROM device_enrolment WHERE sha256 = $1 AND used_at IS NULL AND expires_at > $2",
        &[sha256.as_slice().into(), at.0.into()],
        |row| Ok((row.text(0)?, row.text(1)?)),
    )
}

/// The account of an id or name, if it may have devices.
pub(crate) fn account(reader: &mut Reader<'_>, id_or_name: &str) -> Result<String, Problem> {
    let found = identity::principal_with_groups(reader, id_or_name)?;
    let holder = found.map(|(principal, _)| principal).filter(|principal| principal.kind != identity::PrincipalKind::Group);
    holder.map(|principal| principal.id).ok_or_else(|| Problem::not_found("there is no account of this id or name"))
}

pub(crate) fn put_enrolment(
    tx: &mut Writer<'_>,
    (sha256, principal_id, created_by): (&[u8; 32], &str, &str),
    (at, expires_at): (Micros, Micros),
) -> Result<String, Problem> {
    tx.execute("DELETE FROM device_enrolment WHERE expires_at <= $1", &[at.0.into()])?;
    let sql = "SELECT COUNT(*) FROM device_enrolment WHERE principal_id = $1 AND used_at IS NULL";
    if tx.query_one(sql, &[principal_id.into()], |row| row.int(0))?.unwrap_or(0) >= ENROLMENTS_OF_PRINCIPAL_COUNT_MAX {
        let message = format!(
            "{ENROLMENTS_OF_PRINCIPAL_COUNT_MAX} enrolment tokens of the account wait already; use one, or wait ten minutes"
        );
        return Err(Problem::new(Kind::TooMany, message));
    }
    let id = format!("enr_{}", random_id());
    tx.execute(
        "INSERT INTO device_enrolment (id, sha256, principal_id, created_by, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
        &[(&id).into(), sha256.as_slice().into(), principal_id.into(), created_by.into(), at.0.into(), expires_at.0.into()],
    )?;
    Ok(id)
}

/// Takes leave to enrol. Gives who gave it, or none if it was used or is over.
pub(crate) fn use_enrolment(tx: &mut Writer<'_>, id: &str, principal_id: &str, at: Micros) -> Result<Option<String>, DbError> {
    tx.query_one(
        "UPDATE device_enrolment SET used_at = $3 WHERE id = $1 AND principal_id = $2 AND used_at IS NULL AND expires_at > $3
         RETURNING created_by",
        &[id.into(), principal_id.into(), at.0.into()],
        |row| row.text(0),
    )
}

pub(crate) fn put_device(
    tx: &mut Writer<'_>,
    (id, principal_id, created_by): (&str, &str, &str),
    (label, public_key): (&str, &[u8]),
    at: Micros,
) -> Result<(), Problem> {
    let sql = "SELECT COUNT(*) FROM device WHERE principal_id = $1 AND revoked_at IS NULL";
    if tx.query_one(sql, &[principal_id.into()], |row| row.int(0))?.unwrap_or(0) >= DEVICES_OF_PRINCIPAL_COUNT_MAX {
        let message = format!("the account has {DEVICES_OF_PRINCIPAL_COUNT_MAX} devices already; revoke those that nobody uses");
        return Err(Problem::new(Kind::TooMany, message));
    }
    tx.execute(
        "INSERT INTO device (id, principal_id, label, public_key, created_at, created_by, certified_at)
         VALUES ($1, $2, $3, $4, $5, $6, $5)",
        &[id.into(), principal_id.into(), label.into(), public_key.into(), at.0.into(), created_by.into()],
    )?;
    Ok(())
}

/// Keeps a certificate, and forgets those that are over.
pub(crate) fn put_certificate(tx: &mut Writer<'_>, device_id: &str, new: &Certified, at: Micros) -> Result<(), DbError> {
    tx.execute("DELETE FROM device_certificate WHERE expires_at <= $1", &[at.0.into()])?;
    tx.execute(
        "INSERT INTO device_certificate (sha256, device_id, expires_at) VALUES ($1, $2, $3)",
        &[new.sha256.as_slice().into(), device_id.into(), new.expires_at.0.into()],
    )?;
    tx.execute("UPDATE device SET certified_at = $2 WHERE id = $1", &[device_id.into(), at.0.into()]).map(drop)
}

/// The key of a device of this account that counts, held until the end of the transaction.
pub(crate) fn hold_device(tx: &mut Writer<'_>, id: &str, principal_id: &str) -> Result<Option<Vec<u8>>, DbError> {
    tx.query_one(
        "UPDATE device SET label = label WHERE id = $1 AND principal_id = $2 AND revoked_at IS NULL RETURNING public_key",
        &[id.into(), principal_id.into()],
        |row| row.bytes(0),
    )
}

/// Keeps a report that answers a newer challenge than the last one did, and how it was judged then. Gives whether it does.
pub(crate) fn put_report(
    tx: &mut Writer<'_>,
    id: &str,
    (report, compliant): (&str, bool),
    (nonce, at): (Micros, Micros),
) -> Result<bool, DbError> {
    let changed = tx.execute(
        "UPDATE device SET report = $2, compliant = $3, reported_nonce = $4, reported_at = $5
         WHERE id = $1 AND reported_nonce < $4 AND revoked_at IS NULL",
        &[id.into(), report.into(), compliant.into(), nonce.0.into(), at.0.into()],
    )?;
    Ok(changed > 0)
}

/// What a TPM attested.
pub(crate) struct Attested<'a> {
    pub(crate) ek_sha256: &'a [u8; 32],
    pub(crate) by_root: bool,
    pub(crate) pcr_sha256: &'a [u8],
    pub(crate) nonce: Micros,
    pub(crate) at: Micros,
}

pub(crate) fn put_attested(tx: &mut Writer<'_>, id: &str, new: &Attested<'_>) -> Result<bool, DbError> {
    let changed = tx.execute(
        "UPDATE device SET ek_sha256 = $2, ek_by_root = $3, pcr_sha256 = $4, attested_nonce = $5, attested_at = $6
         WHERE id = $1 AND attested_nonce < $5 AND revoked_at IS NULL",
        &[
            id.into(),
            new.ek_sha256.as_slice().into(),
            new.by_root.into(),
            new.pcr_sha256.into(),
            new.nonce.0.into(),
            new.at.0.into(),
        ],
    )?;
    Ok(changed > 0)
}

/// The endorsement key that a device attested with.
pub(crate) fn endorsement_key(reader: &mut Reader<'_>, id: &str) -> Result<Option<Option<Vec<u8>>>, DbError> {
    reader.query_one("SELECT ek_sha256 FROM device WHERE id = $1", &[id.into()], |row| row.opt_bytes(0))
}

pub(crate) fn pin(tx: &mut Writer<'_>, ek_sha256: &[u8], by: &str, at: Micros) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO device_endorsement (ek_sha256, pinned_by, pinned_at) VALUES ($1, $2, $3) ON CONFLICT (ek_sha256) DO NOTHING",
        &[ek_sha256.into(), by.into(), at.0.into()],
    )
    .map(drop)
}

/// Ends a device; of this account if one is named. Gives whether there was one that counted.
pub(crate) fn revoke(
    tx: &mut Writer<'_>,
    (id, principal_id): (&str, Option<&str>),
    (by, lost): (&str, bool),
    at: Micros,
) -> Result<bool, DbError> {
    let (sql, mut binds) = (
        "UPDATE device SET revoked_at = $2, revoked_by = $3, lost = $4 WHERE id = $1 AND revoked_at IS NULL",
        vec![Bind::from(id), at.0.into(), by.into(), lost.into()],
    );
    let changed = match principal_id {
        None => tx.execute(sql, &binds)?,
        Some(principal_id) => {
            binds.push(principal_id.into());
            tx.execute(&format!("{sql} AND principal_id = $5"), &binds)?
        }
    };
    if changed > 0 {
        tx.execute("DELETE FROM device_certificate WHERE device_id = $1", &[id.into()])?;
    }
    Ok(changed > 0)
}

/// Ends all devices of an account, and leave to enrol others. Gives how many devices.
pub(crate) fn end_all(tx: &mut Writer<'_>, principal_id: &str, by: &str, at: Micros) -> Result<u64, DbError> {
    let enrolments = "UPDATE device_enrolment SET used_at = $2 WHERE principal_id = $1 AND used_at IS NULL";
    tx.execute(enrolments, &[principal_id.into(), at.0.into()])?;
    let certificates = "DELETE FROM device_certificate WHERE device_id IN (SELECT id FROM device WHERE principal_id = $1)";
    tx.execute(certificates, &[principal_id.into()])?;
    let devices = "UPDATE device SET revoked_at = $2, revoked_by = $3 WHERE principal_id = $1 AND revoked_at IS NULL";
    tx.execute(devices, &[principal_id.into(), at.0.into(), by.into()])
}

macro_rules! device_columns {
    () => {
        concat!(
            "d.id, d.principal_id, p.name, d.label, d.created_at, d.certified_at, d.revoked_at, d.lost, d.reported_at, d.report,
         d.attested_at, d.ek_sha256, d.ek_by_root, CASE WHEN e.ek_sha256 IS NULL THEN 0 ELSE 1 END, d.pcr_sha256, p.disabled, ",
            told_against!(),
            " FROM device d JOIN principal p ON p.id = d.principal_id LEFT JOIN device_endorsement e ON e.ek_sha256 = d.ek_sha256"
        )
    };
}

/// The devices of an account.
pub(crate) fn of_account(
    reader: &mut Reader<'_>,
    principal_id: &str,
    (at, config): (Micros, &DevicesConfig),
) -> Result<Vec<Device>, DbError> {
    reader.query(
        concat!(
            "SELECT ",
            device_columns!(),
            " WHERE d.principal_id = $1 AND (d.revoked_at IS NULL OR d.revoked_at > $2) ORDER BY d.created_at, d.id LIMIT 256"
        ),
        &[principal_id.into(), at.plus_secs(-SHOWN_SECONDS).0.into()],
        |row| device_of(row, at, config),
    )
}

/// The devices of all accounts, by id; one row more than is asked for tells that there are more.
pub(crate) fn all(
    reader: &mut Reader<'_>,
    wish: &PageWish,
    (at, config): (Micros, &DevicesConfig),
) -> Result<Vec<Device>, DbError> {
    let limit = i64::try_from(wish.row_count()).unwrap_or(i64::MAX).saturating_add(1);
    reader.query(
        concat!(
            "SELECT ",
            device_columns!(),
            " WHERE d.id > $1 AND (d.revoked_at IS NULL OR d.revoked_at > $2) ORDER BY d.id LIMIT $3"
        ),
        &[wish.after.as_deref().unwrap_or_default().into(), at.plus_secs(-SHOWN_SECONDS).0.into(), limit.into()],
        |row| device_of(row, at, config),
    )
}

/// One device.
pub(crate) fn device(
    reader: &mut Reader<'_>,
    id: &str,
    (at, config): (Micros, &DevicesConfig),
) -> Result<Option<Device>, DbError> {
    let sql = concat!("SELECT ", device_columns!(), " WHERE d.id = $1");
    reader.query_one(sql, &[id.into()], |row| device_of(row, at, config))
}

fn device_of(row: &Row<'_>, at: Micros, config: &DevicesConfig) -> Result<Device, DbError> {
    let facts = reported(&row.text(9)?);
    let failing = facts.as_ref().map(|facts| facts.failing(config));
    let told_against = row.flag(16)?;
    let (by_root, is_pinned) = (row.flag(12)?, row.flag(13)?);
    let endorsement_key = row.opt_bytes(11)?;
    let vouched = match (by_root, is_pinned) {
        (true, _) => Some(Vouched::Root),
        (false, true) => Some(Vouched::Pin),
        (false, false) => None,
    };
    let revoked_at = row.opt_int(6)?.map(Micros);
    let standing = Standing {
        reported_at: row.opt_int(8)?.map(Micros),
        compliant: failing.as_ref().is_some_and(Vec::is_empty) && !told_against,
        attested_at: row.opt_int(10)?.map(Micros),
        is_vouched: vouched.is_some(),
    };
    let counts = revoked_at.is_none() && !row.flag(15)?;
    Ok(Device {
        id: row.text(0)?,
        principal_id: row.text(1)?,
        principal_name: row.text(2)?,
        label: row.text(3)?,
        created_at: Micros(row.int(4)?),
        certified_at: Micros(row.int(5)?),
        revoked_at,
        lost: row.flag(7)?,
        reported_at: standing.reported_at,
        facts,
        failing: failing.into_iter().flatten().map(Check::word).chain(told_against.then_some(TOLD_AGAINST)).collect(),
        attested_at: standing.attested_at,
        endorsement_key: endorsement_key.as_deref().map(hex),
        vouched,
        registers: row.opt_bytes(14)?.as_deref().map(hex),
        tier: if counts { tier(standing, at) } else { 0 },
    })
}

/// The least tier of a device from which what is in this workspace, and holds data of these classes, may be read; 0 where nobody said.
///
/// # Errors
/// If the database is down.
pub fn least_tier(reader: &mut Reader<'_>, workspace_id: &str, data: Option<&DataFacts>) -> Result<u8, DbError> {
    let rules =
        reader.query("SELECT data_class, tier FROM device_rule WHERE workspace_id = $1", &[workspace_id.into()], |row| {
            Ok((row.text(0)?, row.int(1)?))
        })?;
    let concerns = |class: &str| {
        let classes = data.map(|data| data.classes).unwrap_or_default();
        match class {
            "" => true,
            "personal" => classes.personal,
            "special" => classes.special,
            "health" => classes.health,
            "financial" => classes.financial,
            // A class that this program does not know may be any.
            _ => data.is_some(),
        }
    };
    let tiers = rules.iter().filter(|(class, _)| concerns(class)).map(|(_, tier)| u8::try_from(*tier).unwrap_or(u8::MAX));
    Ok(tiers.max().unwrap_or(0))
}

pub(crate) fn rules(reader: &mut Reader<'_>) -> Result<Vec<Rule>, DbError> {
    reader.query(
        "SELECT w.name, r.data_class, r.tier, r.set_by, r.set_at FROM device_rule r JOIN workspace w ON w.id = r.workspace_id
         ORDER BY w.name, r.data_class",
        &[],
        |row| {
            Ok(Rule {
                workspace: row.text(0)?,
                data_class: row.text(1)?,
                tier: u8::try_from(row.int(2)?).map_err(|_| DbError::Shape(2))?,
                set_by: row.text(3)?,
                set_at: Micros(row.int(4)?),
            })
        },
    )
}

/// Says the least tier, in place of what was said before; 0 takes that back.
pub(crate) fn set_rule(
    tx: &mut Writer<'_>,
    (workspace_id, data_class, tier): (&str, &str, u8),
    (by, at): (&str, Micros),
) -> Result<(), DbError> {
    tx.execute("DELETE FROM device_rule WHERE workspace_id = $1 AND data_class = $2", &[workspace_id.into(), data_class.into()])?;
    if tier > 0 {
        tx.execute(
            "INSERT INTO device_rule (workspace_id, data_class, tier, set_by, set_at) VALUES ($1, $2, $3, $4, $5)",
            &[workspace_id.into(), data_class.into(), i64::from(tier).into(), by.into(), at.0.into()],
        )?;
    }
    Ok(())
}
