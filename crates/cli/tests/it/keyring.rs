//! A real keyring: gnome-keyring on a session bus of its own.

use std::process::{Child, Command, Stdio};

use crate::{
    stack::{ALICE, Stack},
    terminal::{Browser, Terminal},
};

/// A session bus with an unlocked keyring. Both stop when it is dropped.
struct Keyring {
    bus: Child,
    daemon: Child,
    address: String,
}

impl Keyring {
    fn start(home: &std::path::Path) -> Self {
        use std::io::{BufRead as _, BufReader, Write as _};
        let mut bus = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address"])
            .env("HOME", home)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(bus.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        let mut daemon = Command::new("gnome-keyring-daemon")
            .args(["--foreground", "--unlock", "--components=secrets"])
            .env_clear()
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", home)
            .env("DBUS_SESSION_BUS_ADDRESS", &address)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        daemon.stdin.take().unwrap().write_all(b"password").unwrap();
        let keyring = Self { bus, daemon, address };
        keyring.wait();
        keyring
    }

    /// Waits until the daemon owns its name. Calling the daemon instead would start another one, whose keyring is locked.
    fn wait(&self) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        let call = ["--session", "--print-reply", "--dest=org.freedesktop.DBus", "/org/freedesktop/DBus"];
        loop {
            let mut send = Command::new("dbus-send");
            send.args(call).args(["org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.secrets"]);
            let reply = send.env("DBUS_SESSION_BUS_ADDRESS", &self.address).output().unwrap();
            if String::from_utf8_lossy(&reply.stdout).contains("boolean true") {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "the keyring does not come up");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        for process in [&mut self.daemon, &mut self.bus] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

#[test]
#[ignore = "needs dbus-daemon and gnome-keyring; .ci/run installs them and runs this"]
fn tokens_are_stored_in_the_keyring() {
    let stack = Stack::start();
    let terminal = Terminal::new(&stack);
    let keyring = Keyring::start(terminal.home.path());
    let terminal = terminal.with("DBUS_SESSION_BUS_ADDRESS", &keyring.address);
    let login = terminal.begin_login(["--json"]);
    Browser::new(&stack).sign_in(&login.url, ALICE);
    let run = login.finish();
    run.assert_code(0);
    assert!(
        run.stdout.contains("\"tokens_in\": \"keyring\"") && !run.stderr.contains("No keyring"),
        "{run:?}"
    );

    let token = terminal.ok(["token"]);
    let file = std::fs::read_to_string(terminal.session_file()).unwrap();
    assert_eq!(file, r#"{"tokens_in":"keyring"}"#);
    assert_eq!(terminal.json(["whoami"])["email"], "alice@example.com");

    // While the keyring is unavailable, the tokens are not moved to a file.
    let terminal = terminal.with("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
    terminal.run(["token"]).assert_failure(1, "cannot open the keyring");
    let terminal = terminal.with("DBUS_SESSION_BUS_ADDRESS", &keyring.address);
    assert_eq!(terminal.ok(["token"]), token);

    // Signing out removes the entry.
    terminal.ok(["logout"]);
    std::fs::write(terminal.session_file(), file).unwrap();
    terminal.run(["token"]).assert_failure(3, "not signed in");
}

#[test]
fn required_keyring_must_be_available() {
    let stack = Stack::start();
    let terminal = Terminal::new(&stack).with("ITEMS_TOKEN_STORE", "keyring");
    terminal.login(ALICE).assert_failure(1, "cannot open the keyring");
    assert!(!terminal.session_file().exists());
}
