//! The binary as a process: its arguments, its connections, its log, its end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::{Server, config, free_address, run};
use cognito_auth::testing::TestPool;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

const NECESSARY: [(&str, &str); 3] = [
    ("COGNITO_USER_POOL_ID", "eu-west-1_AbCdEfGhI"),
    ("COGNITO_APP_CLIENT_ID", "client"),
    ("DYNAMODB_TABLE_NAME", "items"),
];

/// The file says how its numbers follow from the variables.
#[test]
fn systemd_unit_allows_what_the_default_settings_use() {
    let unit = include_str!("../../../../deploy/systemd/backend.service");
    let number = |name: &str| -> usize {
        let value = unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap();
        value.trim_end_matches('M').parse().unwrap()
    };
    let limits = config(&TestPool::new(), &[]).limits;
    assert!(number("LimitNOFILE") > limits.connections + 1024 + 2 * limits.concurrent_requests + 256);
    assert!(number("MemoryMax") >= 512 + limits.concurrent_requests * 128 / 1024 + 128);
    assert!(number("TimeoutStopSec") as u64 >= 2 * limits.shutdown_timeout.as_secs() + 5);
}

#[test]
fn every_mistake_in_the_configuration_is_listed_and_nothing_is_served() {
    let urls = [("COGNITO_ISSUER", "nonsense"), ("COGNITO_JWKS_URL", "nonsense")];
    let output =
        run(&[], &[urls.as_slice(), &[("BIND_ADDRESS", "nonsense"), ("LOG_FORMAT", "xml")]].concat());
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    let names = [
        "COGNITO_USER_POOL_ID",
        "COGNITO_ISSUER",
        "COGNITO_JWKS_URL",
        "COGNITO_APP_CLIENT_ID",
        "DYNAMODB_TABLE_NAME",
        "BIND_ADDRESS",
        "LOG_FORMAT",
    ];
    for name in names {
        assert!(errors.contains(name), "{name}: {errors}");
    }
}

#[test]
fn a_configuration_can_be_checked() {
    assert!(run(&["--check-config"], &NECESSARY).status.success());
    assert_eq!(run(&["--check-config"], &NECESSARY[..2]).status.code(), Some(2));
}

#[tokio::test]
async fn healthcheck_command_reports_the_health_of_the_server() {
    let server = Server::start(&[]).await;
    let address = server.url.trim_start_matches("http://").to_owned();
    let check = |address: String| {
        let variables = [NECESSARY.as_slice(), &[("BIND_ADDRESS", &address)]].concat();
        run(&["healthcheck"], &variables).status.code()
    };
    assert_eq!(check(address), Some(0));
    assert_eq!(check(free_address()), Some(1));
}

