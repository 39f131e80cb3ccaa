//! The vault: keys and their rotations, backups and drills, what is retained and held, buckets.

use artifacts::{ApproveDestroy, CancelDestroy, DestroysOf, GetKeysStatus, KeysStatus, ListDestroys, RotateWorkspaceKey};
use askama::Template;
use backup::ops::{ApproveRestore, DrillBackup, ListRequests, ListRuns, RunBackup};
use backup::{Run, RunKind, RunState};
use buckets::Bucket;
use buckets::ops::buckets::ListBuckets;
use gate::{Action, Operation, Visitor};
use http::Method;
use kernel::Problem;
use retention::ops::{HoldKept, KeptPage, ListKept, Named, Reach};
use retention::{Kept, Kind};
use vault::keys::{DestroyRequest, DestroyState};
use wire::{Answer, Chosen, Door, Form, Inbound};

use crate::Rooms;
use crate::board::{ActingRow, ActingTable, Button, Cell, Table, Tone, called, if_allowed};
use crate::page::{moment, page_in, redirect_in};
use crate::query::Query;

/// Where the page is.
pub const PAGE: &str = "/console/vault";
/// Rows of each list on one page.
const ROWS: usize = 50;

#[derive(Template)]
#[template(path = "vault.html")]
struct VaultTemplate {
    /// The state of the whole in a sentence, with its tone.
    verdict: Option<(Tone, String)>,
    warnings: Vec<String>,
    may_rotate: bool,
    may_back_up: bool,
    may_drill: bool,
    may_erase: bool,
    acting: Vec<ActingTable>,
    tables: Vec<Table>,
}

/// Adds the page.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let shows = [
        GetKeysStatus::ACTION,
        ListDestroys::ACTION,
        ListRuns::ACTION,
        ListRequests::ACTION,
        ListKept::ACTION,
        ListBuckets::ACTION,
    ];
    let own = rooms.clone();
    door.choice(Method::GET, PAGE, &shows, move |inbound| {
        let (rooms, query) = (own.clone(), Query::of(inbound)?);
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { shown(visitor, &rooms, &query).await })))
    });
    act(door, rooms, "/keys", &[RotateWorkspaceKey::ACTION], |rooms, _, _| {
        Ok(done(RotateWorkspaceKey { room: rooms.artifacts.clone() }))
    });
    act(door, rooms, "/backups", &[RunBackup::ACTION, DrillBackup::ACTION], |rooms, form, _| match form.get("decision") {
        Some("backup") => Ok(done(RunBackup { room: rooms.backup.clone(), to: None })),
        Some("drill") => Ok(done(DrillBackup { room: rooms.backup.clone(), to: None })),
        _ => Err(Problem::invalid("`decision` is backup or drill")),
    });
    act(door, rooms, "/restores/{request}", &[ApproveRestore::ACTION], |rooms, form, inbound| {
        form.sure()?;
        Ok(done(ApproveRestore { room: rooms.backup.clone(), id: inbound.path("request").to_owned() }))
    });
    let ends = [ApproveDestroy::ACTION, CancelDestroy::ACTION];
    act(door, rooms, "/destroys/{request}", &ends, |rooms, form, inbound| {
        let (room, request) = (rooms.artifacts.clone(), inbound.path("request").to_owned());
        match form.get("decision") {
            Some("approve") => {
                form.sure()?;
                Ok(done(ApproveDestroy { room, request }))
            }
            Some("cancel") => Ok(done(CancelDestroy { room, request })),
            _ => Err(Problem::invalid("`decision` is approve or cancel")),
        }
    });
    act(door, rooms, "/kept", &[HoldKept::ACTION], |rooms, form, _| {
        let kind = Kind::parse(form.get("kind").unwrap_or_default())?;
        let which = Named { reach: Reach::Workspace, kind, name: form.get("name").unwrap_or_default().to_owned() };
        let hold = match form.get("decision") {
            Some("hold") => true,
            Some("lift") => {
                form.sure()?;
                false
            }
            _ => return Err(Problem::invalid("`decision` is hold or lift")),
        };
        Ok(done(HoldKept { room: rooms.keeping.clone(), which, hold }))
    });
}

