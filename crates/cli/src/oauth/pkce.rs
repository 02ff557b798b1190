//! Values that an attacker cannot guess: PKCE (RFC 7636), `state` and `nonce`.

use aws_lc_rs::{digest, rand};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::error::Error;

/// 256 bits, as RFC 7636 §7.1 recommends for the verifier.
const RANDOM_BYTES: usize = 32;

/// A random value that fits into URLs: 43 characters.
pub(super) fn random() -> Result<String, Error> {
    let mut bytes = [0; RANDOM_BYTES];
    let failed = |_| Error::io("the system gives no random numbers")(std::io::ErrorKind::Unsupported.into());
    rand::fill(&mut bytes).map_err(failed)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// What is sent ahead of the verifier (RFC 7636 §4.2, `S256`).
pub(super) fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"; // RFC 7636, appendix B.
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn random_values_have_43_characters_and_differ() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert_eq!((one.len(), other.len()), (43, 43));
        assert_ne!(one, other);
    }
}
