//! A key in a token: AES-256, made there, never to leave it; a version is an object of its own.
//!
//! What wrapping gives: layout (1 byte, 1), initialization vector (12 bytes), ciphertext, tag (16 bytes): AES-256-GCM with the place as
//! associated data.

use std::path::PathBuf;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use hsm::{Answer, Request, VERSION_COUNT_MAX};
use zeroize::Zeroizing;

const LAYOUT: u8 = 1;
const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const TAG_BITS: u64 = 128;
const KEY_BYTES: u64 = 32;

/// Who chooses the initialization vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Iv {
    /// This does, with the token's random numbers.
    Random,
    /// The module does, as those certified by FIPS 140-3 must; it says which.
    OfModule,
}

/// Which key of which token.
pub struct Wanted {
    /// The module's library.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The key's label.
    pub key: String,
    /// The user's PIN.
    pub pin: Zeroizing<String>,
    /// Who chooses the initialization vector.
    pub iv: Iv,
}

/// An open session with a token. Fields are dropped in this order: a session ends before its module.
pub struct Token {
    session: Session,
    _module: Pkcs11,
    key: String,
    iv: Iv,
}

/// Why a token does not open, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// It may open later.
    Unavailable(String),
    /// It does not take the PIN, and must not be given it again.
    Pin(String),
}

