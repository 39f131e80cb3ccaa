//! The workspaces that somebody may see into: choosing one leads to the same pages of it.

use http::Method;
use identity::PageWish;
use identity::ops::workspaces::ListWorkspaces;
use wire::{Door, Inbound};

use crate::Rooms;
use crate::board::{Cell, Table, part};
use crate::listing::{after, listing};
use crate::page::moment;

const PAGE: &str = "/console/workspaces";

/// Adds the page.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let room = rooms.identity.clone();
    let list = move |inbound: &Inbound| {
        let page = PageWish { after: after(inbound)?, ..PageWish::default() };
        Ok((ListWorkspaces { room: room.clone(), page }, inbound.workspace().to_owned()))
    };
    door.route_with(Method::GET, PAGE, list, |found, here| {
        let row = |one: &identity::Workspace| {
            let name = if one.name == here { format!("{} (this one)", one.name) } else { one.name.clone() };
            vec![Cell::link(name, format!("/console?workspace={}", part(&one.name))), Cell::text(moment(one.created_at))]
        };
        listing(
            &here,
            Table {
                id: "workspaces",
                title: "Workspaces".to_owned(),
                columns: vec!["Name", "Made"],
                rows: found.rows.iter().map(row).collect(),
                empty: "You may see into no workspace. Somebody who owns one can give you a role in it.".to_owned(),
                next: found.next.map(|next| format!("{PAGE}?after={}", part(&next))).unwrap_or_default(),
            },
        )
    });
}
