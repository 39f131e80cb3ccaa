//! What was still to be decided or used when the backup was made, and is decided or used since, stays so: requests for a role, requests to
//! destroy a key, invitations of devices, and secrets that let machines in.

use std::collections::{HashMap, HashSet};

use kernel::Problem;
use vault::db::{Bind, Reader, Writer};

/// What the old database says of it.
#[derive(Clone, Debug, Default)]
pub(super) struct OldSettled {
    /// Requests for a role that were refused, taken back or ended.
    elevations: Vec<Elevation>,
    /// Requests to destroy a key that are over.
    destroys: Vec<Destroy>,
    /// When invitations of devices were used, if they were.
    invitations: HashMap<String, Option<i64>>,
    fleets: HashSet<String>,
    nodes: HashSet<String>,
}

#[derive(Clone, Debug)]
struct Elevation {
    id: String,
    state: String,
    decided_by: Option<String>,
    decided_at: Option<i64>,
    ends_at: Option<i64>,
}

#[derive(Clone, Debug)]
struct Destroy {
    id: String,
    state: String,
    ended_by: Option<String>,
    ended_at: Option<i64>,
}

impl OldSettled {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        let elevations = "SELECT id, state, decided_by, decided_at, ends_at FROM elevation WHERE state IN ('refused', 'ended')";
        let destroys = "SELECT id, state, ended_by, ended_at FROM vault_key_destroy WHERE state NOT IN ('requested', 'approved')";
        Ok(Self {
            elevations: reader.query(elevations, &[], |row| {
                Ok(Elevation {
                    id: row.text(0)?,
                    state: row.text(1)?,
                    decided_by: row.opt_text(2)?,
                    decided_at: row.opt_int(3)?,
                    ends_at: row.opt_int(4)?,
                })
            })?,
            destroys: reader.query(destroys, &[], |row| {
                Ok(Destroy { id: row.text(0)?, state: row.text(1)?, ended_by: row.opt_text(2)?, ended_at: row.opt_int(3)? })
            })?,
            invitations: invitations(reader)?,
            fleets: ids(reader, "device_fleet")?,
            nodes: ids(reader, "device_node")?,
        })
    }

    pub(super) fn replay(&self, writer: &mut Writer<'_>) -> Result<(), Problem> {
        for one in &self.elevations {
            let sql = "UPDATE elevation SET state = $1, decided_by = $2, decided_at = $3, ends_at = $4
                       WHERE id = $5 AND state NOT IN ('refused', 'ended')";
            let binds: [Bind<'_>; 5] =
                [(&one.state).into(), (&one.decided_by).into(), one.decided_at.into(), one.ends_at.into(), (&one.id).into()];
            writer.execute(sql, &binds)?;
        }
        for one in &self.destroys {
            let sql = "UPDATE vault_key_destroy SET state = $1, ended_by = $2, ended_at = $3
                       WHERE id = $4 AND state IN ('requested', 'approved')";
            let binds: [Bind<'_>; 4] = [(&one.state).into(), (&one.ended_by).into(), one.ended_at.into(), (&one.id).into()];
            writer.execute(sql, &binds)?;
        }
        for (id, used_at) in invitations(writer)? {
            match self.invitations.get(&id) {
                None => drop(writer.execute("DELETE FROM device_enrolment WHERE id = $1", &[(&id).into()])?),
                Some(then) if used_at.is_none() && then.is_some() => {
                    let sql = "UPDATE device_enrolment SET used_at = $1 WHERE id = $2";
                    writer.execute(sql, &[(*then).into(), (&id).into()])?;
                }
                Some(_) => {}
            }
        }
        for (table, kept) in [("device_node", &self.nodes), ("device_fleet", &self.fleets)] {
            for id in ids(writer, table)?.difference(kept) {
                writer.execute(&format!("DELETE FROM {table} WHERE id = $1"), &[id.into()])?;
            }
        }
        Ok(())
    }
}

fn ids(reader: &mut Reader<'_>, table: &str) -> Result<HashSet<String>, Problem> {
    Ok(reader.query(&format!("SELECT id FROM {table}"), &[], |row| row.text(0))?.into_iter().collect())
}

fn invitations(reader: &mut Reader<'_>) -> Result<HashMap<String, Option<i64>>, Problem> {
    let sql = "SELECT id, used_at FROM device_enrolment";
    Ok(reader.query(sql, &[], |row| Ok((row.text(0)?, row.opt_int(1)?)))?.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::super::replay::{Old, replay};
    use super::super::testing::{pairs, texts};
    use super::*;
    use kernel::Micros;
    use vault::db::Location;

    /// A database with a request for a role, one to destroy a key and an invitation, in these states.
    async fn fill(at: &Location, (role, key, used_at): (&'static str, &'static str, Option<i64>), has_fleet: bool) {
        let opened = vault::db::open(at).unwrap();
        let fill = move |writer: &mut Writer<'_>| {
            let person = "INSERT INTO principal (id, kind, name, owner, created_at) VALUES ('u', 'user', 'ada', '', 1)";
            writer.execute(person, &[])?;
            let elevation =
                "INSERT INTO elevation (id, principal, role, resource_kind, resource, reason, seconds, asked_at, state)
                             VALUES ('e', 'u', 'owner', 'server', '', '', 1, 1, $1)";
            writer.execute(elevation, &[role.into()])?;
            let destroy = "INSERT INTO vault_key_destroy (id, workspace, reason, state, requested_by, requested_at, due_at)
                           VALUES ('k', 'w', '', $1, 'u', 1, 2)";
            writer.execute(destroy, &[key.into()])?;
            let invitation =
                "INSERT INTO device_enrolment (id, sha256, principal_id, created_by, created_at, expires_at, used_at)
                              VALUES ('i', $1, 'u', 'u', 1, 9, $2)";
            writer.execute(invitation, &[b"i".as_slice().into(), used_at.into()])?;
            if has_fleet {
                let fleet = "INSERT INTO device_fleet (id, name, sha256, created_by, created_at) VALUES ('f', 'f', $1, 'u', 1)";
                writer.execute(fleet, &[b"f".as_slice().into()])?;
            }
            Ok(())
        };
        opened.system.write(fill).await.unwrap();
    }

    #[test]
    fn what_was_taken_back_or_used_is_not_open_again() {
        for (engine, other, runtime) in pairs("replay_settled") {
            let (backup, old) = (&engine.location, &other.location);
            runtime.block_on(fill(backup, ("asked", "approved", None), true));
            runtime.block_on(fill(old, ("ended", "cancelled", Some(5)), false));
            replay(backup, &Old::read(old).unwrap(), Micros(20)).unwrap();
            let words = |sql: &'static str| texts(backup, sql);
            assert_eq!(words("SELECT state FROM elevation"), ["ended"], "{}", engine.name);
            assert_eq!(words("SELECT state FROM vault_key_destroy"), ["cancelled"]);
            assert_eq!(words("SELECT id FROM device_enrolment WHERE used_at = 5"), ["i"]);
            assert!(words("SELECT id FROM device_fleet").is_empty());
        }
    }
}
