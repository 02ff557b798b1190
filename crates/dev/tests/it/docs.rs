//! `/docs` in a real browser: sign in on the hosted UI, come back, and create an item.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use fantoccini::{Client, ClientBuilder, Locator, wd::WindowHandle};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;

use crate::support::{Stack, free_ports};

/// A chromedriver of its own; killed when the test ends.
struct Driver {
    process: Child,
    url: String,
}

impl Driver {
    fn start() -> Self {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let mut command = Command::new("chromedriver");
        let process = command.arg(format!("--port={port}")).stdout(Stdio::null()).spawn().unwrap();
        Self { process, url: format!("http://127.0.0.1:{port}") }
    }

    async fn browser(&self) -> Client {
        let arguments =
            ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,1600"];
        let capabilities = json!({"goog:chromeOptions": {"args": arguments}});
        let capabilities = capabilities.as_object().unwrap().clone();
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            match builder.capabilities(capabilities.clone()).connect(&self.url).await {
                Ok(browser) => return browser,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn click(browser: &Client, css: &str) {
    find(browser, css).await.click().await.unwrap_or_else(|error| panic!("{css}: {error}"));
}

async fn find(browser: &Client, css: &str) -> fantoccini::elements::Element {
    let wait = browser.wait().at_most(Duration::from_secs(20));
    wait.for_element(Locator::Css(css)).await.unwrap_or_else(|error| panic!("{css}: {error}"))
}

async fn other_window(browser: &Client, page: &WindowHandle) -> WindowHandle {
    let deadline = Instant::now() + Duration::from_secs(20);
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
async fn take_screenshot(browser: &Client) {
    if let Some(path) = std::env::var_os("SCREENSHOT") {
        std::fs::write(path, browser.screenshot().await.unwrap()).unwrap();
    }
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver; .ci/run installs them and runs this"]
async fn one_signs_in_on_the_page_and_tries_the_api() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path(), free_ports());
    let driver = Driver::start();
    let browser = driver.browser().await;
    browser.goto(&stack.api("/docs/")).await.unwrap();
    let page = browser.window().await.unwrap();

    click(&browser, ".auth-wrapper .btn.authorize").await;
    click(&browser, ".modal-ux .auth-container .btn.authorize").await;
    browser.switch_to_window(other_window(&browser, &page).await).await.unwrap();
    find(&browser, "input[name=username]").await.send_keys("alice").await.unwrap();
    find(&browser, "input[name=password]").await.send_keys(&stack.password("alice")).await.unwrap();
    click(&browser, "form button[type=submit]").await;
    browser.switch_to_window(page).await.unwrap();

    let signed_in = browser.wait().at_most(Duration::from_secs(20));
    signed_in.for_element(Locator::XPath("//div[@class='modal-ux']//button[text()='Logout']")).await.unwrap();
    click(&browser, ".modal-ux .btn-done").await;
    click(&browser, "#operations-items-create_item .opblock-summary-control").await;
    click(&browser, "#operations-items-create_item .execute").await;
    let status = "#operations-items-create_item .live-responses-table .response .response-col_status";
    let status = find(&browser, status).await.text().await.unwrap();
    take_screenshot(&browser).await;
    browser.close().await.unwrap();
    assert!(status.starts_with("201"), "{status}");
}
