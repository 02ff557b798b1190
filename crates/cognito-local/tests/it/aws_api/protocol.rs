//! AWS JSON 1.1, and which web pages may speak it.

use axum::http::header::{CONTENT_TYPE, ORIGIN};
use axum::http::{HeaderValue, Request, StatusCode};
use serde_json::json;

use super::support::request;
use crate::support::{TestPool, send};

#[tokio::test]
async fn unknown_operations_are_reported_as_such() {
    let pool = TestPool::open().await;
    let mut without_target = request("GetUser", "{}");
    without_target.headers_mut().remove("x-amz-target");
    let mut of_another_service = request("GetUser", "{}");
    of_another_service.headers_mut().insert("x-amz-target", HeaderValue::from_static("DynamoDB.GetItem"));
    let mut twice = request("GetUser", "{}");
    twice.headers_mut().append("x-amz-target", HeaderValue::from_static("X"));
    let invented = request("StartEverything", "{}");
    for request in [without_target, of_another_service, twice, invented] {
        let answer = pool.send_call(request).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.json()["__type"], "UnknownOperationException");
    }
}

#[tokio::test]
async fn bodies_that_are_not_aws_json_are_rejected() {
    let pool = TestPool::open().await;
    for body in ["", "[]", "{\"ClientId\":", "\"text\"", "{\"ClientId\": 1}", "\u{0}"] {
        let answer = pool.send_call(request("SignUp", body)).await;
        assert_eq!(answer.json()["__type"], "SerializationException", "{body}");
    }
    for media_type in ["text/plain", "application/json", "application/x-www-form-urlencoded", ""] {
        let mut request = request("SignUp", "{}");
        request.headers_mut().insert(CONTENT_TYPE, media_type.parse().unwrap());
        assert_eq!(pool.send_call(request).await.json()["__type"], "SerializationException", "{media_type}");
    }
    let long = json!({ "ClientId": "x".repeat(65 * 1024) }).to_string();
    let answer = pool.send_call(request("SignUp", &long)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn missing_and_long_members_are_described_as_by_cognito() {
    let pool = TestPool::open().await;
    let missing = pool.call("SignUp", &json!({ "ClientId": "localweb", "Username": null })).await;
    missing.assert_exception(
        "InvalidParameterException",
        "1 validation error detected: Value at 'username' failed to satisfy constraint: Member must not be null",
    );
    let long = pool.call("SignUp", &json!({ "ClientId": "localweb", "Username": "x".repeat(129) })).await;
    long.assert_exception(
        "InvalidParameterException",
        "1 validation error detected: Value at 'username' failed to satisfy constraint: Member must have length less \
         than or equal to 128",
    );
    let client = pool.call("SignUp", &json!({ "ClientId": "other", "Username": "carol" })).await;
    client.assert_exception("ResourceNotFoundException", "User pool client other does not exist.");
}

#[tokio::test]
async fn pages_of_an_application_may_call_and_other_pages_may_not() {
    let pool = TestPool::with(|config| {
        config.clients[0].callback_urls.push("https://shop.example.com/callback".into());
    })
    .await;
    for (origin, allowed) in [
        ("http://localhost:5173", true),
        ("http://127.0.0.1:3000", true),
        ("http://app.localhost:3000", true),
        ("https://shop.example.com", true),
        ("https://example.com", false),
        ("https://localhost.example.com", false),
        ("null", false),
    ] {
        let preflight = Request::options("/")
            .header("host", "localhost:9229")
            .header(ORIGIN, origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "x-amz-target,x-amz-user-agent")
            .body(axum::body::Body::empty())
            .unwrap();
        let preflight = send(&pool.pool, preflight).await;
        assert_eq!(preflight.headers.contains_key("access-control-allow-origin"), allowed, "{origin}");
        let mut call = request("GetUser", "{\"AccessToken\": \"x\"}");
        call.headers_mut().insert(ORIGIN, origin.parse().unwrap());
        let answer = pool.send_call(call).await;
        assert_eq!(answer.headers.contains_key("access-control-allow-origin"), allowed, "{origin}");
        if allowed {
            assert_eq!(preflight.headers["access-control-allow-headers"], "x-amz-target,x-amz-user-agent");
            answer.assert_not_authorized("Invalid Access Token");
        } else {
            assert_eq!(answer.json()["__type"], "AccessDeniedException", "{origin}");
        }
    }
}

#[tokio::test]
async fn a_page_lists_the_operations() {
    let pool = TestPool::open().await;
    let page = pool.get("/api").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("<code>InitiateAuth</code>"), "{}", page.text);
    assert!(pool.get("/").await.text.contains("href=\"/api\""));
}
