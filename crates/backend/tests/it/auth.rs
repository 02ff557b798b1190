//! Every way in that is none, against the whole application; the rows of what attackers try.

use std::time::Duration;

use axum::body::Body;
use cognito_auth::testing::{Algorithm, TestKey, TestPool};
use http::{Request, StatusCode};
use serde_json::json;

use crate::support::{Answer, TestApp};

async fn me(app: &TestApp, token: &str) -> Answer {
    app.bearer(token).get("/users/me").await
}

#[track_caller]
fn assert_refused(answer: &Answer, what: &str) {
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what}");
    assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""), "{what}: {answer:?}");
}

#[tokio::test]
async fn without_a_token_the_challenge_names_no_error() {
    let app = TestApp::start().await;
    let answer = app.anonymous().get("/items").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let challenge = answer.header("www-authenticate");
    assert!(!challenge.contains("error"), "{challenge}");
    let metadata = format!("resource_metadata=\"{}\"", app.app.config().resource_metadata_url());
    assert!(challenge.contains(&metadata), "{challenge}");
    // The body is not looked at before the caller is known.
    let answer = app.anonymous().post("/items", json!({"title": ""})).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn two_credentials_or_an_unreadable_header_are_400() {
    let app = TestApp::start().await;
    let token = app.token("alice").access_token();
    let send = |values: Vec<String>| {
        let mut request = Request::get("/users/me");
        for value in values {
            request = request.header("authorization", value);
        }
        let anonymous = app.anonymous();
        async move { anonymous.send_raw(request.body(Body::empty()).unwrap()).await }
    };
    let bearer = format!("Bearer {token}");
    assert_eq!(send(vec![bearer.clone()]).await.status, StatusCode::OK);
    assert_eq!(send(vec![format!("bEARER {token}")]).await.status, StatusCode::OK);
    for values in [
        vec![bearer.clone(), bearer.clone()],
        vec![format!("{bearer}, {bearer}")],
        vec![format!("Bearer {token} {token}")],
        vec!["Bearer ".to_owned()],
        vec!["Bearer \"quoted\"".to_owned()],
    ] {
        let answer = send(values).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.header("www-authenticate").contains("error=\"invalid_request\""));
    }
    assert_eq!(send(vec!["Basic YTpi".to_owned()]).await.status, StatusCode::UNAUTHORIZED);
    let in_the_query = app.anonymous().get(&format!("/users/me?access_token={token}")).await;
    assert_eq!(in_the_query.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn only_rs256_by_a_key_of_the_pool_is_accepted() {
    let app = TestApp::start().await;
    let alice = || app.token("alice");
    assert_eq!(me(&app, &alice().access_token()).await.status, StatusCode::OK);
    let foreign = TestKey::generate(app.pool.access_key().kid());
    let algorithms = [
        ("none", json!("none")),
        ("None", json!("None")),
        ("empty", json!("")),
        ("a number", json!(256)),
        ("RS384", json!("RS384")),
        ("RS512", json!("RS512")),
        ("PS256", json!("PS256")),
        ("ES256", json!("ES256")),
        ("HS256", json!("HS256")),
        ("rs256", json!("rs256")),
    ];
    for (name, alg) in algorithms {
        assert_refused(&me(&app, &alice().header("alg", alg).access_token()).await, name);
    }
    assert_refused(&me(&app, &alice().without_header("alg").access_token()).await, "no alg");
    let with_public_key = Algorithm::Hs256(app.pool.access_key().public_der());
    assert_refused(
        &me(&app, &alice().algorithm(with_public_key).access_token()).await,
        "HMAC with the public key",
    );
    assert_refused(
        &me(&app, &alice().algorithm(Algorithm::Hs256(Vec::new())).access_token()).await,
        "blank HMAC",
    );
    assert_refused(
        &me(&app, &alice().signed_by(&foreign).access_token()).await,
        "a foreign key with the pool's kid",
    );
    let embedded = alice().signed_by(&foreign).header("jwk", foreign.jwk()).access_token();
    assert_refused(&me(&app, &embedded).await, "an embedded key");
    for (name, value) in [
        ("jku", json!("http://127.0.0.1:1/jwks.json")),
        ("x5u", json!("http://127.0.0.1:1/cert.pem")),
        ("x5c", json!(["MIIB"])),
    ] {
        let token = alice().signed_by(&foreign).header(name, value).access_token();
        assert_refused(&me(&app, &token).await, name);
    }
}

#[tokio::test]
async fn token_headers_with_unknown_parameters_are_401() {
    let app = TestApp::start().await;
    let alice = || app.token("alice");
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(["b64"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("typ", json!("dpop+jwt")),
        ("typ", json!(1)),
        ("kid", json!("")),
        ("kid", json!(1)),
        ("kid", json!(["a"])),
        ("kid", json!("../../dev/null")),
        ("kid", json!("' OR 1=1 --")),
        ("kid", json!("a\u{0}b\n")),
        ("kid", json!("x".repeat(10_000))),
        ("kid", json!("us-east-1_Another-access-key")),
    ] {
        let token = alice().header(name, value.clone()).access_token();
        assert_refused(&me(&app, &token).await, &format!("{name}: {value}"));
    }
    assert_refused(&me(&app, &alice().without_header("kid").access_token()).await, "no kid");
    let kid = app.pool.access_key().kid();
    let twice = format!(r#"{{"alg":"none","alg":"RS256","kid":"{kid}"}}"#);
    assert_refused(&me(&app, &alice().header_json(twice).access_token()).await, "alg twice");
}

#[tokio::test]
async fn modified_signatures_are_401() {
    let app = TestApp::start().await;
    let token = app.token("alice").access_token();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let other = app.token("bob").access_token();
    let (header, rest) = token.split_once('.').unwrap();
    let (payload, _) = rest.split_once('.').unwrap();
    let bent = [
        format!("{signed}."),
        signed.to_owned(),
        format!("{signed}.{}", other.rsplit_once('.').unwrap().1),
        format!("{signed}.{}", &signature[..signature.len() - 4]),
        format!("{signed}.AAAA{signature}"),
        format!("{token}="),
        format!("{token}.{signature}"),
        format!("{token}.."),
        format!("{signed}.{}", "A".repeat(signature.len())),
        format!("{signed}.{}", "_".repeat(signature.len())),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}"),
        "...".to_owned(),
        ".".repeat(10_000),
        format!("{header}.{}.{signature}", other.split('.').nth(1).unwrap()),
    ];
    for token in bent {
        let answer = me(&app, &token).await;
        let is_refused = matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST);
        assert!(is_refused, "{}: {token:.80}", answer.status);
    }
    let giant = format!("{signed}.{}", "A".repeat(1_000_000));
    assert_refused(&me(&app, &giant).await, "a megabyte");
}

#[tokio::test]
async fn tokens_of_other_issuers_clients_and_uses_are_401() {
    let app = TestApp::start().await;
    let alice = || app.token("alice");
    let issuer = app.pool.issuer().to_owned();
    for (name, value) in [
        ("iss", json!(format!("{issuer}/"))),
        ("iss", json!(issuer.to_uppercase())),
        ("iss", json!(issuer.replace("https", "http"))),
        ("iss", json!([issuer])),
        ("iss", json!(issuer.replace("https://", "https://evil@"))),
        ("iss", json!(format!("{issuer}/x"))),
        ("iss", json!("https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Another")),
        ("token_use", json!("id")),
        ("token_use", json!("Access")),
        ("token_use", json!(1)),
        ("client_id", json!("another")),
        ("client_id", json!(["another"])),
        ("aud", json!("https://other.example.com")),
        ("aud", json!([app.app.config().resource()])),
        ("aud", json!(app.pool.client_id())),
        ("cnf", json!({"jkt": "thumbprint"})),
        ("cognito:groups", json!("admins")),
        ("cognito:groups", json!("[admins users]")),
        ("cognito:groups", json!({"0": "admins"})),
        ("cognito:groups", json!([["admins"]])),
        ("scope", json!(["items/read"])),
    ] {
        let token = alice().claim(name, value.clone()).access_token();
        assert_refused(&me(&app, &token).await, &format!("{name}: {value}"));
    }
    for name in ["iss", "token_use", "client_id"] {
        assert_refused(&me(&app, &alice().without_claim(name).access_token()).await, name);
    }
    assert_refused(&me(&app, &alice().id_token()).await, "an ID token");
    let other_pool = TestPool::with_id("eu-west-1_Another").with_client_id(app.pool.client_id());
    assert_refused(&me(&app, &other_pool.user("alice").access_token()).await, "another pool");
    let bound = alice().claim("aud", json!(app.app.config().resource())).access_token();
    assert_eq!(me(&app, &bound).await.status, StatusCode::OK);
}

#[tokio::test]
async fn times_are_whole_numbers_in_a_sane_range() {
    let app = TestApp::start().await;
    let alice = || app.token("alice");
    for value in
        [json!(null), json!("1999999999"), json!(-1), json!(1e18), json!(1.5), json!(u64::MAX), json!(1)]
    {
        let token = alice().claim("exp", value.clone()).access_token();
        assert_refused(&me(&app, &token).await, &format!("exp: {value}"));
    }
    assert_refused(&me(&app, &alice().without_claim("exp").access_token()).await, "no exp");
    for (name, value) in [("iat", json!("now")), ("nbf", json!("now")), ("nbf", json!(9_999_999_999_i64))] {
        let token = alice().claim(name, value.clone()).access_token();
        assert_refused(&me(&app, &token).await, &format!("{name}: {value}"));
    }
    let eternal = alice().expires_in(Duration::from_secs(90_000)).access_token();
    assert_refused(&me(&app, &eternal).await, "more than a day");
    let expired = me(&app, &alice().expired().access_token()).await;
    assert_refused(&expired, "expired");
    assert_eq!(expired.json()["detail"], "The access token has expired.");
}

#[tokio::test]
async fn payloads_that_parsers_could_read_differently_are_401() {
    let app = TestApp::start().await;
    let alice = || app.token("alice");
    let plain = alice().access_token();
    let payload = base64_decode(plain.split('.').nth(1).unwrap());
    let with = |extra: &str| payload.replacen('{', &format!("{{{extra},"), 1);
    for payload in [
        with(r#""client_id":"another""#),
        with(r#""\u0065xp":1"#),
        format!("[{payload}]"),
        format!("\u{feff}{payload}"),
        format!("{payload} x"),
        "7".to_owned(),
        String::new(),
    ] {
        assert_refused(&me(&app, &alice().payload_json(payload.clone()).access_token()).await, &payload);
    }
    assert_eq!(me(&app, &alice().payload_json(payload).access_token()).await.status, StatusCode::OK);
}

fn base64_decode(text: &str) -> String {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn scopes_and_groups_are_compared_whole() {
    let app = TestApp::start().await;
    for scope in
        ["items/readwrite", "Items/Read", "items", "items/read\titems/write", "aws.cognito.signin.user.admin"]
    {
        let token = app.pool.user("alice").claim("scope", json!(scope)).access_token();
        let answer = app.bearer(&token).get("/items").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{scope}");
        let challenge = answer.header("www-authenticate");
        assert!(challenge.contains("insufficient_scope") && challenge.contains("items/read"), "{challenge}");
    }
    let spaced = app.pool.user("alice").claim("scope", json!("openid  items/read")).access_token();
    assert_eq!(app.bearer(&spaced).get("/items").await.status, StatusCode::OK);
    for claim in ["custom:groups", "groups", "custom:admins"] {
        let token = app.token("alice").claim(claim, json!(["admins"])).access_token();
        let answer = app.bearer(&token).get("/admin/users/x/items").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{claim}");
    }
    let group_named_like_a_scope = app.pool.user("alice").in_group("items/read").access_token();
    assert_eq!(app.bearer(&group_named_like_a_scope).get("/items").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn without_scope_checks_groups_still_hold() {
    let app = TestApp::with(&[("COGNITO_REQUIRE_SCOPES", "false")]).await;
    let alice = app.bearer(&app.pool.user("alice").access_token());
    assert_eq!(alice.get("/items").await.status, StatusCode::OK);
    assert_eq!(alice.get("/admin/users/x/items").await.status, StatusCode::FORBIDDEN);
    let admin = app.bearer(&app.pool.user("root").in_group("admins").access_token());
    assert_eq!(admin.get("/admin/users/x/items").await.status, StatusCode::OK);
}

#[tokio::test]
async fn second_caller_in_one_handler_is_neither_verified_nor_charged_again() {
    use axum::{Router, routing::get};
    use backend::auth::{Caller, ItemsRead};
    async fn twice(_: Caller, _: Caller<ItemsRead>) {}

    let app = TestApp::with(&[("RATE_LIMIT_PER_MINUTE", "3")]).await;
    let routes = Router::new().route("/twice", get(twice)).with_state(app.app.clone());
    let alice = app.user("alice").at(backend::surround(&app.app, routes));
    assert!(alice.get("/twice").await.header("ratelimit").starts_with("\"caller\";r=2;"));
    assert_eq!(app.app.verifier().stats().accepted, 1);
}
