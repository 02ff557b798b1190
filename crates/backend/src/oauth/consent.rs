//! The consent page: Cognito asks nobody, as all AI clients are one app client to it.

use std::sync::LazyLock;

use askama::Template;
use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    Extension,
    extract::State,
    response::{Html, IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;

use super::{
    authorize::{AuthorizationRequest, AuthorizeQuery},
    broker::{Broker, CALLBACK_PATH, Flow, expired},
    redirect, redirect_to,
    seal::Purpose,
    sign_in,
};
use crate::{
    App, auth,
    extract::{Form, Query},
    problem::Problem,
};

const STYLE: &str = include_str!("../../templates/consent.css");

static STYLE_HASH: LazyLock<String> =
    LazyLock::new(|| STANDARD.encode(digest(&SHA256, STYLE.as_bytes()).as_ref()));

#[derive(Template)]
#[template(path = "consent.html")]
struct Page<'a> {
    style: &'static str,
    destination: String,
    scopes: Vec<&'static str>,
    sealed: &'a str,
}

/// Asks the user whether the application may use their items.
pub(super) async fn ask(
    State(app): State<App>,
    Extension(broker): Extension<Broker>,
    Query(query): Query<AuthorizeQuery>,
) -> Result<Response, Problem> {
    let request = match query.check(app.config(), sign_in(&app)?) {
        Ok(request) => request,
        Err(rejected) => return rejected.into_response(),
    };
    let flow = Flow::start(request)?;
    let sealed = broker.sealer.seal(Purpose::Form, &flow);
    let sealed = sealed.ok_or_else(|| Problem::internal("no randomness"))?;
    let page = page(&flow.request, &sealed)?;
    let policy = content_security_policy(&app, &flow.request.redirect_uri)?;
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::SET_COOKIE, flow.cookie(&app)?),
    ];
    Ok((headers, Html(page)).into_response())
}

fn page(request: &AuthorizationRequest, sealed: &str) -> Result<String, Problem> {
    let granted = |(name, _): &(&str, &str)| request.scope.split(' ').any(|scope| scope == *name);
    let scopes = auth::scopes().filter(granted).map(|(_, description)| description).collect();
    let destination = redirect::destination(&request.redirect_uri);
    Page { style: STYLE, destination, scopes, sealed }.render().map_err(Problem::internal)
}

/// No scripts and no frames; the form leads to Cognito and from there to the client.
fn content_security_policy(app: &App, redirect_uri: &str) -> Result<HeaderValue, Problem> {
    let (style, client) = (&*STYLE_HASH, redirect::content_security_source(redirect_uri));
    let cognito = redirect::content_security_source(&sign_in(app)?.endpoint("/"));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self' {cognito} {client}; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).map_err(Problem::internal)
}

/// The form of the page.
#[derive(Deserialize)]
pub(super) struct Decision {
    sealed: String,
    decision: String,
}

/// Passes an approved request to Cognito. The cookie of the page and the sealed form belong together, so no other page can
/// send this form for the user.
pub(super) async fn decide(
    State(app): State<App>,
    Extension(broker): Extension<Broker>,
    headers: HeaderMap,
    Form(decision): Form<Decision>,
) -> Result<Response, Problem> {
    let flow: Flow = broker.sealer.open(Purpose::Form, &decision.sealed).ok_or_else(expired)?;
    flow.check(&app, &headers)?;
    if decision.decision != "allow" {
        return denied(&app, &flow.request);
    }
    let flow = flow.approved()?;
    let state = broker.sealer.seal(Purpose::State, &flow);
    let state = state.ok_or_else(|| Problem::internal("no randomness"))?;
    let callback = format!("{}{CALLBACK_PATH}", app.config().resource());
    let location = flow.request.at_cognito(&app, &callback, Some(&state))?;
    let mut response = redirect_to(StatusCode::SEE_OTHER, &location)?;
    response.headers_mut().append(header::SET_COOKIE, flow.cookie(&app)?);
    Ok(response)
}

fn denied(app: &App, request: &AuthorizationRequest) -> Result<Response, Problem> {
    let parameters = [("error", "access_denied"), ("iss", app.config().resource())];
    let state = request.state.as_deref().map(|state| ("state", state));
    let location = redirect::with_query(&request.redirect_uri, parameters.into_iter().chain(state));
    redirect_to(StatusCode::SEE_OTHER, &location.ok_or_else(expired)?)
}
