//! The SQL of fleets and nodes.

use kernel::{Kind, Micros, Problem, random_id};
use vault::db::{DbError, Reader, Writer};

use crate::types::{Fleet, Node};

/// Fleets of a server.
const FLEET_COUNT_MAX: i64 = 1_000;
/// Nodes of a fleet.
const NODES_OF_FLEET_COUNT_MAX: i64 = 10_000;
/// How long nothing was heard of a node that gives way to another one.
const SILENT_SECONDS: i64 = 30 * 86_400;
/// Nodes that are listed.
const LISTED_COUNT_MAX: i64 = 1_000;
/// How often a node is asked how it is.
const ASK_SECONDS: i64 = 600;

/// The fleet of an enrol secret: its id, and for which account it acts.
pub(crate) fn fleet_of(reader: &mut Reader<'_>, sha256: &[u8; 32]) -> Result<Option<(String, String)>, DbError> {
    let sql = "SELECT id, created_by FROM device_fleet WHERE sha256 = $1";
    reader.query_one(sql, &[sha256.as_slice().into()], |row| Ok((row.text(0)?, row.text(1)?)))
}

/// The node of a node key, likewise.
pub(crate) fn node_of(reader: &mut Reader<'_>, sha256: &[u8; 32]) -> Result<Option<(String, String)>, DbError> {
    let sql = "SELECT n.id, f.created_by FROM device_node n JOIN device_fleet f ON f.id = n.fleet_id WHERE n.sha256 = $1";
    reader.query_one(sql, &[sha256.as_slice().into()], |row| Ok((row.text(0)?, row.text(1)?)))
}

pub(crate) fn put_fleet(tx: &mut Writer<'_>, name: &str, sha256: &[u8; 32], (by, at): (&str, Micros)) -> Result<String, Problem> {
    if tx.query_one("SELECT COUNT(*) FROM device_fleet", &[], |row| row.int(0))?.unwrap_or(0) >= FLEET_COUNT_MAX {
        return Err(Problem::new(
            Kind::TooMany,
            format!("there are {FLEET_COUNT_MAX} fleets already; revoke those that nobody uses"),
        ));
    }
    let id = format!("flt_{}", random_id());
    let made = tx.execute(
        "INSERT INTO device_fleet (id, name, sha256, created_by, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO NOTHING",
        &[(&id).into(), name.into(), sha256.as_slice().into(), by.into(), at.0.into()],
    )?;
    if made == 0 {
        return Err(Problem::already_exists(format!("there is a fleet `{name}` already")));
    }
    Ok(id)
}

pub(crate) fn fleets(reader: &mut Reader<'_>) -> Result<Vec<Fleet>, DbError> {
    reader.query(
        "SELECT f.id, f.name, f.created_by, f.created_at, (SELECT COUNT(*) FROM device_node n WHERE n.fleet_id = f.id)
         FROM device_fleet f ORDER BY f.name",
        &[],
        |row| {
            Ok(Fleet {
                id: row.text(0)?,
                name: row.text(1)?,
                created_by: row.text(2)?,
                created_at: Micros(row.int(3)?),
                node_count: row.int(4)?,
            })
        },
    )
}

/// Ends a fleet with all of its nodes. Gives its id.
pub(crate) fn delete_fleet(tx: &mut Writer<'_>, id_or_name: &str) -> Result<Option<String>, DbError> {
    let sql = "DELETE FROM device_fleet WHERE id = $1 OR name = $1 RETURNING id";
    tx.query_one(sql, &[id_or_name.into()], |row| row.text(0))
}

/// A node of the fleet, under a new key; the same machine enrols again with what it was linked to.
pub(crate) fn put_node(
    tx: &mut Writer<'_>,
    (fleet_id, host): (&str, &str),
    (sha256, at): (&[u8; 32], Micros),
) -> Result<Option<String>, Problem> {
    let known = "SELECT 1 FROM device_node WHERE fleet_id = $1 AND host = $2";
    if tx.query_one(known, &[fleet_id.into(), host.into()], |row| row.int(0))?.is_none() {
        make_room(tx, fleet_id, at)?;
    }
    let id = format!("nod_{}", random_id());
    // Whoever holds the secret of a fleet may say to be any host: a link to a device is made anew by an administrator.
    let kept = tx.query_one(
        "INSERT INTO device_node (id, fleet_id, host, sha256, enrolled_at, seen_at)
         SELECT $1, f.id, $3, $4, $5, $5 FROM device_fleet f WHERE f.id = $2
         ON CONFLICT (fleet_id, host) DO UPDATE SET sha256 = excluded.sha256, enrolled_at = excluded.enrolled_at,
             seen_at = excluded.seen_at, asked_at = 0, reported_at = NULL, report = '', device_id = NULL
         RETURNING id",
        &[(&id).into(), fleet_id.into(), host.into(), sha256.as_slice().into(), at.0.into()],
        |row| row.text(0),
    )?;
    Ok(kept)
}

