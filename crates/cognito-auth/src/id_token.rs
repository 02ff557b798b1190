//! Verified ID tokens: which user signed in. They do not grant access.

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::claims::{Claims, Rules};
use crate::error::VerifyError;
use crate::token::{Kind, Token};

/// An ID token that passed every rule. It tells the client that requested it who signed in, and does not grant access.
///
/// [`verify_access`](crate::Verifier::verify_access) rejects ID tokens, and extractors do not accept them. The claims
/// are described in the Cognito developer guide, [understanding the identity token][guide].
///
/// [guide]: https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-id-token.html
pub type IdToken = Token<Id>;

/// The claims that only ID tokens have.
pub struct Id {
    nonce: Option<String>,
    at_hash: Option<String>,
}

impl Token<Id> {
    /// Checks that the token responds to the authentication request with this nonce. A client that sends a nonce must
    /// check it (OpenID Connect Core 1.0, section 3.1.3.7, step 11).
    ///
    /// # Errors
    ///
    /// [`IdTokenError::Nonce`] if the token contains another nonce, or none.
    pub fn check_nonce(&self, expected: &str) -> Result<(), IdTokenError> {
        if self.own().nonce.as_deref() == Some(expected) { Ok(()) } else { Err(IdTokenError::Nonce) }
    }

    /// Checks that the access token was issued together with this ID token: `at_hash` is the left half of its SHA-256
    /// in base64url (OpenID Connect Core 1.0, section 3.1.3.6).
    ///
    /// # Errors
    ///
    /// [`IdTokenError::AccessTokenHash`] if the token contains another hash, or none.
    pub fn check_access_token(&self, access_token: &str) -> Result<(), IdTokenError> {
        let hash = digest(&SHA256, access_token.as_bytes());
        let (left, _) = hash.as_ref().split_at(hash.as_ref().len() / 2);
        let expected = BASE64_URL_SAFE_NO_PAD.encode(left);
        if self.own().at_hash.as_ref() == Some(&expected) {
            Ok(())
        } else {
            Err(IdTokenError::AccessTokenHash)
        }
    }
}

impl Kind for Id {
    const TOKEN_USE: &'static str = "id";
    const CLIENT_ID: &'static str = "aud";
    const USERNAME: &'static str = "cognito:username";

    fn read(claims: &Claims<'_>, _: &Rules) -> Result<Self, VerifyError> {
        Ok(Self {
            nonce: claims.optional_text("nonce")?.map(Cow::into_owned),
            at_hash: claims.optional_text("at_hash")?.map(Cow::into_owned),
        })
    }

    fn subject(claims: &Claims<'_>, _: bool, _: &str) -> Result<String, VerifyError> {
        claims.non_empty_text("sub").map(Cow::into_owned)
    }
}

/// Why an ID token does not belong to a sign-in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdTokenError {
    /// The token was issued for another authentication request.
    #[error("nonce is not that of the authentication request")]
    Nonce,
    /// The token was issued together with another access token.
    #[error("at_hash is not the hash of the access token")]
    AccessTokenHash,
}

impl fmt::Debug for Token<Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.debug("IdToken", f)
    }
}
