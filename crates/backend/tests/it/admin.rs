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
async fn administrator_whose_sign_in_is_old_must_sign_in_again() {
    let sub = "9b2d1c4e-6a7f-4e21-8c3d-5f60718293a4";
    let paths = [
        (Method::GET, format!("/admin/users/{sub}/items")),
        (Method::DELETE, format!("/admin/users/{sub}/items/0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b")),
        (Method::POST, format!("/admin/users/{sub}/sign-out")),
    ];
    let app = TestApp::with(&[("ADMIN_MAX_AGE_SECONDS", "900")]).await;
    let signed_in = |seconds_ago: i64| {
        let auth_time = time::OffsetDateTime::now_utc().unix_timestamp() - seconds_ago;
        app.token("root").in_group("admins").claim("auth_time", auth_time.into()).access_token()
    };
    for (method, path) in &paths {
        let rejected = app.bearer(&signed_in(1000)).send(method.clone(), path, &[], None).await;
        assert_eq!(rejected.status, StatusCode::UNAUTHORIZED, "{path}");
        let challenge = rejected.header("www-authenticate");
        assert!(challenge.contains("error=\"insufficient_user_authentication\""), "{challenge}");
        assert!(challenge.contains("max_age=\"900\""), "{challenge}");
        let recent = app.bearer(&signed_in(800)).send(method.clone(), path, &[], None).await;
        assert_ne!(recent.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let own = app.bearer(&signed_in(1000)).get("/items").await;
    assert_eq!(own.status, StatusCode::OK, "their own items need no recent sign-in");

    let off = TestApp::with(&[("ADMIN_MAX_AGE_SECONDS", "0")]).await;
    let old = off.token("root").in_group("admins").claim("auth_time", 0.into()).access_token();
    assert_eq!(off.bearer(&old).get(&paths[0].1).await.status, StatusCode::OK);
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
