//! Detects RSA keys with the ROCA weakness (CVE-2017-15361), whose private key can be computed.
//!
//! The primes of such a key are `k * M + (65537^a mod M)`, where `M` is a product of small primes, so the modulus is a
//! power of 65537 modulo each of those primes (Nemec et al., "The Return of Coppersmith's Attack", CCS 2017, section
//! 2.3; constants as in `crocs-muni/roca`).

/// Each small prime modulo which the powers of 65537 are not all numbers, with the order of 65537. A number is a power of
/// 65537 modulo the prime if its power of that order is 1.
const ORDERS: [(u32, u32); 17] = [
    (11, 2),
    (13, 6),
    (17, 8),
    (19, 9),
    (37, 3),
    (53, 26),
    (61, 20),
    (71, 35),
    (73, 24),
    (79, 13),
    (97, 6),
    (103, 51),
    (107, 53),
    (109, 54),
    (127, 42),
    (151, 50),
    (157, 78),
];

/// Whether the modulus, in big-endian bytes, has the fingerprint. One sound modulus in 240 million has it by chance.
pub(super) fn is_fingerprint(modulus: &[u8]) -> bool {
    ORDERS.iter().all(|&(prime, order)| power(remainder(modulus, prime), order, prime) == 1)
}

fn remainder(number: &[u8], divisor: u32) -> u32 {
    number.iter().fold(0, |remainder, &byte| (remainder * 256 + u32::from(byte)) % divisor)
}

fn power(base: u32, exponent: u32, modulus: u32) -> u32 {
    (0..exponent).fold(1, |power, _| power * base % modulus)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A power of 65537 has the structure of a weak modulus.
    fn power_of_65537(exponent: u32) -> Vec<u8> {
        let mut little_endian = vec![1_u8];
        for _ in 0..exponent {
            let shifted = [&[0, 0], &little_endian[..]].concat();
            little_endian.extend([0, 0]);
            let mut carry = 0;
            for (digit, other) in little_endian.iter_mut().zip(shifted) {
                let sum = u16::from(*digit) + u16::from(other) + carry;
                (*digit, carry) = (sum as u8, sum >> 8);
            }
            little_endian.extend((carry > 0).then_some(1));
        }
        little_endian.into_iter().rev().collect()
    }

    #[test]
    fn weak_modulus_is_detected() {
        assert_eq!(power_of_65537(2), [1, 0, 2, 0, 1]);
        assert!(is_fingerprint(&power_of_65537(128)));
        assert!(super::super::KeySet::parse(jwks(&power_of_65537(128)).as_bytes()).is_err());
    }

    #[test]
    fn modulus_with_one_other_remainder_is_accepted() {
        let mut modulus = power_of_65537(128);
        *modulus.last_mut().unwrap() += 2;
        assert!(!is_fingerprint(&modulus));
        assert!(super::super::KeySet::parse(jwks(&modulus).as_bytes()).is_ok());
    }

    fn jwks(modulus: &[u8]) -> String {
        use base64::Engine as _;
        let n = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(modulus);
        serde_json::json!({ "keys": [{ "kty": "RSA", "kid": "a", "e": "AQAB", "n": n }] }).to_string()
    }
}
