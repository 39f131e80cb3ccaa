//! What the server and the helper before a hardware module say to each other, over the helper's standard input and output.
//!
//! It knows no module and starts no process: `pkcs11` is the helper, `server::key_services` the other end. Both trust each other with
//! keys, and nobody else: the pipe has no name.
//!
//! ```text
//! frame   length (4 bytes, big-endian), body
//! body    verb or status (1 byte), fields
//! field   length (4 bytes, big-endian), bytes
//! ```
//!
//! INVARIANT: what is not a whole frame of this kind is no message. Held by `tests::what_is_cut_or_longer_is_no_message`.
//! INVARIANT: a frame that holds a key is wiped when it is dropped.

use std::io::{Read, Write};

use zeroize::Zeroizing;

/// The longest body. A wrapped key with its place is below 1 KiB.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;
/// Versions of a key that a token may hold.
pub const VERSION_COUNT_MAX: usize = 1_024;

/// Bytes that may hold a key: wiped when they are dropped.
pub type Wiped = Zeroizing<Vec<u8>>;

/// What the server asks.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Which versions of the key are there?
    Versions,
    /// Make the next version.
    Make,
    /// Encrypt a key for a place.
    Wrap {
        /// By which version.
        version: i64,
        /// The key.
        key: Wiped,
        /// The place.
        aad: Vec<u8>,
    },
    /// Decrypt it again.
    Unwrap {
        /// By which version.
        version: i64,
        /// What wrapping gave.
        wrapped: Vec<u8>,
        /// The place.
        aad: Vec<u8>,
    },
    /// Take a version away for good.
    Destroy {
        /// Which.
        version: i64,
    },
}

/// What the helper answers.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// The versions, rising.
    Versions(Vec<i64>),
    /// The version that was made.
    Made(i64),
    /// The wrapped key.
    Wrapped(Vec<u8>),
    /// The key.
    Unwrapped(Wiped),
    /// It is gone.
    Destroyed,
    /// It does not open: it was changed, or wrapped by another key or for another place.
    Refused(String),
    /// The token has no such version.
    NoVersion,
    /// The module cannot do it now.
    Unavailable(String),
    /// The token does not take the PIN. It must not be tried again: a few wrong ones lock a token.
    PinRefused(String),
}

impl Request {
    /// The body of its frame.
    #[must_use]
    pub fn encode(&self) -> Wiped {
        match self {
            Self::Versions => body(1, &[]),
            Self::Make => body(2, &[]),
            Self::Wrap { version, key, aad } => body(3, &[&version.to_be_bytes(), key, aad]),
            Self::Unwrap { version, wrapped, aad } => body(4, &[&version.to_be_bytes(), wrapped, aad]),
            Self::Destroy { version } => body(5, &[&version.to_be_bytes()]),
        }
    }

    /// Reads a body.
    #[must_use]
    pub fn decode(body: &[u8]) -> Option<Self> {
        let (verb, fields) = parts(body)?;
        match (verb, fields.as_slice()) {
            (1, []) => Some(Self::Versions),
            (2, []) => Some(Self::Make),
            (3, [version, key, aad]) => {
                Some(Self::Wrap { version: number(version)?, key: Zeroizing::new(key.to_vec()), aad: aad.to_vec() })
            }
            (4, [version, wrapped, aad]) => {
                Some(Self::Unwrap { version: number(version)?, wrapped: wrapped.to_vec(), aad: aad.to_vec() })
            }
            (5, [version]) => Some(Self::Destroy { version: number(version)? }),
            _ => None,
        }
    }
}

impl Answer {
    /// The body of its frame.
    #[must_use]
    pub fn encode(&self) -> Wiped {
        match self {
            Self::Versions(versions) => {
                let versions: Vec<u8> = versions.iter().flat_map(|version| version.to_be_bytes()).collect();
                body(1, &[&versions])
            }
            Self::Made(version) => body(2, &[&version.to_be_bytes()]),
            Self::Wrapped(wrapped) => body(3, &[wrapped]),
            Self::Unwrapped(key) => body(4, &[key]),
            Self::Destroyed => body(5, &[]),
            Self::Refused(why) => body(16, &[why.as_bytes()]),
            Self::NoVersion => body(17, &[]),
            Self::Unavailable(why) => body(18, &[why.as_bytes()]),
            Self::PinRefused(why) => body(19, &[why.as_bytes()]),
        }
    }

    /// Reads a body.
    #[must_use]
    pub fn decode(body: &[u8]) -> Option<Self> {
        let (status, fields) = parts(body)?;
        match (status, fields.as_slice()) {
            (1, [versions]) => {
                let (chunks, rest) = versions.as_chunks::<8>();
                let versions: Vec<i64> = chunks.iter().map(|chunk| i64::from_be_bytes(*chunk)).collect();
                (rest.is_empty() && versions.is_sorted() && versions.len() <= VERSION_COUNT_MAX)
                    .then_some(Self::Versions(versions))
            }
            (2, [version]) => Some(Self::Made(number(version)?)),
            (3, [wrapped]) => Some(Self::Wrapped(wrapped.to_vec())),
            (4, [key]) => Some(Self::Unwrapped(Zeroizing::new(key.to_vec()))),
            (5, []) => Some(Self::Destroyed),
            (16, [why]) => Some(Self::Refused(text(why)?)),
            (17, []) => Some(Self::NoVersion),
            (18, [why]) => Some(Self::Unavailable(text(why)?)),
            (19, [why]) => Some(Self::PinRefused(text(why)?)),
            _ => None,
        }
    }
}

