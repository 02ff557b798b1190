//! Runs the program in a home folder of its own, and opens its pages with an HTTP client.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use serde_json::Value;

use crate::stack::Stack;

/// A home folder and an environment for the program, independent of the developer's.
pub(crate) struct Terminal<'a> {
    pub(crate) stack: &'a Stack,
    pub(crate) home: tempfile::TempDir,
    environment: BTreeMap<String, String>,
}

/// The result of a run of the program.
#[derive(Debug)]
#[must_use]
pub(crate) struct Run {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// `items login` that waits for its browser.
pub(crate) struct PendingLogin {
    process: Child,
    stderr: BufReader<std::process::ChildStderr>,
    stderr_text: String,
    pub(crate) url: String,
}

impl<'a> Terminal<'a> {
    pub(crate) fn new(stack: &'a Stack) -> Self {
        let home = tempfile::tempdir().unwrap();
        let issuer = stack.pool.issuer();
        let set = [
            ("ITEMS_API_URL", stack.api_url.as_str()),
            ("ITEMS_DOMAIN", &stack.pool_url),
            ("ITEMS_ISSUER", issuer),
            ("HOME", home.path().to_str().unwrap()),
            ("PATH", &std::env::var("PATH").unwrap()),
            // Without a keyring, even if this machine has one.
            ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere"),
        ];
        let environment = set.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { stack, home, environment }
    }

    pub(crate) fn signed_in(stack: &'a Stack, user: (&str, &str)) -> Self {
        let terminal = Self::new(stack);
        terminal.login(user).assert_code(0);
        terminal
    }

    /// A terminal for the machine client.
    pub(crate) fn machine(stack: &'a Stack) -> Self {
        Self::new(stack)
            .with("ITEMS_PROFILE", "local-machine")
            .with("ITEMS_CLIENT_SECRET", &stack.secret_of_machine())
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_items"));
        command.args(arguments).env_clear().envs(&self.environment).current_dir(self.home.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run {
        Run::of(self.command(arguments).output().unwrap())
    }

    /// Runs a command that succeeds, and returns its standard output.
    #[track_caller]
    pub(crate) fn ok<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        let run = self.run(arguments);
        run.assert_code(0);
        run.stdout
    }

    /// Runs a command that succeeds, and returns the JSON that it prints.
    #[track_caller]
    pub(crate) fn json<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Value {
        let mut command = self.command(arguments);
        let run = Run::of(command.arg("--json").output().unwrap());
        run.assert_code(0);
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
    }

    pub(crate) fn run_with_input<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        input: &str,
    ) -> Run {
        let mut process = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Run::of(process.wait_with_output().unwrap())
    }

    /// Runs a command that is killed at this point (see the program's `crash` module).
    #[track_caller]
    pub(crate) fn crash<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>, point: &str) {
        let run = Run::of(self.command(arguments).env("ITEMS_CRASH_AT", point).output().unwrap());
        assert_eq!(run.status.code(), None, "it was not killed at {point}: {run:?}");
    }

