use std::collections::HashSet;

use axum::body::Body;
use cognito_auth::testing::TestPool;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::support::{Persona, TestApp, all_at_once};

#[tokio::test]
async fn an_item_is_created_read_replaced_changed_and_removed() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let created = alice.post("/items", json!({"title": "Buy milk", "description": "Two litres."})).await;
    assert_eq!(created.status, StatusCode::CREATED);
    let item = created.json();
    let path = created.header("location").to_owned();
    assert_eq!(path, format!("/items/{}", item["id"].as_str().unwrap()));
    assert_eq!(created.header("etag"), "\"1\"");
    assert_eq!(alice.get(&path).await.json(), item);

    let replaced = alice.put(&path, "\"1\"", json!({"title": "Buy oat milk"})).await;
    assert_eq!((replaced.status, replaced.header("etag")), (StatusCode::OK, "\"2\""));
    assert_eq!(replaced.json()["description"], json!(null));
    assert_eq!(replaced.json()["created_at"], item["created_at"]);

    let changed = alice.patch(&path, json!({"description": "One litre."})).await;
    assert_eq!((changed.status, changed.header("etag")), (StatusCode::OK, "\"3\""));
    assert_eq!(changed.json()["title"], "Buy oat milk");
    assert_eq!(changed.json()["description"], "One litre.");
    assert_eq!(alice.patch(&path, json!({"description": null})).await.json()["description"], json!(null));
    assert_eq!(alice.get(&path).await.json()["version"], 4);

    assert_eq!(alice.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(alice.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(alice.delete(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn another_users_item_is_404() {
    let app = TestApp::start().await;
    let path = format!("/items/{}", app.user("alice").create_item("mine").await);
    let bob = app.user("bob");
    assert_eq!(bob.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(bob.put(&path, "*", json!({"title": "stolen"})).await.status, StatusCode::NOT_FOUND);
    assert_eq!(bob.patch(&path, json!({"title": "stolen"})).await.status, StatusCode::NOT_FOUND);
    assert_eq!(bob.delete(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(bob.get("/items").await.json()["items"], json!([]));
    assert_eq!(app.user("alice").get(&path).await.json()["title"], "mine");
}

#[tokio::test]
async fn the_same_sub_in_another_pool_is_another_user() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let path = format!("/items/{}", alice.create_item("mine").await);

    let other_pool = TestPool::with_id("eu-west-1_AnotherPo");
    let sub = alice.get("/users/me").await.json()["sub"].clone();
    let token = other_pool.user("alice").scope("items/read").scope("items/write").claim("sub", sub.clone());
    let namesake = app.bearer(&token.access_token()).at(app.router_for(&other_pool));
    assert_eq!(namesake.get("/users/me").await.json()["sub"], sub);
    assert_eq!(namesake.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(namesake.get("/items").await.json()["items"], json!([]));
    assert_eq!(alice.get(&path).await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_route_is_one_call() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let path = format!("/items/{}", alice.create_item("counted").await);
    let body = || json!({"title": "counted"});
    let key = [("idempotency-key", "one")];
    let mut calls = app.calls();
    let mut expect = |route: &str, expected: u64| {
        assert_eq!(app.calls() - calls, expected, "{route}");
        calls = app.calls();
    };
    alice.get("/items").await;
    expect("list", 1);
    alice.post("/items", body()).await;
    expect("create", 1);
    alice.send(Method::POST, "/items", &key, Some(body())).await;
    expect("create with a key", 1);
    alice.send(Method::POST, "/items", &key, Some(body())).await;
    expect("replay", 1);
    alice.get(&path).await;
    expect("read", 1);
    alice.put(&path, "\"1\"", body()).await;
    expect("replace", 1);
    assert_eq!(alice.put(&path, "\"1\"", body()).await.status, StatusCode::PRECONDITION_FAILED);
    expect("replace, stale", 1);
    alice.patch(&path, body()).await;
    expect("change", 1);
    alice.delete(&path).await;
    expect("remove", 1);
    assert_eq!(alice.put(&path, "\"1\"", body()).await.status, StatusCode::NOT_FOUND);
    expect("replace, missing", 1);
}

#[tokio::test]
async fn conditional_headers_are_honoured() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let path = format!("/items/{}", alice.create_item("one").await);
    let body = || Some(json!({"title": "two"}));
    let put = |headers: &'static [(&'static str, &'static str)]| {
        let (alice, path) = (alice.clone(), path.clone());
        async move { alice.send(Method::PUT, &path, headers, body()).await }
    };
    assert_eq!(put(&[]).await.status, StatusCode::PRECONDITION_REQUIRED);
    assert_eq!(put(&[("if-match", "\"2\"")]).await.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(put(&[("if-match", "W/\"1\"")]).await.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(put(&[("if-match", "\"nonsense\"")]).await.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(put(&[("if-match", "1")]).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(alice.get(&path).await.json()["version"], 1);
    assert_eq!(put(&[("if-match", "\"7\", \"1\"")]).await.status, StatusCode::OK);
    assert_eq!(put(&[("if-match", "*")]).await.header("etag"), "\"3\"");

    let get = |tags: &'static str| {
        let (alice, path) = (alice.clone(), path.clone());
        async move { alice.send(Method::GET, &path, &[("if-none-match", tags)], None).await }
    };
    let unchanged = get("W/\"3\"").await;
    assert_eq!((unchanged.status, unchanged.header("etag")), (StatusCode::NOT_MODIFIED, "\"3\""));
    assert!(unchanged.body.is_empty());
    assert_eq!(get("\"2\"").await.status, StatusCode::OK);

    let stale = alice.send(Method::DELETE, &path, &[("if-match", "\"1\"")], None).await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
    let stale = alice.send(Method::PATCH, &path, &[("if-match", "\"1\"")], body()).await;
    assert_eq!(stale.json()["type"], "/problems/version-conflict");
    let gone = alice.send(Method::DELETE, &path, &[("if-match", "\"3\"")], None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn of_two_hundred_writers_of_one_version_one_wins() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let path = format!("/items/{}", alice.create_item("start").await);
    let answers = all_at_once(200, |number| {
        let (alice, path) = (alice.clone(), path.clone());
        async move {
            let mut answer_was_lost = false;
            loop {
                let answer = alice.put(&path, "\"1\"", json!({"title": number.to_string()})).await;
                // On a busy machine two hundred writes can take longer than the table is given.
                if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                    return (answer.status, answer_was_lost);
                }
                answer_was_lost = true;
            }
        }
    })
    .await;
    let won = answers.iter().filter(|(status, _)| *status == StatusCode::OK).count();
    let rejected = answers.iter().filter(|(status, _)| *status == StatusCode::PRECONDITION_FAILED).count();
    // The winner whose answer was lost finds its own write in the way when it tries again.
    let winner_may_be_unknown = answers.iter().any(|(_, answer_was_lost)| *answer_was_lost);
    assert_eq!(won + rejected, 200);
    assert!(won == 1 || won == 0 && winner_may_be_unknown, "{won} writers won");
    assert_eq!(alice.get(&path).await.json()["version"], 2);
}

#[tokio::test]
async fn with_retries_on_conflict_no_update_is_lost() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let path = format!("/items/{}", alice.create_item("0").await);
    all_at_once(20, |_| increment(alice.clone(), path.clone())).await;
    let item = alice.get(&path).await.json();
    assert_eq!((&item["title"], &item["version"]), (&json!("20"), &json!(21)));
}

/// Counts one up in the title, as often as it takes.
async fn increment(persona: Persona, path: String) {
    loop {
        let item = persona.get(&path).await;
        let count: u32 = item.json()["title"].as_str().unwrap().parse().unwrap();
        let title = json!({"title": (count + 1).to_string()});
        match persona.put(&path, item.header("etag"), title).await.status {
            StatusCode::OK => return,
            StatusCode::PRECONDITION_FAILED => {}
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn two_users_page_through_a_thousand_items_each() {
    let app = TestApp::start().await;
    let lists = all_at_once(2, |number| {
        let persona = app.user(["alice", "bob"][number]);
        async move {
            let mut created = Vec::new();
            for n in 0..1000 {
                created.push(persona.create_item(&format!("{number}-{n}")).await);
            }
            created.reverse();
            (created, walk(&persona, 37).await)
        }
    })
    .await;
    for (created, listed) in &lists {
        assert_eq!(created, listed);
    }
    let all: HashSet<_> = lists.iter().flat_map(|(created, _)| created).collect();
    assert_eq!(all.len(), 2000);
}

/// The ids of all pages, in order.
async fn walk(persona: &Persona, limit: usize) -> Vec<String> {
    let mut ids = Vec::new();
    let mut path = format!("/items?limit={limit}");
    loop {
        let page = persona.get(&path).await.json();
        let items = page["items"].as_array().unwrap();
        ids.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { return ids };
        assert_eq!(items.len(), limit);
        path = format!("/items?limit={limit}&cursor={cursor}");
    }
}

#[tokio::test]
async fn last_page_has_no_cursor() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    assert_eq!(alice.get("/items").await.json(), json!({"items": [], "next_cursor": null}));
    for n in 0..20 {
        alice.create_item(&n.to_string()).await;
    }
    let full = alice.get("/items").await.json();
    assert_eq!((full["items"].as_array().unwrap().len(), &full["next_cursor"]), (20, &json!(null)));
}

#[tokio::test]
async fn large_items_make_shorter_pages_and_none_is_missing() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let description = "\u{10348}".repeat(4000); // 16 KB: a hundred of them are more than DynamoDB's page of 1 MB.
    for n in 0..90 {
        alice.post("/items", json!({"title": n.to_string(), "description": description})).await;
    }
    let mut titles = Vec::new();
    let mut path = "/items?limit=100".to_owned();
    let mut pages = 0;
    loop {
        let page = alice.get(&path).await.json();
        pages += 1;
        titles.extend(
            page["items"].as_array().unwrap().iter().map(|item| item["title"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/items?limit=100&cursor={cursor}");
    }
    assert!(pages > 1);
    assert_eq!(titles, (0..90).rev().map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn bad_body_is_rejected_with_a_pointer_and_nothing_is_written() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    for (body, pointer) in [
        (json!({"title": ""}), "/title"),
        (json!({"title": "x".repeat(201)}), "/title"),
        (json!({"title": "a\u{0}b"}), "/title"),
        (json!({"title": 7}), "/title"),
        (json!({"title": "a", "description": "x".repeat(4001)}), "/description"),
        (json!({"title": "a", "owner": "bob"}), "/owner"),
        (json!({"description": "no title"}), ""),
        (json!(["title"]), ""),
        (json!("title"), ""),
        (json!(null), ""),
    ] {
        let answer = alice.post("/items", body.clone()).await;
        assert_eq!(
            (answer.status, answer.pointer()),
            (StatusCode::UNPROCESSABLE_ENTITY, pointer.into()),
            "{body}"
        );
    }
    assert_eq!(app.calls(), 0);
    assert_eq!(alice.get("/items").await.json()["items"], json!([]));
}

#[tokio::test]
async fn body_that_is_not_json_is_400() {
    let app = TestApp::start().await;
    let post = |content_type: &'static str, body: Vec<u8>| {
        let request =
            Request::post("/items").header("content-type", content_type).body(Body::from(body)).unwrap();
        let alice = app.user("alice");
        async move { alice.send_raw(request).await }
    };
    for body in [r#"{"title": "#, "", "{\"title\": \"a\"} x", "{'title': 'a'}", "\u{feff}{\"title\": \"a\"}"]
    {
        assert_eq!(post("application/json", body.into()).await.status, StatusCode::BAD_REQUEST, "{body}");
    }
    let invalid_utf8 = post("application/json", b"{\"title\": \"\xff\"}".to_vec()).await;
    assert!(invalid_utf8.status.is_client_error());
    assert_eq!(post("text/plain", b"{}".to_vec()).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(post("", b"{}".to_vec()).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let large = json!({"title": "a", "description": "x".repeat(70 * 1024)}).to_string();
    assert_eq!(post("application/json", large.into()).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let charset = post("application/json; charset=utf-8", b"{\"title\": \"a\"}".to_vec()).await;
    assert_eq!(charset.status, StatusCode::CREATED);
    assert_eq!(app.calls(), 1);
}

#[tokio::test]
async fn bad_queries_and_paths_are_rejected() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    for _ in 0..2 {
        alice.create_item("item").await;
    }
    let cursor = alice.get("/items?limit=1").await.json()["next_cursor"].as_str().unwrap().to_owned();
    let calls = app.calls();
    for (query, pointer) in [
        ("limit=0".to_owned(), "limit"),
        ("limit=101".to_owned(), "limit"),
        ("limit=ten".to_owned(), "limit"),
        ("limit=".to_owned(), "limit"),
        ("cursor=forged".to_owned(), "cursor"),
        (format!("cursor={}", &cursor[1..]), "cursor"),
        ("cursor=".to_owned(), "cursor"),
        ("offset=1".to_owned(), "offset"),
    ] {
        let answer = alice.get(&format!("/items?{query}")).await;
        assert_eq!(
            (answer.status, answer.pointer()),
            (StatusCode::UNPROCESSABLE_ENTITY, pointer.into()),
            "{query}"
        );
    }
    let foreign = app.user("bob").get(&format!("/items?cursor={cursor}")).await;
    assert_eq!(foreign.status, StatusCode::UNPROCESSABLE_ENTITY);
    for id in ["1", "not-a-uuid", "..%2Fprofile", "ITEM%23", "%00"] {
        assert_eq!(alice.get(&format!("/items/{id}")).await.status, StatusCode::NOT_FOUND, "{id}");
    }
    assert_eq!(app.calls(), calls);
}

#[tokio::test]
async fn merge_patch_follows_rfc_7396() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let path = format!("/items/{}", alice.create_item("title").await);
    assert_eq!(alice.patch(&path, json!({"title": null})).await.pointer(), "/title");
    assert_eq!(alice.patch(&path, json!({"id": "x"})).await.pointer(), "/id");
    let request = Request::patch(&path).header("content-type", "application/json-patch+json");
    let refused = alice.send_raw(request.body(Body::from("[]")).unwrap()).await;
    assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(refused.header("accept-patch"), "application/merge-patch+json");
    let request = Request::patch(&path).header("content-type", "application/merge-patch+json");
    let changed = alice.send_raw(request.body(Body::from(r#"{"title": "new"}"#)).unwrap()).await;
    assert_eq!(changed.json()["title"], "new");
}

#[tokio::test]
async fn an_idempotency_key_replays_the_first_answer() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let post = |persona: &Persona, key: &str, body: Value| {
        let (persona, key) = (persona.clone(), key.to_owned());
        async move { persona.send(Method::POST, "/items", &[("idempotency-key", &key)], Some(body)).await }
    };
    let first = post(&alice, "key", json!({"title": "once"})).await;
    let path = first.header("location").to_owned();
    alice.put(&path, "*", json!({"title": "changed since"})).await;
    let replay = post(&alice, "key", json!({"title": "once", "description": null})).await;
    assert_eq!(replay.status, StatusCode::CREATED);
    assert_eq!(replay.body, first.body);
    for header in ["location", "etag", "content-type"] {
        assert_eq!(replay.header(header), first.header(header));
    }
    assert_eq!(alice.get("/items").await.json()["items"].as_array().unwrap().len(), 1);

    let other_body = post(&alice, "key", json!({"title": "twice"})).await;
    assert_eq!(other_body.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(other_body.json()["type"], "/problems/idempotency-key-reused");
    assert_ne!(post(&alice, "other", json!({"title": "once"})).await.body, first.body);
    assert_ne!(post(&app.user("bob"), "key", json!({"title": "once"})).await.body, first.body);
    for key in ["", "a b", &"x".repeat(256)] {
        assert_eq!(post(&alice, key, json!({"title": "once"})).await.pointer(), "Idempotency-Key");
    }
}

#[tokio::test]
async fn fifty_requests_with_one_key_create_one_item() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let answers = all_at_once(50, |_| {
        let alice = alice.clone();
        let body = json!({"title": "once"});
        async move { alice.send(Method::POST, "/items", &[("idempotency-key", "key")], Some(body)).await }
    })
    .await;
    let created: HashSet<_> =
        answers.iter().filter(|a| a.status == StatusCode::CREATED).map(|a| a.body.clone()).collect();
    assert_eq!(created.len(), 1);
    assert!(answers.iter().all(|a| matches!(a.status, StatusCode::CREATED | StatusCode::CONFLICT)));
    assert_eq!(alice.get("/items").await.json()["items"].as_array().unwrap().len(), 1);
}