#[tokio::test]
async fn stopping_under_load_fails_no_request() {
    let server = Server::start(&[("RATE_LIMIT_PER_MINUTE", "0")]).await;
    let (stopping, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = Vec::new();
    for number in 0..8 {
        let (stopping, answered) = (stopping.clone(), answered.clone());
        let (url, token) = (format!("{}/items", server.url), server.token(&format!("user{number}")));
        clients.push(tokio::spawn(async move {
            let client = Client::new();
            loop {
                let body = json!({"title": "under load"});
                match client.post(&url).bearer_auth(&token).json(&body).send().await {
                    Ok(response) => {
                        assert_eq!(response.status(), StatusCode::CREATED);
                        response.bytes().await.unwrap();
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                    // A new connection is refused once the server has stopped accepting; that request was never taken.
                    Err(error) if error.is_connect() && stopping.load(Ordering::SeqCst) => return,
                    Err(error) => panic!("{error:?}"),
                }
            }
        }));
    }
    while answered.load(Ordering::SeqCst) < 100 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stopping.store(true, Ordering::SeqCst);
    server.terminate();
    for client in clients {
        client.await.unwrap();
    }
    let (status, log) = server.wait();
    assert!(status.success(), "{status}");
    assert!(log.contains("stopped"), "{log}");
}

#[tokio::test]
async fn the_log_has_a_line_a_request_and_no_secret() {
    let mut server = Server::start(&[("RUST_LOG", "trace"), ("LOG_FORMAT", "json")]).await;
    let named = |name: &str| {
        let user = server.pool.user(name).claim("email", json!("alice@example.com"));
        user.scope("items/read").scope("items/write")
    };
    let token = named("wonderland-alice").access_token();
    let admin = named("wonderland-queen").in_group("admins").access_token();
    let refused = [format!("{token}x"), named("wonderland-hatter").expired().access_token()];
    let (client, url) = (Client::new(), server.url.clone());
    let request = |method: &str, path: &str, token: &str| {
        client.request(method.parse().unwrap(), format!("{url}{path}")).bearer_auth(token)
    };
    let send = async |request: RequestBuilder| -> Value {
        request.send().await.unwrap().json().await.unwrap_or_default()
    };
    let id = |created: &Value| created["id"].as_str().unwrap().to_owned();

    let document = send(client.get(format!("{url}/openapi.json"))).await;
    for path in ["/health/live", "/health/ready", "/.well-known/oauth-protected-resource"] {
        send(client.get(format!("{url}{path}"))).await;
    }
    let me = send(request("GET", "/users/me", &token)).await;
    let profile = json!({"display_name": "secret-name"});
    send(request("PUT", "/users/me/profile", &token).json(&profile)).await;
    for method in ["GET", "DELETE"] {
        send(request(method, "/users/me/profile", &token)).await;
    }

    let new = json!({"title": "secret-title", "description": "secret-description"});
    let create = request("POST", "/items", &token).json(&new).header("idempotency-key", "secret-key");
    let create = create.header("x-request-id", "the-create");
    let create = create.header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let item = format!("/items/{}", id(&send(create).await));
    for path in ["/items?limit=1", "/items?limit=1&cursor=secret-cursor", &item] {
        send(request("GET", path, &token)).await;
    }
    send(request("PUT", &item, &token).json(&new).header("if-match", "*")).await;
    send(request("PATCH", &item, &token).json(&json!({"description": "secret-other"}))).await;
    send(request("PATCH", &item, &token).json(&json!({"secret-member": "secret-value"}))).await;

    let file = json!({"filename": "secret-file", "content_type": "text/plain", "size": 1});
    let attachment = send(request("POST", &format!("{item}/attachments"), &token).json(&file)).await;
    let upload = attachment["upload"]["url"].as_str().unwrap();
    let upload_request = client.put(upload).header("content-type", "text/plain").header("if-none-match", "*");
    upload_request.body("x").send().await.unwrap();
    send(request("GET", &format!("{item}/attachments"), &token)).await;
    let attachment = format!("{item}/attachments/{}", id(&attachment));
    let shown = send(request("GET", &attachment, &token)).await;
    let signatures = [upload, shown["download"]["url"].as_str().unwrap()]
        .map(|url| url.split("X-Amz-Signature=").nth(1).unwrap().split('&').next().unwrap());
    send(request("DELETE", &attachment, &token)).await;
    send(request("DELETE", &item, &token)).await;

    let items = format!("/admin/users/{}/items", me["sub"].as_str().unwrap());
    send(request("GET", &items, &admin)).await;
    let item = id(&send(request("POST", "/items", &token).json(&new)).await);
    send(request("DELETE", &format!("{items}/{item}"), &admin)).await;
    for token in &refused {
        send(request("GET", "/users/me", token)).await;
    }
    let leaving = named("wonderland-rabbit").access_token();
    send(request("POST", "/users/me/sign-out", &leaving)).await;
    let sign_out = "/admin/users/wonderland-dormouse/sign-out";
    send(request("POST", sign_out, &admin)).await;
    server.stop_dynamodb().await;
    send(request("POST", "/items", &token).json(&new).header("x-request-id", "the-failure")).await;

    server.terminate();
    let (_, log) = server.wait();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let requests: Vec<_> = lines.iter().filter(|line| line["message"] == "request").collect();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let is_it = |line: &&&Value| line["route"] == **path && line["method"] == *method.to_uppercase();
            let done = requests
                .iter()
                .filter(is_it)
                .any(|line| line["status"].as_u64().is_some_and(|status| status < 300));
            assert!(done, "{method} {path} is not in\n{log}");
        }
    }
    let [create] =
        *requests.iter().filter(|line| line["span"]["request_id"] == "the-create").collect::<Vec<_>>()
    else {
        panic!("the create has not one line in\n{log}");
    };
    assert_eq!(
        (&create["method"], &create["route"], &create["status"]),
        (&json!("POST"), &json!("/items"), &json!(201))
    );
    assert_eq!(create["span"]["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(create["user_pool"], server_pool_id());
    assert!(create["caller"].is_string() && create["duration_ms"].is_number());
    assert_rejections_and_audits(&lines);
    let failures: Vec<_> = lines.iter().filter(|line| line["level"] == "ERROR").collect();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0]["span"]["request_id"], "the-failure");
    assert!(failures[0]["cause"].as_str().is_some_and(|cause| !cause.is_empty()));

    let mut secrets = vec![me["sub"].as_str().unwrap(), "wonderland-", "alice@example.com", "secret-"];
    secrets.extend(signatures);
    for token in refused.iter().chain([&token, &admin]) {
        secrets.extend(token.split('.'));
    }
    for secret in secrets {
        let leak = log.lines().find(|line| line.contains(secret));
        assert_eq!(leak, None, "{secret} is logged");
    }
}

