use http::StatusCode;
use serde_json::json;

use crate::support::TestApp;

#[tokio::test]
async fn the_current_user_comes_from_the_token_alone() {
    let app = TestApp::start().await;
    let answer = app.bearer(&app.token("alice").in_group("admins").access_token()).get("/users/me").await;
    assert_eq!(answer.status, StatusCode::OK);
    let user = answer.json();
    assert_eq!(user["kind"], "user");
    assert_eq!(user["username"], "alice");
    assert_eq!(user["groups"], json!(["admins"]));
    assert_eq!(user["scopes"], json!(["items/read", "items/write"]));
    assert_eq!(user["user_pool_id"], app.pool.id());
    assert_eq!(app.calls(), 0);
}

#[tokio::test]
async fn machine_client_is_distinguished_from_a_user() {
    let app = TestApp::start().await;
    let machine = app.bearer(&app.pool.machine().scope("items/write").access_token());
    let caller = machine.get("/users/me").await.json();
    assert_eq!((&caller["kind"], &caller["sub"]), (&json!("machine"), &json!(null)));
    machine.create_item("by a machine").await;
}

#[tokio::test]
async fn a_profile_is_set_read_and_removed() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.user("alice"), app.user("bob"));
    assert_eq!(alice.get("/users/me/profile").await.status, StatusCode::NOT_FOUND);

    let set =
        alice.put("/users/me/profile", "*", json!({"display_name": "Alice", "bio": "Likes lists."})).await;
    assert_eq!(set.status, StatusCode::OK);
    let profile = alice.get("/users/me/profile").await;
    assert_eq!(profile.json(), set.json());
    assert_eq!(profile.json()["display_name"], "Alice");
    assert_eq!(bob.get("/users/me/profile").await.status, StatusCode::NOT_FOUND);

    let without_bio = alice.put("/users/me/profile", "*", json!({"display_name": "A"})).await;
    assert_eq!(without_bio.json()["bio"], json!(null));
    assert_eq!(alice.get("/users/me/profile").await.json()["bio"], json!(null));

    assert_eq!(alice.delete("/users/me/profile").await.status, StatusCode::NO_CONTENT);
    assert_eq!(alice.delete("/users/me/profile").await.status, StatusCode::NO_CONTENT);
    assert_eq!(alice.get("/users/me/profile").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn profile_fields_are_limited() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    for (body, pointer) in [
        (json!({"display_name": ""}), "/display_name"),
        (json!({"display_name": "x".repeat(101)}), "/display_name"),
        (json!({"display_name": "A", "bio": "x".repeat(1001)}), "/bio"),
        (json!({"display_name": "A", "email": "a@example.com"}), "/email"),
        (json!({}), ""),
    ] {
        let answer = alice.put("/users/me/profile", "*", body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(answer.pointer(), pointer);
    }
    assert_eq!(alice.get("/users/me/profile").await.status, StatusCode::NOT_FOUND);
}
