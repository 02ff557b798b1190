//! `SignUp`, `ConfirmSignUp`, `ResendConfirmationCode`, `ForgotPassword` and `ConfirmForgotPassword`.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::support::{CAROL, all_flows, sign_up_input};
use crate::support::{ALICE, TestPool, jwt_part};

fn confirm_input(username: &str, code: &str) -> Value {
    json!({ "ClientId": "localweb", "Username": username, "ConfirmationCode": code })
}

#[tokio::test]
async fn account_made_by_the_api_signs_in_by_the_api_and_on_the_page() {
    let pool = TestPool::open().await;
    let signed_up = pool.call("SignUp", &sign_up_input()).await.output();
    assert_eq!(signed_up["UserConfirmed"], false);
    assert_eq!(
        signed_up["CodeDeliveryDetails"],
        json!({ "Destination": "c***@e***", "DeliveryMedium": "EMAIL", "AttributeName": "email" })
    );
    pool.sign_in_by_api(CAROL).await.assert_exception("UserNotConfirmedException", "User is not confirmed.");
    let code = pool.mailed_code().await;
    assert_eq!(pool.call("ConfirmSignUp", &confirm_input("carol", &code)).await.output(), json!({}));

    let tokens = pool.sign_in_by_api(CAROL).await.tokens();
    let id_claims = jwt_part(tokens["IdToken"].as_str().unwrap(), 1);
    assert_eq!(id_claims["sub"], signed_up["UserSub"]);
    assert_eq!((&id_claims["name"], &id_claims["custom:tenant"]), (&json!("Carol"), &json!("acme")));
    assert_eq!(id_claims["email_verified"], true);
    let on_page = pool.tokens(CAROL, &[]).await;
    assert_eq!(on_page.status, StatusCode::OK, "{}", on_page.text);
}

#[tokio::test]
async fn account_made_on_the_page_signs_in_by_the_api() {
    let pool = TestPool::open().await;
    let browser = pool.browser();
    let page = browser.open("/signup").await;
    let fields = [
        ("username", CAROL.0),
        ("email", "carol@example.com"),
        ("password", CAROL.1),
        ("password_again", CAROL.1),
    ];
    let _ = browser.submit(&page, &fields).await;
    let code = pool.mailed_code().await;
    let _ = pool.call("ConfirmSignUp", &confirm_input("carol", &code)).await.output();
    let _ = pool.sign_in_by_api(CAROL).await.tokens();
}

#[tokio::test]
async fn sign_up_rejects_what_cognito_rejects() {
    let pool = TestPool::open().await;
    let attempt = async |name: &str, value: Value| {
        let mut input = sign_up_input();
        input[name] = value;
        pool.call("SignUp", &input).await
    };
    attempt("Username", json!("Alice"))
        .await
        .assert_exception("UsernameExistsException", "User already exists");
    attempt("Password", json!("short")).await.assert_exception(
        "InvalidPasswordException",
        "Password did not conform with policy: Password not long enough",
    );
    attempt("UserAttributes", json!([{ "Name": "colour", "Value": "red" }])).await.assert_exception(
        "InvalidParameterException",
        "Attributes did not conform to the schema: colour: Attribute does not exist in the schema.",
    );
    attempt("UserAttributes", json!([{ "Name": "email_verified", "Value": "true" }]))
        .await
        .assert_not_authorized("A client attempted to write unauthorized attribute");
    attempt("UserAttributes", json!([{ "Name": "email", "Value": "carol" }]))
        .await
        .assert_exception("InvalidParameterException", "Invalid email address format.");
    let closed = TestPool::with(|config| config.self_sign_up = false).await;
    closed
        .call("SignUp", &sign_up_input())
        .await
        .assert_not_authorized("SignUp is not permitted for this user pool");
    let nobody = pool.sign_in_by_api(CAROL).await;
    nobody.assert_not_authorized("Incorrect username or password.");
}

