//! Random secrets, their digests, and their comparison.

use aws_lc_rs::{constant_time, digest, error::Unspecified, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Returns a bearer secret (authorization code, refresh token, cookie) of 256 random bits.
///
/// The database keeps only its SHA-256, which is enough for a value of this entropy.
pub(crate) fn random_token() -> Result<String, Unspecified> {
    let mut bytes = [0; 256 / 8];
    rand::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Returns a random identifier as Cognito writes them: a UUID of version 4.
pub(crate) fn random_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Returns 256 random bits.
pub(crate) fn random_key() -> Result<Vec<u8>, Unspecified> {
    let mut key = vec![0; 256 / 8];
    rand::fill(&mut key)?;
    Ok(key)
}

/// Returns a secret for an app client: lower-case letters and digits, as Cognito writes them.
pub(crate) fn random_client_secret() -> Result<String, Unspecified> {
    const LENGTH: usize = 52; // 52 characters of log2(32) = 5 bits: 260 bits.
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = [0; LENGTH];
    rand::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

/// Returns a code of up to nine digits, each code equally likely.
pub(crate) fn random_digits(count: usize) -> Result<String, Unspecified> {
    let codes = 10_u32.pow(u32::try_from(count.min(9)).unwrap_or(9));
    let fair = u32::MAX - u32::MAX % codes; // Above it, the remainder would favour small codes.
    loop {
        let mut bytes = [0; 4];
        rand::fill(&mut bytes)?;
        let number = u32::from_be_bytes(bytes);
        if number < fair {
            return Ok(format!("{:0count$}", number % codes));
        }
    }
}

/// Returns a temporary password, which satisfies every policy that does not ask for more characters.
pub(crate) fn random_password(least_characters: usize) -> Result<String, Unspecified> {
    let mut password = String::from("Aa1!");
    while password.len() < least_characters.max(16) {
        password.push_str(&random_client_secret()?[..8]);
    }
    Ok(password)
}

/// Returns the digest that is stored instead of a bearer secret, and by which it is found.
pub(crate) fn token_digest(token: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, token.as_bytes()).as_ref().to_vec()
}

/// Compares two secrets in constant time; only their lengths can be learned from it.
pub(crate) fn secrets_match(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_requested_number_of_digits() {
        for count in (0..200).map(|n| 6 + n % 3) {
            let code = random_digits(count).unwrap();
            assert!(code.len() == count && code.bytes().all(|b| b.is_ascii_digit()), "{code}");
        }
    }

    #[test]
    fn client_secrets_have_the_format_of_cognito() {
        let secret = random_client_secret().unwrap();
        assert_eq!(secret.len(), 52);
        assert!(secret.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        assert_ne!(secret, random_client_secret().unwrap());
    }
}
