//! The public keys of a user pool: parsing, fetching and keeping them.

pub use self::error::{FetchCause, FetchError, HttpError, JwksError, KeySetError};
pub(crate) use self::fetcher::LimitedFetcher;
pub use self::fetcher::{KeyFetch, KeyFetcher};
pub(crate) use self::jwk::{MAX_KID_BYTES, SignatureError};
pub(crate) use self::set::KeySet;
pub(crate) use self::source::{KeySource, Origin};

mod error;
mod fetch;
mod fetcher;
#[cfg(feature = "reqwest")]
mod http;
mod jwk;
mod roca;
mod schedule;
mod set;
mod source;

/// Returns the fetcher of the feature `reqwest`, or `None` without it.
pub(crate) fn default_fetcher() -> Option<LimitedFetcher> {
    #[cfg(feature = "reqwest")]
    return Some(LimitedFetcher::new(self::http::HttpFetcher::default()));
    #[cfg(not(feature = "reqwest"))]
    None
}
