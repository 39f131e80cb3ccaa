//! Files on their way to and from the server: sent as they are read, kept once they are whole.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::TryStreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use kernel::{Problem, Sha256Hasher, hex};
use tokio::io::AsyncReadExt;

use super::client::Client;

/// What is read of a file at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// Folders within folders that are looked into.
const DEPTH_MAX: usize = 32;

/// Sends one file as it is read.
pub(super) async fn send(client: &mut Client, address: &str, file: &Path) -> Result<(), Problem> {
    let unreadable = |error: std::io::Error| Problem::invalid(format!("`{}` cannot be read: {error}", file.display()));
    let opened = tokio::fs::File::open(file).await.map_err(unreadable)?;
    let size_bytes = opened.metadata().await.map_err(unreadable)?.len();
    // What is appended meanwhile is not part of it.
    let chunks = futures_util::stream::try_unfold(opened.take(size_bytes), |mut file| async move {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let count = (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut chunk).await?;
        Ok::<_, std::io::Error>((count > 0).then(|| (Bytes::from(chunk), file)))
    });
    let body = StreamBody::new(chunks.map_ok(Frame::data));
    client.put(address, body.boxed_unsync(), size_bytes).await.map(|_| ())
}

/// What must be escaped in a path: all but unreserved characters and the slash (RFC 3986 §2.3). Readers tell formats by the
/// end of an address, so its dot stays a dot.
const PATH: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A path in an address.
pub(super) fn encoded(file: &str) -> String {
    percent_encoding::utf8_percent_encode(file, PATH).to_string()
}

/// Files with the paths that they get. A link is not followed: it may lead anywhere.
pub(super) fn collect(path: &Path, below: &str, depth: usize, files: &mut Vec<(String, PathBuf)>) -> Result<(), Problem> {
    let unreadable = |error: std::io::Error| Problem::invalid(format!("`{}` cannot be read: {error}", path.display()));
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Problem::invalid(format!("`{}` has no name that is UTF-8", path.display())))?;
    let kind = std::fs::symlink_metadata(path).map_err(unreadable)?;
    if kind.is_dir() {
        if depth >= DEPTH_MAX {
            return Err(Problem::invalid(format!("folders are deeper than {DEPTH_MAX} below what was named")));
        }
        // The folder that was named is the root; those below it are part of the path.
        let inner = if depth == 0 { String::new() } else { format!("{below}{name}/") };
        let mut entries: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            entries.push(entry.map_err(unreadable)?.path());
        }
        entries.sort();
        return entries.iter().try_for_each(|entry| collect(entry, &inner, depth + 1, files));
    }
    if !kind.is_file() && depth > 0 {
        return Err(Problem::invalid(format!("`{}` is no regular file; links are not followed", path.display())));
    }
    files.push((format!("{below}{name}"), path.to_path_buf()));
    Ok(())
}

/// Refuses two files of one path: the later one would take the place of the other, which nobody would miss until it is needed.
pub(super) fn refuse_doubles(files: &[(String, PathBuf)]) -> Result<(), Problem> {
    let mut taken: HashMap<&str, &Path> = HashMap::with_capacity(files.len());
    for (name, file) in files {
        let Some(other) = taken.insert(name, file) else { continue };
        let (other, file) = (other.display().to_string(), file.display().to_string());
        if other == file {
            return Err(Problem::invalid(format!("`{file}` is named twice; name it once")));
        }
        let advice = "give one another name, or name the folder that holds both";
        return Err(Problem::invalid(format!("`{other}` and `{file}` would both be `{name}`; {advice}")));
    }
    Ok(())
}

/// Downloads to a new file, which appears under its name once it is whole and has the digest.
pub(super) async fn download(
    client: &mut Client,
    address: &str,
    headers: &[(&'static str, String)],
    to: &Path,
    sha256: Option<&str>,
) -> Result<(), Problem> {
    let shown = to.display();
    let unwritable = |error: std::io::Error| Problem::invalid(format!("`{shown}` cannot be written: {error}"));
    if to.exists() {
        return Err(Problem::already_exists(format!("`{shown}` is there already; move it away, or write elsewhere")));
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(unwritable)?;
    }
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let mut file = File::create(&partial).map_err(unwritable)?;
    let mut hasher = Sha256Hasher::new();
    let fetched = client
        .download(address, headers, |bytes| {
            hasher.update(bytes);
            file.write_all(bytes).map_err(unwritable)
        })
        .await;
    let digest = hex(&hasher.finish());
    let checked = fetched.and_then(|_| match sha256 {
        Some(expected) if digest != expected => {
            Err(Problem::internal(format!("`{shown}` is not what the manifest says; it was not kept"), "another digest"))
        }
        _ => Ok(()),
    });
    if let Err(problem) = checked {
        drop(fs::remove_file(&partial));
        return Err(problem);
    }
    fs::rename(&partial, to).map_err(unwritable)
}

/// A manifest's path as one below a folder: it was checked when it was stored, and is again before it touches a disk.
pub(super) fn safe(path: &str) -> Result<&Path, Problem> {
    let plain = Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if !plain || path.is_empty() {
        return Err(Problem::internal("the server's manifest names a path that leads elsewhere", "not below the folder"));
    }
    Ok(Path::new(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_the_root_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("data/train")).unwrap();
        for file in ["data/b.csv", "data/train/a.csv"] {
            std::fs::write(folder.path().join(file), b"x").unwrap();
        }
        let mut files = Vec::new();
        collect(&folder.path().join("data"), "", 0, &mut files).unwrap();
        collect(&folder.path().join("data/b.csv"), "", 0, &mut files).unwrap();
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["b.csv", "train/a.csv", "b.csv"]);
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("data/link")).unwrap();
        assert!(collect(&folder.path().join("data"), "", 0, &mut files).is_err());
    }

    #[test]
    fn two_files_of_one_path_are_refused_by_name() {
        let files = |pairs: &[(&str, &str)]| -> Vec<(String, PathBuf)> {
            pairs.iter().map(|(name, file)| ((*name).to_owned(), PathBuf::from(file))).collect()
        };
        refuse_doubles(&files(&[("train.csv", "x/train.csv"), ("y/train.csv", "data/y/train.csv"), ("b.csv", "b.csv")])).unwrap();
        let two = files(&[("train.csv", "x/train.csv"), ("a.csv", "a.csv"), ("train.csv", "y/train.csv")]);
        let refused = refuse_doubles(&two).unwrap_err();
        assert_eq!(refused.kind(), kernel::Kind::Invalid);
        assert!(refused.message().starts_with("`x/train.csv` and `y/train.csv` would both be `train.csv`"), "{refused:?}");
        let twice = refuse_doubles(&files(&[("a.csv", "a.csv"), ("a.csv", "a.csv")])).unwrap_err();
        assert!(twice.message().starts_with("`a.csv` is named twice"), "{twice:?}");
    }

    #[test]
    fn a_path_stays_below_its_folder() {
        assert!(safe("a/b.csv").is_ok());
        for bad in ["", "../a", "/a", "a/../../b"] {
            assert!(safe(bad).is_err(), "{bad}");
        }
    }
}
