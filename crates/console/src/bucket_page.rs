//! A bucket: its objects with their versions, what holds each, and what can be done about one. Bytes are for S3's clients: no page shows them.

use buckets::lock::{Lock, Mode, Retention};
use buckets::ops::buckets::GetBucket;
use buckets::ops::list::{ListObjects, Wanted as Listed};
use buckets::ops::lock::{SetHold, SetRetention, ShowLock};
use buckets::ops::read::{Of, ReadConditions, ReadObject};
use buckets::{Bucket, Buckets, Part, Version, check_key};
use gate::{Operation, Visitor};
use http::Method;
use kernel::{Micros, Problem};
use vault::objects::Wanted;
use wire::{Answer, Chosen, Door, Form};

use crate::Rooms;
use crate::board::{Cell, Table, Tone, bytes, first_of, if_allowed, part, shortened};
use crate::page::{moment, page_in, redirect_in};
use crate::query::Query;
use crate::sections::{Deed, Field, Sections};

const PAGE: &str = "/console/vault/buckets";
/// Versions of one page: keys are up to 1,024 bytes long, and stand in addresses three times as long.
const ROWS: usize = 30;
/// Versions of one object, and parts of one version, that its page shows.
const OWN_ROWS: usize = 50;
/// Of a key, where it stands in a list.
const KEY_CHARS_MAX: usize = 120;

/// Where a bucket's page is.
pub fn address(bucket: &str) -> String {
    format!("{PAGE}/{}", part(bucket))
}

fn object_address(bucket: &str, key: &str, version: &str) -> String {
    format!("{}/object?key={}&version={}", address(bucket), part(key), part(version))
}

/// The version that a page is about.
struct Which {
    bucket: String,
    key: String,
    version_id: Option<String>,
}

/// Adds the pages.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let path = format!("{PAGE}/{{bucket}}");
    let room = rooms.buckets.clone();
    door.choice(Method::GET, &path, &[GetBucket::ACTION, ListObjects::ACTION], move |inbound| {
        let (room, name, query) = (room.clone(), inbound.path("bucket").to_owned(), Query::of(inbound)?);
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { bucket(visitor, room, name, &query).await })))
    });
    let path = format!("{path}/object");
    let room = rooms.buckets.clone();
    let shows = [ReadObject::ACTION, ShowLock::ACTION, ListObjects::ACTION];
    door.choice(Method::GET, &path, &shows, move |inbound| {
        let (room, query, bucket) = (room.clone(), Query::of(inbound)?, inbound.path("bucket").to_owned());
        let which = Which { bucket, key: query.text("key").unwrap_or_default(), version_id: query.text("version") };
        check_key(&which.key)?;
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { object(visitor, room, which).await })))
    });
    let room = rooms.buckets.clone();
    door.choice(Method::POST, &path, &[SetHold::ACTION, SetRetention::ACTION], move |inbound| {
        let (room, bucket, form) = (room.clone(), inbound.path("bucket").to_owned(), inbound.form()?);
        let (key, version) = (form.need("key")?.to_owned(), form.need("version")?.to_owned());
        let back = object_address(&bucket, &key, &version);
        check_key(&key)?;
        let version_id = Some(version);
        Ok(match form.get("decision") {
            Some("hold") => done(SetHold { room, bucket, key, version_id, hold: true }, back),
            Some("lift") => {
                form.sure()?;
                done(SetHold { room, bucket, key, version_id, hold: false }, back)
            }
            Some("retain") => {
                form.sure()?;
                let retention = Some(wished(&form)?);
                done(SetRetention { room, bucket, key, version_id, retention, bypass: None }, back)
            }
            _ => return Err(Problem::invalid("`decision` is hold, lift or retain")),
        })
    });
}

fn done<O: Operation>(operation: O, back: String) -> Chosen {
    Chosen::verbs(move |visitor| {
        Box::pin(async move {
            visitor.call(operation).await?;
            Ok(redirect_in(visitor.workspace(), &back))
        })
    })
}

/// The retention that a form asks for: until the end of a day.
fn wished(form: &Form) -> Result<Retention, Problem> {
    let mode = Mode::parse(form.need("mode")?).ok_or_else(|| Problem::invalid("`mode` is GOVERNANCE or COMPLIANCE"))?;
    let day = form.need("until")?.trim();
    let until = wire::parse_time("until", &format!("{day}T23:59:59Z"))
        .map_err(|_| Problem::invalid("`until` must be a day such as 2030-12-31; nothing was done"))?;
    Ok(Retention { mode, until })
}

