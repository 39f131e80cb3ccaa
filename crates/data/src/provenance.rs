//! Where a version comes from, as far as that can be told: findings about its source, against the register.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use inspection::{Finding, catalogue};
use kernel::hex;

use crate::types::{SourceKey, TrustedSource, Version};

/// What was found about a version's origin.
#[derive(Debug, Default)]
pub(crate) struct Provenance {
    /// The trusted source that it comes from, by id.
    pub(crate) source: Option<String>,
    /// What speaks against it, or is not known.
    pub(crate) findings: Vec<Finding>,
}

/// Looks a version up in the register.
pub(crate) fn look_up(version: &Version, register: &[TrustedSource]) -> Provenance {
    let mut provenance = Provenance::default();
    if version.licence.is_none() {
        provenance.findings.push(Finding::new(&catalogue::LICENCE_MISSING, "the committer named none"));
    }
    let Some(uri) = &version.source_uri else {
        provenance.findings.push(Finding::new(&catalogue::SOURCE_UNKNOWN, "the committer named none"));
        return provenance;
    };
    let covering: Vec<&TrustedSource> = register.iter().filter(|source| covers(&source.pattern, uri)).collect();
    if covering.is_empty() {
        provenance.findings.push(Finding::new(&catalogue::SOURCE_UNTRUSTED, "no source in the register covers its address"));
        return provenance;
    }
    match covering.iter().find(|source| holds(&source.key, version)) {
        Some(source) => {
            provenance.source = Some(source.id.clone());
            provenance.findings.extend(purpose(version, source));
        }
        None => {
            let detail = "its address is in the register, but neither a digest nor a signature of the source fits the manifest";
            provenance.findings.push(Finding::new(&catalogue::DIGEST_MISMATCH, detail));
        }
    }
    provenance
}

fn purpose(version: &Version, source: &TrustedSource) -> Option<Finding> {
    if source.purposes.is_empty() {
        return None;
    }
    match &version.purpose {
        Some(purpose) if source.purposes.contains(purpose) => None,
        Some(_) => Some(Finding::new(&catalogue::PURPOSE_MISMATCH, "its purpose is not among those that the source allows")),
        None => Some(Finding::new(&catalogue::PURPOSE_MISMATCH, "the source allows some purposes only, and none was named")),
    }
}

fn holds(key: &SourceKey, version: &Version) -> bool {
    let Some(manifest) = &version.manifest_sha256 else { return false };
    match key {
        SourceKey::Address => true,
        SourceKey::Digest(digest) => digest == manifest,
        SourceKey::PublicKey(key) => version
            .signature
            .as_ref()
            .is_some_and(|signature| UnparsedPublicKey::new(&ED25519, key).verify(hex(manifest).as_bytes(), signature).is_ok()),
    }
}

/// Whether `pattern`, in which `*` stands for any text, covers `text`. The greedy match backtracks to the last star only, so
/// it takes at most the product of both lengths.
pub(crate) fn covers(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p).is_some() && pattern.get(p) == text.get(t) {
            p += 1;
            t += 1;
        } else if let Some((star_p, star_t)) = star {
            star = Some((star_p, star_t + 1));
            p = star_p + 1;
            t = star_t + 1;
        } else {
            return false;
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, expected) in [
            ("https://data.example/*", "https://data.example/a/b.csv", true),
            ("https://data.example/*", "https://data.example.evil/a", false),
            ("s3://b/*.parquet", "s3://b/x.parquet", true),
            ("s3://b/*.parquet", "s3://b/x.parquet.exe", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("", "", true),
            ("", "x", false),
            ("*", "", true),
        ] {
            assert_eq!(covers(pattern, text), expected, "{pattern} {text}");
        }
    }
}
