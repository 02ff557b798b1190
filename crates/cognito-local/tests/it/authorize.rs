//! `/oauth2/authorize`: what is refused, and to whom that is said.

use axum::http::StatusCode;
use cognito_local::ResourceServerConfig;

use crate::support::{ALICE, TestPool, authorize_query, query_of};

async fn authorize(pool: &TestPool, changes: &[(&str, &str)]) -> crate::support::Answer {
    pool.get(&format!("/oauth2/authorize?{}", authorize_query(changes))).await
}

#[tokio::test]
async fn authorize_redirects_to_the_sign_in_page_with_the_same_query() {
    let pool = TestPool::open().await;
    let location = authorize(&pool, &[]).await.location();
    assert_eq!(location, format!("/login?{}", authorize_query(&[])));
}

#[tokio::test]
async fn unknown_client_or_callback_url_shows_a_page_and_does_not_redirect() {
    let pool = TestPool::open().await;
    for changes in [
        [("client_id", "nobody")],
        [("client_id", "")],
        [("redirect_uri", "")],
        [("redirect_uri", "https://evil.test/")],
        [("redirect_uri", "http://localhost:8000/docs/oauth2-redirect.html/")],
        [("redirect_uri", "http://localhost:8000/docs/oauth2-redirect.html?x")],
        [("redirect_uri", "http://localhost:8000@evil.test/callback")],
        [("redirect_uri", "//evil.test")],
        [("redirect_uri", "javascript:alert(1)")],
    ] {
        for path in ["/oauth2/authorize", "/login"] {
            let answer = pool.get(&format!("{path}?{}", authorize_query(&changes))).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path} {changes:?}");
            assert!(!answer.headers.contains_key("location"), "{path} {changes:?}");
            assert!(!answer.text.contains("evil.test"), "{path} {changes:?}");
        }
    }
}

#[tokio::test]
async fn duplicate_parameter_is_rejected() {
    let pool = TestPool::open().await;
    let answer = pool.get(&format!("/oauth2/authorize?{}&state=other", authorize_query(&[]))).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text.contains("state"), "{}", answer.text);
}

#[tokio::test]
async fn other_errors_redirect_to_the_client() {
    let pool = TestPool::open().await;
    for (changes, error) in [
        (vec![("response_type", "")], "invalid_request"),
        (vec![("response_type", "id_token")], "invalid_request"),
        (vec![("response_type", "token")], "unauthorized_client"),
        (vec![("scope", "openid items/delete")], "invalid_scope"),
        (vec![("scope", "openid phone")], "invalid_scope"),
        (vec![("scope", "email")], "invalid_scope"),
        (vec![("scope", " ")], "invalid_scope"),
        (vec![("identity_provider", "Google")], "invalid_request"),
        (vec![("code_challenge", ""), ("code_challenge_method", "")], "invalid_request"),
        (vec![("code_challenge", "")], "invalid_request"),
        (vec![("code_challenge_method", "")], "invalid_request"),
        (vec![("code_challenge_method", "plain")], "invalid_request"),
        (vec![("code_challenge", "short")], "invalid_request"),
        (vec![("prompt", "none login")], "invalid_request"),
        (vec![("prompt", "sometimes")], "invalid_request"),
        (vec![("prompt", "none")], "login_required"),
        (vec![("resource", "not a url")], "invalid_target"),
        (vec![("resource", "http://example.com/")], "invalid_target"),
        (vec![("resource", "https://example.com/#part")], "invalid_target"),
        (vec![("state", "{\"a\":1}")], "invalid_request"),
    ] {
        let location = authorize(&pool, &changes).await.location();
        assert!(location.starts_with("http://localhost:8000/docs/oauth2-redirect.html?error="), "{location}");
        let query = query_of(&location);
        assert_eq!(query["error"], error, "{changes:?}");
        let state = changes.iter().find(|(name, _)| *name == "state").map_or("the-state", |(_, value)| value);
        assert_eq!(query["state"], state);
    }
}

#[tokio::test]
async fn a_native_application_may_listen_on_any_port() {
    let pool = TestPool::open().await;
    for callback in
        ["http://127.0.0.1:49152/callback", "http://localhost:5/callback", "http://[::1]:4000/callback"]
    {
        let answer = pool.browser().sign_in(ALICE, &[("redirect_uri", callback)]).await;
        assert!(answer.location().starts_with(&format!("{callback}?code=")), "{}", answer.location());
    }
}

#[tokio::test]
async fn without_scope_all_scopes_of_the_client_are_granted() {
    let pool = TestPool::open().await;
    let answer = pool.tokens(ALICE, &[("scope", "")]).await;
    let claims = crate::support::jwt_part(&answer.member("access_token"), 1);
    assert_eq!(claims["scope"], "openid email profile items/read items/write");
}

#[tokio::test]
async fn a_strict_pool_knows_only_registered_ports_and_resources() {
    let strict = TestPool::with(|config| {
        config.strict = true;
        config.resource_servers.push(ResourceServerConfig {
            identifier: "http://localhost:8000/mcp".to_owned(),
            scopes: Vec::new(),
        });
    })
    .await;
    let lenient = TestPool::open().await;
    for (changes, is_strict) in [
        ([("redirect_uri", "http://localhost:51234/callback")], true),
        ([("redirect_uri", "http://localhost/callback")], false),
        ([("resource", "http://localhost:8000/mcp")], false),
    ] {
        let status = authorize(&strict, &changes).await.status;
        assert_eq!(status == StatusCode::BAD_REQUEST, is_strict, "{changes:?}");
        assert_eq!(authorize(&lenient, &changes).await.status, StatusCode::FOUND, "{changes:?}");
    }
    for resource in ["http://localhost:8000/mcp/", "http://localhost:8000", "https://other.test"] {
        let location = authorize(&strict, &[("resource", resource)]).await.location();
        assert_eq!(query_of(&location)["error"], "invalid_grant", "{resource}");
    }
    let exchange = [
        ("grant_type", "authorization_code"),
        ("client_id", "localweb"),
        ("code", "x"),
        ("redirect_uri", "http://localhost/callback"),
        ("resource", "http://localhost:8000/mcp"),
    ];
    for (pool, error) in [(&strict, "invalid_request"), (&lenient, "invalid_grant")] {
        assert_eq!(pool.post("/oauth2/token", &exchange).await.json()["error"], error);
    }
}