    pub(crate) fn begin_login<S: AsRef<OsStr>>(&self, options: impl IntoIterator<Item = S>) -> PendingLogin {
        let mut process = self.command(["login", "--no-browser"]).args(options).spawn().unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let mut stderr_text = String::new();
        let url = loop {
            let mut line = String::new();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "the program ended: {stderr_text}");
            stderr_text.push_str(&line);
            if line.contains("/oauth2/authorize?") {
                break line.trim().to_owned();
            }
        };
        PendingLogin { process, stderr, stderr_text, url }
    }

    pub(crate) fn login(&self, user: (&str, &str)) -> Run {
        let login = self.begin_login([] as [&str; 0]);
        let page = Browser::new(self.stack).sign_in(&login.url, user);
        let run = login.finish();
        assert!(page.contains("You are signed in") == run.status.success(), "{page}: {run:?}");
        run
    }

    pub(crate) fn state_folder(&self) -> PathBuf {
        self.home.path().join(".local/state/items")
    }

    pub(crate) fn session_file(&self) -> PathBuf {
        self.state_folder().join("sessions/local.json")
    }

    /// Returns the session that is stored in the file.
    pub(crate) fn session(&self) -> Value {
        serde_json::from_slice::<Value>(&std::fs::read(self.session_file()).unwrap()).unwrap()["session"]
            .clone()
    }

    /// Makes the program believe that the access token has expired.
    pub(crate) fn expire_access_token(&self) {
        self.change_session(|session| session["expires_at"] = 1.into());
    }

    pub(crate) fn change_session(&self, change: impl FnOnce(&mut Value)) {
        let mut content: Value =
            serde_json::from_slice(&std::fs::read(self.session_file()).unwrap()).unwrap();
        change(&mut content["session"]);
        std::fs::write(self.session_file(), serde_json::to_vec(&content).unwrap()).unwrap();
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn add(&self, title: &str) -> String {
        self.ok(["add", title]).trim().to_owned()
    }
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    #[track_caller]
    pub(crate) fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.status.code(), Some(code), "{self:?}");
        self
    }

    /// Asserts that it failed with this exit code and an error that contains these words.
    #[track_caller]
    pub(crate) fn assert_failure(&self, code: i32, words: &str) {
        self.assert_code(code);
        assert!(self.stdout.is_empty(), "{self:?}");
        let error = self.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(error.contains(words), "no `{words}`: {self:?}");
    }
}

impl PendingLogin {
    pub(crate) fn finish(mut self) -> Run {
        let mut stdout = String::new();
        self.stderr.read_to_string(&mut self.stderr_text).unwrap();
        self.process.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        Run { status: self.process.wait().unwrap(), stdout, stderr: self.stderr_text.clone() }
    }

    /// Returns a parameter of the URL that the browser opens.
    pub(crate) fn parameter(&self, name: &str) -> String {
        let url = url::Url::parse(&self.url).unwrap();
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap()
    }
}

impl Drop for PendingLogin {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An HTTP client with cookies that follows redirects and fills in forms.
pub(crate) struct Browser<'a> {
    stack: &'a Stack,
    http: reqwest::Client,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(stack: &'a Stack) -> Self {
        Self { stack, http: reqwest::Client::builder().cookie_store(true).no_proxy().build().unwrap() }
    }

    /// Follows the redirects and returns the page.
    pub(crate) fn get(&self, url: &str) -> String {
        self.stack.runtime.block_on(async { self.http.get(url).send().await.unwrap().text().await.unwrap() })
    }

    /// Signs in in the hosted UI and returns the last page.
    pub(crate) fn sign_in(&self, url: &str, (username, password): (&str, &str)) -> String {
        let page = self.get(url);
        let form = page.split_once("<form").expect("a form").1.split_once("</form>").unwrap().0;
        let action = attribute(form, "action").unwrap();
        let mut fields: Vec<(String, String)> = form
            .split("<input")
            .skip(1)
            .filter(|input| attribute(input, "type").as_deref() == Some("hidden"))
            .map(|input| (attribute(input, "name").unwrap(), attribute(input, "value").unwrap()))
            .collect();
        fields.push(("username".into(), username.into()));
        fields.push(("password".into(), password.into()));
        let origin = &self.stack.pool_url;
        self.stack.runtime.block_on(async {
            let post = self.http.post(format!("{origin}{action}")).header("origin", origin).form(&fields);
            post.send().await.unwrap().text().await.unwrap()
        })
    }
}

fn attribute(html: &str, name: &str) -> Option<String> {
    let value = html.split_once(&format!("{name}=\""))?.1.split_once('"')?.0;
    Some(value.replace("&#38;", "&").replace("&amp;", "&"))
}

/// Creates a script for use as an editor.
#[cfg(unix)]
pub(crate) fn script(path: &Path, body: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
