//! What lets an account in: tokens and sessions, as parts of the page of a person or a service, each with a button that ends it.

use gate::Visitor;
use http::Method;
use identity::ops::sessions::ListSessions;
use identity::ops::tokens::{ListTokens, RevokeAnyToken};
use identity::{PageWish, Session, Token};
use kernel::{Micros, Problem};
use wire::{Door, Inbound};

use crate::Rooms;
use crate::board::{ActingRow, ActingTable, Button, Cell, Tone, if_allowed, part};
use crate::page::{moment, redirect_in};
use crate::query::Query;

/// Tokens of one account on one page.
const TOKEN_ROWS: usize = 50;
const DAY_US: i64 = 86_400_000_000;

/// Adds what the buttons of an account's page ask for: `page` is where the accounts are, `name` how the address calls one.
pub fn routes(door: &mut Door, rooms: &Rooms, page: &'static str, name: &'static str) {
    let room = rooms.identity.clone();
    let revoke = move |inbound: &Inbound| {
        let form = inbound.form()?;
        form.sure()?;
        let token = form.need("credential")?.to_owned();
        let to = format!("{page}/{}#tokens", part(inbound.path(name)));
        Ok((RevokeAnyToken { room: room.clone(), token }, (to, inbound.workspace().to_owned())))
    };
    let path = format!("{page}/{{{name}}}/revoke");
    door.route_with(Method::POST, &path, revoke, |_, (to, workspace)| Ok(redirect_in(&workspace, &to)));
}

/// The tokens and the sessions of an account, for those who may list them. `at` is its page.
pub async fn tables(
    visitor: &Visitor,
    rooms: &Rooms,
    account: &str,
    (at, query): (&str, &Query),
) -> Result<Vec<ActingTable>, Problem> {
    let room = || rooms.identity.clone();
    // One's own are ended on one's own page.
    let is_other = visitor.caller().id != account;
    let may_revoke = is_other && visitor.might(&RevokeAnyToken { room: room(), token: String::new() }).await?;
    let mut tables = Vec::new();
    let page = PageWish { after: query.text("tokens"), rows: Some(TOKEN_ROWS) };
    if let Some(found) = if_allowed(visitor, ListTokens { room: room(), of: Some(account.to_owned()), page }).await? {
        let next = found.next.map(|after| format!("{}#tokens", query.with("tokens", &after).at(at)));
        tables.push(tokens_table(&found.rows, (at, visitor.at()), may_revoke, next));
    }
    if let Some(found) = if_allowed(visitor, ListSessions { room: room(), of: Some(account.to_owned()) }).await? {
        tables.push(sessions_table(&found, at, may_revoke));
    }
    Ok(tables)
}

fn acting(cells: Vec<Cell>, at: &str, (id, words): (&str, &str), may_revoke: bool) -> ActingRow {
    let hidden = vec![("credential", id.to_owned())];
    let button = Button { value: "revoke", words: words.to_owned(), is_plain: true, is_grave: true, hidden };
    ActingRow { cells, action: format!("{at}/revoke"), buttons: may_revoke.then_some(button).into_iter().collect() }
}

fn tokens_table(tokens: &[Token], (at, now): (&str, Micros), may_revoke: bool, next: Option<String>) -> ActingTable {
    let row = |one: &Token| {
        let (state, counts) = match one.revoked_at {
            Some(at) => (Cell::state(format!("revoked {}", moment(at)), Tone::Wait), false),
            None if one.expires_at <= now => (Cell::state("ended", Tone::Wait), false),
            None => (Cell::state("counts", Tone::Good), true),
        };
        let reach = if one.scopes.is_empty() { "all that the account may do".to_owned() } else { one.scopes.join(", ") };
        let day = |day: i64| wire::time_text(Micros(day.saturating_mul(DAY_US))).chars().take(10).collect();
        let cells = vec![
            Cell::text(one.label.clone()),
            state,
            Cell::text(reach),
            Cell::text(moment(one.expires_at)),
            Cell::text(one.last_used_day.map_or_else(|| "never".to_owned(), day)),
            Cell::text(one.id.clone()),
        ];
        acting(cells, at, (&one.id, "Revoke"), may_revoke && counts)
    };
    ActingTable {
        id: "tokens",
        title: "Tokens".to_owned(),
        columns: vec!["Token", "State", "Reaches", "Ends", "Last used, by the day", "Id in the log"],
        rows: tokens.iter().map(row).collect(),
        empty: "No token of this account counts now.".to_owned(),
        next: next.unwrap_or_default(),
    }
}

fn sessions_table(sessions: &[Session], at: &str, may_revoke: bool) -> ActingTable {
    let row = |one: &Session| {
        let cells = vec![
            Cell::text(moment(one.created_at)),
            Cell::text(moment(one.last_seen)),
            Cell::text(moment(one.expires_at)),
            Cell::text(one.method.word().replace('_', " ")),
            Cell::text(one.device_id.clone().unwrap_or_else(|| "none".to_owned())),
            Cell::text(one.id.clone()),
        ];
        acting(cells, at, (&one.id, "End it"), may_revoke)
    };
    ActingTable {
        id: "sessions",
        title: "Sessions in browsers".to_owned(),
        columns: vec!["Began", "Last seen", "Ends", "Logged in with", "Device", "Id in the log"],
        rows: sessions.iter().map(row).collect(),
        empty: "No session is open.".to_owned(),
        next: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_still_counts_can_be_revoked_and_only_by_who_may() {
        let token = |id: &str, expires_at, revoked_at| Token {
            id: id.to_owned(),
            principal_id: "u_1".to_owned(),
            prefix: String::new(),
            label: String::new(),
            scopes: Vec::new(),
            workspace_id: None,
            created_at: Micros(0),
            expires_at: Micros(expires_at),
            revoked_at,
            last_used_day: None,
            device_id: None,
        };
        let all = [token("t_1", 9, None), token("t_2", 3, None), token("t_3", 9, Some(Micros(4)))];
        let buttons = |may| -> Vec<usize> {
            tokens_table(&all, ("/console/people/u_1", Micros(5)), may, None).rows.iter().map(|row| row.buttons.len()).collect()
        };
        assert_eq!((buttons(true), buttons(false)), (vec![1, 0, 0], vec![0, 0, 0]));
        let table = tokens_table(&all, ("/console/people/u_1", Micros(5)), true, None);
        assert_eq!(table.rows[0].action, "/console/people/u_1/revoke");
        assert_eq!(table.rows[0].buttons[0].hidden, [("credential", "t_1".to_owned())]);
    }
}