impl Token {
    /// Loads the module and logs in, once.
    ///
    /// # Errors
    /// What went wrong.
    pub fn open(wanted: &Wanted) -> Result<Self, Closed> {
        let said = |error: Error| Closed::Unavailable(format!("the PKCS#11 module `{}`: {error}", wanted.module.display()));
        let module = Pkcs11::new(&wanted.module).map_err(said)?;
        match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) | Ok(()) => {}
            Err(error) => return Err(said(error)),
        }
        let mut found = None;
        for slot in module.get_slots_with_initialized_token().map_err(said)? {
            if module.get_token_info(slot).map_err(said)?.label() == wanted.token && found.replace(slot).is_some() {
                return Err(Closed::Unavailable(format!("two tokens have the label `{}`", wanted.token)));
            }
        }
        let none = || Closed::Unavailable(format!("no token has the label `{}`", wanted.token));
        let slot = found.ok_or_else(none)?;
        // Where the module says so, a token that is locked is not asked.
        if module.get_token_info(slot).map_err(said)?.user_pin_locked() {
            return Err(Closed::Pin(locked(&wanted.token)));
        }
        let session = module.open_rw_session(slot).map_err(said)?;
        let pin = AuthPin::new(wanted.pin.as_str().into());
        match session.login(UserType::User, Some(&pin)) {
            Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) | Ok(()) => {}
            Err(error) => {
                let is_last = || module.get_token_info(slot).is_ok_and(|info| info.user_pin_final_try());
                return Err(pin_refused(&error, &wanted.token, is_last).map_or_else(|| said(error), Closed::Pin));
            }
        }
        Ok(Self { session, _module: module, key: wanted.key.clone(), iv: wanted.iv })
    }

    /// Does what is asked.
    #[must_use]
    pub fn answer(&self, request: Request) -> Answer {
        let answered = match request {
            Request::Versions => {
                self.versions().map(|all| Answer::Versions(all.into_iter().map(|(version, _)| version).collect()))
            }
            Request::Make => self.make().map(Answer::Made),
            Request::Wrap { version, key, aad } => self.wrap(version, &key, &aad).map(Answer::Wrapped),
            Request::Unwrap { version, wrapped, aad } => self.unwrap(version, &wrapped, &aad),
            Request::Destroy { version } => self.destroy(version).map(|()| Answer::Destroyed),
        };
        answered.unwrap_or_else(|failed| match failed {
            Failed::NoVersion => Answer::NoVersion,
            Failed::Module(why) => Answer::Unavailable(why),
        })
    }

    /// The versions of the key that are usable, rising.
    fn versions(&self) -> Result<Vec<(i64, ObjectHandle)>, Failed> {
        let template = self.template();
        let mut all = Vec::new();
        for handle in self.session.find_objects(&template)? {
            if all.len() >= VERSION_COUNT_MAX {
                return Err(Failed::Module(format!("the token holds more than {VERSION_COUNT_MAX} keys of this label")));
            }
            let version = self.version_of(handle)?;
            self.check(handle, version)?;
            all.push((version, handle));
        }
        all.sort_by_key(|(version, _)| *version);
        if all.windows(2).any(|pair| matches!(pair, [(one, _), (other, _)] if one == other)) {
            return Err(Failed::Module(format!("two keys labelled `{}` have the same version", self.key)));
        }
        Ok(all)
    }

    fn template(&self) -> Vec<Attribute> {
        vec![
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Token(true),
            Attribute::Label(self.key.as_bytes().to_vec()),
        ]
    }

    fn version_of(&self, handle: ObjectHandle) -> Result<i64, Failed> {
        let attributes = self.session.get_attributes(handle, &[AttributeType::Id])?;
        let foreign =
            || Failed::Module(format!("a key labelled `{}` was not made by strongroom: its id is no version", self.key));
        match attributes.as_slice() {
            [Attribute::Id(id)] => {
                let version = i64::from_be_bytes(id.as_slice().try_into().map_err(|_| foreign())?);
                if version > 0 { Ok(version) } else { Err(foreign()) }
            }
            _ => Err(foreign()),
        }
    }

    /// A key that could be read out of its token, or was brought there, is none that others may rely on.
    fn check(&self, handle: ObjectHandle, version: i64) -> Result<(), Failed> {
        let asked = [
            AttributeType::Sensitive,
            AttributeType::Extractable,
            AttributeType::AlwaysSensitive,
            AttributeType::NeverExtractable,
            AttributeType::ValueLen,
        ];
        let has = self.session.get_attributes(handle, &asked)?;
        let must = [
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::AlwaysSensitive(true),
            Attribute::NeverExtractable(true),
            Attribute::ValueLen(KEY_BYTES.into()),
        ];
        match must.iter().find(|attribute| !has.contains(attribute)) {
            None => Ok(()),
            Some(missing) => {
                Err(Failed::Module(format!("version {version} of the key `{}` does not have {missing:?}", self.key)))
            }
        }
    }

    fn make(&self) -> Result<i64, Failed> {
        let version = self.versions()?.last().map_or(1, |(version, _)| version.saturating_add(1));
        let mut template = self.template();
        template.extend([
            Attribute::Id(version.to_be_bytes().to_vec()),
            Attribute::ValueLen(KEY_BYTES.into()),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Modifiable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::Wrap(false),
            Attribute::Unwrap(false),
        ]);
        let handle = self.session.generate_key(&Mechanism::AesKeyGen, &template)?;
        self.check(handle, version)?;
        Ok(version)
    }

    fn handle(&self, version: i64) -> Result<ObjectHandle, Failed> {
        let mut template = self.template();
        template.push(Attribute::Id(version.to_be_bytes().to_vec()));
        match self.session.find_objects(&template)?.as_slice() {
            [] => Err(Failed::NoVersion),
            [handle] => Ok(*handle),
            _ => Err(Failed::Module(format!("version {version} of the key `{}` is in the token twice", self.key))),
        }
    }

    fn wrap(&self, version: i64, key: &[u8], aad: &[u8]) -> Result<Vec<u8>, Failed> {
        let by = self.handle(version)?;
        let mut iv = [0_u8; IV_BYTES];
        if self.iv == Iv::Random {
            self.session.generate_random_slice(&mut iv)?;
        }
        let params = GcmParams::new(&mut iv, aad, TAG_BITS.into())?;
        let sealed = self.session.encrypt(&Mechanism::AesGcm(params), by, key)?;
        // Where the module chose, it wrote its choice into the params.
        if iv == [0; IV_BYTES] {
            return Err(Failed::Module("the module chose no initialization vector; leave `module_iv` out".to_owned()));
        }
        if sealed.len() != key.len().saturating_add(TAG_BYTES) {
            return Err(Failed::Module("the module's answer is not a ciphertext with its tag".to_owned()));
        }
        Ok([&[LAYOUT], iv.as_slice(), sealed.as_slice()].concat())
    }

    fn unwrap(&self, version: i64, wrapped: &[u8], aad: &[u8]) -> Result<Answer, Failed> {
        let refused = || Answer::Refused("it was changed, or wrapped by another key or for another place".to_owned());
        let Some((&LAYOUT, rest)) = wrapped.split_first() else { return Ok(refused()) };
        let Some((iv, sealed)) = rest.split_first_chunk::<IV_BYTES>() else { return Ok(refused()) };
        if sealed.len() <= TAG_BYTES {
            return Ok(refused());
        }
        let by = self.handle(version)?;
        let mut iv = *iv;
        let params = GcmParams::new(&mut iv, aad, TAG_BITS.into())?;
        match self.session.decrypt(&Mechanism::AesGcm(params), by, sealed) {
            Ok(key) => Ok(Answer::Unwrapped(Zeroizing::new(key))),
            // Modules differ in what they call a tag that does not fit.
            Err(Error::Pkcs11(RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange | RvError::GeneralError, _)) => {
                Ok(refused())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn destroy(&self, version: i64) -> Result<(), Failed> {
        Ok(self.session.destroy_object(self.handle(version)?)?)
    }
}

/// What the token has against the PIN, if it is that; `is_last` asks whether one more wrong one locks it.
fn pin_refused(error: &Error, token: &str, is_last: impl FnOnce() -> bool) -> Option<String> {
    let Error::Pkcs11(code, _) = error else { return None };
    match code {
        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => {
            let last = if is_last() { "; one more wrong PIN locks it" } else { "" };
            Some(format!("the token `{token}` does not take the PIN{last}"))
        }
        RvError::PinLocked => Some(locked(token)),
        RvError::PinExpired => {
            Some(format!("the PIN of the token `{token}` has expired: set a new one with the module's own tool"))
        }
        RvError::UserPinNotInitialized => {
            Some(format!("the token `{token}` has no user PIN yet: set one with the module's own tool"))
        }
        _ => None,
    }
}

fn locked(token: &str) -> String {
    format!("the PIN of the token `{token}` is locked after too many wrong ones: its security officer must set a new one")
}

/// Why something was not done.
enum Failed {
    NoVersion,
    Module(String),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Module(format!("the module says: {error}"))
    }
}
