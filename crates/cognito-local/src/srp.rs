//! The server of the Secure Remote Password protocol (SRP-6a, RFC 5054), in the form that Cognito's clients speak.
//!
//! It differs from RFC 5054 in the hash (SHA-256), in the padding of numbers, and in the key, which HKDF derives from the
//! common secret. The arithmetic takes constant time, because it works on what a password is derived from.

use std::sync::LazyLock;

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{hmac, rand};
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U256, U3072};

use crate::models::SrpVerifier;

/// The 3072-bit group of RFC 5054, appendix A. Its generator is 2 in Cognito, not 5.
const MODULUS: &str = "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD\
    EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
    EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F\
    83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
    E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510\
    15728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7\
    ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C\
    BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF";
const MODULUS_BYTES: usize = 3072 / 8;

static GROUP: LazyLock<FixedMontyParams<{ U3072::LIMBS }>> =
    LazyLock::new(|| FixedMontyParams::new_vartime(Odd::<U3072>::from_be_hex(MODULUS)));

type Element = FixedMontyForm<{ U3072::LIMBS }>;

/// The public value of a client, `A`. It is not a multiple of the modulus, which would make the key known to everybody.
pub(crate) struct ClientPublic(U3072);

/// The server's part of an exchange.
pub(crate) struct Exchange {
    /// The public value of the server, `B`, in hexadecimal digits.
    pub(crate) server_public: String,
    /// The key with which a client that knows the password signs.
    pub(crate) key: Vec<u8>,
}

impl ClientPublic {
    /// Returns `None` for a value that is not a number between 0 and the modulus.
    pub(crate) fn parse(hex_digits: &str) -> Option<Self> {
        let significant = hex_digits.trim_start_matches('0');
        if significant.is_empty() || significant.len() > 2 * MODULUS_BYTES {
            return None;
        }
        let mut bytes = [0; MODULUS_BYTES];
        hex::decode_to_slice(format!("{significant:0>width$}", width = 2 * MODULUS_BYTES), &mut bytes)
            .ok()?;
        let value = U3072::from_be_slice(&bytes);
        (value < *GROUP.modulus().as_ref()).then_some(Self(value))
    }
}

/// Returns the salt and the verifier of a new password. They are valid for this pool and this username only.
pub(crate) fn new_verifier(
    pool_name: &str,
    username: &str,
    password: &str,
) -> Result<SrpVerifier, Unspecified> {
    let mut salt = [0; 16];
    rand::fill(&mut salt)?;
    // Clients read the salt as a number. Some keep a leading zero and others drop it, so it must not have one.
    salt[0] = 0x10 + salt[0] % 0x70;
    Ok(verifier(pool_name, username, password, &salt))
}

fn verifier(pool_name: &str, username: &str, password: &str, salt: &[u8]) -> SrpVerifier {
    let identity = sha256(&[pool_name.as_bytes(), username.as_bytes(), b":", password.as_bytes()]);
    let x = U256::from_be_slice(&sha256(&[&padded(salt), &identity]));
    let verifier = element(&generator()).pow(&x).retrieve();
    SrpVerifier { salt: salt.to_vec(), verifier: verifier.to_be_bytes().to_vec() }
}

/// Returns a verifier of no password. It is the same for the same seed, so that a user who does not exist answers like
/// one who does.
pub(crate) fn decoy(seed: &hmac::Key, login_key: &str) -> SrpVerifier {
    let derived = hmac::sign(seed, format!("srp:{login_key}").as_bytes());
    let (salt, password) = derived.as_ref().split_at(16);
    let mut salt = salt.to_vec();
    salt[0] = 0x10 + salt[0] % 0x70;
    verifier("", "", &hex::encode(password), &salt)
}

/// Answers a client. Everything that the server needs later is the key.
pub(crate) fn exchange(client: &ClientPublic, stored: &SrpVerifier) -> Result<Exchange, Unspecified> {
    let mut secret = [0; 32];
    rand::fill(&mut secret)?;
    exchange_with(client, stored, &U256::from_be_slice(&secret)).ok_or(Unspecified)
}