/// Refuses where a fleet has no room for one more. In a full one, nodes that nothing was heard of for long give way.
fn make_room(tx: &mut Writer<'_>, fleet_id: &str, at: Micros) -> Result<(), Problem> {
    if node_count(tx, fleet_id)? < NODES_OF_FLEET_COUNT_MAX {
        return Ok(());
    }
    // One that says how a device is stays: else the device would speak for itself again, once its machine is kept silent.
    tx.execute(
        "DELETE FROM device_node WHERE fleet_id = $1 AND seen_at < $2
         AND NOT EXISTS (SELECT 1 FROM device d WHERE d.id = device_node.device_id AND d.revoked_at IS NULL)",
        &[fleet_id.into(), at.plus_secs(-SILENT_SECONDS).0.into()],
    )?;
    if node_count(tx, fleet_id)? < NODES_OF_FLEET_COUNT_MAX {
        return Ok(());
    }
    let message = format!(
        "the fleet has {NODES_OF_FLEET_COUNT_MAX} nodes, and heard of them within 30 days; make another fleet, or revoke this one if its secret was stolen"
    );
    Err(Problem::new(Kind::TooMany, message))
}

fn node_count(reader: &mut Reader<'_>, fleet_id: &str) -> Result<i64, DbError> {
    let sql = "SELECT COUNT(*) FROM device_node WHERE fleet_id = $1";
    Ok(reader.query_one(sql, &[fleet_id.into()], |row| row.int(0))?.unwrap_or(0))
}

/// The node was heard of.
pub(crate) fn see_node(tx: &mut Writer<'_>, id: &str, at: Micros) -> Result<bool, DbError> {
    Ok(tx.execute("UPDATE device_node SET seen_at = $2 WHERE id = $1", &[id.into(), at.0.into()])? > 0)
}

/// Whether it is time to ask the node how it is; then it counts as asked.
pub(crate) fn ask_node(tx: &mut Writer<'_>, id: &str, at: Micros) -> Result<bool, DbError> {
    let before = at.plus_secs(-ASK_SECONDS);
    let sql = "UPDATE device_node SET asked_at = $2, seen_at = $2 WHERE id = $1 AND asked_at <= $3";
    Ok(tx.execute(sql, &[id.into(), at.0.into(), before.0.into()])? > 0)
}

/// Keeps what a node said, for itself and for the device that it is. Gives that one.
pub(crate) fn put_node_report(
    tx: &mut Writer<'_>,
    id: &str,
    (report, compliant): (&str, bool),
    at: Micros,
) -> Result<Option<Option<String>>, DbError> {
    let device = tx.query_one(
        "UPDATE device_node SET report = $2, reported_at = $3, seen_at = $3 WHERE id = $1 RETURNING device_id",
        &[id.into(), report.into(), at.0.into()],
        |row| row.opt_text(0),
    )?;
    if let Some(Some(device)) = &device {
        tx.execute(
            "UPDATE device SET report = $2, compliant = $3, reported_at = $4 WHERE id = $1 AND revoked_at IS NULL",
            &[device.into(), report.into(), compliant.into(), at.0.into()],
        )?;
    }
    Ok(device)
}

/// Whether a node says how this device is.
pub(crate) fn speaks_for(reader: &mut Reader<'_>, device: &str) -> Result<bool, DbError> {
    let sql = "SELECT 1 FROM device_node WHERE device_id = $1 LIMIT 1";
    Ok(reader.query_one(sql, &[device.into()], |row| row.int(0))?.is_some())
}

/// Says which device a node is, in place of any other node. Gives whether there is such a node.
pub(crate) fn adopt(tx: &mut Writer<'_>, node: &str, device: &str) -> Result<bool, DbError> {
    let others = "UPDATE device_node SET device_id = NULL WHERE device_id = $2 AND id <> $1";
    tx.execute(others, &[node.into(), device.into()])?;
    Ok(tx.execute("UPDATE device_node SET device_id = $2 WHERE id = $1", &[node.into(), device.into()])? > 0)
}

pub(crate) fn nodes(reader: &mut Reader<'_>) -> Result<Vec<Node>, DbError> {
    reader.query(
        "SELECT n.id, f.name, n.host, n.enrolled_at, n.seen_at, n.reported_at, n.report, n.device_id
         FROM device_node n JOIN device_fleet f ON f.id = n.fleet_id ORDER BY f.name, n.host, n.id LIMIT $1",
        &[LISTED_COUNT_MAX.into()],
        |row| {
            Ok(Node {
                id: row.text(0)?,
                fleet: row.text(1)?,
                host: row.text(2)?,
                enrolled_at: Micros(row.int(3)?),
                seen_at: Micros(row.int(4)?),
                reported_at: row.opt_int(5)?.map(Micros),
                facts: serde_json::from_str(&row.text(6)?).ok(),
                device: row.opt_text(7)?,
            })
        },
    )
}
