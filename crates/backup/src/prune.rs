//! Takes old backups away after a new one is whole: their manifests first, then what no other backup holds.

use std::collections::HashSet;

use kernel::Problem;

use crate::Backup;
use crate::check::Chain;
use crate::manifest::name_of;
use crate::sealed::{blob_name, object_name};

/// Keeps the newest `keep` backups of a place. A part that cannot be taken away, such as one under a retention rule, stays.
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
    let mut kept = HashSet::new();
    for signed in chain.iter().skip(old.len()) {
        let manifest = &signed.manifest;
        kept.extend([blob_name(&manifest.database.blob), blob_name(&manifest.inventory.blob)]);
        let list = chain.inventory(&target, &trust, signed).await?;
        kept.extend(list.objects.keys().map(|id| object_name(id)));
        kept.extend(list.files.values().map(|file| blob_name(&file.blob.id)));
    }
    for signed in old {
        // Oldest first: what is left always follows one another.
        target.delete(&name_of(signed.manifest.sequence)).await?;
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
