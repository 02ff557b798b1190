//! Whole ways through the pages.

use test_browser::fantoccini::Locator;
use test_browser::fantoccini::key::Key;
use totp_rs::{Builder, Secret};

use crate::support::{Browser, Look, Site, WAIT};

async fn at_application(browser: &Browser) -> url::Url {
    browser.wait_for_heading("Signed in").await;
    browser.client.current_url().await.unwrap()
}

/// The code that the app shows at the pool's time.
fn app_code(site: &Site, secret: &Secret) -> String {
    let totp = Builder::new().with_secret(secret.clone()).build_noncompliant();
    totp.generate(u64::try_from(site.clock.unix_seconds()).unwrap()).to_string()
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn sign_up_confirmation_and_sign_in_with_an_app() {
    let site = Site::start().await;
    let browser = Browser::open(Look::DESKTOP).await;

    browser.goto(&site.page("/oauth2/authorize")).await;
    browser.wait_for_heading("Sign in").await;
    browser.click_link("Create an account").await;
    browser.wait_for_heading("Create an account").await;
    for (field, text) in [
        ("username", "carol"),
        ("email", "carol@example.com"),
        ("password", "Correct-horse-9"),
        ("password_again", "Correct-horse-9"),
    ] {
        browser.type_in(field, text).await;
    }
    browser.press("Create account").await;
    browser.wait_for_heading("Confirm your account").await;

    let confirmation = browser.client.window().await.unwrap();
    browser.click_link("mailbox").await;
    let windows = browser.client.windows().await.unwrap();
    let mailbox = windows.into_iter().find(|window| *window != confirmation).expect("the mailbox has a tab");
    browser.client.switch_to_window(mailbox).await.unwrap();
    browser.wait_for_heading("Mailbox").await;
    let code = browser.text(".mails .key").await;
    browser.client.switch_to_window(confirmation).await.unwrap();

    browser.type_in("code", &code).await;
    browser.press("Confirm").await;
    browser.wait_for_heading("Sign in").await;
    assert_eq!(browser.text(".news").await, "Your account is confirmed. You can sign in now.");
    browser.type_in("password", "Correct-horse-9").await;
    browser.press("Sign in").await;
    let tokens = site.redeem(&at_application(&browser).await).await;
    assert!(tokens["id_token"].is_string(), "{tokens}");

    browser.goto(&site.page_with("/oauth2/authorize", &[("prompt", "select_account")])).await;
    browser.wait_for_heading("Welcome back").await;
    browser.click_link("set up an authenticator app").await;
    browser.wait_for_heading("Set up an authenticator app").await;
    browser.client.find(Locator::Css("summary")).await.unwrap().click().await.unwrap();
    let secret = browser.text("details .key").await.replace(' ', "");
    let secret = Secret::try_from_base32(secret).unwrap();
    browser.type_in("code", &app_code(&site, &secret)).await;
    browser.press("Finish").await;
    browser.wait_for_heading("Welcome back").await;
    assert!(browser.text(".news").await.starts_with("Your authenticator app is set up."));

    browser
        .goto(&format!("{}/logout?client_id=localweb&logout_uri={}/", site.origin, site.application))
        .await;
    site.clock.advance(std::time::Duration::from_secs(30));
    browser.goto(&site.page("/oauth2/authorize")).await;
    browser.wait_for_heading("Sign in").await;
    browser.sign_in("carol@example.com", "Correct-horse-9").await;
    browser.wait_for_heading("One more step").await;
    browser.type_in("code", &app_code(&site, &secret)).await;
    browser.press("Sign in").await;
    let tokens = site.redeem(&at_application(&browser).await).await;
    assert!(tokens["access_token"].is_string(), "{tokens}");
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn the_keyboard_alone_signs_in() {
    let site = Site::start().await;
    let browser = Browser::open(Look::DESKTOP).await;
    browser.goto(&site.page("/oauth2/authorize")).await;
    browser.wait_for_heading("Sign in").await;
    // The first field has the focus, the password comes next, and Enter sends the form.
    for keys in
        ["alice", &char::from(Key::Tab).to_string(), "Wonder-land1", &char::from(Key::Enter).to_string()]
    {
        browser.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }
    at_application(&browser).await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_forgotten_password_is_reset() {
    let site = Site::start().await;
    let browser = Browser::open(Look { dark: true, phone: true, ..Look::DESKTOP }).await;
    browser.goto(&site.page("/login")).await;
    browser.wait_for_heading("Sign in").await;
    browser.click_link("Forgot it?").await;
    browser.wait_for_heading("Forgotten password").await;
    browser.type_in("username", "alice").await;
    browser.press("Send a code").await;
    browser.wait_for_heading("Set a new password").await;
    let reset = browser.client.current_url().await.unwrap();
    browser.goto(&format!("{}/mailbox", site.origin)).await;
    let code = browser.text(".mails .key").await;
    browser.goto(reset.as_str()).await;
    browser.type_in("code", &code).await;
    browser.type_in("password", "Looking-glass2").await;
    browser.type_in("password_again", "Looking-glass2").await;
    browser.press("Set password").await;
    browser.wait_for_heading("Sign in").await;
    browser.type_in("password", "Looking-glass2").await;
    browser.press("Sign in").await;
    at_application(&browser).await;
    browser.close().await;
}

/// Browsers follow the redirect of a form only where the page's policy lets its forms lead.
#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_form_leads_to_an_application_at_an_ipv6_address_too() {
    let site = Site::with("[::1]:0", |_| ()).await;
    let browser = Browser::open(Look::DESKTOP).await;
    browser.goto(&site.page("/login")).await;
    browser.wait_for_heading("Sign in").await;
    browser.sign_in("alice", "Wonder-land1").await;
    assert_eq!(at_application(&browser).await.host_str(), Some("[::1]"));
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn page_on_another_port_cannot_send_the_form() {
    let site = Site::start().await;
    let browser = Browser::open(Look::DESKTOP).await;
    browser.goto(&site.page("/login")).await;
    let csrf_token = browser.client.find(Locator::Css("input[name=csrf_token]")).await.unwrap();
    let csrf_token = csrf_token.attr("value").await.unwrap().unwrap();
    // The application is of the same host, so cookies go with its forms, and here it even knows the CSRF token.
    browser.goto(&format!("{}/callback", site.application)).await;
    let script = "const form = document.createElement('form');
        form.method = 'post'; form.action = arguments[0];
        for (const [name, value] of Object.entries(arguments[1])) {
            const input = document.createElement('input'); input.name = name; input.value = value; form.append(input);
        }
        document.body.append(form); form.submit();";
    let fields =
        serde_json::json!({ "csrf_token": csrf_token, "username": "alice", "password": "Wonder-land1" });
    browser.client.execute(script, vec![site.page("/login").into(), fields]).await.unwrap();
    browser.client.wait().at_most(WAIT).for_url(&site.page("/login").parse().unwrap()).await.unwrap();
    browser.wait_for_heading("This form is no longer valid").await;
    browser.close().await;
}
