//! The layer for tower.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{Request, Response, StatusCode};
use axum::routing::get;
use axum::{Extension, Router};
use cognito_auth::testing::TestPool;
use cognito_auth::tower::AuthLayer;
use cognito_auth::{
    AccessToken, AuthRejection, Authenticated, Caller, RejectionKind, ResourceServer, group, scope,
};
use http_body_util::BodyExt as _;
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _, service_fn};

use crate::local_pool::RunningPool;

scope!(ItemsRead = "items/read");
group!(Admins = "admins");

fn request(token: Option<&str>) -> Request<String> {
    let mut request = Request::get("/");
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    request.body("the body".to_owned()).unwrap()
}

/// Sends a request through the layer to a service that responds with the `sub` of the token in the extensions.
async fn send<F>(layer: AuthLayer<F>, request: Request<String>) -> Response<String>
where
    F: cognito_auth::tower::RejectionBody<String> + Clone + Send + 'static,
{
    let service = service_fn(async |request: Request<String>| {
        assert_eq!(request.body(), "the body");
        let token = request.extensions().get::<AccessToken>();
        Ok::<_, Infallible>(Response::new(token.map_or("nobody", AccessToken::sub).to_owned()))
    });
    ServiceBuilder::new().layer(layer).service(service).oneshot(request).await.unwrap()
}

#[tokio::test]
async fn service_gets_the_verified_token_and_the_body() {
    let pool = TestPool::new();
    let token = pool.user("alice").scope("items/read").access_token();
    let response = send(pool.resource_server().layer::<ItemsRead>(), request(Some(&token))).await;
    let sub = pool.verifier().verify_access(&token).await.unwrap().sub().to_owned();
    assert_eq!(response.into_body(), sub);
}

#[tokio::test]
async fn rejected_request_does_not_reach_the_service() {
    let pool = TestPool::new();
    let server = pool.resource_server();
    let user = pool.user("alice").access_token();
    for (layer, token, status, kind) in [
        (server.layer::<Authenticated>(), None, 401, RejectionKind::MissingToken),
        (server.layer::<Authenticated>(), Some("a.b.c"), 401, RejectionKind::InvalidToken),
        (server.layer::<ItemsRead>(), Some(user.as_str()), 403, RejectionKind::InsufficientScope),
        (server.layer::<Admins>(), Some(user.as_str()), 403, RejectionKind::Forbidden),
    ] {
        let unreachable =
            service_fn(async |_| -> Result<Response<String>, Infallible> { panic!("rejected") });
        let response = layer.layer(unreachable).oneshot(request(token)).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        assert!(response.headers().contains_key(WWW_AUTHENTICATE));
        assert_eq!(response.extensions().get::<AuthRejection>().unwrap().kind(), kind);
        assert_eq!(response.body(), "", "empty by default");
    }
}

#[tokio::test]
async fn body_of_a_rejection_is_text_or_a_problem_document() {
    let pool = TestPool::new();
    let text = send(pool.resource_server().layer::<Authenticated>().body(|text| text), request(None)).await;
    assert_eq!(text.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(text.body(), "An access token is required.");

    let server = ResourceServer::builder(pool.verifier()).problem_details().build().unwrap();
    let problem = send(server.layer::<Authenticated>().body(|text| text), request(None)).await;
    assert_eq!(problem.headers()[CONTENT_TYPE], "application/problem+json");
    let document: serde_json::Value = serde_json::from_str(problem.body()).unwrap();
    let expected = serde_json::json!({
        "title": "Unauthorized", "status": 401, "detail": "An access token is required.",
    });
    assert_eq!(document, expected);
}

#[tokio::test]
async fn optional_layer_admits_requests_without_a_token_only() {
    let pool = TestPool::new();
    let server = pool.resource_server();
    let layer = || server.layer::<ItemsRead>().optional();
    assert_eq!(send(layer(), request(None)).await.body(), "nobody");
    for token in ["a.b.c".to_owned(), pool.user("alice").access_token()] {
        assert!(send(layer(), request(Some(&token))).await.status().is_client_error());
    }
    let other = TestPool::with_id("us-east-1_Other").resource_server();
    let mut forged = request(None);
    let token = pool.user("alice").access_token();
    forged.extensions_mut().insert(server.verifier().verify_access(&token).await.unwrap());
    let response = send(other.layer::<Authenticated>().optional(), forged).await;
    assert_eq!(response.body(), "nobody", "the token of another resource server is removed");
}

#[tokio::test]
async fn layers_and_extractors_verify_the_token_once() {
    let pool = TestPool::new();
    let server = ResourceServer::new(pool.verifier_builder().cache_capacity(0).build().unwrap());
    let handler = async |caller: Caller<ItemsRead>, Extension(token): Extension<AccessToken>| {
        assert_eq!(caller.sub(), token.sub());
    };
    let app = Router::new()
        .route("/", get(handler).layer(server.layer::<ItemsRead>().body(Body::from)))
        .layer(server.layer::<Authenticated>())
        .with_state(server.clone());
    let token = pool.user("alice").scope("items/read").access_token();
    let response = app.clone().oneshot(request(Some(&token)).map(Body::from)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(server.verifier().stats().accepted, 1);

    let token = pool.user("alice").access_token();
    let response = app.oneshot(request(Some(&token)).map(Body::from)).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN, "the route requires more than the router");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "The access token lacks a required scope.");
}

