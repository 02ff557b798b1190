//! The program itself: what it prints and refuses, and that nothing it acknowledged is lost when it is killed.

use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::over_tcp;
use crate::support::{authorize_query, between};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cognito-local");

struct Program {
    process: Child,
    origin: String,
    printed: Vec<String>,
}

impl Program {
    async fn start(arguments: &[&str], folder: &Path) -> Self {
        Self::start_on_port(0, arguments, folder).await
    }

    async fn start_on_port(port: u16, arguments: &[&str], folder: &Path) -> Self {
        let mut process = Command::new(PROGRAM)
            .args(arguments)
            .args(["--port", &port.to_string(), "--data-dir"])
            .arg(folder)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut printed = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            let last = line.contains("bob");
            printed.push(line);
            if last {
                break;
            }
        }
        let domain = printed.iter().find_map(|line| line.trim().strip_prefix("domain")).expect("a domain");
        let origin = domain.trim().to_owned();
        Self { process, origin, printed }
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Option<reqwest::Response> {
        over_tcp::http().post(format!("{}{path}", self.origin)).form(form).send().await.ok()
    }

    async fn refresh(&self, token: &str) -> Option<serde_json::Value> {
        let form = [("grant_type", "refresh_token"), ("client_id", "localweb"), ("refresh_token", token)];
        let answer = self.post("/oauth2/token", &form).await?;
        answer.json().await.ok()
    }
}

async fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().await.unwrap()
}

#[tokio::test]
async fn program_prints_its_addresses_and_users() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&[], folder.path()).await;
    let printed = program.printed.join("\n");
    for part in
        ["issuer", "/us-east-1_LocalPool", "/mailbox", "localweb (public)", "localmachine with secret "]
    {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    assert!(program.printed.iter().any(|line| line.trim() == "alice Wonder-land1"), "{printed}");
    let _ = over_tcp::sign_in(&over_tcp::http(), &program.origin).await;
}

#[tokio::test]
async fn program_also_listens_on_ipv6() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&[], folder.path()).await;
    let port = program.origin.rsplit(':').next().unwrap();
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        let home = reqwest::get(format!("http://[::1]:{port}/")).await.unwrap();
        assert_eq!(home.status(), 200);
    }
}

#[tokio::test]
async fn program_listens_on_the_given_address_in_a_container() {
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://cognito.localhost:{}", free.port());
    let program =
        Program::start_on_port(free.port(), &["--bind", "0.0.0.0", "--public-url", &url], folder.path())
            .await;
    assert_eq!(program.origin, url);
    let client = reqwest::Client::builder().resolve("cognito.localhost", free).build().unwrap();
    let discovery = client.get(format!("{url}/us-east-1_LocalPool/.well-known/openid-configuration"));
    let document: serde_json::Value = discovery.send().await.unwrap().json().await.unwrap();
    assert_eq!(document["issuer"], format!("{url}/us-east-1_LocalPool"));
}

#[tokio::test]
async fn keys_can_be_rotated_while_the_program_runs() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&[], folder.path()).await;
    let keys = async || {
        let url = format!("{}/us-east-1_LocalPool/.well-known/jwks.json", program.origin);
        let keys: serde_json::Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        keys["keys"].as_array().unwrap().len()
    };
    let folder = folder.path().to_str().unwrap();
    for (command, count) in [("rotate-keys", 4), ("withdraw-keys", 2)] {
        let output = run(&[command, "--data-dir", folder]).await;
        assert!(output.status.success(), "{output:?}");
        assert_eq!(keys().await, count, "{command}");
    }
}

#[tokio::test]
async fn invalid_use_prints_one_error_and_exits_with_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("pool.toml");
    std::fs::write(&config, "groups = []\nclient = 1\n").unwrap();
    let config = config.to_str().unwrap();
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port().to_string();
    let missing = folder.path().join("nothing");
    let missing = missing.to_str().unwrap();
    for (arguments, part) in [
        (vec!["--ephemeral", "--config", config], "line 2: client: unknown field `client`"),
        (vec!["--ephemeral", "--config", missing], "nothing: No such file"),
        (vec!["--ephemeral", "--port", &port], "Choose another one with --port"),
        (vec!["rotate-keys", "--data-dir", missing], "cannot find a user pool in"),
    ] {
        let output = run(&arguments).await;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(part), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(output.stdout.is_empty());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn program_stops_within_one_second_of_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(&[], folder.path()).await;
    let open = tokio::net::TcpStream::connect(program.origin.trim_start_matches("http://")).await.unwrap();
    let pid = program.process.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    let ended = tokio::time::timeout(std::time::Duration::from_secs(1), program.process.wait()).await;
    assert!(ended.expect("it ends in time").unwrap().success());
    drop(open);
}

/// The part of the README between two markers.
fn readme(before: &str, after: &str) -> &'static str {
    between(include_str!("../../README.md"), before, after).expect("the README has it")
}

