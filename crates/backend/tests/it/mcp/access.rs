use axum::body::Body;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{HEADERS, ORIGIN, start, start_with};
use crate::support::TestApp;

#[tokio::test]
async fn a_request_without_a_valid_token_is_a_401_whatever_its_method() {
    let app = start().await;
    let expired = app.token("alice").expired().access_token();
    let id_token = app.token("alice").id_token();
    for persona in [app.anonymous(), app.bearer("x"), app.bearer(&expired), app.bearer(&id_token)] {
        for method in [Method::POST, Method::GET, Method::DELETE, Method::PUT, Method::HEAD] {
            for path in ["/mcp", "/mcp/"] {
                let answer = persona.send(method.clone(), path, &HEADERS, None).await;
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {answer:?}");
                let challenge = answer.header("www-authenticate");
                let metadata =
                    format!("resource_metadata=\"{ORIGIN}/.well-known/oauth-protected-resource/mcp\"");
                assert!(challenge.contains(&metadata), "{challenge}");
                assert!(challenge.contains("scope=\"items/read items/write\""), "{challenge}");
            }
        }
    }
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize"});
    let answer = app.anonymous().send(Method::POST, "/mcp", &HEADERS, Some(message)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_is_accepted_only_by_the_resource_that_it_is_bound_to() {
    let app = start().await;
    for (audience, mcp, api) in [
        (Some(format!("{ORIGIN}/mcp")), StatusCode::OK, StatusCode::UNAUTHORIZED),
        (Some(ORIGIN.to_owned()), StatusCode::UNAUTHORIZED, StatusCode::OK),
        (Some("https://other.example".to_owned()), StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED),
        (Some(format!("{ORIGIN}/mcp/")), StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED),
        (None, StatusCode::OK, StatusCode::OK),
    ] {
        let token = app.token("alice");
        let token = match &audience {
            Some(audience) => token.claim("aud", json!(audience)),
            None => token,
        };
        let alice = app.bearer(&token.access_token());
        assert_eq!(alice.rpc("tools/list", json!({})).await.status, mcp, "{audience:?}");
        assert_eq!(alice.get("/items").await.status, api, "{audience:?}");
    }
    let stranger = app.bearer(&app.token("alice").client_id("another").access_token());
    assert_eq!(stranger.rpc("tools/list", json!({})).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_tool_needs_its_scope_whatever_the_headers_say() {
    let app = start().await;
    let reader = app.bearer(&app.pool.user("alice").scope("items/read").access_token());
    assert_eq!(reader.tool("list_items", json!({})).await["items"], json!([]));
    let params = json!({"name": "create_item", "arguments": {"title": "a"}});
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let headers = [HEADERS[0], HEADERS[1], ("mcp-method", "tools/call"), ("mcp-name", "list_items")];
    let answer = reader.send(Method::POST, "/mcp", &headers, Some(message)).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let challenge = answer.header("www-authenticate");
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.contains("scope=\"items/write\""), "{challenge}");
    assert!(answer.json()["detail"].as_str().unwrap().contains("`items/write`"), "{answer:?}");

    let writer = app.bearer(&app.pool.user("alice").scope("items/write").access_token());
    for (method, params) in [
        ("tools/call", json!({"name": "list_items"})),
        ("tools/call", json!({"name": "read_item", "arguments": {"id": "not even valid"}})),
        ("resources/list", json!({})),
        ("resources/read", json!({"uri": "items://x"})),
    ] {
        assert_eq!(writer.rpc(method, params).await.status, StatusCode::FORBIDDEN, "{method}");
    }
    let nobody = app.bearer(&app.pool.user("alice").access_token());
    nobody.tool("who_am_i", json!({})).await;
}

#[tokio::test]
async fn a_message_that_two_parsers_read_differently_executes_nothing_unauthorized() {
    let app = start().await;
    let reader = app.bearer(&app.pool.user("alice").scope("items/read").access_token());
    let names = r#""name": "list_items", "name": "create_item""#;
    for params in [
        format!("{{{names}, \"arguments\": {{\"title\": \"a\"}}}}"),
        r#"{"name": "create_item", "arguments": {"title": "a"}, "name": "list_items"}"#.to_owned(),
    ] {
        let body = format!(r#"{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {params}}}"#);
        let mut request = http::Request::post("/mcp").header(header::CONTENT_TYPE, "application/json");
        for (name, value) in HEADERS {
            request = request.header(name, value);
        }
        reader.send_raw(request.body(body.into()).unwrap()).await;
    }
    assert_eq!(app.user("alice").get("/items").await.json()["items"], json!([]));
}

#[tokio::test]
async fn without_scope_checks_no_scope_is_asked_for() {
    let app = start_with(&[("COGNITO_REQUIRE_SCOPES", "false")]).await;
    let alice = app.bearer(&app.pool.user("alice").access_token());
    alice.tool("create_item", json!({"title": "a"})).await;
    let answer = app.anonymous().rpc("tools/list", json!({})).await;
    assert!(!answer.header("www-authenticate").contains("scope="), "{answer:?}");
    let metadata = app.anonymous().get("/.well-known/oauth-protected-resource/mcp").await.json();
    assert_eq!(metadata["scopes_supported"], json!([]));
}

#[tokio::test]
async fn calls_are_charged_as_the_routes_are() {
    let app = start_with(&[("RATE_LIMIT_PER_MINUTE", "20")]).await;
    let alice = app.user("alice");
    let mut left = 20;
    for (method, params, cost) in [
        (
            "initialize",
            json!({"protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"}}),
            1,
        ),
        ("tools/list", json!({}), 1),
        ("tools/call", json!({"name": "create_item", "arguments": {"title": "a"}}), 2),
        ("tools/call", json!({"name": "create_item", "arguments": {}}), 2),
        ("tools/call", json!({"name": "list_items", "arguments": {"limit": 41}}), 3),
        ("tools/call", json!({"name": "list_items", "arguments": {"limit": "x"}}), 1),
        ("tools/call", json!({"name": "nothing"}), 1),
        ("resources/list", json!({}), 3),
    ] {
        let answer = alice.rpc(method, params).await;
        left -= cost;
        assert!(answer.header("ratelimit").contains(&format!("r={left};")), "{method}: {answer:?}");
    }
    let reader = app.bearer(&app.pool.user("alice").scope("items/read").access_token());
    let create = json!({"name": "create_item", "arguments": {"title": "a"}});
    assert_eq!(reader.rpc("tools/call", create.clone()).await.status, StatusCode::FORBIDDEN);
    for _ in 0..4 {
        alice.rpc("ping", json!({})).await;
    }
    let answer = alice.rpc("tools/call", create).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(!answer.header("retry-after").is_empty());
    assert_eq!(alice.rpc("no such method", json!({})).await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn only_known_hosts_and_origins_are_served() {
    let app = start_with(&[("CORS_ALLOWED_ORIGINS", "https://app.example,http://localhost:*")]).await;
    let token = format!("Bearer {}", app.token("alice").access_token());
    for (host, origin, status) in [
        ("127.0.0.1:8000", "", StatusCode::OK),
        ("localhost:8000", "", StatusCode::OK),
        ("evil.example", "", StatusCode::FORBIDDEN),
        ("127.0.0.1:8001", "", StatusCode::FORBIDDEN),
        ("127.0.0.1:8000", "https://app.example", StatusCode::OK),
        ("127.0.0.1:8000", "http://localhost:6274", StatusCode::OK),
        ("127.0.0.1:8000", ORIGIN, StatusCode::OK),
        ("127.0.0.1:8000", "https://app.example:8443", StatusCode::FORBIDDEN),
        ("127.0.0.1:8000", "https://evil.example", StatusCode::FORBIDDEN),
        ("127.0.0.1:8000", "null", StatusCode::FORBIDDEN),
    ] {
        let mut headers = vec![("host", host), HEADERS[1]];
        headers.extend((!origin.is_empty()).then_some(("origin", origin)));
        let mut request = http::Request::post("/mcp").header(header::AUTHORIZATION, &token);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let message = r#"{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}"#;
        let request =
            request.header(header::CONTENT_TYPE, "application/json").body(Body::from(message)).unwrap();
        // Not sent by a persona, who asserts that every 403 has a challenge: another token would not help here.
        let response = app.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{host} {origin}");
    }
}

#[tokio::test]
async fn metadata_is_at_its_own_path_and_readable_by_every_page() {
    let app = start().await;
    for (path, resource) in [
        ("/.well-known/oauth-protected-resource/mcp", format!("{ORIGIN}/mcp")),
        ("/.well-known/oauth-protected-resource", ORIGIN.to_owned()),
    ] {
        let origin = ("origin", "https://inspector.example");
        let answer = app.anonymous().send(Method::GET, path, &[origin], None).await;
        let metadata = answer.json();
        assert_eq!(metadata["resource"], resource);
        assert_eq!(metadata["scopes_supported"], json!(["items/read", "items/write"]));
        assert_eq!(metadata["authorization_servers"].as_array().map(Vec::len), Some(1));
        assert_eq!(answer.header("access-control-allow-origin"), "https://inspector.example");
        let preflight = [
            origin,
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", "mcp-protocol-version"),
        ];
        let answer = app.anonymous().send(Method::OPTIONS, path, &preflight, None).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.header("access-control-allow-headers").contains("mcp-protocol-version"));
    }
    let items =
        app.anonymous().send(Method::GET, "/items", &[("origin", "https://other.example")], None).await;
    assert_eq!(items.header("access-control-allow-origin"), "", "only public documents are for everybody");
}

#[tokio::test]
async fn without_the_setting_there_is_no_endpoint() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    assert_eq!(alice.rpc("tools/list", json!({})).await.status, StatusCode::NOT_FOUND);
    let metadata = app.anonymous().get("/.well-known/oauth-protected-resource/mcp").await;
    assert_eq!(metadata.status, StatusCode::NOT_FOUND);
    let bound = app.token("alice").claim("aud", Value::from(format!("{ORIGIN}/mcp"))).access_token();
    assert_eq!(app.bearer(&bound).get("/users/me").await.status, StatusCode::UNAUTHORIZED);
}
