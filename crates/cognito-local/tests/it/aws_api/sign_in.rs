//! `InitiateAuth` and `RespondToAuthChallenge` with passwords, mailed codes and refresh tokens.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cognito_local::{AuthFlow, ClientSecret, FirstFactor, RefreshTokenRotation};
use serde_json::{Value, json};

use super::support::all_flows;
use crate::support::{ALICE, TestPool, jwt_part};

fn initiate(flow: &str, parameters: &Value) -> Value {
    json!({ "ClientId": "localweb", "AuthFlow": flow, "AuthParameters": parameters })
}

#[tokio::test]
async fn tokens_of_the_api_have_the_claims_of_cognito() {
    let pool = TestPool::open().await;
    let output = pool.sign_in_by_api(ALICE).await.output();
    assert_eq!(output["ChallengeParameters"], json!({}));
    let tokens = &output["AuthenticationResult"];
    assert_eq!((&tokens["ExpiresIn"], &tokens["TokenType"]), (&json!(3600), &json!("Bearer")));
    let access = jwt_part(tokens["AccessToken"].as_str().unwrap(), 1);
    assert_eq!(access["scope"], "aws.cognito.signin.user.admin");
    assert_eq!(access["cognito:groups"], json!(["admins"]));
    assert!(access.get("version").is_none() && access.get("aud").is_none());
    let id = jwt_part(tokens["IdToken"].as_str().unwrap(), 1);
    assert_eq!((&id["aud"], &id["cognito:username"]), (&json!("localweb"), &json!("alice")));
    assert_eq!((&id["email_verified"], &id["name"]), (&json!(true), &json!("Alice")));
    assert!(id.get("at_hash").is_none() && id.get("nonce").is_none());
    assert_eq!(id["origin_jti"], access["origin_jti"]);
}

#[tokio::test]
async fn wrong_passwords_lock_the_name_on_the_page_too() {
    let pool = TestPool::open().await;
    for _ in 0..5 {
        let wrong = pool.sign_in_by_api(("alice", "Wrong-land1")).await;
        wrong.assert_not_authorized("Incorrect username or password.");
    }
    pool.sign_in_by_api(ALICE).await.assert_not_authorized("Password attempts exceeded");
    let on_page = pool.browser().sign_in(ALICE, &[]).await;
    assert!(on_page.text.contains("Password attempts exceeded"));
    pool.clock.advance(Duration::from_secs(2));
    let _ = pool.sign_in_by_api(ALICE).await.tokens();
}

#[tokio::test]
async fn client_uses_only_its_own_flows() {
    let pool = TestPool::with(|config| config.clients[0].auth_flows = vec![AuthFlow::RefreshTokenAuth]).await;
    for (flow, message) in [
        ("USER_PASSWORD_AUTH", "USER_PASSWORD_AUTH flow not enabled for this client"),
        ("USER_SRP_AUTH", "USER_SRP_AUTH is not enabled for the client."),
        ("USER_AUTH", "USER_AUTH flow not enabled for this client"),
        ("CUSTOM_AUTH", "CUSTOM_AUTH is not enabled for the client."),
        ("ADMIN_USER_PASSWORD_AUTH", "Initiate Auth method not supported."),
        ("REFRESH_TOKEN_AUTH", "REFRESH_TOKEN_AUTH flow not enabled for this client"),
    ] {
        let parameters =
            json!({ "USERNAME": ALICE.0, "PASSWORD": ALICE.1, "SRP_A": "2", "REFRESH_TOKEN": "x" });
        let answer = pool.call("InitiateAuth", &initiate(flow, &parameters)).await;
        answer.assert_exception("InvalidParameterException", message);
    }
}

