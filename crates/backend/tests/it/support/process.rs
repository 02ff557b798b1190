use std::{
    io::{self, Read},
    net::TcpListener,
    process::{Child, Command, ExitStatus, Output},
    time::{Duration, Instant},
};

use cognito_auth::testing::{JwksServer, TestPool};
use local_cloud::{LocalDynamoDb, LocalS3, REGION, bind_loopback};
use reqwest::Client;

use super::{BUCKET, CREDENTIALS, TABLE, Variables};

/// The binary `backend` as a process of its own, with a key-set server, DynamoDB and S3 on loopback.
pub(crate) struct Server {
    pub(crate) pool: TestPool,
    pub(crate) url: String,
    process: Child,
    output: Option<std::thread::JoinHandle<String>>,
    _jwks: JwksServer,
    dynamodb: Option<LocalDynamoDb>,
    _s3: LocalS3,
}

impl Server {
    /// Starts it with these variables besides the necessary ones, and waits until it is ready.
    pub(crate) async fn start(variables: Variables<'_>) -> Self {
        let pool = TestPool::new();
        let jwks = pool.serve().await;
        let dynamodb =
            LocalDynamoDb::start(bind_loopback(0).await.unwrap(), None, TABLE, &CREDENTIALS).unwrap();
        let s3 = LocalS3::start(bind_loopback(0).await.unwrap(), None, BUCKET, &CREDENTIALS).unwrap();
        let address = free_address();
        let jwks_url = jwks.url();
        let necessary = [
            ("BIND_ADDRESS", address.as_str()),
            ("COGNITO_USER_POOL_ID", pool.id()),
            ("COGNITO_ISSUER", pool.issuer()),
            ("COGNITO_JWKS_URL", &jwks_url),
            ("COGNITO_APP_CLIENT_ID", pool.client_id()),
            ("DYNAMODB_TABLE_NAME", TABLE),
            ("S3_BUCKET_NAME", BUCKET),
            ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.endpoint_url()),
            ("AWS_ENDPOINT_URL_S3", s3.endpoint_url()),
            ("AWS_ACCESS_KEY_ID", CREDENTIALS.access_key_id()),
            ("AWS_SECRET_ACCESS_KEY", CREDENTIALS.secret_access_key()),
            ("AWS_REGION", REGION),
        ];
        let mut command = backend();
        let (mut reader, writer) = io::pipe().unwrap();
        command.envs(necessary).envs(variables.iter().copied());
        let process = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
        drop(command); // It holds the pipe open.
        let output = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = reader.read_to_string(&mut text);
            text
        });
        let url = format!("http://{address}");
        let (output, dynamodb) = (Some(output), Some(dynamodb));
        let mut server = Self { pool, url, process, output, _jwks: jwks, dynamodb, _s3: s3 };
        server.wait_until_ready().await;
        server
    }

    async fn wait_until_ready(&mut self) {
        let client = Client::new();
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let answer = client.get(format!("{}/health/ready", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            assert!(self.process.try_wait().unwrap().is_none(), "the server ended");
            assert!(Instant::now() < deadline, "the server is not ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A token with both scopes.
    pub(crate) fn token(&self, name: &str) -> String {
        self.pool.user(name).scope("items/read").scope("items/write").access_token()
    }

    /// Its address and port.
    pub(crate) fn address(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new()
    }

    /// The memory of the process, as Linux counts it.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// From here on, its DynamoDB answers nothing.
    pub(crate) async fn stop_dynamodb(&mut self) {
        if let Some(dynamodb) = self.dynamodb.take() {
            dynamodb.stop().await;
        }
    }

    pub(crate) fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end; how it ended, and all that it wrote to standard output and standard error.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let status = self.process.wait().unwrap();
        (status, self.output.take().unwrap().join().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The binary with an empty environment, in a folder without `.env`.
pub(crate) fn backend() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backend"));
    command.env_clear().current_dir(std::env::temp_dir());
    command
}

/// Runs the binary to its end.
pub(crate) fn run(arguments: &[&str], variables: Variables<'_>) -> Output {
    backend().args(arguments).envs(variables.iter().copied()).output().unwrap()
}

pub(crate) fn free_address() -> String {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().to_string()
}
