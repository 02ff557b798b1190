//! The program itself: configuration, completions, help, colors, pipes.

use crate::{
    stack::{ALICE, Stack},
    terminal::Terminal,
};

#[test]
fn wrong_usage_exits_with_code_2() {
    let stack = Stack::start();
    let terminal = Terminal::new(&stack);
    for arguments in [
        &["frobnicate"][..],
        &["show", "not-an-id"],
        &["list", "--limit", "0"],
        &["list", "-a", "-n", "3"],
        &[],
    ] {
        terminal.run(arguments).assert_code(2);
    }
    terminal
        .run(["--profile", "nowhere", "list"])
        .assert_failure(2, "there is no profile `nowhere`. Use one of local, local-machine");
}

#[test]
fn settings_are_read_from_flags_then_variables_then_the_file() {
    let stack = Stack::start();
    let terminal = Terminal::new(&stack);
    terminal.write(
        ".config/items/config.toml",
        "default_profile = 'prod'\n[profiles.prod]\napi_url = 'https://api.example.com'\ndomain = 'https://login.example.com'\n\
         user_pool_id = 'eu-west-1_AbCdEfGhI'\nclient_id = 'abc'\nredirect_uri = 'http://localhost:53682/callback'\n\
         [profiles.half]\nclient_id = 'abc'\n",
    );
    let config = terminal.json(["config"]);
    assert_eq!((&config["profile"], &config["client_id"]), (&"prod".into(), &"abc".into()));
    assert_eq!(config["profiles"], "half, local, local-machine, prod");
    // A flag wins over a variable, a variable over the file.
    assert_eq!(config["api_url"].as_str().unwrap().trim_end_matches('/'), stack.api_url);
    let flag = terminal.json(["config", "--api-url", "https://other.example.com"]);
    assert_eq!(flag["api_url"], "https://other.example.com/");
    terminal.run(["config", "-p", "half"]).assert_failure(2, "the profile `half` lacks user_pool_id");
    terminal.write(".config/items/config.toml", "default = 'prod'");
    terminal.run(["config"]).assert_failure(2, "config.toml");
}

#[test]
fn invalid_settings_are_rejected() {
    let stack = Stack::start();
    let terminal = Terminal::new(&stack);
    // Tokens are sent to these URLs, so plain http is for this machine only.
    for url in ["http://api.example.com", "http://localhost.example.com", "https://u:p@api.example.com"] {
        terminal.run(["config", "--api-url", url]).assert_failure(2, "api_url must be a plain https URL");
        terminal.run(["config", "--domain", url]).assert_failure(2, "domain must be a plain https URL");
    }
    for url in ["https://api.example.com/v1", "http://127.0.0.1:8000", "http://[::1]:8000"] {
        terminal.ok(["config", "--api-url", url]);
    }
    for uri in ["http://localhost/cb", "https://localhost:53682/cb", "http://example.com:53682/cb"] {
        terminal.run(["config", "--redirect-uri", uri]).assert_failure(2, "redirect_uri must have the form");
    }
    terminal
        .run(["config", "--scopes", "email items/read"])
        .assert_failure(2, "scopes must contain `openid`");
    for file in [
        "profiles.x.client_secret = 's'",
        "profiles.'a/b'.client_id = 'c'",
        "profiles.'..'.client_id = 'c'",
        "profiles.''.client_id = 'c'",
    ] {
        terminal.write(".config/items/config.toml", file);
        terminal.run(["config"]).assert_failure(2, "invalid configuration file");
    }
}

#[test]
fn completion_scripts_are_valid() {
    let stack = Stack::start();
    let terminal = Terminal::new(&stack);
    for (shell, mark) in [("bash", "_items()"), ("zsh", "#compdef items"), ("fish", "complete -c items")] {
        let script = terminal.ok(["completions", shell]);
        assert!(script.contains(mark) && script.contains("whoami"), "{shell}");
        let file = terminal.write(&format!("completion.{shell}"), &script);
        // If the shell is installed, it checks the script.
        if let Ok(check) = std::process::Command::new(shell).arg("-n").arg(file).output() {
            assert!(check.status.success(), "{shell}: {check:?}");
        }
    }
}

#[test]
fn readme_lists_every_command() {
    let stack = Stack::start();
    let terminal = Terminal::new(&stack);
    let readme = include_str!("../../README.md");
    let help = terminal.ok(["--help"]);
    let commands = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let names: Vec<_> =
        commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    assert!(names.len() > 10, "{help}");
    for name in names.into_iter().filter(|name| !name.is_empty() && *name != "help") {
        assert!(readme.contains(&format!("`items {name}")), "the README does not list `items {name}`");
    }
}

#[cfg(unix)]
#[test]
fn closed_output_is_not_an_error() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    terminal.add("x");
    let mut process = terminal.command(["list"]).spawn().unwrap();
    drop(process.stdout.take());
    let run = process.wait_with_output().unwrap();
    assert_eq!((run.status.code(), run.stderr.as_slice()), (Some(0), &b""[..]));
}

/// Runs the program in a terminal that `script` provides.
#[cfg(target_os = "linux")]
fn on_a_terminal(terminal: &Terminal<'_>, arguments: &str) -> String {
    let items = terminal.command([] as [&str; 0]);
    let mut script = std::process::Command::new("script");
    script.args([
        "-qec",
        &format!("stty cols 100; '{}' {arguments}", env!("CARGO_BIN_EXE_items")),
        "/dev/null",
    ]);
    script
        .env_clear()
        .envs(items.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("TERM", "xterm");
    let output =
        script.current_dir(terminal.home.path()).stdin(std::process::Stdio::null()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn terminal_shows_a_table_with_colors_unless_no_color_is_set() {
    let stack = Stack::start();
    let terminal = Terminal::signed_in(&stack, ALICE);
    let id = terminal.add("Buy milk");
    let table = on_a_terminal(&terminal, "list");
    assert!(table.contains("\u{1b}[1mID") && table.contains("UPDATED") && table.contains(&id), "{table:?}");
    let terminal = terminal.with("NO_COLOR", "1");
    let table = on_a_terminal(&terminal, "list");
    assert!(!table.contains('\u{1b}') && table.contains("UPDATED"), "{table:?}");
    let row = table.lines().find(|line| line.starts_with(&id)).unwrap();
    assert!(row.contains("Buy milk ") && (row.ends_with("now") || row.ends_with("ago")), "{row:?}");
}
