//! What a restore is given besides the backup, looked at before anything is unpacked: the root key's files, and the folder that the new
//! one takes the place of.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use audit::note::VerifierKey;
use kernel::{Problem, Secret};
use vault::keys::KeyFile;

use crate::config::{Config, RootKeyConfig};
use crate::{boot, verify};

/// The files of a folder `keys`.
const KEY_FILES: [&str; 2] = ["root.key", "passphrase.salt"];
const KEY_FILE_BYTES_MAX: usize = 64 * 1024;
const WANTED: &str = "name the folder `keys` of the old data folder, or the root key's file, as it was when the backup was made";

/// Whether the files that `--keys` names can be read, and are text.
///
/// # Errors
/// `Invalid`, naming the file that cannot.
pub fn check_keys(keys: &Path) -> Result<(), Problem> {
    if !keys.is_dir() {
        return text_of(keys).map(drop);
    }
    for file in KEY_FILES.iter().map(|name| keys.join(name)).filter(|file| file.is_file()) {
        text_of(&file)?;
    }
    Ok(())
}

/// Whether the folder that the new one takes the place of is a data folder of the server whose backup it is, as far as it tells.
///
/// # Errors
/// `Invalid` if it is none, or another server's.
pub fn check_old(old: &Path, instance: &str) -> Result<(), Problem> {
    let shown = old.display();
    if !["db", "audit"].iter().any(|part| old.join(part).is_dir()) {
        return Err(Problem::invalid(format!(
            "`{shown}`, which --instead-of names, is no data folder: it holds neither `db` nor `audit`. Name the folder that the new one \
             takes the place of; if nothing of it is left, leave --instead-of out"
        )));
    }
    let Some(key) = verify::written_key(old).ok().and_then(|text| VerifierKey::parse(&text).ok()) else { return Ok(()) };
    if key.name == instance {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "`{shown}`, which --instead-of names, is the data folder of another server (`{}`); the backup is of `{instance}`",
        key.name
    )))
}

/// Puts the files of the root key into the new folder, as its configuration wants them.
///
/// # Errors
/// `Invalid`, naming what `--keys` named, if it is not what the configuration wants; `Internal` if nothing can be written.
pub fn place_keys(from: Option<&Path>, into: &Path, settings: &Config) -> Result<(), Problem> {
    let named = match from {
        Some(from) => {
            copy_all(from, into, settings)?;
            format!("`{}`, which --keys names,", from.display())
        }
        None => "the new folder (no --keys was given)".to_owned(),
    };
    let lacks = |name: &str| Problem::invalid(format!("{named} holds no `{name}`, which this backup wants: {WANTED}"));
    match &settings.vault.root_key {
        RootKeyConfig::File => {
            let place = into.join("keys/root.key");
            if !place.is_file() {
                return Err(lacks("root.key"));
            }
            let wrong = |problem: Problem| Problem::invalid(format!("{named} does not serve: {}; {WANTED}", problem.message()));
            KeyFile::open(&place).map(drop).map_err(wrong)
        }
        RootKeyConfig::Passphrase { .. } if !boot::passphrase_path(into).is_file() => Err(lacks("passphrase.salt")),
        _ => Ok(()),
    }
}

fn copy_all(from: &Path, into: &Path, settings: &Config) -> Result<(), Problem> {
    if !from.is_dir() {
        return match boot::root_key_path(into, &settings.vault.root_key) {
            Some(place) if place.starts_with(into) => copy(from, &place),
            Some(_) => Ok(()),
            None => copy(from, &boot::passphrase_path(into)),
        };
    }
    for name in KEY_FILES {
        let file = from.join(name);
        if file.is_file() {
            copy(&file, &into.join("keys").join(name))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), Problem> {
    let text = text_of(from)?;
    drop(fs::remove_file(to));
    crate::tls::write_private(to, text.expose_text().unwrap_or_default())
}

/// A file of `--keys`, which is text.
fn text_of(path: &Path) -> Result<Secret, Problem> {
    let shown = path.display();
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(KEY_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes));
    let text = Secret::new(bytes);
    if let Err(error) = read {
        return Err(Problem::invalid(format!("`{shown}`, which --keys names, cannot be read: {error}; {WANTED}")));
    }
    if text.expose().len() > KEY_FILE_BYTES_MAX || text.expose_text().is_none() {
        return Err(Problem::invalid(format!(
            "`{shown}`, which --keys names, is not a file of a root key: it is no text, or longer than {KEY_FILE_BYTES_MAX} bytes; {WANTED}"
        )));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(result: Result<(), Problem>) -> String {
        result.unwrap_err().message().to_owned()
    }

    #[test]
    fn what_keys_names_is_told_by_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let (from, into) = (folder.path().join("old"), folder.path().join("new"));
        fs::create_dir_all(&from).unwrap();
        fs::create_dir_all(into.join("keys")).unwrap();
        let settings = Config::default();
        assert!(refused(place_keys(None, &into, &settings)).contains("no --keys was given"));
        assert!(refused(check_keys(&folder.path().join("none"))).contains("none`, which --keys names, cannot be read"));
        assert!(refused(place_keys(Some(&from), &into, &settings)).contains("old`, which --keys names, holds no `root.key`"));
        let file = from.join("root.key");
        for (bytes, says) in [(vec![0xff, 0xfe, 0], "no text"), (vec![b'a'; KEY_FILE_BYTES_MAX + 1], "longer than")] {
            fs::write(&file, bytes).unwrap();
            let message = refused(check_keys(&from));
            assert!(message.contains("old/root.key`") && message.contains(says), "{message}");
        }
        fs::write(&file, "{}").unwrap();
        check_keys(&from).unwrap();
        let message = refused(place_keys(Some(&file), &into, &settings));
        assert!(
            message.contains("old/root.key`, which --keys names, does not serve") && message.contains("does not hold a root key"),
            "{message}"
        );
    }

    #[test]
    fn only_a_data_folder_of_the_same_server_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path();
        assert!(refused(check_old(&old.join("none"), "here")).contains("no data folder"));
        assert!(refused(check_old(old, "here")).contains("leave --instead-of out"));
        fs::create_dir(old.join("audit")).unwrap();
        check_old(old, "here").unwrap();
        let seed = Secret::new(vec![3; 32]);
        let key = audit::note::NoteSigner::new("there", audit::note::KIND_ED25519, &seed).unwrap().key().to_string();
        verify::write_key(old, &key).unwrap();
        assert!(refused(check_old(old, "here")).contains("another server (`there`)"));
        check_old(old, "there").unwrap();
    }
}
