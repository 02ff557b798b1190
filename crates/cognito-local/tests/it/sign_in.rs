//! `/login`.

use axum::http::StatusCode;

use crate::support::{ALICE, TestPool, authorize_query};

#[tokio::test]
async fn username_or_address_signs_in() {
    let pool = TestPool::open().await;
    for name in ["alice", "ALICE", " alice ", "alice@example.com", "Alice@Example.com"] {
        let answer = pool.browser().sign_in((name, ALICE.1), &[]).await;
        assert_eq!(answer.redirect_parameter("state"), "the-state", "{name}");
        assert!(answer.redirect_parameter("code").len() >= 43, "{name}");
    }
    let answer = pool.browser().sign_in(("bob", "Builder-yes2"), &[]).await;
    assert!(!answer.redirect_parameter("code").is_empty());
}

#[tokio::test]
async fn wrong_password_and_unknown_user_get_the_same_response() {
    let pool = TestPool::open().await;
    let wrong = pool.browser().sign_in(("alice", "Wonder-land2"), &[]).await;
    let unknown = pool.browser().sign_in(("nobody", "Wonder-land2"), &[]).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
    let neutral = |answer: &crate::support::Answer, name: &str| {
        answer
            .hidden_fields()
            .into_iter()
            .fold(answer.text.replace(name, "NAME"), |text, (_, value)| text.replace(&value, ""))
    };
    assert_eq!(neutral(&wrong, "alice"), neutral(&unknown, "nobody"));
    assert!(wrong.text.contains("Incorrect username or password."));
    assert!(wrong.text.contains("value=\"alice\""), "the name is kept");
    assert!(!wrong.text.contains("Wonder-land2"), "the password is not");
}

#[tokio::test]
async fn form_of_another_site_is_rejected() {
    let pool = TestPool::open().await;
    let browser = pool.browser();
    let path = format!("/login?{}", authorize_query(&[]));
    let page = browser.get(&path).await;
    let good = [("username", ALICE.0), ("password", ALICE.1)];

    let without_csrf_token = browser.post(&path, &good).await;
    assert_eq!(without_csrf_token.status, StatusCode::FORBIDDEN);

    let stranger = pool.browser();
    let with_csrf_token_of_another_browser = stranger.submit(&page, &good).await;
    assert_eq!(with_csrf_token_of_another_browser.status, StatusCode::FORBIDDEN);

    let other_port = browser.submit_from("http://localhost:3000", &page, &good).await;
    assert_eq!(other_port.status, StatusCode::FORBIDDEN);
    let sandboxed = browser.submit_from("null", &page, &good).await;
    assert_eq!(sandboxed.status, StatusCode::FORBIDDEN);

    let right = browser.submit(&page, &good).await;
    assert_eq!(right.status, StatusCode::FOUND);
}

#[tokio::test]
async fn input_is_escaped() {
    let pool = TestPool::open().await;
    let answer = pool.browser().sign_in(("\"><b>x", "y"), &[]).await;
    assert!(!answer.text.contains("<b>"), "{}", answer.text);
    let hint = pool.browser().get(&format!("/login?{}", authorize_query(&[("login_hint", "\"><b>x")]))).await;
    assert!(!hint.text.contains("<b>") && hint.text.contains("b&#62;x"), "{}", hint.text);
}

#[tokio::test]
async fn fifth_failure_locks_the_name() {
    let pool = TestPool::open().await;
    for name in ["alice", "nobody"] {
        for _ in 0..5 {
            let wrong = pool.browser().sign_in((name, "Wonder-land2"), &[]).await;
            assert_eq!(wrong.status, StatusCode::BAD_REQUEST, "{name}");
        }
        let locked = pool.browser().sign_in((name, ALICE.1), &[]).await;
        assert_eq!(locked.status, StatusCode::TOO_MANY_REQUESTS, "{name}");
        assert!(locked.text.contains("Password attempts exceeded"));
    }
    let by_address = pool.browser().sign_in(("alice@example.com", ALICE.1), &[]).await;
    assert_eq!(by_address.status, StatusCode::FOUND, "which name and address belong together is not told");

    pool.clock.advance(std::time::Duration::from_secs(2));
    let later = pool.browser().sign_in(ALICE, &[]).await;
    assert_eq!(later.status, StatusCode::FOUND);
}

#[tokio::test]
async fn parallel_guesses_do_not_get_more_attempts() {
    let pool = TestPool::open().await;
    let guesses = (0..12).map(|n| {
        let browser = pool.browser();
        async move { browser.sign_in(("alice", &format!("Guess-{n}")), &[]).await.status }
    });
    let statuses = futures_util::future::join_all(guesses).await;
    let tried = statuses.iter().filter(|status| **status == StatusCode::BAD_REQUEST).count();
    assert_eq!(tried, 5, "{statuses:?}");
}

#[tokio::test]
async fn browser_stays_signed_in_for_one_hour() {
    let pool = TestPool::open().await;
    let browser = pool.browser();
    let _ = browser.code(ALICE, &[]).await;
    let authorize = |changes: &[(&str, &str)]| format!("/oauth2/authorize?{}", authorize_query(changes));

    let again = browser.get(&authorize(&[])).await;
    assert!(!again.redirect_parameter("code").is_empty());
    let silently = browser.get(&authorize(&[("prompt", "none")])).await;
    assert!(!silently.redirect_parameter("code").is_empty());
    let asked = browser.get(&authorize(&[("prompt", "login")])).await;
    assert!(asked.location().starts_with("/login?"));

    pool.clock.advance(std::time::Duration::from_secs(3600));
    let late = browser.get(&authorize(&[])).await;
    assert!(late.location().starts_with("/login?"));
}
