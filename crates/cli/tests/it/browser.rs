//! `items login` with a real browser.

use test_browser::{Browser, Look, WAIT, fantoccini::Locator};

use crate::{
    stack::{ALICE, Stack},
    terminal::Terminal,
};

#[test]
#[ignore = "needs chromium and chromedriver; .ci/run installs them and runs this"]
fn login_works_in_chromium() {
    let stack = Stack::start();
    let terminal = Terminal::new(&stack);
    let login = terminal.begin_login([] as [&str; 0]);
    let (title, text) = stack.runtime.block_on(async {
        let browser = Browser::open(Look { window_size: (900, 700), ..Look::DESKTOP }).await;
        browser.goto(&login.url).await.unwrap();
        browser.element("input[name=username]").await.send_keys(ALICE.0).await.unwrap();
        browser.element("input[name=password]").await.send_keys(ALICE.1).await.unwrap();
        browser.element("form button[type=submit]").await.click().await.unwrap();
        browser
            .wait()
            .at_most(WAIT)
            .for_element(Locator::XPath("//h1[contains(text(), 'signed in')]"))
            .await
            .unwrap();
        let page = (
            browser.element("h1").await.text().await.unwrap(),
            browser.element("p").await.text().await.unwrap(),
        );
        if let Some(path) = std::env::var_os("SCREENSHOT") {
            std::fs::write(path, browser.screenshot().await.unwrap()).unwrap();
        }
        browser.quit().await;
        page
    });
    assert_eq!(title, "You are signed in");
    assert!(text.contains("close this tab"), "{text}");
    let run = login.finish();
    run.assert_code(0);
    assert_eq!(run.stdout, "Signed in as alice.\n");
    assert_eq!(terminal.json(["whoami"])["username"], "alice");
}
