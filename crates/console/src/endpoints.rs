//! Endpoints: what answers, with which version.

use http::Method;
use serving::ops::SearchEndpoints;
use wire::{Door, Inbound};

use crate::Rooms;
use crate::board::{Cell, Table, Tone, called, part};
use crate::listing::{after, listing};
use crate::page::moment;

const PAGE: &str = "/console/endpoints";

/// Adds the page.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let room = rooms.serving.clone();
    let search = move |inbound: &Inbound| {
        let search = SearchEndpoints { room: room.clone(), model: None, after: after(inbound)?, rows: None };
        Ok((search, inbound.workspace().to_owned()))
    };
    door.route_with(Method::GET, PAGE, search, |found, workspace| {
        let (rows, next, obstacles) = (found.rows, found.next, found.obstacles);
        let row = |one: &serving::Endpoint| {
            let model = one.model.clone().unwrap_or_else(|| "deleted".to_owned());
            let trial = match &one.rollout {
                None => Cell::text(""),
                Some(rollout) => match &rollout.halted {
                    Some((_, why)) => Cell::state(format!("{} ended: {why}", rollout.choice), Tone::Bad),
                    None => Cell::state(format!("{} in {} of 1000", rollout.choice, rollout.share_permille), Tone::Wait),
                },
            };
            vec![
                Cell::link(one.name.clone(), format!("{PAGE}/{}", part(&one.name))),
                match obstacles.get(&one.id) {
                    Some(why) => Cell::state(format!("cannot answer: {why}"), Tone::Bad),
                    None => Cell::text("nothing stands against it"),
                },
                Cell::text(format!("{model} {}", one.choice)),
                trial,
                Cell::text(moment(one.changed_at)),
                Cell::text(called(one.changed_by_name.as_ref(), &one.changed_by)),
            ]
        };
        let table = Table {
            id: "endpoints",
            title: "Endpoints".to_owned(),
            columns: vec!["Name", "State", "Answers with", "On trial", "Changed", "By"],
            rows: rows.iter().map(row).collect(),
            empty: "Nothing answers yet. strongroom endpoint create NAME --model MODEL@ALIAS".to_owned(),
            next: next.map(|next| format!("{PAGE}?after={}", part(&next))).unwrap_or_default(),
        };
        listing(&workspace, table)
    });
}
