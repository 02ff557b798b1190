//! The routes, one line each. The OpenAPI document is derived from them.

use axum::{Router, middleware, response::Redirect, routing::get};
use cognito_auth::ResourceServer;
use utoipa::OpenApi as _;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App, layers,
    limit::{RequestLimits, limit_request},
    mcp, oauth,
    openapi::{self, page, secure},
    routes::{admin, attachments, fallback, health, items, metadata, metrics, users},
};

/// All routes of the application with all layers.
pub fn router(app: &App) -> Router {
    let config = app.config();
    let limits = RequestLimits::new(&config.limits);
    let limited = |server: Option<&ResourceServer>| {
        middleware::from_fn_with_state((app.clone(), server.cloned(), limits.clone()), limit_request)
    };
    // Health checks take no slot: a busy server is not a dead one.
    let (mut routes, mut document) = api(app.resource_server())
        .layer(limited(Some(app.resource_server())))
        .merge(health_checks())
        .split_for_parts();
    openapi::complete(&mut document, config);
    if config.docs_enabled {
        let documentation = page::documentation(document, config);
        routes = routes.merge(documentation).route("/", get(async || Redirect::temporary("/docs/")));
    }
    if let Some(server) = app.mcp_server() {
        let endpoint = mcp::router(app).layer(limited(Some(server)));
        routes = routes.merge(endpoint).route(metadata::MCP_METADATA_PATH, get(metadata::show_mcp_metadata));
    }
    if let Some(sign_in) = config.mcp.as_ref().and_then(|mcp| mcp.sign_in.as_ref()) {
        routes = routes.merge(oauth::router(sign_in).layer(limited(None)));
    }
    let routes = routes
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .fallback(fallback::unknown_route)
        .with_state(app.clone());
    layers::surround(app, routes)
}

/// The metrics for Prometheus, for a listener of their own.
pub fn metrics_router(app: &App) -> Router {
    Router::new().route("/metrics", get(metrics::show_metrics)).with_state(app.clone())
}

/// The routes of the API. The document lists what this server requires.
fn api(server: &ResourceServer) -> OpenApiRouter<App> {
    /// A route whose handler takes a `Caller`: its policy is added to the document.
    macro_rules! secured {
        ($($handler:tt)+) => { secure($($handler)+, routes!($($handler)+), server) };
    }
    OpenApiRouter::with_openapi(openapi::Document::openapi())
        .routes(secured!(users::show_current_user))
        .routes(secured!(users::sign_out))
        .routes(secured!(users::show_profile))
        .routes(secured!(users::replace_profile))
        .routes(secured!(users::delete_profile))
        .routes(secured!(items::list_items))
        .routes(secured!(items::create_item))
        .routes(secured!(items::show_item))
        .routes(secured!(items::replace_item))
        .routes(secured!(items::update_item))
        .routes(secured!(items::delete_item))
        .routes(secured!(attachments::create_attachment))
        .routes(secured!(attachments::list_attachments))
        .routes(secured!(attachments::show_attachment))
        .routes(secured!(attachments::delete_attachment))
        .routes(secured!(admin::list_user_items))
        .routes(secured!(admin::delete_user_item))
        .routes(secured!(admin::sign_user_out))
        .routes(routes!(metadata::show_resource_metadata))
}

fn health_checks() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health::check_liveness)).routes(routes!(health::check_readiness))
}
