//! What a review looks at, read in one go. It is this room's one look at other rooms' tables: accounts, tokens, endpoints, and the rollup of
//! uses that the detector keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kernel::{Kind, Micros, Problem};
use vault::db::{DbError, Reader};

use super::{EndpointRow, Someone, TokenRow, Use, World};
use crate::store;
use crate::types::PrincipalKind;

const DAY_US: i64 = 86_400_000_000;
/// What one review looks at, at most; a larger server is reviewed workspace by workspace, once that can be asked for.
const PEOPLE_COUNT_MAX: usize = 20_000;
const GRANT_COUNT_MAX: usize = 20_000;
const USE_COUNT_MAX: usize = 500_000;
const TOKEN_COUNT_MAX: usize = 50_000;
/// Grants that were taken back, the newest first.
const REVOKED_COUNT_MAX: i64 = 5_000;
const ENDPOINT_COUNT_MAX: i64 = 5_000;

/// Reads everything, with uses of the last `days`.
pub(crate) fn read(reader: &mut Reader<'_>, now: Micros, days: i64) -> Result<World, Problem> {
    let since_day = now.0.div_euclid(DAY_US).saturating_sub(days);
    let grants = store::live(reader, now, GRANT_COUNT_MAX + 1)?;
    bounded("grants", grants.len(), GRANT_COUNT_MAX)?;
    let people = people(reader)?;
    bounded("accounts", people.len(), PEOPLE_COUNT_MAX)?;
    let uses = uses(reader, since_day)?;
    bounded("uses", uses.len(), USE_COUNT_MAX)?;
    let tokens = tokens(reader, now)?;
    bounded("tokens", tokens.len(), TOKEN_COUNT_MAX)?;
    let first_day = reader.query_one("SELECT MIN(day) FROM grant_use", &[], |row| row.opt_int(0))?.flatten();
    let workspaces = reader.query("SELECT id, name FROM workspace", &[], |row| Ok((row.text(0)?, row.text(1)?)))?;
    let revoked = store::revoked(reader, REVOKED_COUNT_MAX)?;
    let endpoints = endpoints(reader)?;
    let left_off =
        [("grants that were taken back", revoked.len(), REVOKED_COUNT_MAX), ("endpoints", endpoints.len(), ENDPOINT_COUNT_MAX)];
    let is_full = |(_, count, max): &(&str, usize, i64)| i64::try_from(*count).is_ok_and(|count| count >= *max);
    let left_off =
        left_off.into_iter().filter(is_full).map(|(what, _, max)| format!("only {max} {what} were looked at")).collect();
    Ok(World {
        now,
        people,
        grants: grants.into_iter().map(Arc::new).collect(),
        revoked,
        uses,
        counted_since: first_day.map(|day| Micros(day.saturating_mul(DAY_US))),
        tokens,
        endpoints,
        left_off,
        workspaces: workspaces.into_iter().collect(),
        looked_after: looked_after(reader)?,
    })
}

fn bounded(what: &str, count: usize, max: usize) -> Result<(), Problem> {
    if count <= max {
        return Ok(());
    }
    Err(Problem::new(Kind::TooLarge, format!("a review looks at up to {max} {what}; there are more here")))
}

fn people(reader: &mut Reader<'_>) -> Result<BTreeMap<String, Someone>, DbError> {
    let limit = i64::try_from(PEOPLE_COUNT_MAX + 1).unwrap_or(i64::MAX);
    let sql = "SELECT id, kind, name, owner, disabled, created_at FROM principal ORDER BY id LIMIT $1";
    let rows = reader.query(sql, &[limit.into()], |row| {
        let kind = PrincipalKind::parse(&row.text(1)?).ok_or(DbError::Shape(1))?;
        Ok(Someone {
            id: row.text(0)?,
            kind,
            name: row.text(2)?,
            owner: row.text(3)?,
            disabled: row.int(4)? != 0,
            created_at: Micros(row.int(5)?),
            groups: Vec::new(),
            token: None,
        })
    })?;
    let members = reader.query("SELECT member_id, group_id FROM membership", &[], |row| Ok((row.text(0)?, row.text(1)?)))?;
    let mut above: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (member, group) in members {
        above.entry(member).or_default().push(group);
    }
    let closed = |id: &str| {
        let (mut found, mut open) = (BTreeSet::new(), vec![id.to_owned()]);
        while let Some(next) = open.pop() {
            for group in above.get(&next).into_iter().flatten() {
                if found.insert(group.clone()) {
                    open.push(group.clone());
                }
            }
        }
        found.into_iter().collect()
    };
    Ok(rows.into_iter().map(|one| (one.id.clone(), Someone { groups: closed(&one.id), ..one })).collect())
}

