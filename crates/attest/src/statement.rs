//! in-toto statements, version 1: something is said (the predicate) of things with digests (the subjects).
//!
//! Source: in-toto/attestation, `spec/v1`: statement, resource descriptor, digest set.

use std::collections::{BTreeMap, HashSet};

use kernel::hex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dsse::{Envelope, within};
use crate::error::AttestError;
use crate::keys::{PublicKey, Signer};

/// What a statement calls itself.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// What an envelope calls a statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// Subjects of one statement.
pub const SUBJECT_COUNT_MAX: usize = 200_000;

/// Something that statements can say.
pub trait Predicate: Serialize + DeserializeOwned {
    /// Its type's address.
    const TYPE: &'static str;
}

/// A statement.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Statement<P> {
    #[serde(rename = "_type")]
    kind: String,
    /// What it is about.
    pub subject: Vec<Resource>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    /// What it says.
    pub predicate: P,
}

/// A thing, by name, address and digests.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resource {
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uri: String,
    /// Its digests in lower-case hex, by algorithm.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
    /// Its media type.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// What else is known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, Value>,
}

impl Resource {
    /// A thing with a name and a SHA-256.
    #[must_use]
    pub fn new(name: impl Into<String>, sha256: &[u8; 32]) -> Self {
        Self { name: name.into(), digest: BTreeMap::from([("sha256".to_owned(), hex(sha256))]), ..Self::default() }
    }

    /// A thing with a name alone.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// With one more digest, in hex.
    #[must_use]
    pub fn with_digest(mut self, algorithm: impl Into<String>, digest: impl Into<String>) -> Self {
        self.digest.insert(algorithm.into(), digest.into());
        self
    }

    /// With its address.
    #[must_use]
    pub fn at(mut self, uri: impl Into<String>) -> Self {
        self.uri = uri.into();
        self
    }

    /// With something else that is known.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.annotations.insert(name.into(), value.into());
        self
    }
}

impl<P: Predicate> Statement<P> {
    /// Says `predicate` of `subject`.
    #[must_use]
    pub fn new(subject: Vec<Resource>, predicate: P) -> Self {
        Self { kind: STATEMENT_TYPE.to_owned(), subject, predicate_type: P::TYPE.to_owned(), predicate }
    }

    /// Signs it.
    ///
    /// # Errors
    /// `Malformed` if a subject has no digest; as the signer's.
    pub fn sign(&self, signer: &dyn Signer) -> Result<Envelope, AttestError> {
        self.check()?;
        let bytes = serde_json::to_vec(self)
            .map_err(|error| AttestError::malformed(format!("the statement cannot be written: {error}")))?;
        Envelope::sign(signer, PAYLOAD_TYPE, &bytes, &signer.public_key().key_id())
    }

    /// The statement of an envelope that one of `keys` signed.
    ///
    /// # Errors
    /// `BadSignature` if none did; `Malformed` if it says something else.
    pub fn open(envelope: &Envelope, keys: &[&PublicKey]) -> Result<Self, AttestError> {
        let (payload, _) = envelope.verify(PAYLOAD_TYPE, keys)?;
        let statement: Self = serde_json::from_slice(&payload)
            .map_err(|error| AttestError::malformed(format!("the statement cannot be read: {error}")))?;
        statement.check()?;
        Ok(statement)
    }

    fn check(&self) -> Result<(), AttestError> {
        if self.predicate_type != P::TYPE {
            let problem = format!("the statement says `{}`, not `{}`", self.predicate_type, P::TYPE);
            return Err(AttestError::malformed(problem));
        }
        check_head(&self.kind, &self.subject)
    }
}

/// A statement about anything: what is said is not looked at.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct AnyStatement {
    #[serde(rename = "_type")]
    kind: String,
    /// What it is about.
    pub subject: Vec<Resource>,
    /// What kind of thing it says.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What it says.
    pub predicate: Value,
}

impl AnyStatement {
    /// The statement of an envelope that one of `keys` signed, and the place of that key.
    ///
    /// # Errors
    /// `BadSignature` if none did; `Malformed` if it is no statement.
    pub fn open(envelope: &Envelope, keys: &[&PublicKey]) -> Result<(Self, usize), AttestError> {
        let (payload, at) = envelope.verify(PAYLOAD_TYPE, keys)?;
        let statement: Self = serde_json::from_slice(&payload)
            .map_err(|error| AttestError::malformed(format!("the statement cannot be read: {error}")))?;
        check_head(&statement.kind, &statement.subject)?;
        Ok((statement, at))
    }
}

fn check_head(kind: &str, subject: &[Resource]) -> Result<(), AttestError> {
    if kind != STATEMENT_TYPE {
        return Err(AttestError::malformed(format!("the statement is of type `{kind}`, not `{STATEMENT_TYPE}`")));
    }
    within("the number of subjects", subject.len(), SUBJECT_COUNT_MAX)?;
    if subject.is_empty() {
        return Err(AttestError::malformed("the statement is about nothing"));
    }
    let mut names = HashSet::new();
    for one in subject {
        if one.digest.is_empty() || one.digest.values().any(|digest| digest.is_empty()) {
            return Err(AttestError::malformed(format!("the subject `{}` has no digest", one.name)));
        }
        if !names.insert(&one.name) {
            return Err(AttestError::malformed(format!("the statement is about `{}` twice", one.name)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use kernel::{Secret, sha256};

    use super::*;
    use crate::keys::EcdsaSigner;

    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Colour {
        name: String,
    }

    impl Predicate for Colour {
        const TYPE: &'static str = "https://example.org/colour/v1";
    }

    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Smell {
        name: String,
    }

    impl Predicate for Smell {
        const TYPE: &'static str = "https://example.org/smell/v1";
    }

    #[test]
    fn a_statement_is_read_as_what_it_says_and_nothing_else() {
        let signer = EcdsaSigner::from_seed(&Secret::new(vec![1; 32])).unwrap();
        let keys = [signer.public_key()];
        let subject = vec![Resource::new("rose", &sha256(b"rose")).at("https://example.org/rose").with("petals", 5)];
        let said = Statement::new(subject.clone(), Colour { name: "red".to_owned() });
        let envelope = said.sign(&signer).unwrap();
        assert_eq!(Statement::<Colour>::open(&envelope, &keys).unwrap(), said);
        assert!(Statement::<Smell>::open(&envelope, &keys).is_err());
        assert_eq!(AnyStatement::open(&envelope, &keys).unwrap().0.subject, subject);
        assert!(Statement::<Colour>::open(&envelope, &[]).is_err());
    }

    #[test]
    fn a_statement_is_about_things_with_digests() {
        let signer = EcdsaSigner::from_seed(&Secret::new(vec![1; 32])).unwrap();
        let twice = vec![Resource::new("a", &[0; 32]), Resource::new("a", &[1; 32])];
        for subject in [Vec::new(), vec![Resource::named("a")], twice] {
            assert!(Statement::new(subject, Colour { name: "red".to_owned() }).sign(&signer).is_err());
        }
    }
}
