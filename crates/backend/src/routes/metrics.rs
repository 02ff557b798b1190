//! The metrics, for Prometheus.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use tracing::warn;

use crate::{App, metrics};

/// Shows all metrics in the OpenMetrics text format.
pub(crate) async fn show_metrics(State(app): State<App>) -> Response {
    match app.metrics().encode(&app.verifier().stats()) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::MEDIA_TYPE)], text).into_response(),
        Err(error) => {
            warn!(%error, "cannot encode the metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