#[tokio::test]
async fn confidential_client_proves_its_secret_with_a_hash() {
    let pool = TestPool::with(|config| {
        all_flows(config);
        config.clients[0].secret = ClientSecret::Fixed("the-secret".into());
        config.clients[0].previous_secret = ClientSecret::Fixed("the-old-secret".into());
    })
    .await;
    let hash_with = |secret: &str, username: &str| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        STANDARD.encode(hmac::sign(&key, format!("{username}localweb").as_bytes()))
    };
    let hash = |username: &str| hash_with("the-secret", username);
    let sign_in = async |hash: Option<String>| {
        let mut parameters = json!({ "USERNAME": ALICE.0, "PASSWORD": ALICE.1 });
        if let Some(hash) = hash {
            parameters["SECRET_HASH"] = json!(hash);
        }
        pool.call("InitiateAuth", &initiate("USER_PASSWORD_AUTH", &parameters)).await
    };
    sign_in(None)
        .await
        .assert_not_authorized("Client localweb is configured with secret but SECRET_HASH was not received");
    for wrong in [hash("bob"), hash_with("another-secret", "alice"), hash_with("", "alice"), "x".into()] {
        sign_in(Some(wrong)).await.assert_not_authorized("Unable to verify secret hash for client localweb");
    }
    let _ = sign_in(Some(hash_with("the-old-secret", "alice"))).await.tokens();
    let tokens = sign_in(Some(hash("alice"))).await.tokens();

    let refresh = |hash: String| {
        initiate(
            "REFRESH_TOKEN_AUTH",
            &json!({ "REFRESH_TOKEN": tokens["RefreshToken"], "SECRET_HASH": hash }),
        )
    };
    pool.call("InitiateAuth", &refresh(hash("bob")))
        .await
        .assert_not_authorized("Unable to verify secret hash for client localweb");
    let _ = pool.call("InitiateAuth", &refresh(hash("alice"))).await.tokens();
    let mut by_secret = json!({ "ClientId": "localweb", "RefreshToken": tokens["RefreshToken"] });
    pool.call("GetTokensFromRefreshToken", &by_secret)
        .await
        .assert_not_authorized("Unable to verify secret for client localweb");
    by_secret["ClientSecret"] = json!("the-secret");
    let _ = pool.call("GetTokensFromRefreshToken", &by_secret).await.tokens();
}

#[tokio::test]
async fn refresh_keeps_the_sign_in_and_gives_no_other_refresh_token_without_rotation() {
    let pool = TestPool::with(all_flows).await;
    let first = pool.sign_in_by_api(ALICE).await.tokens();
    pool.clock.advance(Duration::from_secs(60));
    let parameters = json!({ "REFRESH_TOKEN": first["RefreshToken"] });
    let second = pool.call("InitiateAuth", &initiate("REFRESH_TOKEN_AUTH", &parameters)).await.tokens();
    assert!(second.get("RefreshToken").is_none());
    let claims = |tokens: &Value| jwt_part(tokens["AccessToken"].as_str().unwrap(), 1);
    for same in ["origin_jti", "auth_time", "sub", "scope"] {
        assert_eq!(claims(&first)[same], claims(&second)[same], "{same}");
    }
    let unknown = initiate("REFRESH_TOKEN_AUTH", &json!({ "REFRESH_TOKEN": "unknown" }));
    pool.call("InitiateAuth", &unknown).await.assert_not_authorized("Invalid Refresh Token");
    pool.clock.advance(Duration::from_secs(30 * 24 * 3600));
    pool.call("InitiateAuth", &initiate("REFRESH_TOKEN_AUTH", &parameters))
        .await
        .assert_not_authorized("Refresh Token has expired");
}

#[tokio::test]
async fn reused_refresh_token_ends_the_sign_in() {
    let rotation = RefreshTokenRotation { retry_grace_period_seconds: 0 };
    let pool = TestPool::with(|config| config.clients[0].refresh_token_rotation = Some(rotation)).await;
    let first = pool.sign_in_by_api(ALICE).await.tokens();
    let refresh = async |token: &Value| {
        pool.call("GetTokensFromRefreshToken", &json!({ "ClientId": "localweb", "RefreshToken": token }))
            .await
    };
    let second = refresh(&first["RefreshToken"]).await.tokens();
    assert_ne!(first["RefreshToken"], second["RefreshToken"]);
    let reused = refresh(&first["RefreshToken"]).await;
    assert_eq!(reused.json()["__type"], "RefreshTokenReuseException");
    refresh(&second["RefreshToken"]).await.assert_not_authorized("Refresh Token has been revoked");
}

