//! Manifests that were taken away from a place, damaged or exchanged are put back from what the server kept of them.

use std::collections::BTreeMap;

use gate::Permit;
use kernel::Problem;

use crate::chain::Chain;
use crate::manifest::{self, Signed, name_of};
use crate::sealed::blob_name;
use crate::target::Target;
use crate::trust::Trust;
use crate::{Backup, store};

/// Puts back what it can; gives how many. What was kept counts only as far as its own signature does.
///
/// # Errors
/// `Unavailable` if the place or the database cannot be used.
pub(crate) async fn manifests<O: ?Sized>(
    room: &Backup,
    permit: &Permit<O>,
    (target, place): (&Target, &str),
    trust: &Trust,
    chain: &Chain,
) -> Result<u64, Problem> {
    let mut count = 0;
    let faulty: BTreeMap<_, _> = chain.faults().iter().map(|(sequence, error)| (*sequence, error)).collect();
    for (sequence, error) in faulty.into_iter().filter(|(sequence, _)| chain.get(*sequence).is_none()) {
        let place = place.to_owned();
        let kept = room.db().read_point(permit, move |reader| store::kept_manifest(reader, &place, sequence)).await?;
        let Some(kept) = kept else { continue };
        let Ok(signed) = manifest::open(sequence, &kept, &trust.signer) else {
            tracing::error!(sequence, "the manifest that was kept of a backup is not this server's: it is not put back");
            continue;
        };
        if signed.manifest.instance != trust.instance || !has_parts(target, &signed).await? {
            continue;
        }
        tracing::error!(sequence, %error, "a manifest is not good: what was kept of it is put back");
        target.replace(&name_of(sequence), kept).await?;
        count += 1;
    }
    Ok(count)
}

/// Whether what a manifest leads to is there: a manifest alone is no backup.
async fn has_parts(target: &Target, signed: &Signed) -> Result<bool, Problem> {
    for part in [&signed.manifest.database, &signed.manifest.inventory] {
        let Some(blob) = part.blob() else { return Ok(false) };
        if target.size(&blob_name(&blob.id)).await? != Some(blob.stored.size_bytes) {
            return Ok(false);
        }
    }
    Ok(true)
}
