//! Rows of what is retained as a whole, written into a restored database: those of the old one, and those that the old log tells of.

use artifacts::Place;
use kernel::{Problem, random_id};
use vault::db::{Bind, Writer};

use super::locks::Locked;
use super::logged::Logged;

/// What nothing retained when the backup was made, and the old log says is held: a legal hold needs no rule. The files of a model are held as
/// far as they lie among artifacts; those in a bucket have locks of their own.
pub(super) fn hold_unretained(writer: &mut Writer<'_>, logged: &Logged, now: i64) -> Result<(), Problem> {
    for ((kind, subject), told) in &logged.kept {
        let is_held = told.2 || told.1.is_some_and(|until| until > now);
        let known = "SELECT 1 FROM retained WHERE kind = $1 AND subject = $2";
        if !is_held || writer.query_one(known, &[kind.into(), subject.into()], |row| row.int(0))?.is_some() {
            continue;
        }
        let Some((name, workspace, place)) = thing(writer, kind, subject)? else { continue };
        let objects = match &place {
            Some(place) => artifacts::objects_below(writer, &Place::parse(place)?)?,
            None => Vec::new(),
        };
        let texts = [random_id(), kind.clone(), subject.clone(), name, workspace, String::new()];
        insert(writer, &texts, told, now, objects.iter().map(String::as_str))?;
    }
    Ok(())
}

/// What people call it, its workspace, and where its files are if its own rows do not say so; none if the backup does not have it.
fn thing(writer: &mut Writer<'_>, kind: &str, subject: &str) -> Result<Option<(String, String, Option<String>)>, Problem> {
    let sql = match kind {
        "dataset" => {
            "SELECT d.name || '@' || v.number, v.workspace, CAST(NULL AS TEXT) FROM data_version v JOIN data_set d ON d.dataset_id = v.dataset_id
             WHERE v.version_id = $1 AND v.number IS NOT NULL"
        }
        "model" => {
            "SELECT m.name || '/' || v.version, m.workspace_id, s.place FROM model_version v JOIN registered_model m ON m.model_id = v.model_id
             LEFT JOIN model_standing s ON s.model_id = v.model_id AND s.version = v.version
             WHERE v.model_id || '/' || v.version = $1 AND v.deleted = 0"
        }
        // A backup lies in its place, whatever the database knows of it.
        _ => return Ok(Some((subject.to_owned(), String::new(), None))),
    };
    let read = |row: &vault::db::Row<'_>| Ok((row.text(0)?, row.text(1)?, row.opt_text(2)?));
    Ok(writer.query_one(sql, &[subject.into()], read)?)
}

/// Id, kind, subject, name, workspace and rule; what holds it; since when; and the objects that are held with it.
pub(super) fn insert<'a>(
    writer: &mut Writer<'_>,
    [id, kind, subject, name, workspace, rule]: &[String; 6],
    (mode, until, hold): &Locked,
    created_at: i64,
    objects: impl Iterator<Item = &'a str>,
) -> Result<(), Problem> {
    let sql = "INSERT INTO retained (id, kind, subject, name, workspace, rule, lock_mode, retain_until, legal_hold, created_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let binds: [Bind<'_>; 10] = [
        id.into(),
        kind.into(),
        subject.into(),
        name.into(),
        workspace.into(),
        rule.into(),
        mode.into(),
        (*until).into(),
        (*hold).into(),
        created_at.into(),
    ];
    writer.execute(sql, &binds)?;
    for object in objects {
        let sql = "INSERT INTO retained_object (object_id, retained_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        writer.execute(sql, &[object.into(), id.into()])?;
    }
    Ok(())
}