#[tokio::test]
async fn user_chooses_a_factor_and_signs_in_with_a_mailed_code() {
    let pool = TestPool::with(|config| config.first_factors.push(FirstFactor::EmailOtp)).await;
    let choice = pool.call("InitiateAuth", &initiate("USER_AUTH", &json!({ "USERNAME": "alice" }))).await;
    assert_eq!(choice.output()["AvailableChallenges"], json!(["PASSWORD_SRP", "PASSWORD", "EMAIL_OTP"]));
    let session = choice.challenge("SELECT_CHALLENGE");
    let responses = json!({ "USERNAME": "alice", "ANSWER": "EMAIL_OTP" });
    let mailed = pool.respond("SELECT_CHALLENGE", &session, responses.clone()).await;
    pool.respond("SELECT_CHALLENGE", &session, responses)
        .await
        .assert_not_authorized("Invalid session for the user, session can only be used once.");
    let session = mailed.challenge("EMAIL_OTP");
    let code = pool.mailed_code().await;
    assert_eq!(code.len(), 8);
    let answer = async |code: &str| {
        pool.respond("EMAIL_OTP", &session, json!({ "USERNAME": "alice", "EMAIL_OTP_CODE": code })).await
    };
    let wrong = if code == "00000000" { "00000001" } else { "00000000" };
    assert_eq!(answer(wrong).await.json()["__type"], "CodeMismatchException");
    let _ = answer(&code).await.tokens();
}

#[tokio::test]
async fn mailed_code_of_an_unknown_user_answers_like_that_of_a_known_one() {
    let pool = TestPool::with(|config| config.first_factors.push(FirstFactor::EmailOtp)).await;
    let parameters = json!({ "USERNAME": "nobody", "PREFERRED_CHALLENGE": "EMAIL_OTP" });
    let mailed = pool.call("InitiateAuth", &initiate("USER_AUTH", &parameters)).await;
    let session = mailed.challenge("EMAIL_OTP");
    assert!(pool.get("/mailbox").await.text.contains("There is no mail yet."));
    let answer = pool
        .respond("EMAIL_OTP", &session, json!({ "USERNAME": "nobody", "EMAIL_OTP_CODE": "12345678" }))
        .await;
    answer.assert_exception("CodeMismatchException", "Invalid verification code provided, please try again.");
}

#[tokio::test]
async fn password_can_be_chosen_or_preferred() {
    let pool = TestPool::open().await;
    let choice = pool.call("InitiateAuth", &initiate("USER_AUTH", &json!({ "USERNAME": "alice" }))).await;
    let session = choice.challenge("SELECT_CHALLENGE");
    let other = json!({ "USERNAME": "bob", "ANSWER": "PASSWORD", "PASSWORD": "Builder-yes2" });
    pool.respond("SELECT_CHALLENGE", &session, other)
        .await
        .assert_not_authorized("Invalid session for the user.");
    let choice = pool.call("InitiateAuth", &initiate("USER_AUTH", &json!({ "USERNAME": "alice" }))).await;
    let session = choice.challenge("SELECT_CHALLENGE");
    let right = json!({ "USERNAME": "alice", "ANSWER": "PASSWORD", "PASSWORD": ALICE.1 });
    let _ = pool.respond("SELECT_CHALLENGE", &session, right).await.tokens();
    let preferred = json!({ "USERNAME": "alice", "PREFERRED_CHALLENGE": "PASSWORD", "PASSWORD": ALICE.1 });
    let _ = pool.call("InitiateAuth", &initiate("USER_AUTH", &preferred)).await.tokens();
}

#[tokio::test]
async fn session_ends_after_three_minutes() {
    let pool = TestPool::open().await;
    let choice = pool.call("InitiateAuth", &initiate("USER_AUTH", &json!({ "USERNAME": "alice" }))).await;
    let session = choice.challenge("SELECT_CHALLENGE");
    pool.clock.advance(Duration::from_secs(180));
    let right = json!({ "USERNAME": "alice", "ANSWER": "PASSWORD", "PASSWORD": ALICE.1 });
    pool.respond("SELECT_CHALLENGE", &session, right.clone())
        .await
        .assert_not_authorized("Invalid session for the user, session is expired.");
    pool.respond("SELECT_CHALLENGE", "an-invented-session-of-a-client", right)
        .await
        .assert_not_authorized("Invalid session for the user.");
}
