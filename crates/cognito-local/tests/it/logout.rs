//! `/logout`, and the page of an account that is remembered.

use axum::http::StatusCode;

use crate::support::{ALICE, CALLBACK, TestPool, authorize_query};

#[tokio::test]
async fn logout_ends_the_session_and_redirects_to_a_registered_url() {
    let pool = TestPool::open().await;
    let browser = pool.browser();
    let _ = browser.code(ALICE, &[]).await;
    for (query, location) in [
        ("client_id=localweb&logout_uri=http://localhost:3000/", "http://localhost:3000/"),
        ("client_id=localweb&logout_uri=http://127.0.0.1/&state=s", "http://127.0.0.1/?state=s"),
    ] {
        assert_eq!(browser.get(&format!("/logout?{query}")).await.location(), location);
        let authorize = browser.open("/oauth2/authorize").await;
        assert!(authorize.location().starts_with("/login?"));
    }
}

#[tokio::test]
async fn logout_can_redirect_to_the_sign_in_page() {
    let pool = TestPool::open().await;
    let browser = pool.browser();
    let _ = browser.code(ALICE, &[]).await;
    let query = authorize_query(&[("redirect_uri", CALLBACK)]);
    let answer = browser.get(&format!("/logout?{query}")).await;
    assert_eq!(answer.location(), format!("/login?{query}"));
    let login = browser.follow(&answer).await;
    assert!(login.text.contains("<h1>Sign in</h1>"));
}

#[tokio::test]
async fn logout_with_an_unregistered_url_keeps_the_session() {
    let pool = TestPool::open().await;
    let browser = pool.browser();
    let _ = browser.code(ALICE, &[]).await;
    for query in [
        "",
        "client_id=localweb",
        "client_id=nobody&logout_uri=http://localhost/",
        "client_id=localmachine&logout_uri=http://localhost/",
        "client_id=localweb&logout_uri=https://evil.test/",
        "client_id=localweb&logout_uri=http://localhost/other",
        "client_id=localweb&logout_uri=http://localhost",
        "client_id=localweb&redirect_uri=https://evil.test/&response_type=code",
    ] {
        let answer = browser.get(&format!("/logout?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(!answer.headers.contains_key("location"), "{query}");
    }
    let authorize = browser.open("/oauth2/authorize").await;
    assert!(!authorize.redirect_parameter("code").is_empty(), "still signed in");
}

#[tokio::test]
async fn sign_in_page_offers_the_signed_in_account_and_another_one() {
    let pool = TestPool::open().await;
    let browser = pool.browser();
    let _ = browser.code(ALICE, &[]).await;
    let select =
        browser.get(&format!("/oauth2/authorize?{}", authorize_query(&[("prompt", "select_account")]))).await;
    let page = browser.follow(&select).await;
    assert!(page.text.contains("You are signed in as <strong>alice</strong>."), "{}", page.text);
    let go_on = browser.submit(&page, &[]).await;
    assert_eq!(pool.redeem(&go_on.redirect_parameter("code")).await.status, StatusCode::OK);
    let login = browser.get(&format!("/login?{}", authorize_query(&[("prompt", "login")]))).await;
    assert!(login.text.contains("<h1>Sign in</h1>"));
    let stranger = pool.browser();
    let own_page = stranger.open("/login").await;
    let answer = stranger.submit(&own_page, &[("action", "continue")]).await;
    assert!(answer.location().starts_with("/login?"), "nobody to continue as");
}
