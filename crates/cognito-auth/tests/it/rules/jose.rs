//! The rules before the claims: size, parts, header and signature.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use cognito_auth::testing::{Algorithm, TestKey};
use cognito_auth::{ObjectError, Part, VerifyError};
use serde_json::json;

use super::{Fixture, assert_rejected, encode, replace_part};

#[tokio::test]
async fn size_is_checked_before_parsing() {
    let fixture = Fixture::with(|builder| builder.max_token_bytes(2_000));
    let long = ".".repeat(2_001);
    assert_rejected!(fixture.rejected(&long).await, VerifyError::TooLarge { size: 2_001, limit: 2_000 });
    assert_rejected!(fixture.rejected(&long[1..]).await, VerifyError::Parts);
}

#[tokio::test]
async fn token_without_exactly_three_parts_is_rejected() {
    let fixture = Fixture::new();
    let raw = fixture.pool.user("alice").access_token();
    for raw in
        ["", ".", "a.b", &format!("{raw}."), &format!("{raw}.a.b"), &format!(".{raw}"), "{\"payload\":\"\"}"]
    {
        assert_rejected!(fixture.rejected(raw).await, VerifyError::Parts);
    }
}

#[tokio::test]
async fn part_that_is_not_canonical_base64url_is_rejected() {
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
            // The unused bits of the last symbol must be zero.
            "AB".to_owned(),
        ] {
            let rejected = fixture.rejected(&replace_part(&raw, index, &spelling)).await;
            assert_rejected!(rejected, VerifyError::Encoding { part: found } if found == part);
        }
    }
}

#[tokio::test]
async fn header_that_is_not_an_object_or_has_duplicates_is_rejected() {
    let fixture = Fixture::new();
    let raw = fixture.pool.user("alice").access_token();
    for header in ["", "null", "[]", "\"RS256\"", "{", "{}{}", "\u{feff}{}"] {
        let rejected = fixture.rejected(&replace_part(&raw, 0, &encode(header))).await;
        assert_rejected!(rejected, VerifyError::Header(_));
    }
    let rejected = fixture.rejected(&replace_part(&raw, 0, &encode(b"{\"alg\":\"\xff\"}"))).await;
    assert_rejected!(rejected, VerifyError::Header(ObjectError::NotUtf8));
    let kid = fixture.pool.access_key().kid();
    for header in [
        format!(r#"{{"alg":"RS256","alg":"RS256","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"RS256","kid":"{kid}","\u006bid":"{kid}"}}"#),
    ] {
        let signed = fixture.pool.user("alice").header_json(header).access_token();
        assert_rejected!(fixture.rejected(&signed).await, VerifyError::Header(ObjectError::Duplicate { .. }));
    }
}

#[tokio::test]
async fn algorithm_other_than_rs256_is_rejected() {
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
        assert_rejected!(fixture.rejected(&signed).await, VerifyError::Algorithm { .. });
        let unsigned = replace_part(&signed, 2, "");
        assert_rejected!(fixture.rejected(&unsigned).await, VerifyError::Algorithm { .. });
    }
    let missing = alice.clone().without_header("alg").access_token();
    assert_rejected!(fixture.rejected(&missing).await, VerifyError::Algorithm { ref found } if found == "nothing");
    for algorithm in [Algorithm::Rs384, Algorithm::Rs512, Algorithm::Ps256, Algorithm::Es256, Algorithm::None]
    {
        let signed = alice.clone().algorithm(algorithm.clone()).access_token();
        assert_rejected!(fixture.rejected(&signed).await, VerifyError::Algorithm { .. });
        // The same with a header that names RS256.
        let lying = alice.clone().algorithm(algorithm).header("alg", json!("RS256")).access_token();
        let rejected = fixture.rejected(&lying).await;
        assert_rejected!(rejected, VerifyError::Signature | VerifyError::SignatureLength { .. });
    }
}

#[tokio::test]
async fn public_key_used_as_hmac_secret_is_rejected() {
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
        assert_rejected!(fixture.rejected(&alice.access_token()).await, VerifyError::Algorithm { .. });
        let lying = alice.header("alg", json!("RS256")).access_token();
        let rejected = fixture.rejected(&lying).await;
        assert_rejected!(rejected, VerifyError::SignatureLength { expected: 256, found: 32 });
    }
}

#[tokio::test]
async fn header_parameters_that_change_the_meaning_are_rejected() {
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
        assert_rejected!(fixture.rejected(&signed).await, VerifyError::HeaderParameter { name: found } if found == name);
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
        assert_rejected!(fixture.rejected(&signed).await, VerifyError::Type { .. });
    }
}

#[tokio::test]
async fn kid_must_be_a_string_that_equals_the_id_of_a_key() {
    let fixture = Fixture::new();
    let alice = fixture.pool.user("alice");
    assert_rejected!(
        fixture.rejected(&alice.clone().without_header("kid").access_token()).await,
        VerifyError::KeyId
    );
    for kid in
        [json!(""), json!(7), json!(null), json!([fixture.pool.access_key().kid()]), json!("k".repeat(257))]
    {
        let signed = alice.clone().header("kid", kid).access_token();
        assert_rejected!(fixture.rejected(&signed).await, VerifyError::KeyId);
    }
    let own = fixture.pool.access_key().kid();
    let homoglyph = own.replacen('a', "а", 1);
    let upper_case = own.to_uppercase();
    let spaced = format!("{own} ");
    for kid in ["../../dev/null", "' OR '1'='1", "a\0b", "a\nb", &homoglyph, &upper_case, &spaced] {
        let rejected = fixture.rejected(&alice.clone().kid(kid).access_token()).await;
        assert_rejected!(&rejected, VerifyError::UnknownKey { .. });
        assert!(!rejected.to_string().contains(['\n', '\0']), "a log line stays one line");
    }
}

#[tokio::test]
async fn keys_in_the_header_are_not_read() {
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
        assert_rejected!(fixture.rejected(&foreign.access_token()).await, VerifyError::UnknownKey { .. });
        let disguised = foreign.kid(fixture.pool.access_key().kid()).access_token();
        assert_rejected!(fixture.rejected(&disguised).await, VerifyError::Signature);
        // With the pool's signature they are ignored.
        fixture.accepted(&fixture.pool.user("alice").header(name, value).access_token()).await;
    }
}

#[tokio::test]
async fn signature_of_another_key_or_text_is_rejected() {
    let fixture = Fixture::new();
    let raw = fixture.pool.user("alice").access_token();
    let signature = raw.rsplit('.').next().unwrap();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();

    let of_another_token = fixture.pool.user("bob").access_token();
    let of_another_token = of_another_token.rsplit('.').next().unwrap();
    assert_rejected!(
        fixture.rejected(&replace_part(&raw, 2, of_another_token)).await,
        VerifyError::Signature
    );
    for forged in [vec![0; 256], vec![0xff; 256]] {
        assert_rejected!(
            fixture.rejected(&replace_part(&raw, 2, &encode(forged))).await,
            VerifyError::Signature
        );
    }
    let padded = [&[0][..], &bytes].concat();
    for forged in [&[][..], &[0], &bytes[1..], &bytes[..255], &padded] {
        let rejected = fixture.rejected(&replace_part(&raw, 2, &encode(forged))).await;
        assert_rejected!(rejected, VerifyError::SignatureLength { expected: 256, found } if found == forged.len());
    }
}
