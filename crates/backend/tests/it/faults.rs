//! DynamoDB behind connections that break, and what callers see of it.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::json;

use crate::support::{Fault, TestApp};

#[tokio::test]
async fn write_is_made_once_when_its_response_is_lost() {
    let (app, proxy) = TestApp::with_faults(&[]).await;
    let alice = app.user("alice");
    let lose = || proxy.set(Fault::LoseAnswers(1));

    lose();
    let created = alice.post("/items", json!({"title": "one"})).await;
    assert_eq!(created.status, StatusCode::CREATED);
    let path = created.header("location").to_owned();
    assert_eq!(alice.get("/items").await.json()["items"].as_array().unwrap().len(), 1);

    lose();
    let replaced = alice.put(&path, "\"1\"", json!({"title": "two"})).await;
    assert_eq!((replaced.status, replaced.header("etag")), (StatusCode::OK, "\"2\""));
    lose();
    let one_of = alice.put(&path, "\"1\", \"2\", \"3\"", json!({"title": "two again"})).await;
    assert_eq!((one_of.status, one_of.header("etag")), (StatusCode::OK, "\"3\""));
    lose();
    let changed = alice.patch(&path, json!({"title": "three"})).await;
    assert_eq!((changed.status, changed.header("etag")), (StatusCode::OK, "\"4\""));
    lose();
    let overwritten = alice.put(&path, "*", json!({"title": "four"})).await;
    assert_eq!((overwritten.status, overwritten.header("etag")), (StatusCode::OK, "\"5\""));
    assert_eq!(alice.get(&path).await.json()["version"], 5);

    lose();
    let key = [("idempotency-key", "key")];
    let once = alice.send(Method::POST, "/items", &key, Some(json!({"title": "once"}))).await;
    assert_eq!(once.status, StatusCode::CREATED);
    let replay = alice.send(Method::POST, "/items", &key, Some(json!({"title": "once"}))).await;
    assert_eq!(once.body, replay.body);
    assert_eq!(alice.get("/items").await.json()["items"].as_array().unwrap().len(), 2);

    lose();
    let body = json!({"filename": "a", "content_type": "text/plain", "size": 1});
    assert_eq!(alice.post(&format!("{path}/attachments"), body).await.status, StatusCode::CREATED);

    lose();
    assert_eq!(alice.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(alice.get(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn conditional_delete_is_retried_after_a_lost_response_without_a_conflict() {
    let (app, proxy) = TestApp::with_faults(&[]).await;
    let alice = app.user("alice");
    let path = format!("/items/{}", alice.create_item("one").await);
    proxy.set(Fault::LoseAnswers(1));
    let deleted = alice.send(Method::DELETE, &path, &[("if-match", "\"1\"")], None).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn dynamodb_outage_is_503_within_the_time_limit_and_recovers() {
    let (app, proxy) = TestApp::with_faults(&[]).await;
    let alice = app.user("alice");
    let path = format!("/items/{}", alice.create_item("one").await);
    for fault in [Fault::Refuse, Fault::Hang] {
        proxy.set(fault.clone());
        let started = Instant::now();
        let read = alice.get(&path).await;
        assert_eq!((read.status, read.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
        assert!(started.elapsed() < Duration::from_millis(5500), "{fault:?}: {:?}", started.elapsed());
        let ready = app.anonymous().get("/health/ready").await;
        assert_eq!(ready.json()["table"], "unavailable");
        assert_eq!(app.anonymous().get("/health/live").await.status, StatusCode::OK);
        proxy.set(Fault::None);
        assert_eq!(alice.get(&path).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn throttling_is_503_with_retry_after_and_other_errors_are_500() {
    let (app, proxy) = TestApp::with_faults(&[]).await;
    let alice = app.user("alice");
    let error =
        |name: &str| json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{name}"), "message": ""});
    for (status, name, expected) in [
        (400, "ProvisionedThroughputExceededException", StatusCode::SERVICE_UNAVAILABLE),
        (400, "ThrottlingException", StatusCode::SERVICE_UNAVAILABLE),
        (500, "InternalServerError", StatusCode::SERVICE_UNAVAILABLE),
        (400, "ResourceNotFoundException", StatusCode::INTERNAL_SERVER_ERROR),
        (400, "AccessDeniedException", StatusCode::INTERNAL_SERVER_ERROR),
    ] {
        proxy.set(Fault::Answer(status, error(name).to_string()));
        let answer = alice.get("/items").await;
        assert_eq!(answer.status, expected, "{name}");
        assert!(!String::from_utf8_lossy(&answer.body).contains(name), "the cause is for the log only");
    }
}

#[tokio::test]
async fn throttled_transaction_is_503_with_retry_after() {
    let (app, proxy) = TestApp::with_faults(&[]).await;
    let canceled = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "message": "Transaction cancelled",
        "CancellationReasons": [{"Code": "None"}, {"Code": "ThrottlingError", "Message": "slow down"}],
    });
    proxy.set(Fault::Answer(400, canceled.to_string()));
    let key = [("idempotency-key", "key")];
    let answer = app.user("alice").send(Method::POST, "/items", &key, Some(json!({"title": "once"}))).await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
}

#[tokio::test]
async fn idempotency_key_of_a_running_request_is_409() {
    let (app, proxy) = TestApp::with_faults(&[]).await;
    let canceled = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "message": "Transaction cancelled",
        "CancellationReasons": [{"Code": "TransactionConflict", "Message": "ongoing"}, {"Code": "None"}],
    });
    proxy.set(Fault::Answer(400, canceled.to_string()));
    let key = [("idempotency-key", "key")];
    let answer = app.user("alice").send(Method::POST, "/items", &key, Some(json!({"title": "once"}))).await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::CONFLICT, "1"));
    assert_eq!(answer.json()["type"], "/problems/idempotency-key-in-flight");
}
