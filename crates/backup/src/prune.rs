//! Takes old backups away after a new one is whole: their manifests first, then what no other backup holds.

use std::collections::HashSet;

use kernel::{Kind, Problem};
use vault::db::Reader;

use crate::chain::Chain;
use crate::manifest::name_of;
use crate::sealed::{blob_name, object_name};
use crate::{Backup, store, subject_of};

/// The oldest of these that is retained: it stays, and so does what came after it, for manifests follow one another.
async fn held_from(room: &Backup, place: &str, sequences: Vec<u64>) -> Result<Option<u64>, Problem> {
    let place = place.to_owned();
    let look = move |reader: &mut Reader<'_>| {
        for sequence in sequences {
            match retention::guard(reader, retention::Kind::Backup, &subject_of(&place, sequence)) {
                Err(problem) if problem.kind() == Kind::Forbidden => return Ok(Some(sequence)),
                other => other?,
            }
        }
        Ok(None)
    };
    room.0.system.read(look).await
}

/// Keeps the newest `keep` backups of a place, and what rules retain. A part that cannot be taken away, such as one under a retention rule, stays.
///
/// # Errors
/// `Unavailable` if the place cannot be read or changed.
pub(crate) async fn prune(room: &Backup, place: &str) -> Result<usize, Problem> {
    let keep = usize::try_from(room.0.config.keep).unwrap_or(usize::MAX);
    let target = room.target(place)?;
    let trust = room.trust().await?;
    let chain = Chain::read(&target, &trust).await?;
    let all: Vec<_> = chain.iter().collect();
    let Some(old) = all.len().checked_sub(keep).filter(|count| keep > 0 && *count > 0).and_then(|count| all.get(..count)) else {
        return Ok(0);
    };
    let held_from = held_from(room, place, old.iter().map(|signed| signed.manifest.sequence).collect()).await?;
    let old: Vec<_> = old.iter().filter(|signed| held_from.is_none_or(|held| signed.manifest.sequence < held)).collect();
    if old.is_empty() {
        return Ok(0);
    }
    let mut kept = HashSet::new();
    for signed in chain.iter().skip(old.len()) {
        let manifest = &signed.manifest;
        kept.extend([blob_name(&manifest.database.blob), blob_name(&manifest.inventory.blob)]);
        let list = chain.inventory(&target, &trust, signed).await?;
        kept.extend(list.objects.keys().map(|id| object_name(id)));
        kept.extend(list.files.values().map(|file| blob_name(&file.blob.id)));
    }
    for signed in &old {
        // Oldest first: what is left always follows one another.
        target.delete(&name_of(signed.manifest.sequence)).await?;
    }
    if let Some(newest) = old.last().map(|signed| signed.manifest.sequence) {
        let place = place.to_owned();
        room.0.system.write(move |writer| store::forget_manifests(writer, &place, newest)).await?;
    }
    if !chain.is_readable() {
        // What a damaged manifest names is not known: its parts stay until somebody has looked at it.
        return Ok(old.len());
    }
    for folder in ["blobs", "objects"] {
        for name in target.list(folder).await? {
            if !kept.contains(&name) {
                target.delete(&name).await?;
            }
        }
    }
    Ok(old.len())
}
