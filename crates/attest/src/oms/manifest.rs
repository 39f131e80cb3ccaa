//! The list of files that is signed (sections 5 and 6).

use std::collections::HashSet;

use kernel::{Sha256Hasher, hex, parse_hex};
use serde::{Deserialize, Serialize};

use super::Digest;
use super::path::{is_canonical, is_git};
use crate::dsse::within;
use crate::error::AttestError;
use crate::statement::STATEMENT_TYPE;

/// The type of the predicate.
pub const PREDICATE_TYPE: &str = "https://model_signing/signature/v1.0";
/// Files, or shards of files, in one signature.
pub const RESOURCE_COUNT_MAX: usize = 200_000;
/// The specification's own size of a shard.
pub const SHARD_BYTES: u64 = 1_000_000_000;

const HASH_TYPE: &str = "sha256";
/// Ignored paths in one signature.
const IGNORED_COUNT_MAX: usize = 1_000;

/// A file of a model, as whoever stored it knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDigest {
    /// Below the model's folder, `/` between parts.
    pub path: String,
    /// How long it is.
    pub size_bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
}

/// How files become entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// An entry each.
    Files,
    /// An entry for each range of this many bytes.
    Shards(u64),
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The file's path.
    pub path: String,
    /// Which bytes of it, from and to; none for all.
    pub range: Option<(u64, u64)>,
    /// SHA-256 of them.
    pub sha256: Digest,
}

/// What a signature is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The model's name; it decides nothing.
    pub name: String,
    /// How files became entries.
    pub method: Method,
    /// The entries, in the order that gives the root.
    pub resources: Vec<Resource>,
    /// Paths that the signer left out.
    pub ignored: Vec<String>,
}

impl Resource {
    /// Its name in the statement.
    #[must_use]
    pub fn name(&self) -> String {
        self.range.map_or_else(|| self.path.clone(), |(from, to)| format!("{}:{from}:{to}", self.path))
    }
}

impl Manifest {
    /// The manifest of `files`, an entry each, sorted as the specification asks; `.git…` at the top and `signature_name` are left
    /// out.
    ///
    /// # Errors
    /// `Malformed` for a name that cannot be signed or comes twice, and if no file is left; `TooBig` over a limit.
    pub fn of_files(name: &str, files: &[FileDigest], signature_name: &str) -> Result<Self, AttestError> {
        let resources = files
            .iter()
            .filter(|file| !is_git(&file.path) && file.path != signature_name)
            .map(|file| Resource { path: file.path.clone(), range: None, sha256: file.sha256 })
            .collect();
        Self::new(name, Method::Files, resources, signature_name)
    }

    pub(super) fn new(
        name: &str,
        method: Method,
        mut resources: Vec<Resource>,
        signature_name: &str,
    ) -> Result<Self, AttestError> {
        // By name, not by parts: `sub-x/a` before `sub/z` (section 6.4).
        resources.sort_by_cached_key(Resource::name);
        let mut ignored: Vec<String> = super::GIT_NAMES.map(ToOwned::to_owned).to_vec();
        ignored.push(signature_name.to_owned());
        let manifest = Self { name: name.to_owned(), method, resources, ignored };
        manifest.check()?;
        Ok(manifest)
    }

