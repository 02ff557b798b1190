//! `/signup`, `/confirm`, `/forgot-password`, `/reset-password` and `/mailbox`.

use std::time::Duration;

use axum::http::StatusCode;

use crate::support::{ALICE, Answer, Browser, TestPool};

const CAROL: (&str, &str) = ("carol", "Correct-horse-9");

async fn sign_up(browser: &Browser, username: &str, email: &str) -> Answer {
    let page = browser.open("/signup").await;
    let fields =
        [("username", username), ("email", email), ("password", CAROL.1), ("password_again", CAROL.1)];
    browser.submit(&page, &fields).await
}

async fn confirm(browser: &Browser, username: &str, code: &str) -> Answer {
    let page = browser.open("/confirm").await;
    browser.submit(&page, &[("username", username), ("code", code)]).await
}

async fn reset(browser: &Browser, username: &str, code: &str, password: &str) -> Answer {
    let page = browser.open("/reset-password").await;
    let fields =
        [("username", username), ("code", code), ("password", password), ("password_again", password)];
    browser.submit(&page, &fields).await
}

async fn forgot(browser: &Browser, username: &str) -> Answer {
    let page = browser.open("/forgot-password").await;
    browser.submit(&page, &[("username", username)]).await
}

#[tokio::test]
async fn new_account_is_confirmed_and_signs_in() {
    let pool = TestPool::open().await;
    let browser = pool.browser();
    let signed_up = sign_up(&browser, "carol", "carol@example.com").await;
    let confirmation = browser.follow(&signed_up).await;
    assert!(confirmation.text.contains("value=\"carol\""), "{}", confirmation.text);
    let code = pool.mailed_code().await;
    let confirmed = browser.submit(&confirmation, &[("username", "carol"), ("code", &code)]).await;
    let login = browser.follow(&confirmed).await;
    assert!(login.text.contains("Your account is confirmed.") && login.text.contains("value=\"carol\""));
    let signed_in = browser.submit(&login, &[("username", "carol"), ("password", CAROL.1)]).await;
    let tokens = pool.redeem(&signed_in.redirect_parameter("code")).await;
    let claims = crate::support::jwt_part(&tokens.member("id_token"), 1);
    assert_eq!((&claims["email"], &claims["email_verified"]), (&"carol@example.com".into(), &true.into()));
    assert!(claims.get("cognito:groups").is_none());
}

#[tokio::test]
async fn unconfirmed_user_with_the_right_password_is_sent_to_the_confirmation() {
    let pool = TestPool::open().await;
    let _ = sign_up(&pool.browser(), "carol", "carol@example.com").await;
    let right = pool.browser().sign_in(CAROL, &[]).await;
    assert!(right.location().starts_with("/confirm?"), "{}", right.location());
    let wrong = pool.browser().sign_in(("carol", "Wrong-horse-9"), &[]).await;
    assert!(wrong.text.contains("Incorrect username or password."));
}

#[tokio::test]
async fn sign_up_shows_errors_beside_fields_and_keeps_all_input_but_passwords() {
    let pool = TestPool::open().await;
    let browser = pool.browser();
    let page = browser.open("/signup").await;
    for (change, problem) in [
        (("username", "ca rol"), "Username must not contain spaces"),
        (("username", ""), "Username must be 1 to 128 characters"),
        (("username", "carol@example.com"), "Username cannot be of email format"),
        (("email", "carol"), "Invalid email address format"),
        (("password", "short"), "Password did not conform with policy: Password not long enough"),
        (("password", "correct-horse-9"), "Password must have uppercase characters"),
        (("password_again", "Correct-horse-8"), "The passwords do not match"),
        (("username", "Alice"), "User already exists"),
    ] {
        let mut fields = vec![
            ("username", "carol"),
            ("email", "carol@example.com"),
            ("password", CAROL.1),
            ("password_again", CAROL.1),
        ];
        for field in &mut fields {
            if field.0 == change.0 {
                *field = change;
            }
        }
        let answer = browser.submit(&page, &fields).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{change:?}");
        assert!(answer.text.contains(problem), "{change:?}: {}", answer.text);
        assert!(
            answer.text.contains(&format!("id=\"{}-problem\"", change.0)),
            "{change:?} is beside its field"
        );
        assert!(!answer.text.contains("orrect-horse"), "a password is not repeated");
        if change.0 != "username" {
            assert!(answer.text.contains("value=\"carol\""), "what was typed is kept");
        }
    }
}

