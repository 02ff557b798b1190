//! `items login` with a real browser.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;

use crate::{
    stack::{ALICE, Stack},
    terminal::Terminal,
};

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
            ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=900,700"];
        let capabilities = json!({"goog:chromeOptions": {"args": arguments}}).as_object().unwrap().clone();
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

async fn find(browser: &Client, css: &str) -> fantoccini::elements::Element {
    let wait = browser.wait().at_most(Duration::from_secs(20));
    wait.for_element(Locator::Css(css)).await.unwrap_or_else(|error| panic!("{css}: {error}"))
}

#[test]
#[ignore = "needs chromium and chromedriver; .ci/run installs them and runs this"]
fn one_signs_in_with_chromium() {
    let stack = Stack::start();
    let terminal = Terminal::new(&stack);
    let login = terminal.begin_login([] as [&str; 0]);
    let driver = Driver::start();
    let (title, text) = stack.runtime.block_on(async {
        let browser = driver.browser().await;
        browser.goto(&login.url).await.unwrap();
        find(&browser, "input[name=username]").await.send_keys(ALICE.0).await.unwrap();
        find(&browser, "input[name=password]").await.send_keys(ALICE.1).await.unwrap();
        find(&browser, "form button[type=submit]").await.click().await.unwrap();
        let wait = browser.wait().at_most(Duration::from_secs(20));
        wait.for_element(Locator::XPath("//h1[contains(text(), 'signed in')]")).await.unwrap();
        let page = (
            find(&browser, "h1").await.text().await.unwrap(),
            find(&browser, "p").await.text().await.unwrap(),
        );
        if let Some(path) = std::env::var_os("SCREENSHOT") {
            std::fs::write(path, browser.screenshot().await.unwrap()).unwrap();
        }
        browser.close().await.unwrap();
        page
    });
    assert_eq!(title, "You are signed in");
    assert!(text.contains("close this tab"), "{text}");
    let run = login.finish();
    run.assert_code(0);
    assert_eq!(run.stdout, "Signed in as alice.\n");
    assert_eq!(terminal.json(["whoami"])["username"], "alice");
}