#[tokio::test]
async fn axum_response_is_a_problem_document_if_configured() {
    let pool = TestPool::new();
    let server = ResourceServer::builder(pool.verifier()).problem_details().build().unwrap();
    let app = Router::new().route("/", get(async |_: Caller| ())).with_state(server);
    let response = app.oneshot(request(None).map(Body::from)).await.unwrap();
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    assert!(response.headers().contains_key(WWW_AUTHENTICATE));
}

/// A service that must be ready before each call, and whose clones are not.
struct Strict {
    is_ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { is_ready: false }
    }
}

impl Service<Request<String>> for Strict {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called before it was ready");
        ready(Ok(Response::default()))
    }
}

#[tokio::test]
async fn instance_that_is_ready_is_called() {
    let pool = TestPool::new();
    let mut service = pool.resource_server().layer::<Authenticated>().layer(Strict { is_ready: false });
    let token = pool.user("alice").access_token();
    for _ in 0..2 {
        let response = service.ready().await.unwrap().call(request(Some(&token))).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn rejected_grpc_request_gets_a_status_that_tonic_reads() {
    let pool = TestPool::new();
    let server = pool.resource_server();
    let user = pool.user("alice").access_token();
    for (layer, token, code) in [
        (server.layer::<Authenticated>(), None, tonic::Code::Unauthenticated),
        (server.layer::<Authenticated>(), Some("a.b.c"), tonic::Code::Unauthenticated),
        (server.layer::<ItemsRead>(), Some(user.as_str()), tonic::Code::PermissionDenied),
    ] {
        let mut request = request(token);
        request.headers_mut().insert(CONTENT_TYPE, "application/grpc+proto".parse().unwrap());
        let response = send(layer.grpc().body(|text| text), request).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/grpc+proto");
        assert_eq!(response.body(), "");
        let status = tonic::Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), code);
        assert_eq!(status.message(), response.extensions().get::<AuthRejection>().unwrap().detail());
    }
}

#[tokio::test]
async fn content_type_of_grpc_does_not_turn_a_401_into_a_200() {
    let server = TestPool::new().resource_server();
    for (layer, content_type) in [
        (server.layer::<Authenticated>(), "application/grpc"),
        (server.layer::<Authenticated>().grpc(), "application/grpcfoo"),
        (server.layer::<Authenticated>().grpc(), "application/json"),
    ] {
        let mut request = request(None);
        request.headers_mut().insert(CONTENT_TYPE, content_type.parse().unwrap());
        let response = send(layer.body(|text| text), request).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{content_type}");
    }
}

#[tokio::test]
async fn token_of_a_local_pool_passes_the_layer_over_http() {
    let pool = RunningPool::start().await;
    let server = pool.resource_server();
    let sub = async |Extension(token): Extension<AccessToken>| token.client_id().to_owned();
    let app = Router::new().route("/", get(sub)).layer(server.layer::<ItemsRead>());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, app).into_future());

    let client = reqwest::Client::new();
    let get = async |scope: &str| client.get(&url).bearer_auth(pool.token(scope).await).send().await.unwrap();
    let response = get("items/read").await;
    assert_eq!((response.status().as_u16(), response.text().await.unwrap()), (200, pool.client_id.clone()));
    let response = get("items/write").await;
    assert_eq!(response.status().as_u16(), 403);
    assert!(response.headers()["www-authenticate"].to_str().unwrap().ends_with("scope=\"items/read\""));
}
