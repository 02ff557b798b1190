//! `/mfa` and `/mfa/setup`.

use axum::http::StatusCode;
use cognito_local::Mfa;
use totp_rs::{Builder, Secret};

use crate::support::{ALICE, Answer, Browser, TestPool, between};

/// The secret that a set-up page shows.
fn shown_secret(page: &Answer) -> Secret {
    let text = between(&page.text, "class=\"key\">", "<").expect("a secret").replace(' ', "");
    Secret::try_from_base32(text).unwrap()
}

/// What an authenticator app shows at the pool's time, or some steps later.
fn app_code(pool: &TestPool, secret: &Secret, steps: i64) -> String {
    let totp = Builder::new().with_secret(secret.clone()).build_noncompliant();
    let time = u64::try_from(pool.clock.unix_seconds() + 30 * steps).unwrap();
    totp.generate(time).to_string()
}

fn wrong_code(pool: &TestPool, secret: &Secret) -> String {
    let near: Vec<String> = (-2..=2).map(|step| app_code(pool, secret, step)).collect();
    ["000000", "111111", "222222", "333333", "444444", "555555"]
        .into_iter()
        .find(|code| !near.iter().any(|other| other == code))
        .unwrap()
        .to_owned()
}

/// Signs in and sets up an app; returns its secret.
async fn set_up(pool: &TestPool, browser: &Browser) -> Secret {
    let _ = browser.code(ALICE, &[]).await;
    let page = browser.open("/mfa/setup").await;
    let secret = shown_secret(&page);
    let answer = browser.submit(&page, &[("code", &app_code(pool, &secret, 0))]).await;
    let after = browser.follow(&answer).await;
    assert!(after.text.contains("Your authenticator app is set up."), "{}", after.text);
    secret
}

#[tokio::test]
async fn sign_in_asks_for_a_code_after_an_app_was_set_up() {
    let pool = TestPool::open().await;
    let secret = set_up(&pool, &pool.browser()).await;
    pool.clock.advance(std::time::Duration::from_secs(30));

    let browser = pool.browser();
    let challenged = browser.sign_in(ALICE, &[]).await;
    assert!(challenged.location().starts_with("/mfa?"), "{}", challenged.location());
    let page = browser.follow(&challenged).await;
    let wrong = browser.submit(&page, &[("code", &wrong_code(&pool, &secret))]).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(wrong.text.contains("id=\"code-problem\""));
    let answer = browser.submit(&page, &[("code", &app_code(&pool, &secret, 0))]).await;
    let tokens = pool.redeem(&answer.redirect_parameter("code")).await;
    assert_eq!(tokens.status, StatusCode::OK);
}

#[tokio::test]
async fn password_alone_does_not_sign_in_a_user_with_an_app() {
    let pool = TestPool::open().await;
    let _ = set_up(&pool, &pool.browser()).await;
    let browser = pool.browser();
    let _ = browser.sign_in(ALICE, &[]).await;
    let authorize = browser.open("/oauth2/authorize").await;
    assert!(authorize.location().starts_with("/login?"));
    let setup = browser.open("/mfa/setup").await;
    assert!(setup.location().starts_with("/login?"), "an app cannot be replaced by who lacks its code");
    let stranger = pool.browser().open("/mfa").await;
    assert!(stranger.location().starts_with("/login?"));
}

#[tokio::test]
async fn app_code_works_once() {
    let pool = TestPool::open().await;
    let secret = set_up(&pool, &pool.browser()).await;
    let code = app_code(&pool, &secret, 1);
    let answer = async |code: &str| {
        let browser = pool.browser();
        let challenged = browser.sign_in(ALICE, &[]).await;
        let page = browser.follow(&challenged).await;
        browser.submit(&page, &[("code", code)]).await.status
    };
    assert_eq!(answer(&app_code(&pool, &secret, 0)).await, StatusCode::BAD_REQUEST, "spent at set-up");
    assert_eq!(answer(&code).await, StatusCode::FOUND);
    assert_eq!(answer(&code).await, StatusCode::BAD_REQUEST, "spent at sign-in");
}

#[tokio::test]
async fn app_code_attempts_are_limited_across_browsers() {
    let pool = TestPool::open().await;
    let secret = set_up(&pool, &pool.browser()).await;
    pool.clock.advance(std::time::Duration::from_secs(60));
    for attempt in 0..6 {
        let browser = pool.browser();
        let challenged = browser.sign_in(ALICE, &[]).await;
        let page = browser.follow(&challenged).await;
        let code = if attempt < 5 { wrong_code(&pool, &secret) } else { app_code(&pool, &secret, 0) };
        let answer = browser.submit(&page, &[("code", &code)]).await;
        let expected = if attempt < 5 { StatusCode::BAD_REQUEST } else { StatusCode::TOO_MANY_REQUESTS };
        assert_eq!(answer.status, expected, "attempt {attempt}");
    }
}

#[tokio::test]
async fn challenge_expires_after_ten_minutes() {
    let pool = TestPool::open().await;
    let secret = set_up(&pool, &pool.browser()).await;
    let browser = pool.browser();
    let challenged = browser.sign_in(ALICE, &[]).await;
    let page = browser.follow(&challenged).await;
    pool.clock.advance(std::time::Duration::from_secs(600));
    let late = browser.submit(&page, &[("code", &app_code(&pool, &secret, 0))]).await;
    assert!(late.location().starts_with("/login?"));
}

#[tokio::test]
async fn password_reset_ends_a_pending_challenge() {
    let pool = TestPool::open().await;
    let secret = set_up(&pool, &pool.browser()).await;
    let thief = pool.browser();
    let challenged = thief.sign_in(ALICE, &[]).await;
    let page = thief.follow(&challenged).await;

    let browser = pool.browser();
    let forgot = browser.open("/forgot-password").await;
    let asked = browser.submit(&forgot, &[("username", "alice")]).await;
    let reset = browser.follow(&asked).await;
    let code = pool.mailed_code().await;
    let (password, again) = (("password", "Looking-glass2"), ("password_again", "Looking-glass2"));
    let done = browser.submit(&reset, &[("username", "alice"), ("code", &code), password, again]).await;
    assert!(done.location().starts_with("/login?"));

    let late = thief.submit(&page, &[("code", &app_code(&pool, &secret, 1))]).await;
    assert!(late.location().starts_with("/login?"), "{}", late.location());
}

#[tokio::test]
async fn pool_can_require_an_app() {
    let pool = TestPool::with(|config| config.mfa = Mfa::Required).await;
    let browser = pool.browser();
    let challenged = browser.sign_in(ALICE, &[]).await;
    assert!(challenged.location().starts_with("/mfa/setup?"), "{}", challenged.location());
    let page = browser.follow(&challenged).await;
    let secret = shown_secret(&page);
    let wrong = browser.submit(&page, &[("code", &wrong_code(&pool, &secret))]).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(shown_secret(&wrong) == secret, "the secret stays the same");
    let answer = browser.submit(&wrong, &[("code", &app_code(&pool, &secret, 0))]).await;
    assert!(!answer.redirect_parameter("code").is_empty());
}

#[tokio::test]
async fn a_pool_without_mfa_offers_no_app() {
    let pool = TestPool::with(|config| config.mfa = Mfa::Off).await;
    let browser = pool.browser();
    let _ = browser.code(ALICE, &[]).await;
    let account = browser.open("/login").await;
    assert!(account.text.contains("Welcome back") && !account.text.contains("/mfa/setup"));
    assert!(browser.open("/mfa/setup").await.location().starts_with("/login?"));
}
