//! Which signals of OpenTelemetry are exported.

use super::variables::Variables;
use crate::telemetry::Signals;

pub(super) fn signals(from: &mut Variables<'_>) -> Signals {
    let is_disabled = from.flag("OTEL_SDK_DISABLED", false);
    from.parsed(
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "http/protobuf, the one protocol that is supported",
        |value| (value == "http/protobuf").then_some(()),
    );
    let exports = |signal: &str| {
        let endpoints = ["OTEL_EXPORTER_OTLP_ENDPOINT", &format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")];
        let has_endpoint = endpoints.iter().any(|name| from.optional(name).is_some());
        let exporter = from.optional(&format!("OTEL_{signal}_EXPORTER"));
        has_endpoint && !is_disabled && exporter.is_none_or(|exporter| exporter == "otlp")
    };
    Signals { traces: exports("TRACES"), metrics: exports("METRICS") }
}