/// Returns `None` for a stored value of the wrong length, and when `B` or `u` would be 0, which has no practical chance.
fn exchange_with(client: &ClientPublic, stored: &SrpVerifier, secret: &U256) -> Option<Exchange> {
    let verifier =
        (stored.verifier.len() == MODULUS_BYTES).then(|| element(&U3072::from_be_slice(&stored.verifier)))?;
    // The multiplier k; the generator is not padded here, unlike in RFC 5054.
    let modulus = number(GROUP.modulus().as_ref());
    let multiplier = U256::from_be_slice(&sha256(&[&modulus, &[2]]));
    let public = (element(&multiplier.resize()) * verifier + element(&generator()).pow(secret)).retrieve();
    let (a, b) = (number(&client.0), number(&public));
    let u_bytes = sha256(&[&a, &b]);
    let u = U256::from_be_slice(&u_bytes);
    if public == U3072::ZERO || u == U256::ZERO {
        return None;
    }
    let common = (element(&client.0) * verifier.pow(&u)).pow(secret).retrieve();
    let key = derive_key(&padded(&u_bytes), &number(&common));
    Some(Exchange { server_public: hex::encode(significant(public.to_be_bytes().as_ref())), key })
}

/// HKDF (RFC 5869) with one block of output, of which the first half is the key.
fn derive_key(salt: &[u8], secret: &[u8]) -> Vec<u8> {
    let extracted = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), secret);
    let expanded =
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, extracted.as_ref()), b"Caldera Derived Key\x01");
    expanded.as_ref()[..16].to_vec()
}

/// Whether `signature` is the one that the key gives for this message. The comparison takes constant time.
pub(crate) fn is_signed(key: &[u8], message: &[&[u8]], signature: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::verify(&key, &message.concat(), signature).is_ok()
}

fn generator() -> U3072 {
    U3072::from_u8(2)
}

fn element(value: &U3072) -> Element {
    Element::new(value, &GROUP)
}

fn number(value: &U3072) -> Vec<u8> {
    padded(value.to_be_bytes().as_ref())
}

fn significant(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

/// Writes a number as Java's `BigInteger` does: the fewest bytes, and a zero byte in front when the first bit is set.
fn padded(bytes: &[u8]) -> Vec<u8> {
    let bytes = significant(bytes);
    let sign = bytes.first().is_none_or(|first| *first >= 0x80).then_some(0);
    sign.into_iter().chain(bytes.iter().copied()).collect()
}

fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_public(secret: &str) -> ClientPublic {
        let public = element(&generator()).pow(&U256::from_be_hex(secret)).retrieve();
        ClientPublic::parse(&hex::encode(public.to_be_bytes().as_ref())).unwrap()
    }

    /// Computed by `pycognito`, the client of other authors.
    #[test]
    fn key_is_the_one_that_a_client_computes() {
        let salt = hex::decode("1eb97f1c0b3c9f4fa5b1e6c4a4f0b5d2").unwrap();
        let stored = verifier("LocalPool", "alice", "Wonder-länd1", &salt);
        let client = client_public("60975527035cf2ad1989806f0407210bc81edc04e2762a56afd529ddda2d4393");
        let secret = U256::from_be_hex("e487cb59d31ac550471e81f00f6928e01dda08e974a004f49e61f5d105284d20");
        let exchange = exchange_with(&client, &stored, &secret).unwrap();
        assert!(exchange.server_public.starts_with("805fcf2761a370ecf3aa4f054043a6e98677f48688bfd612"));
        assert_eq!(hex::encode(exchange.key), "dd700a8e596a7450bd6c75f752e836ec");
    }

    #[test]
    fn multiples_of_the_modulus_and_longer_numbers_are_rejected() {
        for rejected in ["", "0", "000", MODULUS, &format!("{MODULUS}00"), "xyz", "-1", "١"] {
            assert!(ClientPublic::parse(rejected).is_none(), "{rejected}");
        }
        for accepted in ["2", "0002", &format!("00{}", MODULUS.replace("CAFFFF", "CAFFFE")), "abCD"] {
            assert!(ClientPublic::parse(accepted).is_some(), "{accepted}");
        }
    }

    #[test]
    fn numbers_are_padded_as_clients_do() {
        assert_eq!(padded(&[0, 0, 0x7F, 1]), [0x7F, 1]);
        assert_eq!(padded(&[0, 0x80]), [0, 0x80]);
        assert_eq!(padded(&[]), [0]);
    }

    #[test]
    fn salts_do_not_start_with_a_zero_digit_and_decoys_are_stable() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"seed");
        for name in ["alice", "bob", "carol"] {
            let (once, again) = (decoy(&key, name), decoy(&key, name));
            assert!((0x10..0x80).contains(&once.salt[0]));
            assert!(once.salt == again.salt && once.verifier == again.verifier);
        }
        assert!(decoy(&key, "alice").salt != decoy(&key, "bob").salt);
    }
}