#[tokio::test]
async fn confirmation_codes_are_limited_and_expire() {
    let pool = TestPool::open().await;
    let _ = pool.call("SignUp", &sign_up_input()).await.output();
    let code = pool.mailed_code().await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let confirm = async |code: &str| pool.call("ConfirmSignUp", &confirm_input("carol", code)).await;
    for _ in 0..5 {
        let answer = confirm(wrong).await;
        answer.assert_exception(
            "CodeMismatchException",
            "Invalid verification code provided, please try again.",
        );
    }
    let locked = confirm(&code).await;
    locked.assert_exception("LimitExceededException", "Attempt limit exceeded, please try after some time.");
    pool.clock.advance(Duration::from_secs(24 * 3600));
    let late = confirm(&code).await;
    late.assert_exception("ExpiredCodeException", "Invalid code provided, please request a code again.");
    let _ = pool
        .call("ResendConfirmationCode", &json!({ "ClientId": "localweb", "Username": "carol" }))
        .await
        .output();
    let _ = confirm(&pool.mailed_code().await).await.output();
}

#[tokio::test]
async fn forgotten_password_is_reset_and_the_old_tokens_end() {
    let pool = TestPool::with(all_flows).await;
    let old = pool.sign_in_by_api(ALICE).await.tokens();
    let forgot = json!({ "ClientId": "localweb", "Username": "alice@example.com" });
    let delivery = pool.call("ForgotPassword", &forgot).await.output();
    assert_eq!(delivery["CodeDeliveryDetails"]["Destination"], "a***@e***");
    let mut input = confirm_input("alice@example.com", &pool.mailed_code().await);
    input["Password"] = json!("weak");
    pool.call("ConfirmForgotPassword", &input).await.assert_exception(
        "InvalidPasswordException",
        "Password does not conform to policy: Password not long enough",
    );
    input["Password"] = json!("Looking-glass2");
    let _ = pool.call("ConfirmForgotPassword", &input).await.output();
    pool.sign_in_by_api(ALICE).await.assert_not_authorized("Incorrect username or password.");
    let _ = pool.sign_in_by_api(("alice", "Looking-glass2")).await.tokens();
    let again = pool.call("ConfirmForgotPassword", &input).await;
    assert_eq!(again.json()["__type"], "CodeMismatchException", "a code works once");
    let get_user = pool.call("GetUser", &json!({ "AccessToken": old["AccessToken"] })).await;
    get_user.assert_not_authorized("Access Token has been revoked");
}

#[tokio::test]
async fn client_setting_decides_whether_existence_is_hidden() {
    let hidden = TestPool::open().await;
    let shown = TestPool::with(|config| config.clients[0].prevent_user_existence_errors = false).await;
    let unknown = json!({ "ClientId": "localweb", "Username": "nobody" });
    for operation in ["ForgotPassword", "ResendConfirmationCode"] {
        let delivery = hidden.call(operation, &unknown).await.output();
        assert_eq!(delivery["CodeDeliveryDetails"]["Destination"], "n***@e***", "{operation}");
        shown
            .call(operation, &unknown)
            .await
            .assert_exception("UserNotFoundException", "Username/client id combination not found.");
    }
    let confirm = confirm_input("nobody", "123456");
    let answer = hidden.call("ConfirmSignUp", &confirm).await;
    assert_eq!(answer.json()["__type"], "CodeMismatchException");
    let answer = shown.call("ConfirmSignUp", &confirm).await;
    assert_eq!(answer.json()["__type"], "UserNotFoundException");
    shown
        .call("ConfirmSignUp", &confirm_input("alice", "123456"))
        .await
        .assert_not_authorized("User cannot be confirmed. Current status is CONFIRMED");
    let nobody = ("nobody", "Wonder-land1");
    hidden.sign_in_by_api(nobody).await.assert_not_authorized("Incorrect username or password.");
    shown.sign_in_by_api(nobody).await.assert_exception("UserNotFoundException", "User does not exist.");
}