async fn bucket(visitor: &Visitor, room: Buckets, name: String, query: &Query) -> Result<Answer, Problem> {
    let found = visitor.call(GetBucket { room: room.clone(), name: name.clone() }).await?;
    let (prefix, asked) = (query.text("prefix").unwrap_or_default(), |name: &str| query.text(name).unwrap_or_default());
    let wanted = Listed::Versions { after: asked("after"), after_version: asked("after_version") };
    let list = ListObjects { room, bucket: name.clone(), wanted, prefix: prefix.clone(), delimiter: String::new(), count: ROWS };
    let listed = if_allowed(visitor, list).await?;
    let mut page = Sections::new(name.clone());
    page.back = ("Vault", "/console/vault#buckets".to_owned());
    page.fields.push(Field::text("prefix", "Keys that begin with", prefix.clone(), "such as 2026/11/"));
    page.facts = facts(&found);
    if let Some(listed) = listed {
        let rows = listed.versions.iter().map(|version| row(&name, version)).collect();
        let columns = ["Key", "Version", "State", "Size", "Written", "Retained", "Hold"];
        let empty = match prefix.is_empty() {
            true => "It is empty. An S3 client fills it: aws s3 cp FILE s3://BUCKET/KEY",
            false => "No key begins so.",
        };
        let more = listed.last.zip(listed.last_version).filter(|_| listed.is_truncated);
        let next = more.map(|(key, version)| {
            format!("{}#objects", query.with("after", &key).with("after_version", &version).at(&address(&name)))
        });
        page.sections.push(Table::whole("objects", "Objects, all their versions", &columns, rows, empty).going_on(next));
    }
    page_in(visitor.workspace(), &page)
}

fn facts(bucket: &Bucket) -> Vec<(&'static str, String)> {
    let locks = match (&bucket.default_retention, bucket.lock_enabled) {
        (Some(default), _) => format!("new versions are retained in {} mode", default.mode.word()),
        (None, true) => "versions can be locked one by one".to_owned(),
        (None, false) => "none: it was made without Object Lock".to_owned(),
    };
    let mut facts =
        vec![("Versions", bucket.versioning.word().to_owned()), ("Locks", locks), ("Made", moment(bucket.created_at))];
    facts.extend(bucket.tags.0.iter().map(|(key, value)| ("Tag", format!("{key} = {value}"))));
    facts
}

fn row(bucket: &str, version: &Version) -> Vec<Cell> {
    let (retained, hold) = lock_cells(&version.lock);
    let key = shortened(&version.key, KEY_CHARS_MAX);
    // A marker has nothing to show.
    let key = if version.is_marker {
        Cell::text(key)
    } else {
        Cell::link(key, object_address(bucket, &version.key, &version.version_id))
    };
    vec![
        key,
        Cell::text(version.version_id.clone()),
        state(version),
        Cell::text(if version.is_marker { String::new() } else { bytes(i64::try_from(version.size_bytes).unwrap_or(i64::MAX)) }),
        Cell::text(moment(version.created_at)),
        retained,
        hold,
    ]
}

fn state(version: &Version) -> Cell {
    match (version.is_marker, version.is_latest) {
        (true, true) => Cell::state("deleted: a marker", Tone::Bad),
        (true, false) => Cell::text("an older marker"),
        (false, true) => Cell::state("newest", Tone::Good),
        (false, false) => Cell::text("older"),
    }
}

fn retention_words(lock: &Lock) -> String {
    lock.retention.map(|one| format!("{} until {}", one.mode.word(), moment(one.until))).unwrap_or_default()
}

fn lock_cells(lock: &Lock) -> (Cell, Cell) {
    let hold = if lock.hold { Cell::state("legal hold", Tone::Wait) } else { Cell::text("") };
    (Cell::text(retention_words(lock)), hold)
}

/// What is known of a version. Who may read it sees all; who may look at retention sees what holds it.
enum Seen {
    Whole(Version, Vec<Part>),
    Lock(Version),
}

