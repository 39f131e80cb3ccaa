//! What holds an object's bytes besides the rules of its rows: the immutable flag of its file, or the Object Lock of the store that it lies
//! in. Who decides what is held until when is the room `retention`.

use kernel::{Micros, Problem};

use super::{ObjectId, Objects, Store, blocking};
use gate::Permit;

/// What enforces retention, at best.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enforcement {
    /// This server and its database alone.
    #[default]
    Software,
    /// The immutable flag of the files too.
    Flag,
    /// The Object Lock of the store that the objects lie in too.
    Backend,
}

impl Enforcement {
    /// The word for answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Software => "software",
            Self::Flag => "flag",
            Self::Backend => "backend",
        }
    }
}

/// How strictly a store retains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealMode {
    /// Those with a right of their own may still delete.
    Governance,
    /// Nobody may.
    Compliance,
}

impl SealMode {
    /// S3's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }
}

/// What an object's bytes shall be held with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seal {
    /// How strictly, and until when.
    pub retention: Option<(SealMode, Micros)>,
    /// A legal hold.
    pub hold: bool,
}

impl Seal {
    const fn is_compliance(&self) -> bool {
        matches!(self.retention, Some((SealMode::Compliance, _)))
    }
}

impl Objects {
    /// The same, setting the immutable flag of files that are sealed for compliance, where the file system and rights allow: tried now.
    /// Where they do not, the reason is given, and nothing changes.
    ///
    /// # Errors
    /// `Invalid` where objects lie in no folder.
    pub fn with_immutable_files(mut self) -> Result<(Self, Option<String>), Problem> {
        let Store::Local(store) = &self.store else {
            return Err(Problem::invalid("`vault.immutable_files` is for objects in a folder; a bucket has its Object Lock"));
        };
        let fault = store.probe_flag().err();
        if fault.is_none() {
            self.enforcement = Enforcement::Flag;
        }
        Ok((self, fault))
    }

    /// The same, passing locks through to the bucket that the objects lie in: it is tried now whether that keeps them.
    ///
    /// # Errors
    /// `Invalid` where objects lie in no bucket, or the bucket does not keep what it promises; `Unavailable` if it cannot be asked.
    pub async fn with_object_lock(mut self) -> Result<Self, Problem> {
        let Store::Remote(store) = &mut self.store else {
            return Err(Problem::invalid("locks are passed through to buckets only"));
        };
        store.probe_lock().await?;
        self.enforcement = Enforcement::Backend;
        Ok(self)
    }

    /// What enforces retention.
    #[must_use]
    pub const fn enforcement(&self) -> Enforcement {
        self.enforcement
    }

    /// Has what an object lies on hold it. Gives whether anything does: what only compliance can be held by, or nothing can, is not.
    ///
    /// # Errors
    /// `Unavailable` if it could not be held, or what was set does not read back.
    pub async fn seal<O: ?Sized>(&self, _permit: &Permit<O>, id: &ObjectId, seal: Seal) -> Result<bool, Problem> {
        match (&self.store, self.enforcement) {
            (Store::Local(store), Enforcement::Flag) => {
                let (store, id) = (store.clone(), id.clone());
                blocking(move || store.set_flag(&id, seal.is_compliance())).await?;
                Ok(seal.is_compliance())
            }
            (Store::Remote(store), Enforcement::Backend) => {
                store.set_lock(id, seal).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Lets go of an object whose time is over.
    ///
    /// # Errors
    /// `Unavailable` if that cannot be done now.
    pub async fn unseal<O: ?Sized>(&self, permit: &Permit<O>, id: &ObjectId) -> Result<(), Problem> {
        match &self.store {
            // Also where the flag is no longer asked for: what was set must come off again.
            Store::Local(store) => {
                let (store, id) = (store.clone(), id.clone());
                blocking(move || store.set_flag(&id, false)).await
            }
            Store::Remote(_) => self.seal(permit, id, Seal::default()).await.map(drop),
        }
    }
}
