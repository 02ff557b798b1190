//! The rules before the claims: size, parts, header and signature.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use cognito_auth::testing::{Algorithm, TestKey};
use cognito_auth::{ObjectError, Part, VerifyError};
use serde_json::json;

use super::{Fixture, assert_refused, encode, replace_part};

#[tokio::test]
async fn the_size_is_limited_before_anything_is_read() {
    let fixture = Fixture::with(|builder| builder.max_token_bytes(2_000));
    let long = ".".repeat(2_001);
    assert_refused!(fixture.refused(&long).await, VerifyError::TooLarge { size: 2_001, limit: 2_000 });
    assert_refused!(fixture.refused(&long[1..]).await, VerifyError::Parts);
}

#[tokio::test]
async fn anything_but_three_parts_is_refused() {
    let fixture = Fixture::new();
    let raw = fixture.pool.user("alice").access_token();
    for raw in
        ["", ".", "a.b", &format!("{raw}."), &format!("{raw}.a.b"), &format!(".{raw}"), "{\"payload\":\"\"}"]
    {
        assert_refused!(fixture.refused(raw).await, VerifyError::Parts);
    }
}

#[tokio::test]
async fn every_part_must_be_canonical_base64url() {
    let fixture = Fixture::new();
    let raw = fixture.pool.user("alice").access_token();
    let parts: Vec<&str> = raw.split('.').collect();
    for (index, part) in [Part::Header, Part::Payload, Part::Signature].into_iter().enumerate() {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(parts[index]).unwrap();
        let standard = BASE64_STANDARD.encode(&bytes);
        for spelling in [
            format!("{}=", parts[index]),
            format!("{} ", parts[index]),
            format!("{}\n", parts[index]),
            format!("\u{feff}{}", parts[index]),
            format!("{standard}="),
            format!("{}%41", parts[index]),
            "+/+/".to_owned(),
            "A".to_owned(),
            // The last symbol has bits that belong to no byte; they must be zero.
            "AB".to_owned(),
        ] {
            let refused = fixture.refused(&replace_part(&raw, index, &spelling)).await;
            assert_refused!(refused, VerifyError::Encoding { part: found } if found == part);
        }
    }
}

#[tokio::test]
async fn the_header_must_be_an_object_without_duplicates() {
    let fixture = Fixture::new();
    let raw = fixture.pool.user("alice").access_token();
    for header in ["", "null", "[]", "\"RS256\"", "{", "{}{}", "\u{feff}{}"] {
        let refused = fixture.refused(&replace_part(&raw, 0, &encode(header))).await;
        assert_refused!(refused, VerifyError::Header(_));
    }
    let refused = fixture.refused(&replace_part(&raw, 0, &encode(b"{\"alg\":\"\xff\"}"))).await;
    assert_refused!(refused, VerifyError::Header(ObjectError::NotUtf8));
    let kid = fixture.pool.access_key().kid();
    for header in [
        format!(r#"{{"alg":"RS256","alg":"RS256","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"RS256","kid":"{kid}","\u006bid":"{kid}"}}"#),
    ] {
        let signed = fixture.pool.user("alice").header_json(header).access_token();
        assert_refused!(fixture.refused(&signed).await, VerifyError::Header(ObjectError::Duplicate { .. }));
    }
}

#[tokio::test]
async fn any_algorithm_but_rs256_is_refused() {
    let fixture = Fixture::new();
    let alice = fixture.pool.user("alice");
    for alg in [
        json!("none"),
        json!("None"),
        json!("NONE"),
        json!("nOnE"),
        json!(""),
        json!("rs256"),
        json!("RS256 "),
        json!(1),
        json!(null),
        json!(["RS256"]),
        json!({"alg": "RS256"}),
    ] {
        let signed = alice.clone().header("alg", alg.clone()).access_token();
        assert_refused!(fixture.refused(&signed).await, VerifyError::Algorithm { .. });
        let unsigned = replace_part(&signed, 2, "");
        assert_refused!(fixture.refused(&unsigned).await, VerifyError::Algorithm { .. });
    }
    let missing = alice.clone().without_header("alg").access_token();
    assert_refused!(fixture.refused(&missing).await, VerifyError::Algorithm { ref found } if found == "nothing");
    for algorithm in [Algorithm::Rs384, Algorithm::Rs512, Algorithm::Ps256, Algorithm::Es256, Algorithm::None]
    {
        let signed = alice.clone().algorithm(algorithm.clone()).access_token();
        assert_refused!(fixture.refused(&signed).await, VerifyError::Algorithm { .. });
        // The same with a header that lies about it.
        let lying = alice.clone().algorithm(algorithm).header("alg", json!("RS256")).access_token();
        let refused = fixture.refused(&lying).await;
        assert_refused!(refused, VerifyError::Signature | VerifyError::SignatureLength { .. });
    }
}

#[tokio::test]
async fn the_public_key_is_no_hmac_secret() {
    let fixture = Fixture::new();
    let key = fixture.pool.access_key();
    let der = key.public_der();
    let pem = format!(
        "-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n",
        BASE64_STANDARD.encode(&der)
    );
    let modulus = key.jwk()["n"].as_str().unwrap().to_owned();
    for secret in
        [der, pem.clone().into_bytes(), format!(" {pem}").into_bytes(), modulus.into_bytes(), Vec::new()]
    {
        let alice = fixture.pool.user("alice").algorithm(Algorithm::Hs256(secret));
        assert_refused!(fixture.refused(&alice.access_token()).await, VerifyError::Algorithm { .. });
        let lying = alice.header("alg", json!("RS256")).access_token();
        let refused = fixture.refused(&lying).await;
        assert_refused!(refused, VerifyError::SignatureLength { expected: 256, found: 32 });
    }
}

#[tokio::test]
async fn parameters_that_change_the_meaning_are_refused() {
    let fixture = Fixture::new();
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(["b64"])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
    ] {
        let signed = fixture.pool.user("alice").header(name, value).access_token();
        assert_refused!(fixture.refused(&signed).await, VerifyError::HeaderParameter { name: found } if found == name);
    }
}