async fn object(visitor: &Visitor, room: Buckets, which: Which) -> Result<Answer, Problem> {
    let Which { bucket, key, version_id } = which;
    let of = |version_id: Option<String>| (room.clone(), bucket.clone(), key.clone(), version_id);
    let ((room, name, key, version_id), when) = (of(version_id), ReadConditions::default());
    let wanted = Of::Bytes(Wanted::Whole);
    let read = ReadObject { room, bucket: name, key, version_id: version_id.clone(), wanted, has_body: false, when };
    let (found, seen) = if let Some(read) = if_allowed(visitor, read).await? {
        (read.bucket, Seen::Whole(read.version, read.parts))
    } else {
        let (room, bucket, key, version_id) = of(version_id);
        let (bucket, version) = visitor.call(ShowLock { room, bucket, key, version_id }).await?;
        (Some(bucket), Seen::Lock(version))
    };
    let version = match &seen {
        Seen::Whole(version, _) | Seen::Lock(version) => version,
    };
    let mut page = Sections::new(shortened(&version.key, KEY_CHARS_MAX * 2));
    page.back = ("The bucket", address(&bucket));
    page.state = lock_state(version, visitor.at());
    if found.is_some_and(|bucket| bucket.lock_enabled) {
        acts(visitor, &mut page, &bucket, version, &of).await?;
    } else {
        page.words.push("The bucket was made without Object Lock: nothing in it can be retained or held.".to_owned());
    }
    page.facts = object_facts(&seen, &bucket);
    if let Seen::Whole(version, parts) = &seen {
        page.sections.extend(attributes(version));
        page.sections.push(parts_table(parts));
    }
    let (room, bucket_name, key, _) = of(None);
    let wanted = Listed::Versions { after: String::new(), after_version: String::new() };
    let list = ListObjects { room, bucket: bucket_name, wanted, prefix: key, delimiter: String::new(), count: OWN_ROWS };
    if let Some(listed) = if_allowed(visitor, list).await? {
        page.sections.push(versions_table(&bucket, version, &listed.versions, listed.is_truncated));
    }
    page_in(visitor.workspace(), &page)
}

fn lock_state(version: &Version, now: Micros) -> Cell {
    match (version.lock.hold, version.lock.in_force(now).is_some()) {
        (true, true) => Cell::state("under a legal hold, and retained", Tone::Wait),
        (true, false) => Cell::state("under a legal hold", Tone::Wait),
        (false, true) => Cell::state("retained", Tone::Good),
        (false, false) => Cell::state("nothing holds it", Tone::Plain),
    }
}

async fn acts(
    visitor: &Visitor,
    page: &mut Sections,
    bucket: &str,
    version: &Version,
    of: &(impl Fn(Option<String>) -> (Buckets, String, String, Option<String>) + Sync),
) -> Result<(), Problem> {
    let named = |decision: &str| {
        vec![("decision", decision.to_owned()), ("key", version.key.clone()), ("version", version.version_id.clone())]
    };
    let action = format!("{}/object", address(bucket));
    let held = version.lock.hold;
    let (room, name, key, version_id) = of(Some(version.version_id.clone()));
    if visitor.might(&SetHold { room, bucket: name, key, version_id, hold: !held }).await? {
        page.acts.push(Deed {
            action: action.clone(),
            words: if held { "Lift the legal hold" } else { "Hold for the law" },
            what: if held {
                "From then on only its retention keeps it from being deleted.".to_owned()
            } else {
                "Nobody deletes this version until the hold is lifted.".to_owned()
            },
            hidden: named(if held { "lift" } else { "hold" }),
            is_plain: true,
            is_grave: held,
        });
    }
    let (room, name, key, version_id) = of(Some(version.version_id.clone()));
    let retain = SetRetention { room, bucket: name, key, version_id, retention: version.lock.retention, bypass: None };
    if visitor.might(&retain).await? {
        let now = version.lock.in_force(visitor.at());
        let mode = now.map_or(Mode::Governance, |one| one.mode);
        // A mode that is in force stays: only the day can move, and only on.
        let modes = if now.is_some() { vec![mode] } else { vec![Mode::Governance, Mode::Compliance] };
        let modes = modes.into_iter().map(|mode| mode.word().to_owned()).collect();
        page.forms.push((
            Deed {
                action,
                words: if now.is_some() { "Retain it longer" } else { "Retain it" },
                what: "Until the end of that day, UTC. A retention is not shortened here; one in compliance mode is shortened by nobody."
                    .to_owned(),
                hidden: named("retain"),
                is_plain: true,
                is_grave: true,
            },
            vec![
                Field::choice("mode", "Mode", mode.word(), modes),
                Field::text("until", "Until the day", "", "2030-12-31"),
            ],
        ));
    }
    Ok(())
}