#[tokio::test]
async fn sign_up_can_be_turned_off() {
    let pool = TestPool::with(|config| config.self_sign_up = false).await;
    let browser = pool.browser();
    assert_eq!(browser.open("/signup").await.status, StatusCode::BAD_REQUEST);
    let login = browser.open("/login").await;
    assert!(!login.text.contains("/signup"));
    let page = login; // Its CSRF token is valid for every form of the browser.
    let hidden = page.hidden_fields();
    let path = page.form_action().replace("/login", "/signup");
    let form = [("csrf_token", hidden[0].1.as_str()), ("username", "carol"), ("email", "c@example.com")];
    assert_eq!(browser.post(&path, &form).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn wrong_confirmation_codes_are_limited_and_do_not_reveal_users() {
    let pool = TestPool::open().await;
    let browser = pool.browser();
    let _ = sign_up(&browser, "carol", "carol@example.com").await;
    let code = pool.mailed_code().await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    for username in ["carol", "alice", "nobody"] {
        for _ in 0..5 {
            let answer = confirm(&browser, username, wrong).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{username}");
            assert!(answer.text.contains("Invalid verification code provided, please try again."));
        }
        let answer = confirm(&browser, username, &code).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{username}");
        assert!(answer.text.contains("Attempt limit exceeded, please try after some time."));
    }
    pool.clock.advance(Duration::from_secs(2));
    assert_eq!(confirm(&browser, "carol", &code).await.status, StatusCode::FOUND);
}

#[tokio::test]
async fn only_the_newest_confirmation_code_works_once_and_for_one_day() {
    let pool = TestPool::open().await;
    let browser = pool.browser();
    let _ = sign_up(&browser, "carol", "carol@example.com").await;
    let first = pool.mailed_code().await;
    let resend = async |username: &str| {
        let page = browser.open("/confirm").await;
        let answer = browser.submit(&page, &[("username", username), ("action", "resend")]).await;
        browser.follow(&answer).await
    };
    let page = resend("carol").await;
    assert!(page.text.contains("If the account is waiting for a code"), "{}", page.text);
    let second = pool.mailed_code().await;
    if first != second {
        assert_eq!(confirm(&browser, "carol", &first).await.status, StatusCode::BAD_REQUEST);
    }
    pool.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(confirm(&browser, "carol", &second).await.status, StatusCode::BAD_REQUEST);
    let _ = resend("carol").await;
    let third = pool.mailed_code().await;
    assert_eq!(confirm(&browser, "carol", &third).await.status, StatusCode::FOUND);
    assert_eq!(confirm(&browser, "carol", &third).await.status, StatusCode::BAD_REQUEST);
    for username in ["carol", "nobody"] {
        let page = resend(username).await;
        assert!(page.text.contains("If the account is waiting for a code"), "{username}");
        assert_eq!(pool.mailed_code().await, third, "{username} needs no code");
    }
}

#[tokio::test]
async fn taken_address_is_reported_only_after_the_mailed_code() {
    let pool = TestPool::open().await;
    let browser = pool.browser();
    let answer = sign_up(&browser, "carol", "Alice@Example.com").await;
    assert!(answer.location().starts_with("/confirm?"), "{}", answer.location());
    let code = pool.mailed_code().await;
    let refused = confirm(&browser, "carol", &code).await;
    assert!(refused.text.contains("An account with the given email already exists."));
    let alice = pool.browser().sign_in(("alice@example.com", ALICE.1), &[]).await;
    assert_eq!(alice.status, StatusCode::FOUND);
}

#[tokio::test]
async fn only_one_of_parallel_sign_ups_with_the_same_name_succeeds() {
    let pool = TestPool::open().await;
    let attempts = (0..6).map(|n| {
        let browser = pool.browser();
        async move { sign_up(&browser, "carol", &format!("carol{n}@example.com")).await.status }
    });
    let statuses = futures_util::future::join_all(attempts).await;
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::FOUND).count(), 1, "{statuses:?}");
}