/// A form that asks for one verb and comes back to the page.
fn act(
    door: &mut Door,
    rooms: &Rooms,
    end: &str,
    actions: &[Action],
    chosen: fn(&Rooms, &Form, &Inbound) -> Result<Chosen, Problem>,
) {
    let rooms = rooms.clone();
    door.choice(Method::POST, &format!("{PAGE}{end}"), actions, move |inbound| chosen(&rooms, &inbound.form()?, inbound));
}

fn done<O: Operation>(operation: O) -> Chosen {
    Chosen::verbs(move |visitor| {
        Box::pin(async move {
            visitor.call(operation).await?;
            Ok(redirect_in(visitor.workspace(), PAGE))
        })
    })
}

/// Where one list goes on; the others stay where they are.
fn next(query: &Query, list: &'static str, after: &str) -> String {
    format!("{}#{list}", query.with(list, after).at(PAGE))
}

async fn shown(visitor: &Visitor, rooms: &Rooms, query: &Query) -> Result<Answer, Problem> {
    let keys = if_allowed(visitor, GetKeysStatus { room: rooms.artifacts.clone() }).await?;
    let runs = if_allowed(visitor, ListRuns { room: rooms.backup.clone() }).await?;
    let after = |list: &str| query.text(list).unwrap_or_default();
    let kept =
        ListKept { room: rooms.keeping.clone(), reach: Reach::Workspace, after: after("kept"), rows: i64::try_from(ROWS).ok() };
    let kept = if_allowed(visitor, kept).await?;
    let list = ListBuckets { room: rooms.buckets.clone(), prefix: String::new(), after: after("buckets"), count: ROWS };
    let buckets = if_allowed(visitor, list).await?;
    if keys.is_none() && runs.is_none() && kept.is_none() && buckets.is_none() {
        // Nothing here is for the visitor: the first of its verbs says so, and the log has it.
        visitor.call(GetKeysStatus { room: rooms.artifacts.clone() }).await?;
    }
    let mut acting = Vec::new();
    acting.extend(destroys(visitor, rooms).await?);
    acting.extend(restores(visitor, rooms).await?);
    if let Some(kept) = &kept {
        acting.push(retained(visitor, rooms, kept, query).await?);
    }
    let tables = [
        keys.as_ref().map(|keys| keys_table(keys, query)).transpose()?,
        runs.as_deref().map(|runs| runs_table(runs, query)).transpose()?,
        buckets.as_deref().map(|buckets| buckets_table(buckets, query)),
    ];
    page_in(
        visitor.workspace(),
        &VaultTemplate {
            verdict: verdict(keys.as_ref(), runs.as_deref()),
            warnings: keys.map(|keys| keys.warnings).unwrap_or_default(),
            may_rotate: visitor.might(&RotateWorkspaceKey { room: rooms.artifacts.clone() }).await?,
            may_back_up: visitor.might(&RunBackup { room: rooms.backup.clone(), to: None }).await?,
            may_drill: visitor.might(&DrillBackup { room: rooms.backup.clone(), to: None }).await?,
            may_erase: visitor.can(&crate::erasure::list(rooms, None)).await?,
            acting: acting.into_iter().filter(|table| !table.rows.is_empty() || !table.empty.is_empty()).collect(),
            tables: tables.into_iter().flatten().collect(),
        },
    )
}

