use http::{Method, StatusCode};

use crate::support::TestApp;

#[tokio::test]
async fn an_administrator_reads_and_removes_another_users_items() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let sub = alice.get("/users/me").await.json()["sub"].as_str().unwrap().to_owned();
    let id = alice.create_item("to be removed").await;
    alice.create_item("to stay").await;

    let listed = app.admin().get(&format!("/admin/users/{sub}/items?limit=1")).await;
    assert_eq!(listed.json()["items"][0]["title"], "to stay");
    let cursor = listed.json()["next_cursor"].as_str().unwrap().to_owned();
    let next = app.admin().get(&format!("/admin/users/{sub}/items?limit=1&cursor={cursor}")).await.json();
    assert_eq!(next["items"][0]["id"], id);

    let path = format!("/admin/users/{sub}/items/{id}");
    let meant_another = app.admin().send(Method::DELETE, &path, &[("if-match", "\"7\"")], None).await;
    assert_eq!(meant_another.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(app.admin().delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(app.admin().delete(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(alice.get(&format!("/items/{id}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(alice.get("/items").await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn user_without_the_group_is_403_and_told_which_group() {
    let app = TestApp::start().await;
    let id = app.user("bob").create_item("bob's").await;
    let refused = app.user("alice").delete(&format!("/admin/users/bob/items/{id}")).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("the group `admins`") && !detail.contains("scope"), "{detail}");

    let without_scope = app.bearer(&app.pool.user("root").in_group("admins").access_token());
    let refused = without_scope.get("/admin/users/bob/items").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let challenge = refused.header("www-authenticate");
    assert!(challenge.contains("insufficient_scope") && challenge.contains("items/read"), "{challenge}");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("the scope `items/read`") && !detail.contains("group"), "{detail}");
}
