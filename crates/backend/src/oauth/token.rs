//! The token endpoint of the broker. Tokens pass through it; none is kept, changed or logged.

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use serde::Deserialize;

use super::{
    broker::{BoundCode, Broker, CALLBACK_PATH},
    error::OAuthError,
    seal::Purpose,
    sign_in,
};
use crate::{
    App,
    extract::{Form, Json},
    problem::Problem,
};

pub(crate) const PATH: &str = "/oauth/token";

/// What a client sends. `resource` is not read: Cognito does not know it here, and the code is bound to it already.
#[derive(Deserialize)]
pub(super) struct TokenRequest {
    grant_type: String,
    client_id: Option<String>,
    code: Option<String>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    refresh_token: Option<String>,
}

/// Exchanges a code or a refresh token.
pub(super) async fn exchange(
    State(app): State<App>,
    Extension(broker): Extension<Broker>,
    Form(request): Form<TokenRequest>,
) -> Result<Response, Problem> {
    let sign_in = sign_in(&app)?;
    if request.client_id.as_deref() != Some(&*sign_in.client_id) {
        let error = OAuthError::new("invalid_client", "client_id must be that of the registration.");
        return Ok(error.into_response());
    }
    let callback = format!("{}{CALLBACK_PATH}", app.config().resource());
    let tokens = match &*request.grant_type {
        "authorization_code" => match bound_code(&broker, &request) {
            Ok((bound, verifier)) => {
                let form = [
                    ("grant_type", "authorization_code"),
                    ("client_id", &sign_in.client_id),
                    ("code", &bound.code),
                    ("redirect_uri", &callback),
                    ("code_verifier", verifier),
                ];
                let tokens = broker.cognito.tokens(&form).await;
                tokens.map(|tokens| tokens.with_scope(bound.scope))
            }
            Err(error) => Err(error),
        },
        "refresh_token" => match &request.refresh_token {
            Some(token) => {
                let form = [
                    ("grant_type", "refresh_token"),
                    ("client_id", &sign_in.client_id),
                    ("refresh_token", token),
                ];
                broker.cognito.tokens(&form).await
            }
            None => Err(OAuthError::new("invalid_request", "refresh_token is missing.")),
        },
        _ => Err(OAuthError::new(
            "unsupported_grant_type",
            "grant_type must be authorization_code or refresh_token.",
        )),
    };
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok(match tokens {
        Ok(tokens) => (no_store, Json(tokens)).into_response(),
        Err(error) => error.into_response(),
    })
}

/// Opens the code. It is good only together with the URI at which the client got it (RFC 6749, section 4.1.3).
fn bound_code<'a>(broker: &Broker, request: &'a TokenRequest) -> Result<(BoundCode, &'a str), OAuthError> {
    let invalid = || {
        OAuthError::new(
            "invalid_grant",
            "The code has expired, or belongs to another redirect_uri. Sign in again.",
        )
    };
    let code = request.code.as_deref().unwrap_or_default();
    let bound: BoundCode = broker.sealer.open(Purpose::Code, code).ok_or_else(invalid)?;
    if request.redirect_uri.as_deref() != Some(&*bound.redirect_uri) {
        return Err(invalid());
    }
    let verifier = request.code_verifier.as_deref();
    let verifier = verifier.ok_or_else(|| OAuthError::new("invalid_request", "code_verifier is missing."))?;
    Ok((bound, verifier))
}
