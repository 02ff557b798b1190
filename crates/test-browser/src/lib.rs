//! Chromium for the browser tests of the workspace. Its functions panic with the reason, as tests do.

#![expect(clippy::expect_used, reason = "only tests use this crate")]

use std::ops::Deref;
use std::process::Stdio;
use std::time::Duration;

pub use fantoccini;
use fantoccini::elements::Element;
use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// How long a test waits for the browser.
pub const WAIT: Duration = Duration::from_secs(20);

/// How a browser shows pages.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Whether the user prefers dark pages.
    pub dark: bool,
    /// Whether the screen is that of a phone, which takes precedence over `window_size`.
    pub phone: bool,
    /// Width and height of the window.
    pub window_size: (u16, u16),
}

impl Look {
    /// A light page in a window on a desktop.
    pub const DESKTOP: Self = Self { dark: false, phone: false, window_size: (1280, 900) };

    fn capabilities(self) -> Capabilities {
        let (width, height) = self.window_size;
        let mut options = json!({ "args": [
            "--headless=new",
            "--no-sandbox", // Where tests run as root in a container, the sandbox cannot be set up.
            "--disable-dev-shm-usage",
            format!("--window-size={width},{height}"),
            // Blink's setting: 0 is dark, 1 is light.
            format!("--blink-settings=preferredColorScheme={}", u8::from(!self.dark)),
        ] });
        if self.phone {
            options["mobileEmulation"] =
                json!({ "deviceMetrics": { "width": 390, "height": 844, "pixelRatio": 2, "touch": true } });
        }
        Capabilities::from_iter([("goog:chromeOptions".to_owned(), options)])
    }
}

/// Chromium, with a chromedriver of its own that is killed on drop.
pub struct Browser {
    client: Client,
    _driver: Child,
}

impl Browser {
    /// Starts chromedriver and Chromium.
    pub async fn open(look: Look) -> Self {
        let (driver, url) = start_driver().await;
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(look.capabilities())
            .connect(&url)
            .await
            .expect("chromium starts");
        Self { client, _driver: driver }
    }

    /// Waits for the element with this CSS selector.
    pub async fn element(&self, css: &str) -> Element {
        let found = self.client.wait().at_most(WAIT).for_element(Locator::Css(css)).await;
        found.unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    /// Closes Chromium, and then chromedriver.
    pub async fn quit(self) {
        self.client.clone().close().await.expect("chromium closes");
    }
}

impl Deref for Browser {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

async fn start_driver() -> (Child, String) {
    let mut command = Command::new("chromedriver");
    command.arg("--port=0").stdout(Stdio::piped()).kill_on_drop(true);
    let mut driver = command.spawn().expect("chromedriver is installed");
    let mut lines = BufReader::new(driver.stdout.take().expect("a pipe")).lines();
    loop {
        let line = lines.next_line().await.expect("readable output").expect("chromedriver says its port");
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            return (driver, format!("http://127.0.0.1:{}", port.trim_end_matches('.')));
        }
    }
}
