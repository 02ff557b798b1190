//! Is the server alive, and can it do its work?

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{extract::Json, readiness};

/// Whether the server is alive.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Liveness {
    /// Always `ok`: a server that is not does not answer.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Whether the server can do its work, part by part.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// `ok`, or `unavailable` if any part is.
    status: PartStatus,
    /// The keys that tokens are verified with.
    keys: PartStatus,
    /// The DynamoDB table.
    table: PartStatus,
    /// The list of revoked tokens, if the server requires it.
    #[serde(skip_serializing_if = "Option::is_none")]
    revocations: Option<PartStatus>,
}

/// Whether a part works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PartStatus {
    /// It does.
    Ok,
    /// It does not; the log says why.
    Unavailable,
}

/// Is the server alive?
///
/// For the supervisor that restarts it. Nothing else is asked, so an outage elsewhere restarts nothing here.
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = OK, body = Liveness)))]
pub(crate) async fn check_liveness() -> Response {
    (no_store(), Json(Liveness { status: "ok" })).into_response()
}

/// Can the server do its work?
///
/// For the balancer that sends it requests: are there keys to verify tokens with, and does the table answer?
#[utoipa::path(get, path = "/health/ready", tag = "health", responses(
    (status = OK, body = Readiness),
    (status = SERVICE_UNAVAILABLE, body = Readiness, description = "A part does not work"),
))]
pub(crate) async fn check_readiness(State(readiness): State<readiness::Readiness>) -> Response {
    let parts = readiness.check().await;
    let (keys, table) = (PartStatus::of(parts.keys), PartStatus::of(parts.table));
    let status = PartStatus::of(parts.keys && parts.table && parts.revocations != Some(false));
    let revocations = parts.revocations.map(PartStatus::of);
    let code = match status {
        PartStatus::Ok => StatusCode::OK,
        PartStatus::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, no_store(), Json(Readiness { status, keys, table, revocations })).into_response()
}

impl PartStatus {
    fn of(works: bool) -> Self {
        if works { Self::Ok } else { Self::Unavailable }
    }
}

fn no_store() -> [(header::HeaderName, HeaderValue); 1] {
    [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]
}