#[tokio::test]
async fn password_reset_ends_sessions_codes_and_tokens() {
    let pool = TestPool::open().await;
    let thief = pool.browser();
    let code = thief.code(ALICE, &[]).await;
    let tokens = pool.redeem(&code).await;
    let unused_code = thief.code_again().await;

    let browser = pool.browser();
    let asked = forgot(&browser, "alice@example.com").await;
    let page = browser.follow(&asked).await;
    let mailed = pool.mailed_code().await;
    let fields = [
        ("username", "alice@example.com"),
        ("code", &mailed),
        ("password", "Looking-glass2"),
        ("password_again", "Looking-glass2"),
    ];
    let answer = browser.submit(&page, &fields).await;
    let login = browser.follow(&answer).await;
    assert!(login.text.contains("Your new password is set."));

    let old = pool.browser().sign_in(ALICE, &[]).await;
    assert_eq!(old.status, StatusCode::BAD_REQUEST);
    let new = pool.browser().sign_in(("alice", "Looking-glass2"), &[]).await;
    assert_eq!(new.status, StatusCode::FOUND);
    pool.refresh(&tokens.member("refresh_token")).await.assert_error("invalid_grant");
    assert_eq!(pool.user_info(&tokens.member("access_token")).await.status, StatusCode::UNAUTHORIZED);
    pool.redeem(&unused_code).await.assert_error("invalid_grant");
    let remembered = thief.open("/oauth2/authorize").await;
    assert!(remembered.location().starts_with("/login?"), "{}", remembered.location());
    assert_eq!(reset(&browser, "alice", &mailed, "Third-time-3").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn password_reset_does_not_reveal_users() {
    let pool = TestPool::open().await;
    let browser = pool.browser();
    let _ = sign_up(&pool.browser(), "carol", "carol@example.com").await;
    let mailed = pool.mailed_code().await;
    for username in ["nobody", "carol", "carol@example.com"] {
        let answer = forgot(&browser, username).await;
        assert!(answer.location().starts_with("/reset-password?"), "{username}");
        assert_eq!(pool.mailed_code().await, mailed, "{username} has no verified address");
    }
    let known = forgot(&browser, "alice").await;
    assert_eq!(
        known.location().replace("alice", ""),
        forgot(&browser, "nobody").await.location().replace("nobody", "")
    );
    let code = pool.mailed_code().await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let neutral = |answer: &Answer, name: &str| {
        let text = answer.text.replace(name, "NAME");
        answer.hidden_fields().into_iter().fold(text, |text, (_, value)| text.replace(&value, ""))
    };
    let known = reset(&browser, "alice", wrong, "Looking-glass2").await;
    let unknown = reset(&browser, "nobody", wrong, "Looking-glass2").await;
    assert_eq!(neutral(&known, "alice"), neutral(&unknown, "nobody"));
    let weak = reset(&browser, "alice", &code, "weak").await;
    assert!(weak.text.contains("Password not long enough") && weak.text.contains(&code), "the code is kept");
}

#[tokio::test]
async fn reset_code_expires_after_one_hour() {
    let pool = TestPool::open().await;
    let browser = pool.browser();
    let _ = forgot(&browser, "alice").await;
    let code = pool.mailed_code().await;
    pool.clock.advance(Duration::from_secs(3600));
    assert_eq!(reset(&browser, "alice", &code, "Looking-glass2").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_mailbox_is_empty_at_first() {
    let pool = TestPool::open().await;
    assert!(pool.get("/mailbox").await.text.contains("There is no mail yet."));
}