fn uses(reader: &mut Reader<'_>, since_day: i64) -> Result<Vec<Use>, DbError> {
    let limit = i64::try_from(USE_COUNT_MAX + 1).unwrap_or(i64::MAX);
    let sql = "SELECT grant_id, verb, place, MAX(workspace), caller, COUNT(*), MAX(last_at) FROM grant_use WHERE day >= $1
               GROUP BY grant_id, verb, place, caller ORDER BY grant_id, verb, place, caller LIMIT $2";
    reader.query(sql, &[since_day.into(), limit.into()], |row| {
        Ok(Use {
            grant: row.text(0)?,
            verb: row.text(1)?,
            place: row.text(2)?,
            workspace: row.text(3)?,
            caller: row.text(4)?,
            days: row.int(5)?,
            last_at: Micros(row.int(6)?),
        })
    })
}

fn tokens(reader: &mut Reader<'_>, now: Micros) -> Result<Vec<TokenRow>, DbError> {
    let limit = i64::try_from(TOKEN_COUNT_MAX + 1).unwrap_or(i64::MAX);
    let sql = "SELECT id, principal_id, label, created_at, expires_at, last_used_day, created_by, scopes, workspace_id FROM token
               WHERE revoked_at IS NULL AND expires_at > $1 ORDER BY id LIMIT $2";
    reader.query(sql, &[now.0.into(), limit.into()], |row| {
        Ok(TokenRow {
            id: row.text(0)?,
            principal: row.text(1)?,
            created_by: row.text(6)?,
            label: row.text(2)?,
            scopes: row.text(7)?.lines().map(ToOwned::to_owned).collect(),
            workspace: row.opt_text(8)?,
            created_at: Micros(row.int(3)?),
            expires_at: Micros(row.int(4)?),
            last_used_day: row.opt_int(5)?,
        })
    })
}

fn looked_after(reader: &mut Reader<'_>) -> Result<BTreeMap<String, String>, DbError> {
    let sql = "SELECT v.principal_id, v.managed_by FROM provisioned v JOIN principal p ON p.id = v.principal_id
               WHERE p.kind = 'group' ORDER BY v.principal_id LIMIT $1";
    let limit = i64::try_from(PEOPLE_COUNT_MAX).unwrap_or(i64::MAX);
    Ok(reader.query(sql, &[limit.into()], |row| Ok((row.text(0)?, row.text(1)?)))?.into_iter().collect())
}

/// What endpoints answer with, and what those answer a share of their requests with that have a canary: a row for each.
fn endpoints(reader: &mut Reader<'_>) -> Result<Vec<EndpointRow>, DbError> {
    let sql = "SELECT name, workspace, model_id, choice, endpoint_id FROM endpoint
               UNION ALL
               SELECT e.name, e.workspace, e.model_id, r.choice, e.endpoint_id FROM endpoint_rollout r
               JOIN endpoint e ON e.endpoint_id = r.endpoint_id WHERE r.mode = 'canary' AND r.halted_at IS NULL
               ORDER BY endpoint_id, choice LIMIT $1";
    reader.query(sql, &[ENDPOINT_COUNT_MAX.into()], |row| {
        Ok(EndpointRow { name: row.text(0)?, workspace: row.text(1)?, model: row.text(2)?, choice: row.text(3)? })
    })
}
