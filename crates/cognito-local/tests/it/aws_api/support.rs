//! Calls operations as an SDK does.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{Request, StatusCode};
use cognito_local::{AuthFlow, PoolConfig};
use serde_json::{Value, json};

use crate::support::{ALICE, Answer, TestPool, send};

pub(crate) const TARGET: &str = "AWSCognitoIdentityProviderService.";
pub(crate) const CAROL: (&str, &str) = ("carol", "Correct-horse-9");

/// Lets `localweb` use every flow, also refresh tokens without rotation.
pub(crate) fn all_flows(config: &mut PoolConfig) {
    config.clients[0].refresh_token_rotation = None;
    config.clients[0].auth_flows = vec![
        AuthFlow::UserSrpAuth,
        AuthFlow::UserPasswordAuth,
        AuthFlow::AdminUserPasswordAuth,
        AuthFlow::UserAuth,
        AuthFlow::RefreshTokenAuth,
    ];
}

pub(crate) fn request(operation: &str, body: &str) -> Request<Body> {
    Request::post("/")
        .header(HOST, "localhost:9229")
        .header(CONTENT_TYPE, "application/x-amz-json-1.1")
        .header("x-amz-target", format!("{TARGET}{operation}"))
        .body(Body::from(body.to_owned()))
        .unwrap()
}

impl TestPool {
    /// Calls an operation and checks what holds for every response.
    pub(crate) async fn call(&self, operation: &str, input: &Value) -> Answer {
        self.send_call(request(operation, &input.to_string())).await
    }

    pub(crate) async fn send_call(&self, request: Request<Body>) -> Answer {
        let answer = send(&self.pool, request).await;
        assert_eq!(answer.headers[CONTENT_TYPE], "application/x-amz-json-1.1");
        assert!(answer.headers.contains_key("x-amzn-requestid"));
        if answer.status != StatusCode::OK {
            let error = answer.json();
            let exception = error["__type"].as_str().unwrap();
            assert_eq!(answer.headers["x-amzn-errortype"], format!("{exception}:"));
            assert!(error["message"].is_string(), "{error}");
            assert!(error.get("AuthenticationResult").is_none());
        }
        answer
    }

    /// Signs in with a password and returns the tokens, or the challenge.
    pub(crate) async fn sign_in_by_api(&self, (username, password): (&str, &str)) -> Answer {
        let input = json!({
            "ClientId": "localweb",
            "AuthFlow": "USER_PASSWORD_AUTH",
            "AuthParameters": { "USERNAME": username, "PASSWORD": password },
        });
        self.call("InitiateAuth", &input).await
    }

    pub(crate) async fn access_token(&self, user: (&str, &str)) -> String {
        self.sign_in_by_api(user).await.tokens()["AccessToken"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn respond(&self, challenge: &str, session: &str, responses: Value) -> Answer {
        let input = json!({
            "ClientId": "localweb",
            "ChallengeName": challenge,
            "Session": session,
            "ChallengeResponses": responses,
        });
        self.call("RespondToAuthChallenge", &input).await
    }

    /// Creates and confirms carol.
    pub(crate) async fn sign_carol_up(&self) {
        let _ = self.call("SignUp", &sign_up_input()).await.output();
        let code = self.mailed_code().await;
        let input = json!({ "ClientId": "localweb", "Username": CAROL.0, "ConfirmationCode": code });
        let _ = self.call("ConfirmSignUp", &input).await.output();
    }

    pub(crate) async fn alice_by_api(&self) -> String {
        self.access_token(ALICE).await
    }
}

pub(crate) fn sign_up_input() -> Value {
    json!({
        "ClientId": "localweb",
        "Username": CAROL.0,
        "Password": CAROL.1,
        "UserAttributes": [
            { "Name": "email", "Value": "carol@example.com" },
            { "Name": "name", "Value": "Carol" },
            { "Name": "custom:tenant", "Value": "acme" },
        ],
    })
}

impl Answer {
    #[track_caller]
    pub(crate) fn output(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self.json()
    }

    #[track_caller]
    pub(crate) fn tokens(&self) -> Value {
        let tokens = self.output()["AuthenticationResult"].clone();
        assert!(tokens.is_object(), "{}", self.text);
        tokens
    }

    /// Returns the session of a challenge with this name.
    #[track_caller]
    pub(crate) fn challenge(&self, name: &str) -> String {
        let output = self.output();
        assert_eq!(output["ChallengeName"], name, "{}", self.text);
        assert!(output.get("AuthenticationResult").is_none());
        output["Session"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn assert_exception(&self, exception: &str, message: &str) {
        let error = self.json();
        assert_eq!((&error["__type"], &error["message"]), (&json!(exception), &json!(message)));
        assert_eq!(self.status, StatusCode::BAD_REQUEST);
    }

    #[track_caller]
    pub(crate) fn assert_not_authorized(&self, message: &str) {
        self.assert_exception("NotAuthorizedException", message);
    }
}