#[tokio::test]
async fn typ_must_not_name_another_kind_of_token() {
    let fixture = Fixture::new();
    for typ in ["JWT", "jwt", "at+jwt", "AT+JWT"] {
        fixture.accepted(&fixture.pool.user("alice").header("typ", json!(typ)).access_token()).await;
    }
    for typ in [json!("dpop+jwt"), json!("logout+jwt"), json!(""), json!(null), json!(1), json!(["JWT"])] {
        let signed = fixture.pool.user("alice").header("typ", typ).access_token();
        assert_refused!(fixture.refused(&signed).await, VerifyError::Type { .. });
    }
}

#[tokio::test]
async fn kid_must_be_a_string_and_the_exact_name_of_a_key() {
    let fixture = Fixture::new();
    let alice = fixture.pool.user("alice");
    assert_refused!(
        fixture.refused(&alice.clone().without_header("kid").access_token()).await,
        VerifyError::KeyId
    );
    for kid in
        [json!(""), json!(7), json!(null), json!([fixture.pool.access_key().kid()]), json!("k".repeat(257))]
    {
        let signed = alice.clone().header("kid", kid).access_token();
        assert_refused!(fixture.refused(&signed).await, VerifyError::KeyId);
    }
    let own = fixture.pool.access_key().kid();
    let homoglyph = own.replacen('a', "а", 1);
    let upper_case = own.to_uppercase();
    let spaced = format!("{own} ");
    for kid in ["../../dev/null", "' OR '1'='1", "a\0b", "a\nb", &homoglyph, &upper_case, &spaced] {
        let refused = fixture.refused(&alice.clone().kid(kid).access_token()).await;
        assert_refused!(&refused, VerifyError::UnknownKey { .. });
        assert!(!refused.to_string().contains(['\n', '\0']), "a log line stays one line");
    }
}

#[tokio::test]
async fn keys_in_the_header_are_never_looked_at() {
    let fixture = Fixture::new();
    let attacker = TestKey::generate("attacker");
    let alice = fixture.pool.user("alice").signed_by(&attacker);
    for (name, value) in [
        ("jwk", attacker.jwk()),
        ("jku", json!("http://127.0.0.1:1/jwks.json")),
        ("x5u", json!("http://127.0.0.1:1/certificate")),
        ("x5c", json!(["MIIB"])),
    ] {
        let foreign = alice.clone().header(name, value.clone());
        assert_refused!(fixture.refused(&foreign.access_token()).await, VerifyError::UnknownKey { .. });
        let disguised = foreign.kid(fixture.pool.access_key().kid()).access_token();
        assert_refused!(fixture.refused(&disguised).await, VerifyError::Signature);
        // They do no harm either: what counts is the key that signed.
        fixture.accepted(&fixture.pool.user("alice").header(name, value).access_token()).await;
    }
}

#[tokio::test]
async fn the_signature_must_be_the_keys_over_these_very_bytes() {
    let fixture = Fixture::new();
    let raw = fixture.pool.user("alice").access_token();
    let signature = raw.rsplit('.').next().unwrap();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();

    let of_another_token = fixture.pool.user("bob").access_token();
    let of_another_token = of_another_token.rsplit('.').next().unwrap();
    assert_refused!(fixture.refused(&replace_part(&raw, 2, of_another_token)).await, VerifyError::Signature);
    for forged in [vec![0; 256], vec![0xff; 256]] {
        assert_refused!(
            fixture.refused(&replace_part(&raw, 2, &encode(forged))).await,
            VerifyError::Signature
        );
    }
    let padded = [&[0][..], &bytes].concat();
    for forged in [&[][..], &[0], &bytes[1..], &bytes[..255], &padded] {
        let refused = fixture.refused(&replace_part(&raw, 2, &encode(forged))).await;
        assert_refused!(refused, VerifyError::SignatureLength { expected: 256, found } if found == forged.len());
    }
}
