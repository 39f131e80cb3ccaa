//! Every part of a backup is changed, cut short, taken away and exchanged: each is found, and named.

use std::path::{Path, PathBuf};

use super::World;
use crate::error::BackupError;
use crate::manifest::{self, name_of};
use crate::ops::VerifyBackup;
use crate::sealed::blob_name;

async fn two_backups() -> World {
    let world = World::new(0).await;
    world.store("a.bin", &[1; 100_000]).await;
    world.back_up().await.unwrap();
    world.store("b.bin", b"small").await;
    world.back_up().await.unwrap();
    world
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

/// Whether the second backup, with the chain up to it, is found to be bad; and what is said.
async fn said(world: &World) -> Option<String> {
    match world.check(2).await {
        Ok(report) if report.is_good() => None,
        Ok(report) => Some(report.faults.join("; ")),
        Err(error) => Some(error.to_string()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_a_cut_and_a_gap_are_found_in_every_part() {
    let world = two_backups().await;
    assert_eq!(said(&world).await, None);
    let trust = world.room.trust().await.unwrap();
    let chain = crate::chain::Chain::read(&world.target(), &trust).await.unwrap();
    let two = chain.get(2).unwrap();
    let list = chain.inventory(&world.target(), &trust, two).await.unwrap();
    let mut of_two: Vec<String> = list.files.values().map(|file| blob_name(&file.blob.id)).collect();
    of_two.extend(list.objects.keys().map(|id| crate::sealed::object_name(id)));
    of_two.extend([blob_name(&two.manifest.database.blob), blob_name(&two.manifest.inventory.blob), name_of(2), name_of(1)]);
    let mut count = 0;
    for path in files(&world.place()) {
        let name = path.strip_prefix(world.place()).unwrap().to_string_lossy().into_owned();
        if !of_two.contains(&name) {
            continue;
        }
        count += 1;
        let good = std::fs::read(&path).unwrap();
        for at in [0, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            assert!(said(&world).await.is_some(), "{name}: byte {at}");
        }
        std::fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert!(said(&world).await.is_some(), "{name}: cut");
        std::fs::remove_file(&path).unwrap();
        assert!(said(&world).await.is_some(), "{name}: gone");
        std::fs::write(&path, &good).unwrap();
    }
    assert_eq!(count, of_two.len());
    assert_eq!(said(&world).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchanged_object_is_found() {
    let world = two_backups().await;
    let objects = files(&world.place().join("objects"));
    let [one, two] = objects.as_slice() else { panic!("{objects:?}") };
    std::fs::copy(one, two).unwrap();
    assert!(said(&world).await.unwrap().contains("is not what the manifest says"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_manifest_in_the_place_of_a_newer_is_found() {
    let world = two_backups().await;
    let (one, two) = (world.place().join(name_of(1)), world.place().join(name_of(2)));
    std::fs::copy(&one, &two).unwrap();
    assert!(matches!(world.check(2).await, Err(BackupError::Chain(2, _))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_taken_away_at_the_end_is_missed_by_the_server() {
    let world = two_backups().await;
    std::fs::remove_file(world.place().join(name_of(2))).unwrap();
    let report = world.check(1).await.unwrap();
    assert!(report.faults.join(" ").contains("its manifest is missing"), "{report:?}");
    assert!(world.check(2).await.is_err());
    assert_eq!(world.back_up().await.unwrap().sequence, Some(3), "the number stays taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_manifest_is_missed_until_its_time_is_over() {
    for world in World::all(2).await {
        for number in 0..3 {
            world.store(&format!("{number}.bin"), &[1; 20_000]).await;
            world.back_up().await.unwrap();
        }
        let take_away = |sequence| std::fs::remove_file(world.place().join(name_of(sequence))).unwrap();
        take_away(1);
        assert!(world.check(3).await.unwrap().is_good(), "two newer ones are kept");
        take_away(2);
        assert_eq!(world.check(3).await.unwrap().damaged, [name_of(2)]);
        world.back_up().await.unwrap();
        assert!(world.place().join(name_of(2)).exists(), "it was put back");
        assert!(world.check(4).await.unwrap().is_good());
    }
}

/// Changes a bit in the middle of a file.
fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// As backups that an older server made are known.
async fn forget_manifests(world: &World) {
    let place = world.place().display().to_string();
    world.opened.system.write(move |writer| crate::store::forget_manifests(writer, &place, 99)).await.unwrap();
}

/// What is wrong with one manifest spoils its own backup alone, and what comes after it goes on behind the last good one.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_manifest_spoils_no_other_backup() {
    for world in World::all(1).await {
        for number in 0..2 {
            world.store(&format!("{number}.bin"), &[1; 20_000]).await;
            world.back_up().await.unwrap();
        }
        forget_manifests(&world).await;
        damage(&world.place().join(name_of(1)));
        let (target, trust) = (world.target(), world.room.trust().await.unwrap());
        let chain = crate::chain::Chain::read(&target, &trust).await.unwrap();
        assert_eq!(chain.faults().len(), 1);
        assert_eq!(chain.find(&target, None).unwrap().manifest.sequence, 2);
        for sequence in [2, 3] {
            let report = world.check(sequence).await.unwrap();
            assert_eq!((report.fault_count, report.damaged), (1, vec![name_of(1)]));
            if sequence == 2 {
                assert_eq!(world.back_up().await.unwrap().sequence, Some(3));
            }
        }
        let count = target.list("blobs").await.unwrap().len();
        crate::prune::prune(&world.room, &world.place().display().to_string()).await.unwrap();
        assert_eq!(target.list("manifests").await.unwrap().len(), 2, "the newest, and the damaged one");
        assert_eq!(target.list("blobs").await.unwrap().len(), count, "who knows what the damaged one names");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_is_not_exchanged_for_an_older_one_without_a_word() {
    let world = two_backups().await;
    forget_manifests(&world).await;
    damage(&world.place().join(name_of(2)));
    let (target, trust) = (world.target(), world.room.trust().await.unwrap());
    let chain = crate::chain::Chain::read(&target, &trust).await.unwrap();
    assert!(matches!(chain.find(&target, None), Err(BackupError::Newest(_, 1))));
    assert!(chain.find(&target, Some(2)).is_err());
    assert_eq!(chain.find(&target, Some(1)).unwrap().manifest.sequence, 1);
    assert_eq!(world.back_up().await.unwrap().sequence, Some(3), "behind the last good one");
    assert_eq!(world.check(3).await.unwrap().damaged, [name_of(2)]);
    assert!(world.health().await.reasons.join(" ").contains("of backup 2"), "and somebody is told");
}

/// A part that was found damaged is copied anew by the next backup, which mends the older ones too; health tells until then.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_damaged_is_copied_anew() {
    for world in World::all(0).await {
        let object = world.store("a.bin", &[1; 100_000]).await;
        world.back_up().await.unwrap();
        assert!(!world.health().await.is_degraded);
        let path = world.place().join(crate::sealed::object_name(object.id.as_str()));
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[5_000] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        let verify = || VerifyBackup { room: world.room.clone(), to: None, sequence: None };
        let report = world.gate.call(verify()).await.unwrap();
        assert_eq!((report.fault_count, report.damaged.len()), (1, 1));
        let how = world.health().await;
        assert!(how.is_degraded && how.reasons.join(" ").contains("copies anew"), "{how:?}");
        world.back_up().await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), good);
        assert!(world.gate.call(verify()).await.unwrap().is_good());
        assert!(!world.health().await.is_degraded);
        let recorded = world.gate.recorded();
        assert!(
            recorded.iter().any(|line| line.contains("backups.make done") && line.contains("mended_count=1")),
            "{recorded:?}"
        );
    }
}

/// Nobody verifies: of what older backups copied each backup reads a share, so that all of it is read in time.
#[tokio::test(flavor = "multi_thread")]
async fn damage_that_nobody_looked_for_is_found_in_time() {
    let world = World::new(0).await;
    // Names are random: one whose turn it is at the second backup.
    let name = loop {
        let name = crate::sealed::object_name(world.store(&kernel::random_id(), &[1; 20_000]).await.id.as_str());
        if crate::make::is_in_share(&name, 2) {
            break name;
        }
    };
    world.back_up().await.unwrap();
    let path = world.place().join(name);
    let good = std::fs::read(&path).unwrap();
    let mut bad = good.clone();
    bad[5_000] ^= 1;
    std::fs::write(&path, &bad).unwrap();
    world.back_up().await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), good);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_taken_out_of_the_middle_is_missed_by_everybody() {
    let world = two_backups().await;
    world.back_up().await.unwrap();
    std::fs::remove_file(world.place().join(name_of(2))).unwrap();
    let trust = world.room.trust().await.unwrap();
    let chain = crate::chain::Chain::read(&world.target(), &trust).await.unwrap();
    assert!(matches!(chain.faults(), [(3, BackupError::Chain(3, _))]), "{chain:?}");
    assert!(chain.find(&world.target(), None).is_ok(), "it can be restored all the same");
}

/// The server kept what it signed: the next backup puts it back, and nothing is degraded any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_was_taken_away_or_changed_comes_back_with_the_next_backup() {
    for world in World::all(0).await {
        for number in 0..3 {
            world.store(&format!("{number}.bin"), &[1; 20_000]).await;
            world.back_up().await.unwrap();
        }
        let path = world.place().join(name_of(2));
        let good = std::fs::read(&path).unwrap();
        let changes: [fn(&Path); 3] = [
            |path| std::fs::remove_file(path).unwrap(),
            damage,
            |path| {
                std::fs::copy(path.with_file_name("0000000001.json"), path).unwrap();
            },
        ];
        for change in changes {
            change(&path);
            let verify = || VerifyBackup { room: world.room.clone(), to: None, sequence: None };
            assert!(!world.gate.call(verify()).await.unwrap().is_good());
            let how = world.health().await;
            assert!(how.is_degraded && how.reasons.join(" ").contains("puts back"), "{how:?}");
            world.back_up().await.unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), good);
            assert!(world.check(2).await.unwrap().is_good());
            assert!(!world.health().await.is_degraded);
        }
        let recorded = world.gate.recorded();
        assert!(recorded.iter().any(|line| line.contains("backups.make done") && line.contains("mended_count=1")));
    }
}

/// A manifest without its parts is no backup, and what somebody put into the database is no manifest.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_server_signed_and_has_parts_of_comes_back() {
    let world = two_backups().await;
    world.back_up().await.unwrap();
    let path = world.place().join(name_of(2));
    let trust = world.room.trust().await.unwrap();
    let good = std::fs::read(&path).unwrap();
    let two = manifest::open(2, &good, &trust.signer).unwrap().manifest;
    let keep = |bytes: Vec<u8>| {
        let write = move |writer: &mut vault::db::Writer<'_>| {
            writer.execute("UPDATE backup_run SET manifest = $1 WHERE sequence = 2", &[bytes.as_slice().into()])?;
            Ok(())
        };
        world.opened.system.write(write)
    };
    std::fs::remove_file(&path).unwrap();
    keep(two.sign(&manifest::tests::signer(9)).unwrap().0).await.unwrap();
    world.back_up().await.unwrap();
    assert!(!path.exists(), "of another signer");
    keep(good).await.unwrap();
    let snapshot = world.place().join(blob_name(&two.database.blob));
    let bytes = std::fs::read(&snapshot).unwrap();
    std::fs::remove_file(&snapshot).unwrap();
    world.back_up().await.unwrap();
    assert!(!path.exists(), "its snapshot is gone");
    std::fs::write(&snapshot, bytes).unwrap();
    world.back_up().await.unwrap();
    assert!(path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_of_another_signer_is_refused() {
    let world = two_backups().await;
    let trust = world.room.trust().await.unwrap();
    let path = world.place().join(name_of(2));
    let signed = manifest::open(2, &std::fs::read(&path).unwrap(), &trust.signer).unwrap();
    let (forged, _) = signed.manifest.sign(&manifest::tests::signer(9)).unwrap();
    std::fs::write(&path, forged).unwrap();
    assert!(matches!(world.check(2).await, Err(BackupError::Signer(2))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_knows_another_log_is_refused() {
    let world = two_backups().await;
    let signed = world.room.signer().await.unwrap();
    let trust = world.room.trust().await.unwrap();
    let path = world.place().join(name_of(2));
    let mut other = manifest::open(2, &std::fs::read(&path).unwrap(), &trust.signer).unwrap().manifest;
    // Even the server's own key cannot vouch for a point that is not on the way to the checkpoint.
    other.log.point -= 1;
    std::fs::write(&path, other.sign(&signed).unwrap().0).unwrap();
    let target = world.target();
    let chain = crate::chain::Chain::read(&target, &trust).await.unwrap();
    let report = crate::check(&target, &trust, &chain, chain.get(2).unwrap(), None).await.unwrap();
    assert!(report.faults.join(" ").contains("audit log"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_backup_key_opens_nothing() {
    let world = two_backups().await;
    let target = world.target();
    let mut trust = world.room.trust().await.unwrap();
    let chain = crate::chain::Chain::read(&target, &trust).await.unwrap();
    trust.key = kernel::Secret::new(vec![0; 32]);
    let report = crate::check(&target, &trust, &chain, chain.get(2).unwrap(), None).await.unwrap();
    assert!(report.faults.join(" ").contains("does not open under the backup key"), "{report:?}");
}