/// The worst first; nothing for those who may see neither keys nor backups.
pub fn verdict(keys: Option<&KeysStatus>, runs: Option<&[Run]>) -> Option<(Tone, String)> {
    let last = |kind: RunKind| runs.and_then(|runs| runs.iter().find(|run| run.kind == kind && run.state == RunState::Done));
    if keys.is_some_and(|keys| !keys.warnings.is_empty()) {
        return Some((Tone::Bad, "Somebody must look after keys: see below.".to_owned()));
    }
    match (runs, last(RunKind::Backup), last(RunKind::Drill)) {
        (Some(_), None, _) => Some((Tone::Bad, "There is no backup yet.".to_owned())),
        (Some(_), Some(backup), None) => {
            let at = backup.point_at.map(moment).unwrap_or_default();
            Some((Tone::Wait, format!("The newest backup stands for {at}. No drill has shown yet that it can be restored.")))
        }
        (Some(_), Some(backup), Some(drill)) => {
            let (at, drilled) = (backup.point_at.map(moment).unwrap_or_default(), drill.ended_at.map(moment).unwrap_or_default());
            let took = drill.took_ms.map_or_else(String::new, |took| format!(", in {:.1} s", took as f64 / 1_000.0));
            Some((Tone::Good, format!("The newest backup stands for {at}. A whole restore was drilled at {drilled}{took}.")))
        }
        (None, ..) => keys.map(|_| (Tone::Good, "Keys are as they should be.".to_owned())),
    }
}

fn keys_table(keys: &KeysStatus, query: &Query) -> Result<Table, Problem> {
    let due = |at: Option<kernel::Micros>, is_overdue: bool| match at {
        Some(at) if is_overdue => Cell::state(format!("overdue since {}", moment(at)), Tone::Bad),
        Some(at) => Cell::text(moment(at)),
        None => Cell::text("never by itself"),
    };
    let root = vec![
        Cell::text(format!("root, in {}", keys.root.service)),
        Cell::text(keys.root.version.to_string()),
        Cell::text(keys.root.since_at.map(moment).unwrap_or_default()),
        due(keys.root_due_at, keys.is_root_overdue),
        Cell::text(if keys.unfinished_count == 0 {
            String::new()
        } else {
            format!("{} keys lie under older versions", keys.unfinished_count)
        }),
    ];
    let row = |key: &artifacts::WorkspaceKey| {
        let newest = key.versions.last();
        let older: u64 = key.versions.iter().rev().skip(1).map(|version| version.object_count).sum();
        let waits = if older == 0 { String::new() } else { format!("{older} objects lie under older versions") };
        vec![
            Cell::text(format!("workspace {}", key.workspace)),
            Cell::text(newest.map(|version| version.version.to_string()).unwrap_or_default()),
            Cell::text(newest.map(|version| moment(version.created_at)).unwrap_or_default()),
            due(key.due_at, key.is_overdue),
            Cell::text(waits),
        ]
    };
    let destroyed = keys.destroyed.iter().map(|(workspace, at)| {
        let gone = Cell::state(format!("destroyed {}", moment(*at)), Tone::Bad);
        vec![Cell::text(format!("workspace {workspace}")), gone, Cell::text(""), Cell::text(""), Cell::text("")]
    });
    let all: Vec<Vec<Cell>> = std::iter::once(root).chain(keys.workspaces.iter().map(row)).chain(destroyed).collect();
    let (rows, more) = query.cut(&all, ("keys", ROWS), PAGE)?;
    let columns = ["Key", "Version", "Since", "Rotated next", "Still to do"];
    Ok(Table::whole("keys", "Keys", &columns, rows.to_vec(), "There are no more keys.").going_on(more))
}

fn runs_table(runs: &[Run], query: &Query) -> Result<Table, Problem> {
    let (shown, more) = query.cut(runs, ("backups", ROWS), PAGE)?;
    let row = |run: &Run| {
        let tone = match run.state {
            RunState::Done => Tone::Good,
            RunState::Failed => Tone::Bad,
            RunState::Queued | RunState::Running => Tone::Wait,
        };
        let state = if run.state == RunState::Running && run.total_count > 0 {
            format!("{}: {} of {}", run.step, run.done_count, run.total_count)
        } else {
            run.state.word().to_owned()
        };
        vec![
            Cell::text(run.kind.word()),
            Cell::state(state, tone),
            Cell::text(run.sequence.map(|number| number.to_string()).unwrap_or_default()),
            Cell::text(run.point_at.map(moment).unwrap_or_default()),
            Cell::text(run.took_ms.map(|took| format!("{:.1} s", took as f64 / 1_000.0)).unwrap_or_default()),
            Cell::text(moment(run.asked_at)),
            Cell::text(run.problem.clone().unwrap_or_default()),
        ]
    };
    Ok(Table::whole(
        "backups",
        "Backups and drills, the newest first",
        &["What", "State", "Number", "Stands for", "Took", "Asked", "What went wrong"],
        shown.iter().map(row).collect(),
        "There is none yet. A backup goes to the place that [backup] names in the configuration.",
    )
    .going_on(more))
}

