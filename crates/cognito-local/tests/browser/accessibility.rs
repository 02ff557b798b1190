//! Every page, in every look: axe-core finds nothing, nothing overflows, and a screenshot is left to be looked at.

use std::path::PathBuf;

use serde_json::Value;
use totp_rs::{Builder, Secret};

use crate::support::{Browser, Look, Site, npm_file};

/// Rules of WCAG 2.2 A and AA, and good practice.
const AXE: &str = "const done = arguments[arguments.length - 1];
    axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
        .then(found => done({
            passes: found.passes.length,
            violations: found.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html + ' ' + n.failureSummary)),
        }))
        .catch(error => done({ passes: 0, violations: [String(error)] }));";

struct Inspector {
    browser: Browser,
    look: Look,
    axe: String,
    folder: PathBuf,
    findings: Vec<String>,
}

impl Inspector {
    async fn open(look: Look) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshots").join(look_name(look));
        std::fs::create_dir_all(&folder).unwrap();
        let browser = Browser::open(look).await;
        Self { browser, look, axe: npm_file("axe-core/axe.min.js"), folder, findings: Vec::new() }
    }

    async fn visit(&mut self, name: &str, url: &str) {
        self.browser.goto(url).await;
        self.inspect(name).await;
    }

    /// Looks at the page that is open.
    async fn inspect(&mut self, name: &str) {
        let client = &self.browser.client;
        client.execute(&self.axe, vec![]).await.unwrap();
        let report = client.execute_async(AXE, vec![]).await.unwrap();
        assert!(report["passes"].as_u64() > Some(5), "axe ran: {report}");
        let violations = report["violations"].as_array().cloned().unwrap_or_default();
        let mut findings: Vec<String> = violations.iter().map(Value::to_string).collect();
        let layout = client.execute(LAYOUT, vec![]).await.unwrap();
        findings.extend(layout.as_array().unwrap().iter().map(Value::to_string));
        let place = format!("{name} ({})", look_name(self.look));
        self.findings.extend(findings.into_iter().map(|finding| format!("{place}: {finding}")));
        let picture = client.screenshot().await.unwrap();
        std::fs::write(self.folder.join(format!("{name}.png")), picture).unwrap();
    }

    async fn finish(self) {
        self.browser.close().await;
        assert!(self.findings.is_empty(), "{}", self.findings.join("\n"));
    }
}

/// What axe does not look at: that the style was applied, the width, and the size of what is touched.
const LAYOUT: &str = "const found = [];
    if (getComputedStyle(document.querySelector('.sheet')).borderTopLeftRadius === '0px') found.push('no style');
    const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    if (wide > 0) found.push('scrolls sideways by ' + wide);
    for (const element of document.querySelectorAll('input:not([type=hidden]), button')) {
        if (element.getBoundingClientRect().height < 44) found.push('too small to touch: ' + element.outerHTML);
    }
    return found;";

fn look_name(look: Look) -> &'static str {
    match (look.phone, look.dark) {
        (false, false) => "desktop-light",
        (false, true) => "desktop-dark",
        (true, false) => "phone-light",
        (true, true) => "phone-dark",
    }
}

async fn inspect_all(look: Look) {
    let site = Site::start().await;
    let mut inspector = Inspector::open(look).await;
    inspect_pages_of_nobody(&site, &mut inspector).await;
    inspect_mistakes(&site, &mut inspector).await;
    inspect_pages_of_alice(&site, &mut inspector).await;
    inspector.finish().await;
}

async fn inspect_pages_of_nobody(site: &Site, inspector: &mut Inspector) {
    inspector.visit("home", &format!("{}/", site.origin)).await;
    inspector.visit("api", &format!("{}/api", site.origin)).await;
    inspector.visit("mailbox-empty", &format!("{}/mailbox", site.origin)).await;
    inspector.visit("not-found", &format!("{}/nothing", site.origin)).await;
    inspector.visit("error", &format!("{}/oauth2/authorize?client_id=nobody", site.origin)).await;
    for (name, path) in [
        ("login", "/login"),
        ("signup", "/signup"),
        ("confirm", "/confirm"),
        ("forgot-password", "/forgot-password"),
        ("reset-password", "/reset-password"),
    ] {
        inspector.visit(name, &site.page(path)).await;
    }
    let told = [("notice", "confirmed"), ("login_hint", "carol")];
    inspector.visit("login-notice", &site.page_with("/login", &told)).await;
}

