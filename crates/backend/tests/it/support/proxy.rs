use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What a [`FaultProxy`] does to the connections that go through it.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Forwards the next so many requests, and closes the connection instead of giving their answers.
    LoseAnswers(u32),
    /// Closes every connection at the first byte.
    Refuse,
    /// Takes requests and never answers.
    Hang,
    /// Answers every request with this status and JSON body, and forwards nothing.
    Answer(u16, String),
}

/// A TCP proxy that breaks real connections.
pub(crate) struct FaultProxy {
    url: String,
    fault: Arc<Mutex<Fault>>,
}

impl FaultProxy {
    /// A proxy in front of `target`, with no fault yet.
    pub(crate) async fn start(target: &str) -> Self {
        let target = target.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let fault = Arc::new(Mutex::new(Fault::None));
        let shared = fault.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, target.clone(), shared.clone()));
            }
        });
        Self { url, fault }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What it does from now on.
    pub(crate) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }
}

async fn forward(mut client: TcpStream, target: String, fault: Arc<Mutex<Fault>>) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let (mut request, mut answer) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut request) => {
                let Ok(length @ 1..) = read else { return };
                let now = fault.lock().unwrap().clone();
                match now {
                    Fault::None | Fault::LoseAnswers(_) => {
                        if server.write_all(&request[..length]).await.is_err() {
                            return;
                        }
                    }
                    Fault::Refuse => return,
                    Fault::Hang => {}
                    Fault::Answer(status, body) => {
                        let length = body.len();
                        let head = format!(
                            "HTTP/1.1 {status} Fault\r\ncontent-type: application/x-amz-json-1.0\r\n\
                             content-length: {length}\r\nconnection: close\r\n\r\n"
                        );
                        let _ = client.write_all((head + &body).as_bytes()).await;
                        return;
                    }
                }
            }
            read = server.read(&mut answer) => {
                let Ok(length @ 1..) = read else { return };
                if let Fault::LoseAnswers(left @ 1..) = &mut *fault.lock().unwrap() {
                    *left -= 1;
                    return;
                }
                if client.write_all(&answer[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
