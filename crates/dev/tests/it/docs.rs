//! `/docs` in a real browser: sign in on the hosted UI, come back, and create an item.

use std::time::{Duration, Instant};

use test_browser::{
    Browser, Look, WAIT,
    fantoccini::{Locator, wd::WindowHandle},
};

use crate::support::{Stack, free_ports};

async fn click(browser: &Browser, css: &str) {
    browser.element(css).await.click().await.unwrap_or_else(|error| panic!("{css}: {error}"));
}

async fn other_window(browser: &Browser, page: &WindowHandle) -> WindowHandle {
    let deadline = Instant::now() + WAIT;
    loop {
        let windows = browser.windows().await.unwrap();
        if let Some(other) = windows.into_iter().find(|window| window != page) {
            return other;
        }
        if Instant::now() > deadline {
            take_screenshot(browser).await;
            panic!("no window opens");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// To look at what the test sees: `SCREENSHOT=page.png`.
async fn take_screenshot(browser: &Browser) {
    if let Some(path) = std::env::var_os("SCREENSHOT") {
        std::fs::write(path, browser.screenshot().await.unwrap()).unwrap();
    }
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver; .ci/run installs them and runs this"]
async fn a_user_signs_in_on_the_docs_page_and_creates_an_item() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path(), free_ports());
    let browser = Browser::open(Look { window_size: (1200, 1600), ..Look::DESKTOP }).await;
    browser.goto(&stack.api("/docs/")).await.unwrap();
    let page = browser.window().await.unwrap();

    click(&browser, ".auth-wrapper .btn.authorize").await;
    let client_id = browser.element("#client_id_authorizationCode").await;
    let secret = browser.element("#client_secret_authorizationCode").await;
    assert!(client_id.is_displayed().await.unwrap());
    assert!(!secret.is_displayed().await.unwrap(), "a public client has no secret");
    click(&browser, ".modal-ux .auth-container .btn.authorize").await;
    browser.switch_to_window(other_window(&browser, &page).await).await.unwrap();
    browser.element("input[name=username]").await.send_keys("alice").await.unwrap();
    browser.element("input[name=password]").await.send_keys(&stack.password("alice")).await.unwrap();
    click(&browser, "form button[type=submit]").await;
    browser.switch_to_window(page).await.unwrap();

    let signed_in = browser.wait().at_most(WAIT);
    signed_in.for_element(Locator::XPath("//div[@class='modal-ux']//button[text()='Logout']")).await.unwrap();
    click(&browser, ".modal-ux .btn-done").await;
    click(&browser, "#operations-items-create_item .opblock-summary-control").await;
    click(&browser, "#operations-items-create_item .execute").await;
    let status = "#operations-items-create_item .live-responses-table .response .response-col_status";
    let status = browser.element(status).await.text().await.unwrap();
    take_screenshot(&browser).await;
    browser.quit().await;
    assert!(status.starts_with("201"), "{status}");
}
