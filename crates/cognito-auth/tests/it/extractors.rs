//! `Caller` and its policies over a real router.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Request, Response, StatusCode};
use axum::routing::get;
use cognito_auth::testing::{Reply, TestPool};
use cognito_auth::{AnyOf, Caller, InGroup, Verifier, group, scope};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

scope!(ItemsRead = "items/read");
scope!(ItemsWrite = "items/write");
group!(Admins = "admins");

async fn name(caller: Caller) -> String {
    caller.username().unwrap_or("machine").to_owned()
}

async fn optional(caller: Option<Caller>) -> &'static str {
    if caller.is_some() { "known" } else { "unknown" }
}

async fn write(_: Caller<ItemsWrite>) {}

async fn administrate(_: Caller<(InGroup<Admins>, ItemsRead, ItemsWrite)>) {}

async fn either(_: Caller<AnyOf<(Admins, ItemsRead)>>) {}

fn app(verifier: Verifier) -> Router {
    Router::new()
        .route("/name", get(name))
        .route("/optional", get(optional))
        .route("/write", get(write))
        .route("/administrate", get(administrate))
        .route("/either", get(either))
        .with_state(verifier)
}

async fn send(app: &Router, path: &str, token: Option<&str>) -> Response<Body> {
    let mut request = Request::get(path);
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

fn challenge(response: &Response<Body>) -> &str {
    response.headers()[WWW_AUTHENTICATE].to_str().unwrap()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn a_valid_token_names_the_caller() {
    let pool = TestPool::new();
    let app = app(pool.verifier());
    let response = send(&app, "/name", Some(&pool.user("alice").access_token())).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(text(response).await, "alice");
}

#[tokio::test]
async fn without_a_token_the_challenge_names_no_error() {
    let pool = TestPool::new();
    let verifier = pool
        .verifier_builder()
        .realm("items")
        .resource_metadata("https://api.example.com/.well-known/oauth-protected-resource")
        .build()
        .unwrap();
    let response = send(&app(verifier), "/name", None).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        challenge(&response),
        "Bearer realm=\"items\", \
         resource_metadata=\"https://api.example.com/.well-known/oauth-protected-resource\""
    );
    assert_eq!(text(response).await, "An access token is required.");
}

#[tokio::test]
async fn a_bad_token_is_an_invalid_token() {
    let pool = TestPool::new();
    let app = app(pool.verifier());
    for path in ["/name", "/optional", "/write"] {
        let response = send(&app, path, Some("eyJ.e30.AA")).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(
            challenge(&response),
            "Bearer error=\"invalid_token\", error_description=\"The access token is not valid.\""
        );
    }
    let response = send(&app, "/name", Some(&pool.user("alice").expired().access_token())).await;
    assert_eq!(text(response).await, "The access token has expired.");
}

#[tokio::test]
async fn an_optional_caller_is_nothing_without_a_token() {
    let pool = TestPool::new();
    let app = app(pool.verifier());
    assert_eq!(text(send(&app, "/optional", None).await).await, "unknown");
    let token = pool.user("alice").access_token();
    assert_eq!(text(send(&app, "/optional", Some(&token)).await).await, "known");
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let pool = TestPool::new();
    let app = app(pool.verifier());
    let token = pool.user("alice").scope("items/read items/writer").access_token();
    let response = send(&app, "/write", Some(&token)).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        challenge(&response),
        "Bearer error=\"insufficient_scope\", error_description=\"The access token lacks a required scope.\", \
         scope=\"items/write\""
    );
    let token = pool.user("alice").scope("items/read items/write").access_token();
    assert_eq!(send(&app, "/write", Some(&token)).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn all_of_names_every_scope_that_is_needed_and_any_of_needs_one() {
    let pool = TestPool::new();
    let app = app(pool.verifier());
    let reader = pool.user("alice").in_group("admins").scope("items/read").access_token();
    let response = send(&app, "/administrate", Some(&reader)).await;
    assert!(challenge(&response).ends_with("scope=\"items/read items/write\""), "{}", challenge(&response));
    assert_eq!(send(&app, "/either", Some(&reader)).await.status(), StatusCode::OK);

    let stranger = pool.user("bob").scope("items/read items/write").access_token();
    let response = send(&app, "/administrate", Some(&stranger)).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(!challenge(&response).contains("scope=\""), "a client cannot ask for a group");

    let nobody = pool.user("bob").access_token();
    assert!(challenge(&send(&app, "/either", Some(&nobody)).await).ends_with("scope=\"items/read\""));
}

#[tokio::test]
async fn without_scope_checks_groups_still_hold() {
    let pool = TestPool::new();
    let app = app(pool.verifier_builder().without_scope_checks().build().unwrap());
    let user = pool.user("bob").access_token();
    assert_eq!(send(&app, "/write", Some(&user)).await.status(), StatusCode::OK);
    assert_eq!(send(&app, "/administrate", Some(&user)).await.status(), StatusCode::FORBIDDEN);
    let admin = pool.user("alice").in_group("admins").access_token();
    assert_eq!(send(&app, "/administrate", Some(&admin)).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn two_credentials_are_an_invalid_request() {
    let pool = TestPool::new();
    let bearer = format!("Bearer {}", pool.user("alice").access_token());
    let request = Request::get("/name").header(AUTHORIZATION, &bearer).header(AUTHORIZATION, &bearer);
    let response = app(pool.verifier()).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(challenge(&response).contains("error=\"invalid_request\""));
}

#[tokio::test]
async fn without_keys_the_caller_is_asked_to_come_back() {
    let pool = TestPool::new();
    let server = pool.serve().await;
    server.reply(Reply::Down);
    let verifier =
        Verifier::builder(pool.served_user_pool(&server)).client_ids([pool.client_id()]).build().unwrap();
    let app = app(verifier.clone());
    let token = pool.user("alice").access_token();
    let response = send(&app, "/name", Some(&token)).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers()[RETRY_AFTER].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    assert!(!response.headers().contains_key(WWW_AUTHENTICATE));

    server.reply(Reply::Keys(pool.jwks()));
    let recovered = async {
        while send(&app, "/name", Some(&token)).await.status() != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), recovered)
        .await
        .expect("keys are fetched again by themselves");
    assert!(verifier.ready().await.is_ok());
}
