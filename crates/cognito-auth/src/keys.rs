//! The public keys of a user pool: parsing, fetching and keeping them.

pub use self::error::{FetchCause, FetchError, HttpError, JwksError, KeySetError};
pub(crate) use self::jwk::{MAX_KID_BYTES, SignatureError};
pub(crate) use self::set::KeySet;
pub(crate) use self::source::{KeySource, Origin};

mod error;
mod fetch;
mod jwk;
mod roca;
mod schedule;
mod set;
mod source;
