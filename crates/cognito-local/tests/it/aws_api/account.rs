//! The account of a signed-in user: attributes, password, tokens and authenticator app.

use axum::http::StatusCode;
use cognito_local::Mfa;
use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

use super::support::{CAROL, all_flows};
use crate::support::{ALICE, TestPool, jwt_part};

async fn attributes(pool: &TestPool, token: &str) -> Value {
    let user = pool.call("GetUser", &json!({ "AccessToken": token })).await.output();
    let pairs = user["UserAttributes"].as_array().unwrap().iter();
    pairs.map(|pair| (pair["Name"].as_str().unwrap().to_owned(), pair["Value"].clone())).collect()
}

fn app_code(pool: &TestPool, secret: &str, steps: i64) -> String {
    let secret = Secret::try_from_base32(secret).unwrap();
    let totp = Builder::new().with_secret(secret).build_noncompliant();
    totp.generate(u64::try_from(pool.clock.unix_seconds() + 30 * steps).unwrap()).to_string()
}

#[tokio::test]
async fn only_a_valid_access_token_with_the_scope_is_accepted() {
    let pool = TestPool::open().await;
    let by_api = pool.sign_in_by_api(ALICE).await.tokens();
    let on_page = pool.tokens(ALICE, &[]).await;
    let get_user = async |token: &str| pool.call("GetUser", &json!({ "AccessToken": token })).await;
    let user = get_user(by_api["AccessToken"].as_str().unwrap()).await.output();
    assert_eq!(user["Username"], "alice");

    let access = by_api["AccessToken"].as_str().unwrap();
    let other = pool.alice_by_api().await;
    let (signed, signature) = (access.rsplit_once('.').unwrap().0, other.rsplit_once('.').unwrap().1);
    let forged = format!("{signed}.{signature}");
    get_user(&forged).await.assert_not_authorized("Could not verify signature for Access Token");
    let id_token = by_api["IdToken"].as_str().unwrap();
    get_user(id_token).await.assert_not_authorized("Invalid Access Token");
    get_user("not-a-token").await.assert_not_authorized("Invalid Access Token");
    get_user(&on_page.member("access_token"))
        .await
        .assert_not_authorized("Access Token does not have required scopes");
    pool.clock.advance(std::time::Duration::from_secs(3600));
    get_user(access).await.assert_not_authorized("Access Token has expired");
}

#[tokio::test]
async fn attributes_are_texts_and_a_new_address_is_unverified_until_its_code_comes_back() {
    let pool = TestPool::open().await;
    let token = pool.alice_by_api().await;
    assert_eq!(attributes(&pool, &token).await["email_verified"], "true");
    let update = json!({ "AccessToken": token, "UserAttributes": [
        { "Name": "email", "Value": "alice@example.org" },
        { "Name": "family_name", "Value": "Liddell" },
        { "Name": "name", "Value": "" },
    ] });
    let output = pool.call("UpdateUserAttributes", &update).await.output();
    assert_eq!(output["CodeDeliveryDetailsList"][0]["AttributeName"], "email");
    let changed = attributes(&pool, &token).await;
    assert_eq!((&changed["email_verified"], &changed["family_name"]), (&json!("false"), &json!("Liddell")));
    assert!(changed.get("name").is_none(), "an empty text deletes");

    let verify = async |code: &str| {
        let input = json!({ "AccessToken": token, "AttributeName": "email", "Code": code });
        pool.call("VerifyUserAttribute", &input).await
    };
    let code = pool.mailed_code().await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    assert_eq!(verify(wrong).await.json()["__type"], "CodeMismatchException");
    let _ = verify(&code).await.output();
    assert_eq!(attributes(&pool, &token).await["email_verified"], "true");

    let again = json!({ "AccessToken": token, "AttributeName": "email" });
    let _ = pool.call("GetUserAttributeVerificationCode", &again).await.output();
    let code = pool.mailed_code().await;
    let delete = json!({ "AccessToken": token, "UserAttributeNames": ["family_name", "email"] });
    let _ = pool.call("DeleteUserAttributes", &delete).await.output();
    let rest = attributes(&pool, &token).await;
    assert!(rest.get("family_name").is_none() && rest.get("email").is_none());
    assert_eq!(verify(&code).await.json()["__type"], "CodeMismatchException", "of an address that is gone");
    let forbidden =
        json!({ "AccessToken": token, "UserAttributes": [{ "Name": "email_verified", "Value": "true" }] });
    pool.call("UpdateUserAttributes", &forbidden)
        .await
        .assert_not_authorized("A client attempted to write unauthorized attribute");
}

