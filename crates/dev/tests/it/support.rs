//! A running stack, as a process of its own.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

/// A running stack; killed when the test ends.
pub(crate) struct Stack {
    pub(crate) process: Child,
    banner: Vec<String>,
    ports: [u16; 4],
}

impl Stack {
    pub(crate) fn start(data_dir: &Path, ports: [u16; 4]) -> Self {
        Self::start_with(data_dir, ports, &[], &[])
    }

    /// With more arguments, and these variables alone. It runs in `data_dir`, where it finds `.env`.
    pub(crate) fn start_with(
        data_dir: &Path,
        ports: [u16; 4],
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let [api, cognito, dynamodb, s3] = ports.map(|port| port.to_string());
        let flags =
            ["--api-port", &api, "--cognito-port", &cognito, "--dynamodb-port", &dynamodb, "--s3-port", &s3];
        let mut process = Command::new(env!("CARGO_BIN_EXE_dev"))
            .args(flags)
            .arg("--data-dir")
            .arg(data_dir)
            .args(arguments)
            .current_dir(data_dir)
            .env_clear()
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut banner: Vec<String> = Vec::new();
        while !banner.last().is_some_and(|line| line.contains("Ctrl-C")) {
            banner.push(lines.next().expect("the stack ends before it has said where it is").unwrap());
        }
        // The rest is read so that the log never fills the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, banner, ports }
    }

    pub(crate) fn api(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.ports[0])
    }

    pub(crate) fn cognito(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.ports[1])
    }

    pub(crate) fn password(&self, name: &str) -> String {
        let mut users = self.banner.iter().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let line =
            users.find(|words| words.len() == 2 && words[0] == name).expect("the banner names the user");
        line[1].to_owned()
    }

    /// Whether the banner contains this text.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.banner.iter().any(|line| line.contains(text))
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Ports that are free, each for both address families a moment ago.
pub(crate) fn free_ports() -> [u16; 4] {
    let listeners = [(); 4].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