fn buckets_table(buckets: &[Bucket], query: &Query) -> Table {
    // One more than was asked for tells of more.
    let last = buckets.get(ROWS - 1).filter(|_| buckets.len() > ROWS);
    let more = last.map(|last| next(query, "buckets", &last.name));
    let row = |bucket: &Bucket| {
        let retention = match (&bucket.default_retention, bucket.lock_enabled) {
            (Some(default), _) => format!("{}, by default", default.mode.word()),
            (None, true) => "can be locked".to_owned(),
            (None, false) => String::new(),
        };
        vec![
            Cell::link(bucket.name.clone(), crate::bucket_page::address(&bucket.name)),
            Cell::text(bucket.versioning.word()),
            Cell::text(retention),
            Cell::text(moment(bucket.created_at)),
        ]
    };
    Table::whole(
        "buckets",
        "Buckets",
        &["Name", "Versions", "Locks", "Made"],
        buckets.iter().take(ROWS).map(row).collect(),
        "There is no bucket here. Any S3 client makes one: aws s3 mb s3://NAME",
    )
    .going_on(more)
}

async fn destroys(visitor: &Visitor, rooms: &Rooms) -> Result<Option<ActingTable>, Problem> {
    let list = |of| ListDestroys { room: rooms.artifacts.clone(), of };
    let found = match if_allowed(visitor, list(DestroysOf::Server)).await? {
        Some(all) => Some(all),
        None => if_allowed(visitor, list(DestroysOf::Workspace)).await?,
    };
    let Some(found) = found else { return Ok(None) };
    let empty = || (rooms.artifacts.clone(), String::new());
    let (room, request) = empty();
    let may_approve = visitor.might(&ApproveDestroy { room, request }).await?;
    let (room, request) = empty();
    let may_cancel = visitor.might(&CancelDestroy { room, request }).await?;
    let me = &visitor.caller().id;
    let row = |one: &DestroyRequest| {
        let action = format!("{PAGE}/destroys/{}", one.id);
        let mut buttons = Vec::new();
        if may_approve && one.state == DestroyState::Requested && one.requested_by != *me {
            buttons.push(Button {
                value: "approve",
                words: "Agree: destroy it for good".to_owned(),
                is_plain: false,
                is_grave: true,
                hidden: Vec::new(),
            });
        }
        if may_cancel {
            buttons.push(Button {
                value: "cancel",
                words: "Take it back".to_owned(),
                is_plain: true,
                is_grave: false,
                hidden: Vec::new(),
            });
        }
        let cells = vec![
            Cell::text(format!("workspace {}", one.workspace)),
            Cell::state(one.state.word(), Tone::Wait),
            Cell::text(one.reason.clone()),
            Cell::text(called(one.requested_by_name.as_ref(), &one.requested_by)),
            Cell::text(one.due_at.map(moment).unwrap_or_default()),
        ];
        ActingRow { cells, action, buttons }
    };
    let is_open = |one: &&DestroyRequest| matches!(one.state, DestroyState::Requested | DestroyState::Approved);
    Ok(Some(ActingTable {
        id: "destroys",
        title: "Keys that somebody wants destroyed".to_owned(),
        columns: vec!["Key", "State", "Why", "Asked by", "Done from"],
        rows: found.iter().filter(is_open).map(row).collect(),
        empty: String::new(),
        next: String::new(),
    }))
}