#[tokio::test]
#[ignore = "needs curl"]
async fn commands_of_the_readme_work() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&[], folder.path()).await;
    let secret = program.printed.iter().find_map(|line| line.split_once("with secret ")).unwrap().1;
    let commands =
        readme("## With curl", "## With").split("```sh").nth(1).unwrap().split("```").next().unwrap();
    let commands = commands.replace("http://localhost:9229", &program.origin);
    let output =
        Command::new("sh").args(["-eu", "-c", &commands]).env("secret", secret).output().await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<serde_json::Value> = printed.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(answers[0]["access_token"].is_string() && answers[0].get("id_token").is_none(), "{printed}");
    assert!(answers[1]["id_token"].is_string(), "{printed}");
}

#[tokio::test]
async fn readme_shows_the_real_output() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&[], folder.path()).await;
    let printed: Vec<String> = program
        .printed
        .iter()
        .map(|line| line.replace(&program.origin, "http://localhost:9229"))
        .map(|line| {
            line.split_once("with secret ")
                .map_or(line.clone(), |(start, _)| format!("{start}with secret q4…"))
        })
        .collect();
    let shown: Vec<&str> = readme("```text\nUser pool", "```").lines().collect();
    assert_eq!(printed[1..], shown[1..]);
}

/// What the pool acknowledged before it was killed.
#[derive(Default)]
struct Acknowledged {
    refresh_tokens: Vec<String>,
    accounts: Vec<String>,
}

#[tokio::test]
async fn acknowledged_changes_survive_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..4 {
        let mut program = Program::start(&[], folder.path()).await;
        let mut first_tokens = Vec::new();
        for _ in 0..3 {
            let tokens = over_tcp::sign_in(&over_tcp::http(), &program.origin).await;
            first_tokens.push(tokens["refresh_token"].as_str().unwrap().to_owned());
        }
        let done = work_until_killed(&mut program, first_tokens, round, 12 + 7 * round).await;

        let program = Program::start(&[], folder.path()).await;
        for token in &done.refresh_tokens {
            let answer = program.refresh(token).await.unwrap();
            assert!(answer["access_token"].is_string(), "round {round}: {answer}");
        }
        for username in &done.accounts {
            let page = sign_up(&program, username).await.unwrap();
            assert!(page.contains("User already exists"), "round {round}: {username} is lost");
        }
    }
}

/// Refreshes and signs up in parallel, and kills the program after so many acknowledgements.
async fn work_until_killed(
    program: &mut Program,
    tokens: Vec<String>,
    round: usize,
    acknowledgements: usize,
) -> Acknowledged {
    let count = AtomicUsize::new(0);
    let enough = tokio::sync::Notify::new();
    let acknowledge = || {
        if count.fetch_add(1, Ordering::SeqCst) + 1 == acknowledgements {
            enough.notify_one();
        }
    };
    let done = Mutex::new(Acknowledged { refresh_tokens: tokens.clone(), accounts: Vec::new() });
    let running = &*program;
    let refreshers = tokens.into_iter().enumerate().map(|(index, mut token)| {
        let (done, acknowledge) = (&done, &acknowledge);
        async move {
            while let Some(answer) = running.refresh(&token).await {
                token = answer["refresh_token"].as_str().unwrap().to_owned();
                done.lock().unwrap().refresh_tokens[index].clone_from(&token);
                acknowledge();
            }
        }
    });
    let newcomers = async {
        for number in 0.. {
            let username = format!("user{round}-{number}");
            if sign_up(running, &username).await.is_none() {
                return;
            }
            done.lock().unwrap().accounts.push(username);
            acknowledge();
        }
    };
    let pid = program.process.id().unwrap();
    let killer = async {
        enough.notified().await;
        let killed = Command::new("kill").args(["-KILL", &pid.to_string()]).status().await;
        assert!(killed.unwrap().success());
    };
    tokio::join!(futures_util::future::join_all(refreshers), newcomers, killer);
    let _ = program.process.wait().await;
    done.into_inner().unwrap()
}

/// Signs up, and returns the page that answers; `None` when there is no answer.
async fn sign_up(program: &Program, username: &str) -> Option<String> {
    let http = over_tcp::http();
    let url = format!("{}/signup?{}", program.origin, authorize_query(&[]));
    let page = http.get(&url).send().await.ok()?.text().await.ok()?;
    let email = format!("{username}@example.com");
    let form = [
        ("csrf_token", between(&page, "name=\"csrf_token\" value=\"", "\"")?),
        ("username", username),
        ("email", &email),
        ("password", "Correct-horse-9"),
        ("password_again", "Correct-horse-9"),
    ];
    let answer = http.post(&url).header("origin", &program.origin).form(&form).send().await.ok()?;
    answer.text().await.ok()
}
