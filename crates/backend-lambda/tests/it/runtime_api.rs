use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc, oneshot},
};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lambda's side of the protocol: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.
pub(crate) struct RuntimeApi {
    address: String,
    shared: Arc<Shared>,
}

struct Shared {
    asked: Notify,
    events: mpsc::UnboundedSender<(String, Value)>,
    next: tokio::sync::Mutex<mpsc::UnboundedReceiver<(String, Value)>>,
    answers: Mutex<HashMap<String, oneshot::Sender<Value>>>,
    invocations: AtomicU64,
}

impl RuntimeApi {
    pub(crate) async fn start() -> Self {
        let (events, next) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            asked: Notify::new(),
            events,
            next: tokio::sync::Mutex::new(next),
            answers: Mutex::default(),
            invocations: AtomicU64::default(),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next_invocation))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(take_response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(take_response))
            .with_state(shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, shared }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Waits until the function asks for an event.
    pub(crate) async fn until_asked(&self) {
        tokio::time::timeout(PATIENCE, self.shared.asked.notified())
            .await
            .expect("the function asks for an event");
    }

    /// Has the function answer an event.
    pub(crate) async fn invoke(&self, event: Value) -> Value {
        let id = format!("invocation-{}", self.shared.invocations.fetch_add(1, Ordering::Relaxed));
        let (answer, answered) = oneshot::channel();
        self.shared.answers.lock().unwrap().insert(id.clone(), answer);
        self.shared.events.send((id, event)).unwrap();
        tokio::time::timeout(PATIENCE, answered).await.expect("the function answers").unwrap()
    }
}

async fn next_invocation(State(shared): State<Arc<Shared>>) -> Response {
    shared.asked.notify_one();
    let Some((id, event)) = shared.next.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + PATIENCE;
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:123456789012:function:backend".to_owned(),
        ),
        ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0".to_owned()),
    ];
    (headers, Json(event)).into_response()
}

/// Runtimes send JSON without saying so.
async fn take_response(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    answer: Bytes,
) -> StatusCode {
    let answer = serde_json::from_slice(&answer).expect("an answer is JSON");
    if let Some(waiting) = shared.answers.lock().unwrap().remove(&id) {
        let _ = waiting.send(answer);
    }
    StatusCode::ACCEPTED
}