async fn restores(visitor: &Visitor, rooms: &Rooms) -> Result<Option<ActingTable>, Problem> {
    let Some(found) = if_allowed(visitor, ListRequests { room: rooms.backup.clone() }).await? else { return Ok(None) };
    let may_approve = visitor.might(&ApproveRestore { room: rooms.backup.clone(), id: String::new() }).await?;
    let me = &visitor.caller().id;
    let row = |one: &backup::Request| {
        let mut buttons = Vec::new();
        if may_approve && one.asked_by != *me {
            buttons.push(Button {
                value: "approve",
                words: "Agree to the restore".to_owned(),
                is_plain: false,
                is_grave: true,
                hidden: Vec::new(),
            });
        }
        let cells = vec![
            Cell::text(one.sequence.to_string()),
            Cell::text(one.reason.clone()),
            Cell::text(called(one.asked_by_name.as_ref(), &one.asked_by)),
            Cell::text(moment(one.asked_at)),
        ];
        ActingRow { cells, action: format!("{PAGE}/restores/{}", one.id), buttons }
    };
    let waits = |one: &&backup::Request| one.approved_by.is_none();
    Ok(Some(ActingTable {
        id: "restores",
        title: "Restores that wait for a second person".to_owned(),
        columns: vec!["Backup", "Why", "Asked by", "Asked"],
        rows: found.iter().filter(waits).map(row).collect(),
        empty: String::new(),
        next: String::new(),
    }))
}

async fn retained(visitor: &Visitor, rooms: &Rooms, found: &KeptPage, query: &Query) -> Result<ActingTable, Problem> {
    let which = Named { reach: Reach::Workspace, kind: Kind::Dataset, name: String::new() };
    let may_hold = visitor.might(&HoldKept { room: rooms.keeping.clone(), which, hold: true }).await?;
    let row = |one: &Kept| {
        let retention = one.lock.retention.map_or_else(
            || "none".to_owned(),
            |retention| format!("{} until {}", retention.mode.word(), moment(retention.until)),
        );
        let (value, words) = if one.lock.hold { ("lift", "Lift the hold") } else { ("hold", "Hold for the law") };
        let hidden = vec![("kind", one.kind.word().to_owned()), ("name", one.subject.clone())];
        let buttons =
            may_hold.then_some(Button { value, words: words.to_owned(), is_plain: true, is_grave: one.lock.hold, hidden });
        let cells = vec![
            Cell::text(one.kind.noun()),
            Cell::text(one.name.clone()),
            Cell::text(retention),
            if one.lock.hold { Cell::state("legal hold", Tone::Wait) } else { Cell::text("") },
            Cell::text(one.rule.clone()),
        ];
        ActingRow { cells, action: format!("{PAGE}/kept"), buttons: buttons.into_iter().collect() }
    };
    let enforced = match found.enforcement.word() {
        "flag" => "also by immutable files",
        "backend" => "also by the store's Object Lock",
        _ => "by this server",
    };
    Ok(ActingTable {
        id: "kept",
        title: format!("Retained, enforced {enforced}; the compliance clock says {}", moment(found.clock.at)),
        columns: vec!["What", "Name", "Retained", "Hold", "Rule"],
        rows: found.kept.iter().map(row).collect(),
        empty: "Nothing is retained here as a whole: neither a rule does it nor a legal hold.".to_owned(),
        next: found.next.as_ref().map(|after| next(query, "kept", after)).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_cut_says_where_it_goes_on() {
        let all: Vec<usize> = (0..120).collect();
        let (first, more) = Query::default().cut(&all, ("backups", ROWS), PAGE).unwrap();
        assert_eq!((first.len(), more.as_deref()), (50, Some("/console/vault?backups=50#backups")));
        let (last, more) = Query::default().with("backups", "100").cut(&all, ("backups", ROWS), PAGE).unwrap();
        assert_eq!((last, more), (&all[100..], None));
        assert!(Query::default().with("backups", "x").cut(&all, ("backups", ROWS), PAGE).is_err());
        assert!(Query::default().with("backups", "999").cut(&all, ("backups", ROWS), PAGE).unwrap().0.is_empty());
    }
}
