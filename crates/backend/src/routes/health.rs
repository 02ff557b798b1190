//! Is the server alive, and can it do its work?

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tracing::warn;
use utoipa::ToSchema;

use crate::{App, extract::Json, problem::chain};

/// Whether the server is alive.
#[derive(Debug, Serialize, ToSchema)]
pub struct Liveness {
    /// Always `ok`: a server that is not does not answer.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Whether the server can do its work, part by part.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// `ok`, or `unavailable` if any part is.
    status: PartStatus,
    /// The keys that tokens are verified with.
    keys: PartStatus,
    /// The DynamoDB table.
    table: PartStatus,
}

/// Whether a part works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PartStatus {
    /// It does.
    Ok,
    /// It does not; the log says why.
    Unavailable,
}

/// Is the server alive?
///
/// For the supervisor that restarts it. Nothing else is asked, so an outage elsewhere restarts nothing here.
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = OK, body = Liveness)))]
pub async fn check_liveness() -> Response {
    (no_store(), Json(Liveness { status: "ok" })).into_response()
}

/// Can the server do its work?
///
/// For the balancer that sends it requests: are there keys to verify tokens with, and does the table answer?
#[utoipa::path(get, path = "/health/ready", tag = "health", responses(
    (status = OK, body = Readiness),
    (status = SERVICE_UNAVAILABLE, body = Readiness, description = "A part does not work"),
))]
pub async fn check_readiness(State(app): State<App>) -> Response {
    let look = async {
        let (keys, table) = tokio::join!(app.verifier().ready(), app.store().check());
        (part("keys", keys), part("table", table))
    };
    let (keys, table) = app.readiness(look).await;
    let both = [keys, table].iter().all(|part| *part == PartStatus::Ok);
    let (code, status) = if both {
        (StatusCode::OK, PartStatus::Ok)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, PartStatus::Unavailable)
    };
    (code, no_store(), Json(Readiness { status, keys, table })).into_response()
}

fn part<E: std::error::Error + 'static>(name: &str, result: Result<(), E>) -> PartStatus {
    match result {
        Ok(()) => PartStatus::Ok,
        Err(error) => {
            warn!(part = name, cause = chain(&error), "not ready");
            PartStatus::Unavailable
        }
    }
}

fn no_store() -> [(header::HeaderName, HeaderValue); 1] {
    [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]
}
