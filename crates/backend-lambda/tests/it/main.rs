//! The binary as Lambda runs it: it asks a Runtime API for events, and answers them.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]

mod function;
mod runtime_api;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::process::Command;

use function::Function;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_signed_in_request_is_answered() {
    let function = Function::start().await;
    let token = function.pool.user("alice").scope("items/read items/write").access_token();
    let event = event("POST", "/items", &[("authorization", &bearer(&token)), JSON]);
    let created = function.invoke(with_body(event, r#"{"title":"Tea","description":null}"#)).await;
    assert_eq!(created["statusCode"], 201, "{created}");
    let id = body(&created)["id"].clone();

    let listed = function.invoke(event_of(&token, "GET", "/items")).await;
    assert_eq!(listed["statusCode"], 200, "{listed}");
    assert_eq!(body(&listed)["items"][0]["id"], id);
    assert_eq!(header(&listed, "content-type"), "application/json");
}

#[tokio::test]
async fn with_the_command_sweep_an_event_is_a_sweep() {
    let function = Function::start_sweep().await;
    let report = function.invoke(json!({"detail-type": "Scheduled Event"})).await;
    assert_eq!((&report["owners"], &report["is_complete"]), (&json!(0), &json!(true)), "{report}");
}

#[tokio::test]
async fn a_request_without_a_token_is_challenged() {
    let function = Function::start().await;
    let refused = function.invoke(event("GET", "/items", &[])).await;
    assert_eq!(refused["statusCode"], 401, "{refused}");
    assert!(header(&refused, "www-authenticate").starts_with("Bearer"), "{refused}");
    assert_eq!(header(&refused, "content-type"), "application/problem+json");
    assert_eq!(body(&refused)["status"], 401);
}

#[tokio::test]
async fn a_body_in_base64_is_decoded() {
    let function = Function::start().await;
    let token = function.pool.user("alice").scope("items/read items/write").access_token();
    let mut event = event("POST", "/items", &[("authorization", &bearer(&token)), JSON]);
    event["body"] = json!(STANDARD.encode(r#"{"title":"Grüner Tee","description":null}"#));
    event["isBase64Encoded"] = json!(true);
    let created = function.invoke(event).await;
    assert_eq!(created["statusCode"], 201, "{created}");
    assert_eq!(body(&created)["title"], "Grüner Tee");
}

#[tokio::test]
async fn two_authorization_headers_are_refused_as_api_gateway_joins_them() {
    let function = Function::start().await;
    let token = function.pool.user("alice").access_token();
    let joined = format!("{},{}", bearer(&token), bearer(&token));
    let refused = function.invoke(event("GET", "/users/me", &[("authorization", &joined)])).await;
    assert_eq!(refused["statusCode"], 400, "{refused}");
}

#[tokio::test]
async fn query_reaches_the_handler() {
    let function = Function::start().await;
    let token = function.pool.user("alice").scope("items/read").access_token();
    let mut event = event_of(&token, "GET", "/items");
    event["rawQueryString"] = json!("limit=101");
    event["queryStringParameters"] = json!({ "limit": "101" });
    let refused = function.invoke(event).await;
    assert_eq!(refused["statusCode"], 422, "{refused}");
}

#[tokio::test]
async fn invalid_configuration_stops_the_start() {
    let output = Command::new(env!("CARGO_BIN_EXE_backend-lambda")).env_clear().output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    for name in ["COGNITO_USER_POOL_ID", "COGNITO_APP_CLIENT_ID", "DYNAMODB_TABLE_NAME"] {
        assert!(said.contains(name), "{said}");
    }
}

#[tokio::test]
async fn server_starts_although_keys_cannot_be_fetched() {
    let function = Function::start_without_keys().await;
    assert_eq!(function.invoke(event("GET", "/health/live", &[])).await["statusCode"], 200);
    let token = function.pool.user("alice").access_token();
    let unavailable = function.invoke(event_of(&token, "GET", "/users/me")).await;
    assert_eq!(unavailable["statusCode"], 503, "{unavailable}");
}

#[tokio::test]
#[ignore = "a measurement, of an optimized build"]
async fn cold_start() {
    let mut millis = Vec::new();
    for _ in 0..20 {
        millis.push(Function::start().await.cold_start.as_secs_f64() * 1000.0);
    }
    millis.sort_by(f64::total_cmp);
    let (median, slowest) = (millis[millis.len() / 2], millis[millis.len() - 1]);
    println!("cold start: median {median:.1} ms, slowest {slowest:.1} ms of {}", millis.len());
    assert!(median < 1000.0);
}

/// An event of payload format 2.0, as an HTTP API sends it:
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>
fn event(method: &str, path: &str, headers: &[(&str, &str)]) -> Value {
    let mut all =
        json!({ "host": "api.example.com", "x-forwarded-proto": "https", "x-forwarded-port": "443" });
    for (name, value) in headers {
        all[*name] = json!(value);
    }
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": all,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "test",
            },
            "requestId": "request",
            "routeKey": "$default",
            "stage": "$default",
            "time": "22/Nov/2026:00:00:00 +0000",
            "timeEpoch": 1_795_305_600_000_u64,
        },
        "isBase64Encoded": false,
    })
}

fn event_of(token: &str, method: &str, path: &str) -> Value {
    event(method, path, &[("authorization", &bearer(token))])
}

fn with_body(mut event: Value, body: &str) -> Value {
    event["body"] = json!(body);
    event
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// The answer's body, whichever way it was sent.
#[track_caller]
fn body(answer: &Value) -> Value {
    let text = answer["body"].as_str().unwrap();
    match answer["isBase64Encoded"].as_bool() {
        Some(true) => serde_json::from_slice(&STANDARD.decode(text).unwrap()).unwrap(),
        _ => serde_json::from_str(text).unwrap(),
    }
}

#[track_caller]
fn header<'a>(answer: &'a Value, name: &str) -> &'a str {
    let single = answer["headers"][name].as_str();
    single
        .or_else(|| answer["multiValueHeaders"][name][0].as_str())
        .unwrap_or_else(|| panic!("no {name} in {answer}"))
}