fn object_facts(seen: &Seen, bucket: &str) -> Vec<(&'static str, String)> {
    let (Seen::Whole(version, _) | Seen::Lock(version)) = seen;
    let retained = retention_words(&version.lock);
    let mut facts = vec![
        ("Bucket", bucket.to_owned()),
        ("Key", version.key.clone()),
        ("Version", version.version_id.clone()),
        ("Newest", if version.is_latest { "yes" } else { "no" }.to_owned()),
        ("Size", format!("{} ({} bytes)", bytes(i64::try_from(version.size_bytes).unwrap_or(i64::MAX)), version.size_bytes)),
        ("Written", moment(version.created_at)),
        ("Retained", if retained.is_empty() { "no".to_owned() } else { retained }),
        ("Legal hold", if version.lock.hold { "yes" } else { "no" }.to_owned()),
    ];
    if let Seen::Whole(version, parts) = seen {
        facts.push(("ETag", version.etag.clone()));
        if let [one] = parts.as_slice() {
            facts.push(("SHA-256", kernel::hex(&one.object.sha256)));
        }
        if let Some(sum) = &version.attributes.checksum {
            facts.push(("Checksum", format!("{} {}", sum.algorithm, sum.value)));
        }
        facts.push(("Written by", version.created_by.clone()));
        facts.push(("Media type", version.attributes.content_type.clone().unwrap_or_default()));
    }
    facts
}

/// What its client said of it: headers, metadata, tags.
fn attributes(version: &Version) -> Option<Table> {
    let said = &version.attributes;
    let headers = said.headers.iter().map(|(name, value)| ("header", name, value));
    let metadata = said.metadata.iter().map(|(name, value)| ("metadata", name, value));
    let tags = version.tags.0.iter().map(|(name, value)| ("tag", name, value));
    let all = headers.chain(metadata).chain(tags);
    let rows: Vec<_> = all.map(|(kind, name, value)| vec![Cell::text(kind), Cell::text(name), Cell::text(value)]).collect();
    let title = "What its client said of it";
    (!rows.is_empty()).then(|| Table::whole("said", title, &["What", "Name", "Value"], rows, ""))
}

fn parts_table(parts: &[Part]) -> Table {
    let row = |part: &Part| {
        vec![
            Cell::text(part.number.to_string()),
            Cell::text(bytes(i64::try_from(part.object.size_bytes).unwrap_or(i64::MAX))),
            Cell::text(kernel::hex(&part.object.sha256)),
        ]
    };
    let title = first_of("Parts that it was uploaded in", parts.len(), OWN_ROWS);
    let rows = parts.iter().take(OWN_ROWS).map(row).collect();
    Table::whole("parts", title, &["Number", "Size", "SHA-256"], rows, "It has no bytes.")
}

fn versions_table(bucket: &str, shown: &Version, listed: &[Version], is_cut: bool) -> Table {
    let own: Vec<&Version> = listed.iter().filter(|one| one.key == shown.key).collect();
    let row = |one: &&Version| {
        let (retained, hold) = lock_cells(&one.lock);
        let id = if one.is_marker || one.version_id == shown.version_id {
            Cell::text(one.version_id.clone())
        } else {
            Cell::link(one.version_id.clone(), object_address(bucket, &one.key, &one.version_id))
        };
        vec![id, state(one), Cell::text(moment(one.created_at)), retained, hold]
    };
    let is_cut = is_cut && own.len() == listed.len();
    let title = if is_cut { "Versions of this key: the newest" } else { "Versions of this key" };
    let more = is_cut.then(|| format!("{}?prefix={}", address(bucket), part(&shown.key)));
    let columns = ["Version", "State", "Written", "Retained", "Hold"];
    Table::whole("versions", title, &columns, own.iter().map(row).collect(), "").going_on(more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_is_asked_for_by_the_day() {
        let wished = |text: &str| wished(&Form::read(text.as_bytes()).unwrap());
        let read = wished("mode=COMPLIANCE&until=2030-12-31").unwrap();
        assert_eq!((read.mode, moment(read.until).contains("2030-12-31 23:59 UTC")), (Mode::Compliance, true));
        for wrong in ["mode=COMPLIANCE", "mode=x&until=2030-12-31", "mode=GOVERNANCE&until=soon", "until=2030-12-31"] {
            assert!(wished(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn any_key_has_an_address() {
        assert_eq!(
            object_address("b.1", "a/../b c&version=x", "null"),
            "/console/vault/buckets/b%2E1/object?key=a%2F%2E%2E%2Fb%20c%26version%3Dx&version=null"
        );
    }
}
