//! `Caller` and its policies in a router.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::FromRequestParts as _;
use axum::http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, Request, Response, StatusCode};
use axum::routing::get;
use cognito_auth::testing::{Reply, TestPool};
use cognito_auth::{
    AnyOf, AuthRejection, Authenticated, BuildError, Caller, InGroup, Policy, RejectionKind, Requirements,
    ResourceServer, UserPool, Verifier, VerifyError, group, scope,
};
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

async fn twice(one: Caller<ItemsRead>, _: Option<Caller<ItemsWrite>>, other: Caller) -> String {
    assert_eq!(one.sub(), other.sub());
    other.into_token().sub().to_owned()
}

async fn write(_: Caller<ItemsWrite>) {}

async fn administrate(_: Caller<(InGroup<Admins>, ItemsRead, ItemsWrite)>) {}

async fn either(_: Caller<AnyOf<(Admins, ItemsRead)>>) {}

fn app(server: ResourceServer) -> Router {
    Router::new()
        .route("/name", get(name))
        .route("/optional", get(optional))
        .route("/twice", get(twice))
        .route("/write", get(write))
        .route("/administrate", get(administrate))
        .route("/either", get(either))
        .with_state(server)
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
async fn valid_token_identifies_the_caller() {
    let pool = TestPool::new();
    let app = app(pool.resource_server());
    let response = send(&app, "/name", Some(&pool.user("alice").access_token())).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(text(response).await, "alice");
}

#[tokio::test]
async fn challenge_without_a_token_has_no_error() {
    let pool = TestPool::new();
    let server = ResourceServer::builder(pool.verifier())
        .realm("items")
        .resource_metadata("https://api.example.com/.well-known/oauth-protected-resource")
        .build()
        .unwrap();
    let response = send(&app(server), "/name", None).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        challenge(&response),
        "Bearer realm=\"items\", \
         resource_metadata=\"https://api.example.com/.well-known/oauth-protected-resource\""
    );
    assert_eq!(text(response).await, "An access token is required.");
}

