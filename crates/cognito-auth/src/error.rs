//! Why a token was refused: for the operator in full, for the caller by class only.

use std::fmt;
use std::time::Duration;

pub use crate::json::ObjectError;
use crate::keys::FetchError;

/// Why a token was refused, one variant for each rule.
///
/// `Display` is for the operator's log: it tells expected and actual values of what is no secret, and never the token
/// or a claim about a person. What a caller may be told is in [`AuthRejection::detail`](crate::AuthRejection::detail).
/// The rules and their sources are listed in [`guide::rules`](crate::guide::rules), in the order in which they are
/// checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The token is longer than the configured limit.
    #[error("the token has {size} bytes, more than the {limit} allowed")]
    TooLarge {
        /// The token's length in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The token does not consist of three parts with dots between them.
    #[error("the token does not have exactly three parts")]
    Parts,
    /// A part is not canonical base64url without padding.
    #[error("the {part} is not canonical base64url without padding")]
    Encoding {
        /// The part.
        part: Part,
    },
    /// The header is not a JSON object, or names a parameter twice.
    #[error("the header cannot be read: {0}")]
    Header(#[source] ObjectError),
    /// The header's `alg` is not RS256.
    #[error("alg is {found}, not RS256")]
    Algorithm {
        /// The value found, escaped and shortened.
        found: String,
    },
    /// The header has a parameter that would change how the token must be read.
    #[error("the header parameter {name} is not supported")]
    HeaderParameter {
        /// The parameter's name.
        name: &'static str,
    },
    /// The header's `typ` says that this is something else than a JWT.
    #[error("typ is {found}, not JWT or at+jwt")]
    Type {
        /// The value found, escaped and shortened.
        found: String,
    },
    /// The header's `kid` is missing, is no string, is empty or is too long.
    #[error("kid is not a string of 1 to 256 bytes")]
    KeyId,
    /// No trusted pool has a key of this name.
    #[error("no trusted user pool has a key \"{kid}\"")]
    UnknownKey {
        /// The name of the key, escaped and shortened.
        kid: String,
    },
    /// The keys are not there, so nothing can be said about the token.
    #[error("the keys that could verify the token are not available")]
    KeysUnavailable(#[from] KeySetError),
    /// The signature has another length than the key's signatures have.
    #[error("the signature has {found} bytes, not {expected}")]
    SignatureLength {
        /// The length that the key requires, in bytes.
        expected: usize,
        /// The length found, in bytes.
        found: usize,
    },
    /// The signature is not the key's.
    #[error("the signature is not valid")]
    Signature,
    /// The payload is not a JSON object, or names a claim twice.
    #[error("the claims cannot be read: {0}")]
    Claims(#[source] ObjectError),
    /// A claim that must be there is not.
    #[error("the claim {claim} is missing")]
    MissingClaim {
        /// The claim's name.
        claim: &'static str,
    },
    /// A claim has another type than Cognito gives it. It is never converted.
    #[error("the claim {claim} is not {expected}")]
    ClaimType {
        /// The claim's name.
        claim: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A time is before 1970 or after the year 9999, or the token expires before it was issued.
    #[error("the claim {claim} is outside the range of sane times")]
    ClaimRange {
        /// The claim's name.
        claim: &'static str,
    },
    /// The token comes from an issuer that is not the pool whose key signed it.
    #[error("iss is \"{found}\", which is not the issuer of the user pool {pool}")]
    Issuer {
        /// The issuer found, escaped and shortened.
        found: String,
        /// The pool whose key signed the token.
        pool: String,
    },
    /// An ID token where an access token is asked for, or the other way round.
    #[error("token_use is \"{found}\", not \"{expected}\"")]
    TokenUse {
        /// The use that is asked for.
        expected: &'static str,
        /// The use found, escaped and shortened.
        found: String,
    },
    /// The token was issued to an app client that is not in the allow-list.
    #[error("the token was issued to the app client \"{found}\", which is not allowed")]
    Client {
        /// The app client's id, escaped and shortened.
        found: String,
    },
    /// The access token is bound to another resource than this one.
    #[error("aud is {found}, which is not a resource of this server")]
    Audience {
        /// The audience found, escaped and shortened.
        found: String,
    },
    /// The token has expired.
    #[error("the token expired {ago:?} ago")]
    Expired {
        /// How long ago, without regard to the permitted clock skew.
        ago: Duration,
    },
    /// `nbf` or `iat` lies in the future.
    #[error("the claim {claim} lies {ahead:?} in the future")]
    NotYetValid {
        /// The claim's name.
        claim: &'static str,
        /// How far in the future, without regard to the permitted clock skew.
        ahead: Duration,
    },
    /// The token is valid for longer than Cognito can issue one.
    #[error("the token is valid for {lifetime:?}, longer than the 24 hours that Cognito allows")]
    Lifetime {
        /// From `iat` to `exp`.
        lifetime: Duration,
    },
    /// The token is bound to a key of its holder (`cnf`), which a bearer does not prove to have.
    #[error("the token is sender-constrained (cnf), which is not supported")]
    SenderConstrained,
    /// The application's own deny-list names the token.
    #[error("the deny-list of the application names the token")]
    DenyListed,
    /// The ID token was not issued for this authentication request.
    #[error("nonce is not the one of the authentication request")]
    Nonce,
    /// The ID token does not belong to this access token.
    #[error("at_hash is not the hash of the access token")]
    AccessTokenHash,
}

/// A part of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The first part.
    Header,
    /// The second part.
    Payload,
    /// The third part.
    Signature,
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}

/// Why the keys of a user pool are not at hand.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// They could not be fetched, and none that are recent enough are left.
    #[error("the keys of user pool {pool} are not available; the next attempt is in {retry_after:?}")]
    Unavailable {
        /// The pool's id.
        pool: String,
        /// When it makes sense to ask again.
        retry_after: Duration,
        /// What the last attempt ran into; nothing if it has not ended yet.
        source: Option<FetchError>,
    },
    /// They would have to be fetched, which needs a tokio runtime, and there is none.
    #[error("the keys of user pool {pool} cannot be fetched outside a tokio runtime")]
    NoRuntime {
        /// The pool's id.
        pool: String,
    },
}

impl KeySetError {
    /// When it makes sense to ask again.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            Self::NoRuntime { .. } => Duration::from_secs(1),
        }
    }
}

/// Why a [`Verifier`](crate::Verifier) or a [`ResourceServer`](crate::ResourceServer) cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No app client is allowed.
    #[error("no app client is allowed: name them with client_ids, or accept all with any_client")]
    NoClientIds,
    /// Two pools share an id or an issuer, so that their users could not be told apart.
    #[error("two user pools share the id or issuer \"{shared}\"")]
    SamePool {
        /// What they share.
        shared: String,
    },
    /// The clock skew is longer than five minutes, the lifetime of the shortest tokens.
    #[error("a clock skew of {skew:?} is more than five minutes, the shortest lifetime of a token")]
    ClockSkew {
        /// The skew asked for.
        skew: Duration,
    },
    /// The realm or the metadata URL cannot be written into a header.
    #[error(
        "{name} contains a character that does not fit into a header: use printable ASCII without \" and \\"
    )]
    HeaderValue {
        /// Which of them.
        name: &'static str,
    },
}
