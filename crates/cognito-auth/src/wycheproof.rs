//! The test vectors of Project Wycheproof (<https://github.com/C2SP/wycheproof>). `.ci/wycheproof` fetches and runs them.

use std::path::PathBuf;
use std::{env, fs};

use serde_json::{Value, json};

use crate::alb::keys::PublicKey;
use crate::jose::Unverified;
use crate::keys::KeySet;

/// Reads a file of vectors from the folder that the variable `WYCHEPROOF` names.
fn groups(file: &str) -> Vec<Value> {
    let folder =
        PathBuf::from(env::var_os("WYCHEPROOF").expect("WYCHEPROOF names the folder testvectors_v1"));
    let text = fs::read_to_string(folder.join(file)).expect("the folder contains the file");
    let document: Value = serde_json::from_str(&text).expect("the file is JSON");
    document["testGroups"].as_array().expect("the file has groups").clone()
}

/// Whether the key set verifies the signature of the JWS.
fn verifies(jwks: &Value, jws: &str) -> bool {
    let keys = KeySet::parse(jwks.to_string().as_bytes()).ok();
    let token = Unverified::parse(jws).ok();
    keys.zip(token).is_some_and(|(keys, token)| {
        keys.key(&token.kid).is_some_and(|key| key.verify(token.signing_input, &token.signature).is_ok())
    })
}

/// Checks all vectors of a file: a signature is verified if and only if it is valid and of RS256.
fn check(file: &str, tests: usize, jwks: impl Fn(&Value) -> Value) {
    let (mut checked, mut verified) = (0, 0);
    for group in groups(file) {
        // A group for symmetric keys has no public ones.
        let jwks = jwks(group.get("public").unwrap_or(&group["private"]));
        for test in group["tests"].as_array().unwrap() {
            let jws = test["jws"].as_str().unwrap();
            let expected = test["result"] == "valid" && is_rs256(&jwks);
            assert_eq!(verifies(&jwks, jws), expected, "{file}, test {}: {}", test["tcId"], test["comment"]);
            checked += 1;
            verified += usize::from(expected);
        }
    }
    assert_eq!(checked, tests);
    assert!(verified > 0, "{file} has valid signatures");
}

fn is_rs256(jwks: &Value) -> bool {
    jwks["keys"].as_array().is_some_and(|keys| keys.iter().all(|key| key["alg"] == "RS256"))
}

#[test]
#[ignore = "needs the vectors: .ci/wycheproof fetches them"]
fn json_web_key_vectors_have_the_expected_result() {
    check("json_web_key_test.json", 26, Value::clone);
}

#[test]
#[ignore = "needs the vectors: .ci/wycheproof fetches them"]
fn json_web_signature_vectors_have_the_expected_result() {
    check("json_web_signature_test.json", 401, |key| json!({ "keys": [key] }));
}

#[test]
#[ignore = "needs the vectors: .ci/wycheproof fetches them"]
fn p256_vectors_have_the_expected_result() {
    let mut checked = 0;
    for group in groups("ecdsa_secp256r1_sha256_p1363_test.json") {
        let key = PublicKey::from_der(&bytes(&group["publicKeyDer"])).unwrap();
        for test in group["tests"].as_array().unwrap() {
            let is_verified = key.verify(&bytes(&test["msg"]), &bytes(&test["sig"])).is_ok();
            assert_eq!(is_verified, test["result"] == "valid", "test {}: {}", test["tcId"], test["comment"]);
            checked += 1;
        }
    }
    assert_eq!(checked, 262);
}

/// Decodes hexadecimal text.
fn bytes(hex: &Value) -> Vec<u8> {
    let digits: Vec<char> = hex.as_str().unwrap().chars().collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}
