//! Files against a manifest (section 8.4).

use std::collections::{BTreeMap, HashMap, HashSet};

use super::manifest::{FileDigest, Manifest, Method, Resource};
use super::path::{is_below, is_git};
use super::{Digest, SIGNATURE_NAME};
use crate::error::{AttestError, Difference};

/// Which files may be there without being signed, besides the signature itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// None: for what is served.
    Whole,
    /// Those that the specification leaves out: `.git…` at the top and, with shards, empty files. They are told.
    Specified,
}

/// Where the files are.
pub trait ModelSource {
    /// Every file: path and size in bytes.
    ///
    /// # Errors
    /// `BadFile` for what cannot be signed, such as a link; `Io`.
    fn files(&self) -> Result<Vec<(String, u64)>, AttestError>;

    /// SHA-256 of the bytes from and to of each of these, in their order.
    ///
    /// # Errors
    /// `Io`, or `Unsupported` where there are no bytes to read.
    fn hash(&self, ranges: &[(String, u64, u64)]) -> Result<Vec<Digest>, AttestError>;
}

/// Files of which the digests are known since they were stored: nothing is read again.
pub struct FileList<'a>(pub &'a [FileDigest]);

impl ModelSource for FileList<'_> {
    fn files(&self) -> Result<Vec<(String, u64)>, AttestError> {
        let mut names = HashSet::new();
        for file in self.0 {
            if !names.insert(&file.path) {
                return Err(AttestError::BadFile { path: file.path.clone(), problem: "is in the list twice" });
            }
        }
        Ok(self.0.iter().map(|file| (file.path.clone(), file.size_bytes)).collect())
    }

    fn hash(&self, ranges: &[(String, u64, u64)]) -> Result<Vec<Digest>, AttestError> {
        let known: HashMap<&str, &FileDigest> = self.0.iter().map(|file| (file.path.as_str(), file)).collect();
        let digest = |(path, from, to): &(String, u64, u64)| match known.get(path.as_str()) {
            Some(file) if *from == 0 && *to == file.size_bytes => Ok(file.sha256),
            _ => Err(AttestError::Unsupported(format!("only whole files are known here, and `{path}` was signed in shards"))),
        };
        ranges.iter().map(digest).collect()
    }
}

/// Whether the files of `source` are exactly those of `manifest`; gives those that are there unsigned, as `coverage` allows.
pub(super) fn compare(
    manifest: &Manifest,
    source: &dyn ModelSource,
    coverage: Coverage,
    signature_name: Option<&str>,
) -> Result<Vec<String>, AttestError> {
    let listed = source.files()?;
    let files: BTreeMap<String, u64> = listed.iter().cloned().collect();
    let signed = Signed::of(manifest, &files);
    let mut differences = Vec::new();
    let mut unsigned = Vec::new();
    for (path, size) in &files {
        if signed.has(path) || path == signature_name.unwrap_or(SIGNATURE_NAME) {
            continue;
        }
        let left_out = is_git(path) || *size == 0 && manifest.method != Method::Files;
        if left_out && coverage == Coverage::Specified {
            unsigned.push(path.clone());
        } else if manifest.ignored.iter().any(|above| is_below(path, above.trim_end_matches('/'))) {
            differences.push(Difference::Hidden(path.clone()));
        } else {
            differences.push(Difference::Extra(path.clone()));
        }
    }
    let ranges = signed.ranges(&files, &mut differences);
    // Cheap differences first: a model with a file too many is not read at all.
    if differences.is_empty() {
        let wanted: Vec<(String, u64, u64)> =
            ranges.iter().map(|(resource, from, to)| (signed.path(resource).to_owned(), *from, *to)).collect();
        let found = source.hash(&wanted)?;
        if found.len() != wanted.len() {
            return Err(AttestError::malformed("the files were not all read"));
        }
        // A file that grew meanwhile was not read to its new end.
        if source.files()? != listed {
            return Err(AttestError::malformed("the files changed while they were read; verify again"));
        }
        for ((resource, _, _), digest) in ranges.iter().zip(found) {
            if resource.sha256 != digest {
                differences.push(Difference::Changed(resource.name()));
            }
        }
    }
    if differences.is_empty() {
        return Ok(unsigned);
    }
    differences.sort();
    differences.dedup();
    Err(AttestError::Mismatch(differences))
}

/// What a manifest says of the files at hand.
struct Signed<'a> {
    resources: &'a [Resource],
    /// By path: where the signed bytes end.
    ends: HashMap<&'a str, Option<u64>>,
}

impl<'a> Signed<'a> {
    fn of(manifest: &'a Manifest, files: &'a BTreeMap<String, u64>) -> Self {
        let mut ends: HashMap<&str, Option<u64>> = HashMap::new();
        let only = match (files.len(), files.keys().next()) {
            (1, Some(path)) => Some(path.as_str()),
            _ => None,
        };
        for resource in &manifest.resources {
            let path = if resource.path == "." { only.unwrap_or(".") } else { &resource.path };
            let end = ends.entry(path).or_default();
            *end = (*end).max(resource.range.map(|(_, to)| to));
        }
        Self { resources: &manifest.resources, ends }
    }

    fn has(&self, path: &str) -> bool {
        self.ends.contains_key(path)
    }

    /// The path of the file that `resource` is about; `.` is the model's only file.
    fn path<'r>(&self, resource: &'r Resource) -> &'r str
    where
        'a: 'r,
    {
        if resource.path != "." {
            return &resource.path;
        }
        self.ends.keys().next().copied().unwrap_or(".")
    }

    /// Which bytes to hash for each entry; missing files and other lengths are differences.
    fn ranges(&self, files: &BTreeMap<String, u64>, differences: &mut Vec<Difference>) -> Vec<(&'a Resource, u64, u64)> {
        let mut ranges = Vec::new();
        for resource in self.resources {
            let path = self.path(resource);
            let end = self.ends.get(path).copied().flatten();
            match (files.get(path), resource.range) {
                (None, _) => differences.push(Difference::Missing(path.to_owned())),
                (Some(size), None) => ranges.push((resource, 0, *size)),
                (Some(size), Some(_)) if end != Some(*size) => differences.push(Difference::Changed(path.to_owned())),
                (Some(_), Some((from, to))) => ranges.push((resource, from, to)),
            }
        }
        ranges
    }
}
