//! OpenTelemetry: traces and metrics over OTLP, if the standard variables name a collector.
//!
//! What is never logged is never exported either. Spans and metrics have only the attributes that these modules name:
//! neither events of the log nor the AWS SDK's own spans, which contain requests, get into them.

mod calls;
mod client;
mod instruments;
mod requests;

use std::{sync::OnceLock, time::Duration};

use cognito_auth::Verifier;
use opentelemetry::{metrics::MeterProvider, trace::TracerProvider};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkError,
    metrics::SdkMeterProvider,
    resource::EnvResourceDetector,
    trace::{SdkTracer, SdkTracerProvider},
};

pub(crate) use self::instruments::{LATENCY_BUCKETS, verifications};
pub(crate) use self::{calls::CallSpans, requests::RequestSpan};
use tracing::warn;

use self::{client::Client, instruments::Instruments};

/// How long the last export may take when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

static TELEMETRY: OnceLock<Telemetry> = OnceLock::new();

/// What the program records, once the export was started.
struct Telemetry {
    tracer: Option<SdkTracer>,
    instruments: Option<Instruments>,
    /// The scheme of `PUBLIC_URL`.
    scheme: String,
}

/// Which signals are exported by OTLP. Everything else that the standard variables say is read by the SDK itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Signals {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, unless `OTEL_TRACES_EXPORTER=none`.
    pub traces: bool,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`, unless `OTEL_METRICS_EXPORTER=none`.
    pub metrics: bool,
}

/// The export of traces and metrics. It goes on until [`stop`](Self::stop).
#[must_use]
pub struct Export {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
}

/// Why the export cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A variable has a value that cannot be used.
    #[error("cannot export telemetry: check OTEL_EXPORTER_OTLP_ENDPOINT and the other OTEL_ variables")]
    Exporter(#[from] ExporterBuildError),
    /// The HTTP client cannot be built.
    #[error("cannot export telemetry: the HTTP client cannot be built")]
    Client(#[from] reqwest::Error),
}

/// Starts the export of these signals, for an API whose URL has this scheme. Without a signal, nothing is recorded.
///
/// To be called within a Tokio runtime, before the clients of AWS are built.
///
/// # Errors
///
/// [`ExportError`].
pub fn start(signals: Signals, scheme: &str) -> Result<Export, ExportError> {
    let mut export = Export { traces: None, metrics: None };
    if !(signals.traces || signals.metrics) {
        return Ok(export);
    }
    let client = Client::new()?;
    if signals.traces {
        let exporter = SpanExporter::builder().with_http().with_http_client(client.clone()).build()?;
        let provider = SdkTracerProvider::builder().with_resource(resource()).with_batch_exporter(exporter);
        export.traces = Some(provider.build());
    }
    if signals.metrics {
        let exporter = MetricExporter::builder().with_http().with_http_client(client).build()?;
        let provider = SdkMeterProvider::builder().with_resource(resource()).with_periodic_exporter(exporter);
        export.metrics = Some(provider.build());
    }
    TELEMETRY.get_or_init(|| Telemetry {
        tracer: export.traces.as_ref().map(|provider| provider.tracer("backend")),
        instruments: export.metrics.as_ref().map(|provider| Instruments::new(provider.meter("backend"))),
        scheme: scheme.to_owned(),
    });
    Ok(export)
}

impl Export {
    /// Exports what is left, and ends, within some seconds. A failure is logged.
    pub async fn stop(self) {
        // It blocks until the threads of the SDK have sent the rest on this runtime.
        match tokio::task::spawn_blocking(move || self.shut_down()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the last traces and metrics could not be exported"),
            Err(error) => warn!(%error, "the export of traces and metrics failed"),
        }
    }

    fn shut_down(self) -> Result<(), OTelSdkError> {
        let traces = self.traces.map_or(Ok(()), |provider| provider.shutdown_with_timeout(STOP_TIMEOUT));
        let metrics = self.metrics.map_or(Ok(()), |provider| provider.shutdown_with_timeout(STOP_TIMEOUT));
        traces.and(metrics)
    }
}

/// Whether calls of AWS get spans.
pub(crate) fn is_tracing() -> bool {
    TELEMETRY.get().is_some_and(|telemetry| telemetry.tracer.is_some())
}

/// Returns the metrics, if they are exported.
pub(crate) fn instruments() -> Option<&'static Instruments> {
    TELEMETRY.get()?.instruments.as_ref()
}

/// Exports the verifier's metrics, too.
pub(crate) fn observe_verifier(verifier: &Verifier) {
    if let Some(instruments) = instruments() {
        instruments.observe_verifier(verifier);
    }
}

/// What sends: `backend`, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` say something else.
fn resource() -> Resource {
    let named = std::env::var_os("OTEL_SERVICE_NAME").is_some_and(|name| !name.is_empty());
    let builder = Resource::builder();
    if named {
        builder.build()
    } else {
        builder.with_service_name("backend").with_detector(Box::new(EnvResourceDetector::new())).build()
    }
}
