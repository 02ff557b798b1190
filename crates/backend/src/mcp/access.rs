//! Authentication in front of the MCP endpoint, whatever the method and before the body is read.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};

use super::call::Call;
use crate::{App, problem::Problem};

/// Passes on requests with a valid token and rejects all others.
pub(super) async fn authenticate(State(app): State<App>, request: Request, next: Next) -> Response {
    respond(app, request, next).await.unwrap_or_else(IntoResponse::into_response)
}

async fn respond(app: App, request: Request, next: Next) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let server = app.mcp_server().ok_or_else(|| Problem::not_found("endpoint"))?;
    let token = server.authenticate_request(&mut parts).await?;
    let call = Call::new(app, token, &parts);
    parts.extensions.insert(call.clone());
    // The token goes no further: neither a log line of `rmcp` nor a tool can pass it on.
    parts.headers.remove(header::AUTHORIZATION);
    let response = next.run(Request::from_parts(parts, body)).await;
    call.finish()?;
    explained(response)
}

/// Replaces the errors that `rmcp` writes as plain text. JSON-RPC errors stay as they are.
fn explained(response: Response) -> Result<Response, Problem> {
    let status = response.status();
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|it| it == "application/json");
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return Ok(response);
    }
    let detail = match status {
        StatusCode::BAD_REQUEST => "`Host` or `MCP-Protocol-Version` is not one that this server knows.",
        StatusCode::FORBIDDEN => "`Host` or `Origin` is not one that this server is used from.",
        StatusCode::METHOD_NOT_ALLOWED => "Send every message with POST: this server keeps no sessions.",
        StatusCode::NOT_ACCEPTABLE => "Send `Accept: application/json, text/event-stream`.",
        StatusCode::PAYLOAD_TOO_LARGE => "The body is larger than this server accepts.",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            "Send one JSON-RPC message with the header `Content-Type: application/json`."
        }
        _ => return Err(Problem::internal(format!("the MCP transport answered {status}"))),
    };
    let mut problem = Problem::new(status, detail);
    if let Some(methods) = response.headers().get(header::ALLOW) {
        problem = problem.header(header::ALLOW, methods.clone());
    }
    Err(problem)
}