    /// The one digest of the whole: SHA-256 over the entries' digests, in order (section 6.5.1).
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut hasher = Sha256Hasher::new();
        for resource in &self.resources {
            hasher.update(&resource.sha256);
        }
        hasher.finish()
    }

    /// The statement, as it is signed.
    ///
    /// # Errors
    /// `Malformed` if it cannot be written.
    pub fn statement(&self) -> Result<Vec<u8>, AttestError> {
        let statement = Statement {
            kind: STATEMENT_TYPE.to_owned(),
            subject: vec![Subject { name: self.name.clone(), digest: SubjectDigest { sha256: hex(&self.root()) } }],
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate: Predicate {
                resources: self.resources.iter().map(Entry::of).collect(),
                serialization: Serialization {
                    method: if self.method == Method::Files { "files" } else { "shards" }.to_owned(),
                    hash_type: HASH_TYPE.to_owned(),
                    shard_size: match self.method {
                        Method::Files => None,
                        Method::Shards(bytes) => Some(bytes),
                    },
                    allow_symlinks: false,
                    ignore_paths: self.ignored.clone(),
                },
            },
        };
        serde_json::to_vec(&statement)
            .map_err(|error| AttestError::malformed(format!("the statement cannot be written: {error}")))
    }

    /// Reads a statement whose signature holds.
    ///
    /// # Errors
    /// `Malformed` or `TooBig` if it is not one that can be verified; `Unsupported` for other digests than SHA-256.
    pub fn parse(statement: &[u8]) -> Result<Self, AttestError> {
        let read: Statement = serde_json::from_slice(statement)
            .map_err(|error| AttestError::malformed(format!("the signed statement cannot be read: {error}")))?;
        let wrong = |problem: String| AttestError::malformed(format!("the signed statement is not a model's: {problem}"));
        if read.kind != STATEMENT_TYPE {
            return Err(wrong(format!("its type is `{}`", read.kind)));
        }
        if read.predicate_type != PREDICATE_TYPE {
            return Err(wrong(format!("its predicate is `{}`", read.predicate_type)));
        }
        let [subject] = read.subject.as_slice() else {
            return Err(wrong(format!("it has {} subjects instead of one", read.subject.len())));
        };
        let serialization = read.predicate.serialization;
        check_hash(&serialization.hash_type)?;
        let method = match (serialization.method.as_str(), serialization.shard_size) {
            ("files", None) => Method::Files,
            ("shards", Some(bytes)) if bytes > 0 => Method::Shards(bytes),
            (other, _) => return Err(wrong(format!("its method is `{other}` with a shard size that does not fit"))),
        };
        within("the number of signed entries", read.predicate.resources.len(), RESOURCE_COUNT_MAX)?;
        let resources = read.predicate.resources.iter().map(|entry| entry.resource(method)).collect::<Result<_, _>>()?;
        let manifest = Self { name: subject.name.clone(), method, resources, ignored: serialization.ignore_paths };
        if parse_hex(&subject.digest.sha256).as_deref() != Some(&manifest.root()) {
            return Err(wrong("its root is not that of its entries".to_owned()));
        }
        manifest.check()?;
        Ok(manifest)
    }

    /// INVARIANT: names are canonical and come once, and shards of a file lie end to end: `tests::hostile_statements`.
    fn check(&self) -> Result<(), AttestError> {
        within("the number of signed entries", self.resources.len(), RESOURCE_COUNT_MAX)?;
        within("the number of ignored paths", self.ignored.len(), IGNORED_COUNT_MAX)?;
        if self.resources.is_empty() {
            return Err(AttestError::malformed("a model without files cannot be signed"));
        }
        // The reference implementation names a model that is one file `.`.
        let alone = self.resources.len() == 1;
        let mut names = HashSet::new();
        for resource in &self.resources {
            if !(is_canonical(&resource.path) || alone && resource.path == ".") {
                return Err(AttestError::malformed(format!("`{}` is not a canonical relative path", resource.path)));
            }
            if !names.insert((resource.path.as_str(), resource.range)) {
                return Err(AttestError::malformed(format!("`{}` is signed twice", resource.name())));
            }
        }
        match self.method {
            Method::Files => Ok(()),
            Method::Shards(bytes) => self.check_shards(bytes),
        }
    }

    fn check_shards(&self, shard_bytes: u64) -> Result<(), AttestError> {
        let mut shards: Vec<(&str, u64, u64)> = Vec::new();
        for resource in &self.resources {
            let (from, to) = resource.range.unwrap_or_default();
            shards.push((&resource.path, from, to));
        }
        shards.sort_unstable();
        let mut before = ("", 0_u64);
        for (path, from, to) in shards {
            let expected = if before.0 == path { before.1 } else { 0 };
            let whole = expected.is_multiple_of(shard_bytes);
            if from != expected || !whole || to <= from || to - from > shard_bytes {
                return Err(AttestError::malformed(format!("the shards of `{path}` do not lie end to end")));
            }
            before = (path, to);
        }
        Ok(())
    }
}

fn check_hash(name: &str) -> Result<(), AttestError> {
    match name {
        HASH_TYPE => Ok(()),
        "blake2b" | "blake3" => Err(AttestError::Unsupported(format!(
            "digests of `{name}`; ask the signer for the specification's default, `sha256`"
        ))),
        other => Err(AttestError::malformed(format!("`{other}` is not a digest of model signing"))),
    }
}

#[derive(Deserialize, Serialize)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Deserialize, Serialize)]
struct Subject {
    name: String,
    digest: SubjectDigest,
}

#[derive(Deserialize, Serialize)]
struct SubjectDigest {
    sha256: String,
}

#[derive(Deserialize, Serialize)]
struct Predicate {
    resources: Vec<Entry>,
    serialization: Serialization,
}

#[derive(Deserialize, Serialize)]
struct Entry {
    name: String,
    digest: String,
    algorithm: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Serialization {
    method: String,
    hash_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "whole_number")]
    shard_size: Option<u64>,
    allow_symlinks: bool,
    #[serde(default)]
    ignore_paths: Vec<String>,
}

/// The reference implementation writes whole numbers as `1000.0`.
fn whole_number<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let wrong = || serde::de::Error::custom("the size of a shard is not a whole number of bytes");
    let Some(number) = Option::<serde_json::Number>::deserialize(from)? else { return Ok(None) };
    let text = number.to_string();
    text.strip_suffix(".0").unwrap_or(&text).parse().map(Some).map_err(|_| wrong())
}

impl Entry {
    fn of(resource: &Resource) -> Self {
        Self { name: resource.name(), digest: hex(&resource.sha256), algorithm: HASH_TYPE.to_owned() }
    }

    fn resource(&self, method: Method) -> Result<Resource, AttestError> {
        let wrong = |problem: &str| AttestError::malformed(format!("the signed entry `{}` {problem}", self.name));
        // Each entry says its own: another than the whole's would be a confusion.
        let same = match method {
            Method::Files => self.algorithm == HASH_TYPE,
            // The reference implementation up to 1.1.1 says the size again, where the specification has the digest's name alone.
            Method::Shards(bytes) => self.algorithm == HASH_TYPE || self.algorithm == format!("{HASH_TYPE}-sharded-{bytes}"),
        };
        if !same {
            return Err(wrong("has a digest of another kind than the statement says"));
        }
        let sha256 = parse_hex(&self.digest).and_then(|bytes| bytes.try_into().ok());
        let sha256 = sha256.ok_or_else(|| wrong("has no SHA-256"))?;
        if method == Method::Files {
            return Ok(Resource { path: self.name.clone(), range: None, sha256 });
        }
        // From the end: a path may have colons of its own.
        let mut parts = self.name.rsplitn(3, ':');
        let (to, from, path) = (parts.next(), parts.next(), parts.next());
        let number = |text: Option<&str>| text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok();
        let (Some(path), Some(from), Some(to)) = (path, number(from), number(to)) else {
            return Err(wrong("does not say which bytes of the file it is"));
        };
        Ok(Resource { path: path.to_owned(), range: Some((from, to)), sha256 })
    }
}