#[tokio::test]
async fn address_of_another_account_cannot_be_verified() {
    let pool = TestPool::open().await;
    let token = pool.alice_by_api().await;
    let update = json!({ "AccessToken": token, "UserAttributes": [
        { "Name": "email", "Value": "BOB@example.com" },
    ] });
    let _ = pool.call("UpdateUserAttributes", &update).await.output();
    let code = pool.mailed_code().await;
    let verify = json!({ "AccessToken": token, "AttributeName": "email", "Code": code });
    pool.call("VerifyUserAttribute", &verify)
        .await
        .assert_exception("AliasExistsException", "An account with the email already exists.");
}

#[tokio::test]
async fn password_changes_only_with_the_previous_one() {
    let pool = TestPool::open().await;
    let token = pool.alice_by_api().await;
    let change = async |previous: &str, proposed: &str| {
        let input =
            json!({ "AccessToken": token, "PreviousPassword": previous, "ProposedPassword": proposed });
        pool.call("ChangePassword", &input).await
    };
    change("Wrong-land1", "Looking-glass2").await.assert_not_authorized("Incorrect username or password.");
    change(ALICE.1, "weak").await.assert_exception(
        "InvalidPasswordException",
        "Password does not conform to policy: Password not long enough",
    );
    let _ = change(ALICE.1, "Looking-glass2").await.output();
    pool.sign_in_by_api(ALICE).await.assert_not_authorized("Incorrect username or password.");
    let _ = pool.access_token(("alice", "Looking-glass2")).await;
}

