//! `GET /oauth2/authorize`.

use axum::extract::State;
use axum::response::Response;

use super::authorize_request::{AuthorizeError, Prompt, found};
use super::sign_in_page::SignInPage;
use crate::sign_in::SignIns;
use crate::tokens::Tokens;

/// Redirects to the client with a code when the browser is signed in, and otherwise to the sign-in page.
pub(super) async fn authorize(
    State(sign_ins): State<SignIns>,
    State(tokens): State<Tokens>,
    page: SignInPage,
) -> Result<Response, AuthorizeError> {
    let request = &page.request;
    match (request.prompt, page.signed_in(&sign_ins).await?) {
        (Prompt::Unspecified | Prompt::None, Some((session, _))) => {
            request.send_code(&tokens, &session).await
        }
        (Prompt::None, None) => Err(request.reject("login_required", "no user is signed in")),
        _ => Ok(found(&request.link("/login"))),
    }
}
