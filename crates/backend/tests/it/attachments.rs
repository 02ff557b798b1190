use std::time::Duration;

use backend::models::owner::Owner;
use http::StatusCode;
use reqwest::{Client, header};
use serde_json::{Value, json};

use crate::support::{Persona, TestApp, all_at_once};

pub(crate) fn text_file(name: &str, bytes: &[u8]) -> Value {
    json!({"filename": name, "content_type": "text/plain", "size": bytes.len()})
}

/// Sends a presigned request as it stands, with this body.
pub(crate) async fn send(presigned: &Value, body: &[u8]) -> reqwest::Response {
    let method = presigned["method"].as_str().unwrap().parse().unwrap();
    let mut request = Client::new().request(method, presigned["url"].as_str().unwrap());
    for (name, value) in presigned["headers"].as_object().unwrap() {
        request = request.header(name, value.as_str().unwrap());
    }
    request.body(body.to_vec()).send().await.unwrap()
}

pub(crate) async fn attach(persona: &Persona, item: &str, name: &str, bytes: &[u8]) -> String {
    let created = persona.post(&format!("/items/{item}/attachments"), text_file(name, bytes)).await;
    assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
    assert_eq!(send(&created.json()["upload"], bytes).await.status(), 200);
    created.header("location").to_owned()
}