/// The lines that an operator alarms on: why requests were rejected, and what administrators did to whom.
#[track_caller]
fn assert_rejections_and_audits(lines: &[Value]) {
    let having = |message: &'static str| lines.iter().filter(move |line| line["message"] == message);
    for reason in ["invalid_token", "expired_token"] {
        let line = having("rejected").find(|line| line["reason"] == reason).expect(reason);
        assert_eq!((&line["level"], &line["left_out"]), (&json!("INFO"), &json!(0)), "{line}");
        assert!(line["cause"].is_string() && line["span"]["request_id"].is_string(), "{line}");
    }
    let audits: Vec<_> = having("audit").collect();
    let statuses: Vec<_> =
        audits.iter().map(|line| (line["action"].as_str().unwrap(), &line["status"])).collect();
    let (ok, no_content) = (&json!(200), &json!(204));
    let expected = [
        ("list_user_items", ok),
        ("delete_user_item", no_content),
        ("sign_out", no_content),
        ("sign_user_out", no_content),
    ];
    assert_eq!(statuses, expected);
    let alice = having("request").find(|line| line["route"] == "/items").map(|line| &line["caller"]);
    assert_eq!(Some(&audits[0]["subject"]), alice, "a subject is hashed as a caller");
    assert_ne!(audits[0]["caller"], audits[0]["subject"]);
    assert_eq!(audits[2]["caller"], audits[2]["subject"], "they sign themselves out");
}

#[tokio::test]
async fn audit_events_are_logged_whatever_the_filter_says() {
    let server = Server::start(&[("RUST_LOG", "error")]).await;
    let sign_out = server.client().post(format!("{}/users/me/sign-out", server.url));
    assert_eq!(sign_out.bearer_auth(server.token("alice")).send().await.unwrap().status(), 204);
    server.terminate();
    let (_, log) = server.wait();
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("audit action=\"sign_out\""), "{log}");
}

fn server_pool_id() -> String {
    cognito_auth::testing::TestPool::new().id().to_owned()
}

#[tokio::test]
async fn metrics_count_requests() {
    let address = free_address();
    let server = Server::start(&[("METRICS_ADDRESS", &address)]).await;
    let client = Client::new();
    let token = server.token("alice");
    for _ in 0..3 {
        client.get(format!("{}/items", server.url)).bearer_auth(&token).send().await.unwrap();
    }
    client.get(format!("{}/items", server.url)).bearer_auth("nonsense").send().await.unwrap();
    client.get(format!("{}/unknown/{}", server.url, "x")).send().await.unwrap();
    for method in ["FOO", "BAR"] {
        client.request(method.parse().unwrap(), format!("{}/items", server.url)).send().await.unwrap();
    }
    let text = client.get(format!("http://{address}/metrics")).send().await.unwrap().text().await.unwrap();
    for line in [
        r#"http_requests_total{method="GET",route="/items",status="200"} 3"#,
        r#"http_requests_total{method="GET",route="/items",status="401"} 1"#,
        r#"http_requests_total{method="GET",route="",status="404"} 1"#,
        r#"http_requests_total{method="other",route="/items",status="405"} 2"#,
        r#"http_rejections_total{reason="invalid_token"} 1"#,
        r#"http_request_duration_seconds_count{method="GET",route="/items"} 4"#,
        r#"dynamodb_calls_total{operation="Query",outcome="ok"} 3"#,
        r#"token_verifications_total{outcome="accepted"} 3"#,
        r#"token_verifications_total{outcome="refused"} 1"#,
        "key_set_fetches_total{",
        "key_set_age_seconds{",
        "token_cache_hits_total 2",
    ] {
        assert!(text.lines().any(|found| found.starts_with(line)), "{line} is not in\n{text}");
    }
    assert_eq!(client.get(format!("{}/metrics", server.url)).send().await.unwrap().status(), 404);
}
