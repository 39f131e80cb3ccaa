//! `datasets.export`: a version as one archive (POSIX tar), with all that vouches for it.

use bytes::Bytes;
use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Problem, hex};
use vault::objects::{Piece, Sending, StoredObject};

use crate::described::FILES;
use crate::store::{self, files, versions};
use crate::types::{DocumentKind, no_version};
use crate::{Body, Data, Manifest, Version, rules};

/// An archive's block.
const BLOCK_BYTES: u64 = 512;
/// The longest name in a header; a longer one goes into an extended header before it (pax).
const HEADER_NAME_BYTES_MAX: usize = 100;
/// Two empty blocks end an archive.
const END_BYTES: usize = 1_024;

/// The documents that an archive has.
const TOLD: [DocumentKind; 5] =
    [DocumentKind::Contract, DocumentKind::Report, DocumentKind::Page, DocumentKind::Attestation, DocumentKind::Croissant];

/// Takes a version out: its files below `data/`, and beside them the manifest's text, the contract, and the report, page,
/// attestation and description of its last inspection.
pub struct Export {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The version.
    pub version: String,
}

/// An archive on its way.
pub struct Exported {
    /// What it may be called.
    pub file_name: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its bytes.
    pub body: Body,
}

impl Operation for Export {
    const ACTION: Action = super::EXPORT;
    type Output = Exported;

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Exported, Problem> {
        let id = rules::version_id(&permit)?;
        let found = self.room.db().read(&permit, move |reader| {
            let version = versions::get(reader, &id)?.ok_or_else(no_version)?;
            let mut documents = Vec::new();
            for kind in TOLD {
                documents.extend(files::document(reader, &id, kind)?.map(|object| (kind.word().to_owned(), object)));
            }
            let manifest = Manifest::of(files::manifest(reader, &id)?);
            Ok((version, manifest, files::all(reader, &id)?, documents))
        });
        let (version, manifest, all, documents) = found.await?;
        let number = rules::committed(&version)?;
        let mut archive = Archive::default();
        archive.text("manifest.txt", manifest_text(&manifest));
        documents.into_iter().for_each(|(name, object)| archive.object(&name, object));
        all.into_iter().for_each(|(path, object)| archive.object(&format!("{FILES}{path}"), object));
        archive.end();
        let outcome = outcome(&version, archive.size_bytes)?;
        let size_bytes = archive.size_bytes;
        let objects = self.room.objects().clone();
        let body = Sending::begin(permit, objects, archive.pieces, size_bytes, outcome).await?;
        Ok(Exported { file_name: format!("{}-{number}.tar", version.dataset), size_bytes, body })
    }
}

fn outcome(version: &Version, size_bytes: u64) -> Result<Outcome, Problem> {
    let digest = version.manifest_sha256.map(|digest| hex(&digest)).unwrap_or_default();
    Ok(Outcome::done()
        .resource(version.id.clone())
        .with("manifest_sha256", digest)
        .with("size_bytes", store::signed(size_bytes)?))
}

/// The text that a manifest's digest is taken over.
fn manifest_text(manifest: &Manifest) -> String {
    let mut text = String::from("strongroom-manifest-1\n");
    for entry in &manifest.entries {
        text.push_str(&format!("{} {} {}\n", hex(&entry.sha256), entry.size_bytes, entry.path));
    }
    text
}

/// An archive in pieces (IEEE 1003.1 ustar, with pax headers for long names).
#[derive(Default)]
struct Archive {
    pieces: Vec<Piece>,
    size_bytes: u64,
}

impl Archive {
    fn text(&mut self, name: &str, text: String) {
        let bytes = Bytes::from(text);
        let size_bytes = bytes.len() as u64;
        self.head(name, size_bytes);
        self.push(bytes);
        self.pad(size_bytes);
    }

    fn object(&mut self, name: &str, object: StoredObject) {
        let size_bytes = object.size_bytes;
        self.head(name, size_bytes);
        self.pieces.push(Piece::Object { object: Box::new(object), range: 0..size_bytes });
        self.size_bytes = self.size_bytes.saturating_add(size_bytes);
        self.pad(size_bytes);
    }

    fn head(&mut self, name: &str, size_bytes: u64) {
        // A size of more than eleven octal digits does not fit the header either.
        if name.len() > HEADER_NAME_BYTES_MAX || size_bytes >= 1 << 33 {
            let record = format!("{}{}", pax_record("path", name), pax_record("size", &size_bytes.to_string()));
            let length = record.len() as u64;
            self.push(Bytes::from(header("pax", length, b'x')));
            self.push(Bytes::from(record));
            self.pad(length);
        }
        let short = name.get(..name.floor_char_boundary(HEADER_NAME_BYTES_MAX)).unwrap_or(name);
        self.push(Bytes::from(header(short, size_bytes, b'0')));
    }

    fn pad(&mut self, size_bytes: u64) {
        let rest = usize::try_from(size_bytes.next_multiple_of(BLOCK_BYTES) - size_bytes).unwrap_or(0);
        if rest > 0 {
            self.push(Bytes::from(vec![0; rest]));
        }
    }

    fn end(&mut self) {
        self.push(Bytes::from(vec![0; END_BYTES]));
    }

    fn push(&mut self, bytes: Bytes) {
        self.size_bytes = self.size_bytes.saturating_add(bytes.len() as u64);
        self.pieces.push(Piece::Text(bytes));
    }
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
fn pax_record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    format!("{length} {key}={value}\n")
}

fn header(name: &str, size_bytes: u64, kind: u8) -> Vec<u8> {
    let size = if size_bytes < 1 << 33 { format!("{size_bytes:011o}\0") } else { format!("{:011o}\0", 0) };
    let mut block = Vec::with_capacity(512);
    let mut field = |text: &[u8], width: usize| {
        block.extend(text.iter().copied().take(width).chain(std::iter::repeat(0)).take(width));
    };
    field(name.as_bytes(), 100);
    field(b"0000644\0", 8);
    field(b"0000000\0", 8);
    field(b"0000000\0", 8);
    field(size.as_bytes(), 12);
    field(b"00000000000\0", 12);
    // While the sum is taken, its own field counts as blanks.
    field(b"        ", 8);
    field(&[kind], 1);
    field(b"", 100);
    field(b"ustar\x0000", 8);
    field(b"", 247);
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    for (place, digit) in block.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").into_bytes()) {
        *place = digit;
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_ustar() {
        let block = header("manifest.txt", 20, b'0');
        assert_eq!(block.len(), 512);
        assert_eq!(&block[257..265], b"ustar\x0000");
        assert_eq!(&block[124..136], b"00000000024\0");
        let stored = std::str::from_utf8(&block[148..154]).unwrap();
        let mut blank = block.clone();
        blank[148..156].fill(b' ');
        let sum: u64 = blank.iter().map(|byte| u64::from(*byte)).sum();
        assert_eq!(u64::from_str_radix(stored, 8).unwrap(), sum);
        assert_eq!(pax_record("path", "a"), "9 path=a\n");
        for length in 80..1_200 {
            let record = pax_record("path", &"x".repeat(length));
            assert!(record.starts_with(&format!("{} path=", record.len())), "{record}");
        }
    }
}