#[tokio::test]
async fn deleted_user_is_gone_everywhere() {
    let pool = TestPool::open().await;
    pool.sign_carol_up().await;
    let token = pool.access_token(CAROL).await;
    let _ = pool.call("DeleteUser", &json!({ "AccessToken": token })).await.output();
    let get_user = pool.call("GetUser", &json!({ "AccessToken": token })).await;
    get_user.assert_not_authorized("Access Token has been revoked");
    pool.sign_in_by_api(CAROL).await.assert_not_authorized("Incorrect username or password.");
    let on_page = pool.browser().sign_in(CAROL, &[]).await;
    assert_eq!(on_page.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn global_sign_out_ends_all_tokens_of_both_doors() {
    let pool = TestPool::with(all_flows).await;
    let (first, second) =
        (pool.sign_in_by_api(ALICE).await.tokens(), pool.sign_in_by_api(ALICE).await.tokens());
    let on_page = pool.tokens(ALICE, &[]).await;
    let _ = pool.call("GlobalSignOut", &json!({ "AccessToken": first["AccessToken"] })).await.output();
    for tokens in [&first, &second] {
        pool.call("GetUser", &json!({ "AccessToken": tokens["AccessToken"] }))
            .await
            .assert_not_authorized("Access Token has been revoked");
        let input = json!({ "ClientId": "localweb", "RefreshToken": tokens["RefreshToken"] });
        pool.call("GetTokensFromRefreshToken", &input)
            .await
            .assert_not_authorized("Refresh Token has been revoked");
    }
    pool.refresh(&on_page.member("refresh_token")).await.assert_error("invalid_grant");
}

#[tokio::test]
async fn revoked_refresh_token_ends_its_access_token_but_no_other() {
    let pool = TestPool::open().await;
    let (first, second) =
        (pool.sign_in_by_api(ALICE).await.tokens(), pool.sign_in_by_api(ALICE).await.tokens());
    let revoke = async |client: &str, token: &Value| {
        pool.call("RevokeToken", &json!({ "ClientId": client, "Token": token })).await
    };
    let access = revoke("localweb", &first["AccessToken"]).await;
    assert_eq!(access.json()["__type"], "UnsupportedTokenTypeException");
    assert_eq!(revoke("localweb", &first["RefreshToken"]).await.output(), json!({}));
    assert_eq!(revoke("localweb", &json!("unknown")).await.output(), json!({}));
    pool.call("GetUser", &json!({ "AccessToken": first["AccessToken"] }))
        .await
        .assert_not_authorized("Access Token has been revoked");
    let _ = pool.call("GetUser", &json!({ "AccessToken": second["AccessToken"] })).await.output();
}

#[tokio::test]
async fn app_is_asked_for_after_it_was_verified_and_turned_on() {
    let pool = TestPool::open().await;
    let token = pool.alice_by_api().await;
    let on = json!({ "AccessToken": token, "SoftwareTokenMfaSettings": { "Enabled": true, "PreferredMfa": true } });
    pool.call("SetUserMFAPreference", &on).await.assert_exception(
        "InvalidParameterException",
        "User does not have delivery config set to turn on SOFTWARE_TOKEN_MFA",
    );
    let associated = pool.call("AssociateSoftwareToken", &json!({ "AccessToken": token })).await.output();
    let secret = associated["SecretCode"].as_str().unwrap();
    let verify = async |code: &str| {
        pool.call("VerifySoftwareToken", &json!({ "AccessToken": token, "UserCode": code })).await
    };
    verify("000000").await.assert_exception(
        "EnableSoftwareTokenMFAException",
        "Code mismatch and fail enable Software Token MFA",
    );
    assert_eq!(verify(&app_code(&pool, secret, 0)).await.output()["Status"], "SUCCESS");
    let _ = pool.sign_in_by_api(ALICE).await.tokens();
    let _ = pool.call("SetUserMFAPreference", &on).await.output();
    let user = pool.call("GetUser", &json!({ "AccessToken": token })).await.output();
    assert_eq!(user["PreferredMfaSetting"], "SOFTWARE_TOKEN_MFA");

    let session = pool.sign_in_by_api(ALICE).await.challenge("SOFTWARE_TOKEN_MFA");
    let answer = async |session: &str, code: &str| {
        let responses = json!({ "USERNAME": "alice", "SOFTWARE_TOKEN_MFA_CODE": code });
        pool.respond("SOFTWARE_TOKEN_MFA", session, responses).await
    };
    let used = answer(&session, &app_code(&pool, secret, 0)).await;
    used.assert_exception("ExpiredCodeException", "Your software token has already been used once.");
    let tokens = answer(&session, &app_code(&pool, secret, 1)).await.tokens();
    assert_eq!(jwt_part(tokens["AccessToken"].as_str().unwrap(), 1)["username"], "alice");
    answer(&session, &app_code(&pool, secret, 1))
        .await
        .assert_not_authorized("Invalid session for the user, session can only be used once.");
    let on_page = pool.browser().sign_in(ALICE, &[]).await;
    assert!(on_page.location().starts_with("/mfa?"), "{}", on_page.location());
}

#[tokio::test]
async fn pool_that_requires_an_app_has_it_set_up_during_the_first_sign_in() {
    let pool = TestPool::with(|config| config.mfa = Mfa::Required).await;
    let session = pool.sign_in_by_api(ALICE).await.challenge("MFA_SETUP");
    let early = pool.respond("MFA_SETUP", &session, json!({ "USERNAME": "alice" })).await;
    early.assert_not_authorized("Invalid session for the user.");
    let associated = pool.call("AssociateSoftwareToken", &json!({ "Session": session })).await.output();
    let secret = associated["SecretCode"].as_str().unwrap();
    let verify = json!({ "Session": associated["Session"], "UserCode": app_code(&pool, secret, 0) });
    let verified = pool.call("VerifySoftwareToken", &verify).await.output();
    let session = verified["Session"].as_str().unwrap();
    let _ = pool.respond("MFA_SETUP", session, json!({ "USERNAME": "alice" })).await.tokens();
    let _ = pool.sign_in_by_api(ALICE).await.challenge("SOFTWARE_TOKEN_MFA");
}