/// A frame around a body.
#[must_use]
pub fn frame(body: &[u8]) -> Wiped {
    let mut frame = Zeroizing::new(Vec::with_capacity(body.len().saturating_add(4)));
    frame.extend_from_slice(&length(body).to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

/// The length that a frame's head says, if a body may be that long.
#[must_use]
pub fn body_bytes(head: [u8; 4]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(head)).ok().filter(|bytes| (1..=FRAME_BYTES_MAX).contains(bytes))
}

/// Reads one frame's body. None at the end of the stream.
///
/// # Errors
/// If the stream breaks off, or a frame is longer than any is.
pub fn read(from: &mut impl Read) -> std::io::Result<Option<Wiped>> {
    let mut head = [0_u8; 4];
    match from.read_exact(&mut head) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let bytes = body_bytes(head).ok_or(std::io::ErrorKind::InvalidData)?;
    let mut body = Zeroizing::new(vec![0_u8; bytes]);
    from.read_exact(&mut body)?;
    Ok(Some(body))
}

/// Writes one frame.
///
/// # Errors
/// If the other end is gone.
pub fn write(to: &mut impl Write, body: &[u8]) -> std::io::Result<()> {
    to.write_all(&frame(body))?;
    to.flush()
}

fn body(verb: u8, fields: &[&[u8]]) -> Wiped {
    let bytes = fields.iter().fold(1_usize, |sum, field| sum.saturating_add(field.len()).saturating_add(4));
    let mut body = Zeroizing::new(Vec::with_capacity(bytes));
    body.push(verb);
    for field in fields {
        body.extend_from_slice(&length(field).to_be_bytes());
        body.extend_from_slice(field);
    }
    body
}

/// No field is this long: what is longer than a frame is refused where it is read.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn parts(body: &[u8]) -> Option<(u8, Vec<&[u8]>)> {
    let (verb, mut rest) = body.split_first()?;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (head, after) = rest.split_first_chunk::<4>()?;
        let (field, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*head)).ok()?)?;
        fields.push(field);
        rest = after;
    }
    Some((*verb, fields))
}

fn number(field: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(field.try_into().ok()?))
}

fn text(field: &[u8]) -> Option<String> {
    String::from_utf8(field.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests() -> Vec<Request> {
        let key = Zeroizing::new(vec![7; 32]);
        vec![
            Request::Versions,
            Request::Make,
            Request::Wrap { version: 3, key, aad: b"here".to_vec() },
            Request::Unwrap { version: 2, wrapped: vec![9; 61], aad: Vec::new() },
            Request::Destroy { version: 1 },
        ]
    }

    fn answers() -> Vec<Answer> {
        vec![
            Answer::Versions(vec![1, 2, 40]),
            Answer::Versions(Vec::new()),
            Answer::Made(2),
            Answer::Wrapped(vec![1, 2, 3]),
            Answer::Unwrapped(Zeroizing::new(vec![7; 32])),
            Answer::Destroyed,
            Answer::Refused("changed".to_owned()),
            Answer::NoVersion,
            Answer::Unavailable("no token".to_owned()),
            Answer::PinRefused("another".to_owned()),
        ]
    }

    #[test]
    fn what_is_said_is_heard() {
        let mut stream = Vec::new();
        for request in requests() {
            assert_eq!(Request::decode(&request.encode()).unwrap(), request);
            write(&mut stream, &request.encode()).unwrap();
        }
        for answer in answers() {
            assert_eq!(Answer::decode(&answer.encode()).unwrap(), answer);
        }
        let mut stream = stream.as_slice();
        for request in requests() {
            assert_eq!(Request::decode(&read(&mut stream).unwrap().unwrap()).unwrap(), request);
        }
        assert!(read(&mut stream).unwrap().is_none());
    }

    #[test]
    fn what_is_cut_or_longer_is_no_message() {
        for body in requests().iter().map(Request::encode) {
            for length in 0..body.len() {
                assert!(Request::decode(&body[..length]).is_none(), "{length} of {body:?}");
            }
            let longer = [body.as_slice(), &[0]].concat();
            assert!(Request::decode(&longer).is_none());
        }
        for body in answers().iter().map(Answer::encode) {
            for length in 0..body.len() {
                assert!(Answer::decode(&body[..length]).is_none(), "{length} of {body:?}");
            }
        }
        assert!(Answer::decode(&body(1, &[&[0; 7]])).is_none(), "half a version");
        assert!(Answer::decode(&Answer::Versions(vec![2, 1]).encode()).is_none(), "falling versions");
        assert!(Answer::decode(&body(16, &[&[0xff]])).is_none(), "no text");
    }

    #[test]
    fn a_frame_is_never_longer_than_it_may_be() {
        let mut endless = [0xff_u8; 8].as_slice();
        assert!(read(&mut endless).is_err());
        assert!(read(&mut [0, 0, 0, 0].as_slice()).is_err(), "an empty body has no verb");
        assert!(read(&mut [0, 0, 0, 9, 1].as_slice()).is_err(), "it breaks off");
    }
}
