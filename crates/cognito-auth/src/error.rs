//! Errors of verification and configuration.

use std::fmt;
use std::time::Duration;

pub use crate::json::{ObjectError, SyntaxError};
use crate::keys::{KeySetError, SignatureError};

/// Why a token was rejected: one variant for each rule.
///
/// `Display` is for the operator's log. It contains expected and actual values that are not secret, and never the token
/// or a claim about a person. [`AuthRejection::detail`](crate::AuthRejection::detail) is the text for the caller.
/// [`guide::rules`](crate::guide::rules) lists the rules and their sources in the order in which they are checked.
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
    /// The header's `kid` is missing, not a string, empty or too long.
    #[error("kid is not a string of 1 to 256 bytes")]
    KeyId,
    /// No trusted pool has a key with this ID.
    #[error("no trusted user pool has a key \"{kid}\"")]
    UnknownKey {
        /// The key ID, escaped and shortened.
        kid: String,
    },
    /// The keys are not available, so the token may be valid or not.
    #[error("the keys that could verify the token are not available")]
    KeysUnavailable(#[from] KeySetError),
    /// The length of the signature is not the length of the key's modulus.
    #[error("the signature has {found} bytes, not {expected}")]
    SignatureLength {
        /// The length that the key requires, in bytes.
        expected: usize,
        /// The length found, in bytes.
        found: usize,
    },
    /// The key did not make the signature.
    #[error("the signature is not valid")]
    Signature,
    /// The payload is not a JSON object, or names a claim twice.
    #[error("the claims cannot be read: {0}")]
    Claims(#[source] ObjectError),
    /// A required claim is missing.
    #[error("the claim {claim} is missing")]
    MissingClaim {
        /// The claim's name.
        claim: &'static str,
    },
    /// A claim does not have the type that Cognito gives it. Claims are never converted.
    #[error("the claim {claim} is not {expected}")]
    ClaimType {
        /// The claim's name.
        claim: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A time is before 1970 or after the year 9999, or the token expires before it was issued.
    #[error("the claim {claim} is not between 1970 and 9999, or exp is not after iat")]
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
    /// An ID token where an access token is required, or the other way round.
    #[error("token_use is \"{found}\", not \"{expected}\"")]
    TokenUse {
        /// The required use.
        expected: &'static str,
        /// The use found, escaped and shortened.
        found: String,
    },
    /// The token was issued to an app client that is not in the allow-list.
    #[error("the token was issued to the app client \"{found}\", which is not allowed")]
    Client {
        /// The app client's ID, escaped and shortened.
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
        /// How long ago, not counting the permitted clock skew.
        ago: Duration,
    },
    /// `nbf` or `iat` lies in the future.
    #[error("the claim {claim} lies {ahead:?} in the future")]
    NotYetValid {
        /// The claim's name.
        claim: &'static str,
        /// How far in the future, not counting the permitted clock skew.
        ahead: Duration,
    },
    /// The token is valid for longer than Cognito can issue one.
    #[error("the token is valid for {lifetime:?}, longer than the 24 hours that Cognito allows")]
    Lifetime {
        /// From `iat` to `exp`.
        lifetime: Duration,
    },
    /// The token is bound to a key of its holder (`cnf`), and a bearer request does not prove possession of it.
    #[error("the token is sender-constrained (cnf), which is not supported")]
    SenderConstrained,
    /// The application's deny list contains the token.
    #[error("the deny list of the application contains the token")]
    DenyListed,
}

impl From<SignatureError> for VerifyError {
    fn from(error: SignatureError) -> Self {
        match error {
            SignatureError::Length { expected, found } => Self::SignatureLength { expected, found },
            SignatureError::Mismatch => Self::Signature,
        }
    }
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
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}

/// Why a [`Verifier`](crate::Verifier) or a [`ResourceServer`](crate::ResourceServer) cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No app client is configured.
    #[error("no app client is configured: set client_ids, or accept all app clients with any_client")]
    NoClientIds,
    /// Two pools share an ID or an issuer, so that their users could not be distinguished.
    #[error("two user pools share the ID or issuer \"{shared}\"")]
    SamePool {
        /// The shared ID or issuer.
        shared: String,
    },
    /// The clock skew is longer than five minutes, the lifetime of the shortest tokens.
    #[error("a clock skew of {skew:?} is more than five minutes, the shortest lifetime of a token")]
    ClockSkew {
        /// The configured skew.
        skew: Duration,
    },
    /// A load balancer's ARN is not valid, or not in the region of the others.
    #[cfg(feature = "alb")]
    #[error("\"{arn}\" is not the ARN of an Application Load Balancer in the region of the others")]
    LoadBalancer {
        /// The ARN, escaped for printing.
        arn: String,
    },
    /// Keys must be fetched, but there is no HTTP client.
    #[error("keys cannot be fetched: enable the feature reqwest, or set key_fetcher")]
    NoKeyFetcher,
    /// The realm or the metadata URL cannot be written into a header.
    #[error(
        "{name} contains a character that does not fit into a header: use printable ASCII without \" and \\"
    )]
    HeaderValue {
        /// The setting.
        name: &'static str,
    },
}