#[tokio::test]
async fn a_file_goes_to_s3_and_back_without_passing_the_server() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let item = alice.create_item("with a file").await;
    let bytes = b"twenty-one bytes long";
    let list = format!("/items/{item}/attachments");
    let created = alice.post(&list, text_file("Rechnung \"März\".txt", bytes)).await;
    assert_eq!(created.status, StatusCode::CREATED);
    let path = created.header("location").to_owned();

    // Nothing is visible until the upload has come.
    assert_eq!(alice.get(&list).await.json()["attachments"], json!([]));
    assert_eq!(alice.get(&path).await.status, StatusCode::NOT_FOUND);

    assert_eq!(send(&created.json()["upload"], bytes).await.status(), 200);
    let listed = alice.get(&list).await.json();
    assert_eq!(listed["attachments"][0]["filename"], "Rechnung \"März\".txt");
    let shown = alice.get(&path).await;
    let download = send(&shown.json()["download"], b"").await;
    assert_eq!(download.headers()[header::CONTENT_TYPE], "text/plain");
    let disposition = download.headers()[header::CONTENT_DISPOSITION].to_str().unwrap();
    assert!(disposition.starts_with("attachment; ") && disposition.contains("M%C3%A4rz"), "{disposition}");
    assert_eq!(&download.bytes().await.unwrap()[..], bytes);

    assert_eq!(alice.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(alice.delete(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(alice.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(send(&shown.json()["download"], b"").await.status(), 404);
}

#[tokio::test]
async fn s3_rejects_another_size_type_or_signature() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let item = alice.create_item("with a file").await;
    let path = format!("/items/{item}/attachments");
    let created = alice.post(&path, text_file("a.txt", b"four")).await.json();
    let upload = &created["upload"];
    assert_eq!(upload["headers"]["content-type"], "text/plain");
    assert_eq!(upload["headers"]["content-length"], "4");

    let mut other_size = upload.clone();
    other_size["headers"]["content-length"] = json!("5");
    assert_eq!(send(&other_size, b"fives").await.status(), 403);
    let mut other_type = upload.clone();
    other_type["headers"]["content-type"] = json!("text/html");
    assert_eq!(send(&other_type, b"four").await.status(), 403);
    let mut other_key = upload.clone();
    other_key["url"] =
        json!(upload["url"].as_str().unwrap().replace("attachments/attachments/", "attachments/other/"));
    assert_eq!(send(&other_key, b"four").await.status(), 403);
    assert_eq!(alice.get(&path).await.json()["attachments"], json!([]));
    assert_eq!(send(upload, b"four").await.status(), 200);
}

#[tokio::test]
async fn uploaded_bytes_cannot_be_replaced() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let item = alice.create_item("with a file").await;
    let created = alice.post(&format!("/items/{item}/attachments"), text_file("a.txt", b"good")).await;
    let upload = &created.json()["upload"];
    assert_eq!(upload["headers"]["if-none-match"], "*");
    let mut unconditional = upload.clone();
    unconditional["headers"].as_object_mut().unwrap().remove("if-none-match");
    assert_eq!(send(&unconditional, b"good").await.status(), 403);
    assert_eq!(send(upload, b"good").await.status(), 200);
    assert_eq!(send(upload, b"evil").await.status(), 412);
    let download = alice.get(created.header("location")).await.json()["download"].clone();
    assert_eq!(&send(&download, b"").await.bytes().await.unwrap()[..], b"good");
}

#[tokio::test]
async fn with_a_checksum_no_other_bytes_are_accepted() {
    const SHA256_OF_GOOD: &str = "dw5gdiTWiSZcpsRIhNCAfZsFTSPEc8EGxyvp3gi3N2w=";
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let item = alice.create_item("with a file").await;
    let path = format!("/items/{item}/attachments");
    let mut file = text_file("a.txt", b"good");
    file["checksum_sha256"] = json!(SHA256_OF_GOOD);
    let created = alice.post(&path, file).await.json();
    let upload = &created["upload"];
    assert_eq!(created["checksum_sha256"], SHA256_OF_GOOD);
    assert_eq!(upload["headers"]["x-amz-checksum-sha256"], SHA256_OF_GOOD);
    let mut unchecked = upload.clone();
    unchecked["headers"].as_object_mut().unwrap().remove("x-amz-checksum-sha256");
    assert_eq!(send(&unchecked, b"good").await.status(), 403);
    assert_eq!(send(upload, b"evil").await.status(), 400);
    assert_eq!(alice.get(&path).await.json()["attachments"], json!([]));
    assert_eq!(send(upload, b"good").await.status(), 200);
    assert_eq!(alice.get(&path).await.json()["attachments"][0]["checksum_sha256"], SHA256_OF_GOOD);
}

#[tokio::test]
async fn a_presigned_request_expires() {
    let app = TestApp::with(&[("PRESIGNED_URL_SECONDS", "1")]).await;
    let alice = app.user("alice");
    let item = alice.create_item("with a file").await;
    let created = alice.post(&format!("/items/{item}/attachments"), text_file("a.txt", b"four")).await.json();
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await; // The signature counts in whole seconds.
    assert_eq!(send(&created["upload"], b"four").await.status(), 403);
}

#[tokio::test]
async fn another_users_attachment_is_404() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.user("alice"), app.user("bob"));
    let item = alice.create_item("with a file").await;
    let path = attach(&alice, &item, "a.txt", b"four").await;
    assert_eq!(bob.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(bob.get(&format!("/items/{item}/attachments")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(bob.delete(&path).await.status, StatusCode::NOT_FOUND);
    let create = bob.post(&format!("/items/{item}/attachments"), text_file("b.txt", b"")).await;
    assert_eq!(create.status, StatusCode::NOT_FOUND);
    assert_eq!(alice.get(&path).await.status, StatusCode::OK);
}

#[tokio::test]
async fn removing_an_item_removes_its_files() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let item = alice.create_item("with files").await;
    let mut downloads = Vec::new();
    for n in 0..3 {
        let path = attach(&alice, &item, &format!("{n}.txt"), b"four").await;
        downloads.push(alice.get(&path).await.json()["download"].clone());
    }
    let other = alice.create_item("another").await;
    let kept = attach(&alice, &other, "kept.txt", b"four").await;

    assert_eq!(alice.delete(&format!("/items/{item}")).await.status, StatusCode::NO_CONTENT);
    for download in &downloads {
        assert_eq!(send(download, b"").await.status(), 404);
    }
    assert_eq!(alice.get(&kept).await.status, StatusCode::OK);
}

#[tokio::test]
async fn failed_removal_is_finished_by_a_retry() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let item = alice.create_item("with a file").await;
    let path = attach(&alice, &item, "a.txt", b"four").await;
    let download = alice.get(&path).await.json()["download"].clone();
    // As if the server had died after the first of its two steps.
    let owner = owner(&app, &alice).await;
    let id = item.parse::<uuid::Uuid>().unwrap().into();
    let only_the_item =
        app.app.store().delete_item(&owner, id, &backend::models::version::IfMatch::Absent).await;
    assert_eq!(only_the_item.unwrap(), backend::services::dynamodb::Deleted::Done { had_attachments: true });
    assert_eq!(send(&download, b"").await.status(), 200);

    assert_eq!(alice.delete(&format!("/items/{item}")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(send(&download, b"").await.status(), 404);
    assert_eq!(alice.delete(&format!("/items/{item}")).await.status, StatusCode::NOT_FOUND);
}

pub(crate) async fn owner(app: &TestApp, persona: &Persona) -> Owner {
    Owner::user(app.pool.id(), persona.get("/users/me").await.json()["sub"].as_str().unwrap())
}

#[tokio::test]
async fn removing_an_item_removes_bytes_without_a_record_too() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let item = alice.create_item("with a file").await;
    let created = alice.post(&format!("/items/{item}/attachments"), text_file("a.txt", b"four")).await;
    let download = {
        assert_eq!(send(&created.json()["upload"], b"four").await.status(), 200);
        alice.get(created.header("location")).await.json()["download"].clone()
    };
    assert_eq!(alice.delete(created.header("location")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(send(&created.json()["upload"], b"four").await.status(), 200);
    assert_eq!(send(&download, b"").await.status(), 200);
    assert_eq!(alice.delete(&format!("/items/{item}")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(send(&download, b"").await.status(), 404);
}

#[tokio::test]
async fn fifty_reservations_at_once_with_a_quota_of_ten_make_ten() {
    for quota in [("ATTACHMENTS_PER_USER", "10"), ("ATTACHMENT_BYTES_PER_USER", "40")] {
        let app = TestApp::with(&[quota, ("REQUEST_TIMEOUT_SECONDS", "60")]).await;
        let alice = app.user("alice");
        let mut items = Vec::new();
        for n in 0..5 {
            items.push(alice.create_item(&format!("{n}")).await);
        }
        let answers = all_at_once(50, |n| {
            let (alice, path) = (alice.clone(), format!("/items/{}/attachments", items[n % 5]));
            async move {
                loop {
                    let answer = alice.post(&path, text_file("a.txt", b"four")).await;
                    // DynamoDB refuses writes to the same row at once, or is too slow on a busy machine: try again.
                    if answer.header("retry-after").is_empty() {
                        return answer;
                    }
                }
            }
        });
        let (made, refused): (Vec<_>, Vec<_>) =
            answers.await.into_iter().partition(|answer| answer.status == StatusCode::CREATED);
        assert_eq!(made.len(), 10, "{quota:?}");
        for answer in refused {
            assert_eq!(answer.status, StatusCode::CONFLICT);
            assert_eq!(answer.json()["type"], "/problems/quota-exceeded");
        }
        let bob = app.user("bob");
        let item = bob.create_item("his own quota").await;
        attach(&bob, &item, "b.txt", b"four").await;
    }
}

#[tokio::test]
async fn what_was_removed_counts_until_its_upload_can_no_longer_arrive() {
    let app = TestApp::with(&[("ATTACHMENTS_PER_USER", "1"), ("PRESIGNED_URL_SECONDS", "3")]).await;
    let alice = app.user("alice");
    let list = format!("/items/{}/attachments", alice.create_item("with a file").await);
    let first = alice.post(&list, text_file("a.txt", b"four")).await;
    assert_eq!(alice.delete(first.header("location")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(alice.post(&list, text_file("b.txt", b"four")).await.status, StatusCode::CONFLICT);
    let second = async {
        loop {
            let answer = alice.post(&list, text_file("b.txt", b"four")).await;
            if answer.status == StatusCode::CREATED {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let second = tokio::time::timeout(Duration::from_secs(30), second).await.expect("the quota came back");
    assert_eq!(send(&first.json()["upload"], b"four").await.status(), 403);
    assert_eq!(alice.post(&list, text_file("c.txt", b"four")).await.status, StatusCode::CONFLICT);
    assert_eq!(send(&second.json()["upload"], b"four").await.status(), 200);
}

#[tokio::test]
async fn attachments_per_item_are_limited_and_abandoned_uploads_free_their_place() {
    // Long enough for an upload on a machine with other work.
    let lifetime = std::time::Duration::from_secs(3);
    let app = TestApp::with(&[("ATTACHMENTS_PER_ITEM", "2"), ("PRESIGNED_URL_SECONDS", "3")]).await;
    let alice = app.user("alice");
    let item = alice.create_item("with files").await;
    let list = format!("/items/{item}/attachments");
    let kept = attach(&alice, &item, "kept.txt", b"four").await;
    assert_eq!(alice.post(&list, text_file("abandoned.txt", b"four")).await.status, StatusCode::CREATED);
    let full = alice.post(&list, text_file("too many.txt", b"four")).await;
    assert_eq!(
        (full.status, full.json()["type"].clone()),
        (StatusCode::CONFLICT, json!("/problems/too-many-attachments"))
    );
    tokio::time::sleep(2 * lifetime).await; // Until the abandoned upload can come no more.
    attach(&alice, &item, "second.txt", b"four").await;
    assert_eq!(alice.post(&list, text_file("too many.txt", b"four")).await.status, StatusCode::CONFLICT);
    alice.delete(&kept).await;
    attach(&alice, &item, "third.txt", b"four").await;
}

#[tokio::test]
async fn attachment_size_and_type_are_limited() {
    let app = TestApp::with(&[("ATTACHMENT_MAX_BYTES", "10")]).await;
    let alice = app.user("alice");
    let path = format!("/items/{}/attachments", alice.create_item("with files").await);
    for (body, pointer) in [
        (json!({"filename": "../a", "content_type": "text/plain", "size": 1}), "/filename"),
        (json!({"filename": "", "content_type": "text/plain", "size": 1}), "/filename"),
        (json!({"filename": "a", "content_type": "text", "size": 1}), "/content_type"),
        (json!({"filename": "a", "content_type": "text/plain\r\nx: y", "size": 1}), "/content_type"),
        (json!({"filename": "a", "content_type": "text/plain;\ncharset=utf-8", "size": 1}), "/content_type"),
        (
            json!({"filename": "a", "content_type": "text/plain;\u{a0}charset=utf-8", "size": 1}),
            "/content_type",
        ),
        (json!({"filename": "a", "content_type": "text/plain", "size": 11}), "/size"),
        (json!({"filename": "a", "content_type": "text/plain", "size": -1}), "/size"),
        (
            json!({"filename": "a", "content_type": "text/plain", "size": 1, "checksum_sha256": "YQ=="}),
            "/checksum_sha256",
        ),
        (json!({"filename": "a", "content_type": "text/plain", "size": 1, "key": "b"}), "/key"),
    ] {
        let answer = alice.post(&path, body.clone()).await;
        assert_eq!(
            (answer.status, answer.pointer()),
            (StatusCode::UNPROCESSABLE_ENTITY, pointer.into()),
            "{body}"
        );
    }
    let empty = alice.post(&path, text_file("empty", b"")).await.json();
    assert_eq!(send(&empty["upload"], b"").await.status(), 200);
}

#[tokio::test]
async fn without_a_bucket_the_routes_say_so() {
    let app = TestApp::with(&[("S3_BUCKET_NAME", "")]).await;
    let alice = app.user("alice");
    let item = alice.create_item("without files").await;
    let path = format!("/items/{item}/attachments");
    assert_eq!(alice.get(&path).await.status, StatusCode::NOT_IMPLEMENTED);
    assert_eq!(alice.post(&path, text_file("a", b"")).await.status, StatusCode::NOT_IMPLEMENTED);
    assert_eq!(alice.delete(&format!("/items/{item}")).await.status, StatusCode::NO_CONTENT);
}
