use http::{Method, StatusCode};

use crate::support::TestApp;

#[tokio::test]
async fn running_server_is_live_and_ready() {
    let app = TestApp::start().await;
    assert_eq!(app.anonymous().get("/health/live").await.status, StatusCode::OK);
    let ready = app.anonymous().get("/health/ready").await;
    assert_eq!(ready.status, StatusCode::OK);
    assert_eq!(ready.json(), serde_json::json!({"status": "ok", "keys": "ok", "table": "ok"}));
}

#[tokio::test]
async fn readiness_names_the_failing_part() {
    let app = TestApp::with(&[("DYNAMODB_TABLE_NAME", "another")]).await;
    let ready = app.anonymous().get("/health/ready").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        ready.json(),
        serde_json::json!({"status": "unavailable", "keys": "ok", "table": "unavailable"})
    );
    assert_eq!(app.anonymous().get("/health/live").await.status, StatusCode::OK);
}

#[tokio::test]
async fn concurrent_readiness_checks_share_one_probe() {
    let app = TestApp::start().await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let anonymous = app.anonymous();
        asking.spawn(async move { anonymous.get("/health/ready").await.status });
    }
    assert!(asking.join_all().await.iter().all(|status| *status == StatusCode::OK));
    assert_eq!(app.calls(), 1);
}

#[tokio::test]
async fn without_documentation_nothing_leads_to_it() {
    let app = TestApp::with(&[("DOCS_ENABLED", "false")]).await;
    for path in ["/", "/docs", "/docs/", "/docs/swagger-ui-bundle.js", "/openapi.json"] {
        assert_eq!(app.anonymous().get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(app.user("alice").get("/items").await.status, StatusCode::OK);
}

#[tokio::test]
async fn strict_transport_security_is_sent_if_it_is_set() {
    let name = "strict-transport-security";
    let app = TestApp::with(&[("STRICT_TRANSPORT_SECURITY", "max-age=63072000")]).await;
    for path in ["/health/live", "/items", "/nowhere"] {
        assert_eq!(app.anonymous().get(path).await.header(name), "max-age=63072000", "{path}");
    }
    assert_eq!(TestApp::start().await.anonymous().get("/health/live").await.header(name), "");
}

#[tokio::test]
async fn unknown_route_and_method_are_problems() {
    let app = TestApp::start().await;
    assert_eq!(app.anonymous().get("/nothing/here").await.status, StatusCode::NOT_FOUND);
    let wrong_method = app.anonymous().delete("/items").await;
    assert_eq!(wrong_method.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(wrong_method.header("allow"), "GET,HEAD,POST");
    let head = app.anonymous().send(Method::HEAD, "/health/live", &[], None).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
}

#[tokio::test]
async fn the_metadata_document_names_resource_issuer_and_scopes() {
    let app = TestApp::with(&[("PUBLIC_URL", "https://api.example.com/")]).await;
    let metadata = app.anonymous().get("/.well-known/oauth-protected-resource").await.json();
    assert_eq!(metadata["resource"], "https://api.example.com");
    assert_eq!(metadata["authorization_servers"][0], app.app.config().cognito.user_pool.issuers()[0]);
    assert_eq!(metadata["scopes_supported"], serde_json::json!(["items/read", "items/write"]));
    assert_eq!(metadata["bearer_methods_supported"], serde_json::json!(["header"]));
}
