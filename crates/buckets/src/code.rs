//! S3's error codes, where the kind of a problem alone does not tell which one a client must see (Amazon S3 API Reference, "Error
//! responses").

use std::error::Error;
use std::fmt;

use kernel::{Kind, Problem};

macro_rules! codes {
    (@word $name:ident $shown:ident) => { stringify!($shown) };
    (@word $name:ident) => { stringify!($name) };
    ($($name:ident $(as $shown:ident)? $status:literal $kind:ident,)*) => {
        /// An error code of S3.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(
                #[doc = concat!("`", stringify!($name), "`")]
                $name,
            )*
        }

        impl Code {
            /// The code as S3 writes it.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => codes!(@word $name $($shown)?),)* }
            }

            /// The HTTP status that it comes with.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            const fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)* }
            }
        }
    };
}

codes! {
    AccessDenied 403 Forbidden,
    AccessControlListNotSupported 400 Invalid,
    BadDigest 400 Invalid,
    BucketAlreadyExists 409 AlreadyExists,
    BucketAlreadyOwnedByYou 409 AlreadyExists,
    BucketNotEmpty 409 Conflict,
    EntityTooLarge 400 TooLarge,
    EntityTooSmall 400 Invalid,
    IllegalLocationConstraintException 400 Invalid,
    IncompleteBody 400 Invalid,
    InvalidArgument 400 Invalid,
    InvalidBucketName 400 Invalid,
    InvalidBucketState 409 Conflict,
    InvalidDigest 400 Invalid,
    InvalidEncryptionAlgorithmError 400 Invalid,
    InvalidPart 400 Invalid,
    InvalidPartOrder 400 Invalid,
    InvalidRange 416 Invalid,
    InvalidRequest 400 Invalid,
    InvalidRetentionPeriod 400 Invalid,
    InvalidTag 400 Invalid,
    KeyTooLongError 400 Invalid,
    MalformedXML 400 Invalid,
    MetadataTooLarge 400 Invalid,
    MethodNotAllowed 405 Invalid,
    MissingContentLength 411 Invalid,
    NoSuchBucket 404 NotFound,
    NoSuchBucketPolicy 404 NotFound,
    NoSuchCORSConfiguration 404 NotFound,
    NoSuchKey 404 NotFound,
    NoSuchKeyDeleted as NoSuchKey 404 NotFound,
    NoSuchLifecycleConfiguration 404 NotFound,
    NoSuchObjectLockConfiguration 404 NotFound,
    NoSuchTagSet 404 NotFound,
    NoSuchUpload 404 NotFound,
    NoSuchVersion 404 NotFound,
    ObjectLockConfigurationNotFoundError 404 NotFound,
    PreconditionFailed 412 Conflict,
    ServerSideEncryptionConfigurationNotFoundError 404 NotFound,
    XAmzContentSHA256Mismatch 400 Invalid,
}

impl Code {
    /// A problem with this code.
    pub fn problem(self, message: impl Into<String>) -> Problem {
        Problem::new(self.kind(), message).because(self)
    }

    /// The code that a problem carries.
    #[must_use]
    pub fn of(problem: &Problem) -> Option<Self> {
        problem.source().and_then(|source| source.downcast_ref::<Self>()).copied()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Error for Code {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_keeps_its_code() {
        let problem = Code::NoSuchKey.problem("there is no such object");
        assert_eq!((Code::of(&problem), problem.kind()), (Some(Code::NoSuchKey), Kind::NotFound));
        assert_eq!(Code::of(&Problem::not_found("x")), None);
        assert_eq!((Code::NoSuchKey.word(), Code::NoSuchKey.status()), ("NoSuchKey", 404));
    }
}
