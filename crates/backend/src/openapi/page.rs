//! `/docs` and `/openapi.json`: the document, and Swagger UI to read it and to try the API from. All of it comes from this
//! binary.

use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderValue, header};
use url::Url;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config as PageConfig, SwaggerUi, oauth};

use crate::{App, Config, auth::sign_in_scopes};

const PATH: &str = "/docs";

/// The document and the page.
pub(crate) fn documentation(document: OpenApi, config: &Config) -> Router<App> {
    let page = PageConfig::new(["/openapi.json"])
        .use_base_layout()
        .display_request_duration(true)
        .default_models_expand_depth(0)
        .doc_expansion("list")
        .persist_authorization(false)
        .validator_url("none")
        .try_it_out_enabled(true);
    let mut page = SwaggerUi::new(PATH).url("/openapi.json", document).config(page);
    if let (Some(_), Some(client_id)) = (&config.cognito.domain, config.cognito.app_client_ids.first()) {
        let scopes = sign_in_scopes(config).map(|(scope, _)| scope.to_owned()).collect();
        page = page.oauth(
            oauth::Config::new()
                .client_id(client_id)
                .scopes(scopes)
                .use_pkce_with_authorization_code_grant(true),
        );
    }
    let policy = content_security_policy(config.cognito.domain.as_ref());
    let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let page = Router::from(page).route("/docs/index.css", get(stylesheet));
    page.layer(middleware::from_fn(move |request: Request, next: Next| {
        let policy = policy.clone();
        async move { protect(next.run(request).await, policy) }
    }))
}

/// Replaces Swagger UI's own `index.css`, the page's second style sheet.
async fn stylesheet() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css")], include_str!("page.css"))
}

fn protect(mut response: Response, policy: HeaderValue) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Scripts only from here, and none in the page itself; tokens only from the hosted UI. Swagger UI sets styles on its
/// elements and carries its icons as `data:`.
fn content_security_policy(domain: Option<&Url>) -> String {
    let hosted_ui = domain.map(|domain| domain.origin().ascii_serialization()).unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         connect-src 'self' {hosted_ui}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