async fn inspect_mistakes(site: &Site, inspector: &mut Inspector) {
    inspector.browser.goto(&site.page("/login")).await;
    inspector.browser.sign_in("alice", "wrong").await;
    inspector.browser.wait_for_heading("Sign in").await;
    inspector.inspect("login-refused").await;

    inspector.browser.goto(&site.page("/signup")).await;
    for (field, text) in
        [("username", "a name"), ("email", "a@b"), ("password", "weak"), ("password_again", "x")]
    {
        inspector.browser.type_in(field, text).await;
    }
    inspector.browser.press("Create account").await;
    inspector.browser.wait_for_heading("Create an account").await;
    inspector.inspect("signup-refused").await;

    inspector.browser.goto(&site.page_with("/confirm", &[("login_hint", "carol")])).await;
    inspector.browser.type_in("code", "000000").await;
    inspector.browser.press("Confirm").await;
    inspector.browser.wait_for_heading("Confirm your account").await;
    inspector.inspect("confirm-refused").await;

    inspector.browser.goto(&site.page("/forgot-password")).await;
    inspector.browser.type_in("username", "alice").await;
    inspector.browser.press("Send a code").await;
    inspector.browser.wait_for_heading("Set a new password").await;
    for (field, text) in
        [("code", "000000"), ("password", "Looking-glass2"), ("password_again", "Looking-glass2")]
    {
        inspector.browser.type_in(field, text).await;
    }
    inspector.browser.press("Set password").await;
    inspector.browser.wait_for_heading("Set a new password").await;
    inspector.inspect("reset-password-refused").await;
    inspector.visit("mailbox", &format!("{}/mailbox", site.origin)).await;
}

async fn inspect_pages_of_alice(site: &Site, inspector: &mut Inspector) {
    inspector.browser.goto(&site.page("/login")).await;
    inspector.browser.sign_in("alice", "Wonder-land1").await;
    inspector.browser.wait_for_heading("Signed in").await;
    inspector.visit("account", &site.page("/login")).await;
    inspector.visit("mfa-setup", &site.page("/mfa/setup")).await;
    inspector.browser.type_in("code", "000000").await;
    inspector.browser.press("Finish").await;
    inspector.browser.wait_for_heading("Set up an authenticator app").await;
    let summary =
        inspector.browser.client.find(test_browser::fantoccini::Locator::Css("summary")).await.unwrap();
    summary.click().await.unwrap();
    inspector.inspect("mfa-setup-refused").await;

    let secret = inspector.browser.text("details .key").await.replace(' ', "");
    let secret = Secret::try_from_base32(secret).unwrap();
    let totp = Builder::new().with_secret(secret).build_noncompliant();
    let code = totp.generate(u64::try_from(site.clock.unix_seconds()).unwrap());
    inspector.browser.type_in("code", &code.to_string()).await;
    inspector.browser.press("Finish").await;
    inspector.browser.wait_for_heading("Welcome back").await;
    inspector.inspect("account-with-app").await;

    inspector.browser.goto(&site.page_with("/login", &[("prompt", "login")])).await;
    inspector.browser.sign_in("alice", "Wonder-land1").await;
    inspector.browser.wait_for_heading("One more step").await;
    inspector.inspect("mfa").await;
}

#[tokio::test]
#[ignore = "needs chromium, chromedriver and axe-core"]
async fn pages_on_a_desktop() {
    inspect_all(Look::DESKTOP).await;
}

#[tokio::test]
#[ignore = "needs chromium, chromedriver and axe-core"]
async fn pages_on_a_desktop_in_the_dark() {
    inspect_all(Look { dark: true, ..Look::DESKTOP }).await;
}

#[tokio::test]
#[ignore = "needs chromium, chromedriver and axe-core"]
async fn pages_on_a_phone() {
    inspect_all(Look { phone: true, ..Look::DESKTOP }).await;
}

#[tokio::test]
#[ignore = "needs chromium, chromedriver and axe-core"]
async fn pages_on_a_phone_in_the_dark() {
    inspect_all(Look { dark: true, phone: true, ..Look::DESKTOP }).await;
}