#[tokio::test]
async fn malformed_token_is_challenged_with_invalid_token() {
    let pool = TestPool::new();
    let app = app(pool.resource_server());
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
async fn optional_caller_is_none_without_a_token() {
    let pool = TestPool::new();
    let app = app(pool.resource_server());
    assert_eq!(text(send(&app, "/optional", None).await).await, "unknown");
    let token = pool.user("alice").access_token();
    assert_eq!(text(send(&app, "/optional", Some(&token)).await).await, "known");
}

#[tokio::test]
async fn challenge_names_the_missing_scope() {
    let pool = TestPool::new();
    let app = app(pool.resource_server());
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
async fn all_of_requires_every_scope_and_any_of_requires_one() {
    let pool = TestPool::new();
    let app = app(pool.resource_server());
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
async fn groups_are_checked_without_scope_checks() {
    let pool = TestPool::new();
    let app = app(ResourceServer::builder(pool.verifier()).without_scope_checks().build().unwrap());
    let user = pool.user("bob").access_token();
    assert_eq!(send(&app, "/write", Some(&user)).await.status(), StatusCode::OK);
    assert_eq!(send(&app, "/administrate", Some(&user)).await.status(), StatusCode::FORBIDDEN);
    let admin = pool.user("alice").in_group("admins").access_token();
    assert_eq!(send(&app, "/administrate", Some(&admin)).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn two_credentials_are_rejected_as_invalid_request() {
    let pool = TestPool::new();
    let bearer = format!("Bearer {}", pool.user("alice").access_token());
    let request = Request::get("/name").header(AUTHORIZATION, &bearer).header(AUTHORIZATION, &bearer);
    let response = app(pool.resource_server()).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(challenge(&response).contains("error=\"invalid_request\""));
}

#[tokio::test]
async fn missing_keys_are_a_503_with_retry_after() {
    let pool = TestPool::new();
    let server = pool.serve().await;
    server.reply(Reply::Down);
    let verifier =
        Verifier::builder(pool.served_user_pool(&server)).client_ids([pool.client_id()]).build().unwrap();
    let app = app(ResourceServer::new(verifier.clone()));
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

#[tokio::test]
async fn several_extractors_verify_the_token_once() {
    let pool = TestPool::new();
    let verifier = pool.verifier_builder().cache_capacity(0).build().unwrap();
    let token = pool.user("alice").scope("items/read items/write").access_token();
    let response = send(&app(ResourceServer::new(verifier.clone())), "/twice", Some(&token)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(verifier.stats().accepted, 1);
}

#[test]
fn realm_and_metadata_url_that_do_not_fit_into_a_header_are_rejected() {
    let builder = || ResourceServer::builder(TestPool::new().verifier());
    for text in ["a\"b", "a\r\nb", "a\\b", "ä"] {
        assert!(matches!(builder().realm(text).build(), Err(BuildError::HeaderValue { .. })), "{text}");
        assert!(matches!(builder().resource_metadata(text).build(), Err(BuildError::HeaderValue { .. })));
    }
}

#[tokio::test]
async fn invalid_token_is_verified_once_per_request() {
    let pool = TestPool::new();
    let server = pool.resource_server();
    let bearer = format!("Bearer {}", pool.user("alice").expired().access_token());
    let (mut parts, ()) = Request::get("/").header(AUTHORIZATION, bearer).body(()).unwrap().into_parts();
    for _ in 0..2 {
        let rejection = server.authenticate_request(&mut parts).await.unwrap_err();
        assert_eq!(rejection.kind(), RejectionKind::ExpiredToken);
    }
    assert_eq!(server.verifier().stats().expired, 1);
}

#[tokio::test]
async fn rejection_lists_what_is_missing_for_each_way() {
    let pool = TestPool::new();
    let server = pool.resource_server();
    let raw = pool.user("alice").scope("items/write").access_token();
    let token = server.verifier().verify_access(&raw).await.unwrap();
    let rejection = server.authorize::<(ItemsWrite, AnyOf<(Admins, ItemsRead)>)>(&token).unwrap_err();
    let unmet = rejection.unmet();
    assert_eq!(
        (unmet.len(), &unmet[0].groups[..], &unmet[1].scopes[..]),
        (2, &["admins"][..], &["items/read"][..])
    );
    assert_eq!(rejection.scopes(), ["items/write", "items/read"]);
    let lax = ResourceServer::builder(pool.verifier()).without_scope_checks().build().unwrap();
    let rejection = lax.authorize::<(ItemsRead, Admins)>(&token).unwrap_err();
    assert_eq!((rejection.unmet().len(), rejection.unmet()[0].scopes.len()), (1, 0));
}

#[tokio::test]
async fn outcome_of_another_resource_server_is_not_used() {
    let (one, other) = (TestPool::with_id("us-east-1_One"), TestPool::with_id("us-east-1_Other"));
    let (server, parts) = (one.resource_server(), Request::get("/"));
    let token = one.user("alice").access_token();
    let request = parts.header(AUTHORIZATION, format!("Bearer {token}")).body(()).unwrap();
    let (mut parts, ()) = request.into_parts();
    Caller::<Authenticated>::from_request_parts(&mut parts, &server).await.unwrap();
    let rejected =
        Caller::<Authenticated>::from_request_parts(&mut parts, &other.resource_server()).await.unwrap_err();
    assert_eq!(rejected.kind(), RejectionKind::InvalidToken);
}

#[tokio::test]
async fn outcome_for_another_header_is_not_used() {
    let pool = TestPool::new();
    let server = pool.resource_server();
    let bearer = |name: &str| format!("Bearer {}", pool.user(name).access_token());
    let request = Request::get("/").header(AUTHORIZATION, bearer("alice")).body(()).unwrap();
    let (mut parts, ()) = request.into_parts();
    let caller = Caller::<Authenticated>::from_request_parts(&mut parts, &server).await.unwrap();
    assert_eq!(caller.username(), Some("alice"));
    parts.headers.insert(AUTHORIZATION, bearer("bob").parse().unwrap());
    let caller = Caller::<Authenticated>::from_request_parts(&mut parts, &server).await.unwrap();
    assert_eq!(caller.username(), Some("bob"));
    parts.headers.append(AUTHORIZATION, bearer("bob").parse().unwrap());
    let rejected = Caller::<Authenticated>::from_request_parts(&mut parts, &server).await.unwrap_err();
    assert_eq!(rejected.kind(), RejectionKind::InvalidRequest);
    parts.headers.remove(AUTHORIZATION);
    let rejected = Caller::<Authenticated>::from_request_parts(&mut parts, &server).await.unwrap_err();
    assert_eq!(rejected.kind(), RejectionKind::MissingToken);
}

#[tokio::test]
async fn response_does_not_contain_the_cause() {
    let pool = TestPool::new();
    let token =
        pool.user("alice").claim("iss", "https://evil.example.com\"\r\nx-injected: 1".into()).access_token();
    let response = send(&app(pool.resource_server()), "/name", Some(&token)).await;
    let rejection = response.extensions().get::<AuthRejection>().unwrap();
    assert!(matches!(
        std::error::Error::source(rejection).unwrap().downcast_ref(),
        Some(VerifyError::Issuer { found, .. }) if found.contains("evil")
    ));
    let told = format!("{rejection} {:?}", response.headers());
    assert!(!told.contains("evil") && !told.contains("injected"), "{told}");
    assert!(!text(response).await.contains("evil"));
}

#[tokio::test]
async fn token_in_query_or_cookie_is_ignored() {
    let pool = TestPool::new();
    let token = pool.user("alice").access_token();
    let uri = format!("/name?access_token={token}");
    let request =
        Request::get(uri).header("cookie", format!("access_token={token}")).body(Body::empty()).unwrap();
    let response = app(pool.resource_server()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(challenge(&response), "Bearer");
}

#[tokio::test]
async fn every_kind_of_rejection_has_its_status_and_headers() {
    let pool = TestPool::new();
    let down = Verifier::builder(
        UserPool::new("eu-west-1_A1").unwrap().with_jwks_url("http://127.0.0.1:1").unwrap(),
    );
    let down = ResourceServer::new(down.any_client().build().unwrap());
    let server = pool.resource_server();
    let bearer =
        |token: &str| HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().unwrap())]);
    let valid = pool.user("alice").access_token();
    let token = server.verifier().verify_access(&valid).await.unwrap();
    let rejections = [
        (RejectionKind::MissingToken, 401, server.authenticate(&HeaderMap::new()).await.unwrap_err()),
        (RejectionKind::InvalidRequest, 400, server.authenticate(&bearer("a b")).await.unwrap_err()),
        (RejectionKind::InvalidToken, 401, server.authenticate(&bearer("a")).await.unwrap_err()),
        (RejectionKind::ExpiredToken, 401, {
            server.authenticate(&bearer(&pool.user("alice").expired().access_token())).await.unwrap_err()
        }),
        (RejectionKind::InsufficientScope, 403, server.authorize::<ItemsRead>(&token).unwrap_err()),
        (RejectionKind::Forbidden, 403, server.authorize::<Admins>(&token).unwrap_err()),
        (RejectionKind::KeysUnavailable, 503, down.authenticate(&bearer(&valid)).await.unwrap_err()),
    ];
    for (kind, status, rejection) in rejections {
        assert_eq!((rejection.kind(), rejection.status().as_u16()), (kind, status));
        let unavailable = kind == RejectionKind::KeysUnavailable;
        assert_eq!(rejection.headers().contains_key(RETRY_AFTER), unavailable);
        assert_eq!(rejection.headers().contains_key(WWW_AUTHENTICATE), !unavailable);
    }
}

#[tokio::test]
async fn condition_of_the_application_checks_claims() {
    struct Acme;

    impl Policy for Acme {
        const REQUIREMENTS: Requirements = Requirements::Condition {
            description: "the tenant is acme",
            holds: |token| {
                token.claim::<String>("tenant").is_ok_and(|tenant| tenant.as_deref() == Some("acme"))
            },
        };
    }

    let pool = TestPool::new();
    let server = pool.resource_server();
    for (tenant, admitted) in [("acme", true), ("other", false)] {
        let raw = pool.user("alice").claim("tenant", tenant.into()).access_token();
        let token = server.verifier().verify_access(&raw).await.unwrap();
        assert_eq!(server.authorize::<Acme>(&token).is_ok(), admitted);
    }
    assert_eq!(
        <(Acme, AnyOf<(Admins, ItemsRead)>)>::REQUIREMENTS.to_string(),
        "the tenant is acme and (group admins or scope items/read)"
    );
}
