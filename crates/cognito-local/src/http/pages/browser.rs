//! The browser's cookies, and the CSRF protection of forms.

use std::sync::Arc;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use axum::extract::FromRequestParts;
use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::http::state::{AppState, CsrfKey};
use crate::secret::{random_token, secrets_match};
use crate::sign_in::{CHALLENGE_SECONDS, SESSION_SECONDS};
use crate::urls::PoolUrls;

/// The browser that sends a request.
pub(super) struct Browser {
    headers: HeaderMap,
    jar: CookieJar,
    csrf: CsrfKey,
    urls: Arc<PoolUrls>,
}

/// The cookies of the pool.
#[derive(Clone, Copy)]
pub(super) enum PoolCookie {
    /// A completed sign-in.
    Session,
    /// A sign-in that waits for its second factor.
    Challenge,
    /// The random value that CSRF tokens are derived from.
    Csrf,
}

impl Browser {
    pub(super) fn new(state: &AppState, headers: &HeaderMap) -> Self {
        Self {
            headers: headers.clone(),
            jar: CookieJar::from_headers(headers),
            csrf: state.csrf.clone(),
            urls: Arc::clone(&state.urls),
        }
    }

    /// Returns the CSRF token for the form of a page, and the cookie that the response must set for it.
    pub(super) fn csrf_token(&self) -> Result<(String, CookieJar), Unspecified> {
        if let Some(value) = self.cookie(PoolCookie::Csrf) {
            return Ok((self.derive_csrf_token(&value), CookieJar::new()));
        }
        let value = random_token()?;
        let token = self.derive_csrf_token(&value);
        Ok((token, CookieJar::new().add(self.cookie_with(PoolCookie::Csrf, value))))
    }

    /// Returns whether a page of this pool in this browser sent the form.
    ///
    /// The CSRF token is not enough: any page on this host, on any port, can set cookies for the host. Therefore the
    /// `Origin`, which no page can choose, must be right too.
    pub(super) fn sent_form(&self, csrf_token: &str) -> bool {
        let right_token = self.cookie(PoolCookie::Csrf).is_some_and(|value| {
            secrets_match(self.derive_csrf_token(&value).as_bytes(), csrf_token.as_bytes())
        });
        right_token && self.is_same_origin()
    }

    fn derive_csrf_token(&self, value: &str) -> String {
        // The prefix separates CSRF tokens from other values that are derived with the same key.
        URL_SAFE_NO_PAD.encode(hmac::sign(self.csrf.key(), format!("form:{value}").as_bytes()))
    }

    fn is_same_origin(&self) -> bool {
        let text = |name| self.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        match (text(ORIGIN), text(HOST)) {
            (Some(origin), Some(host)) => origin == format!("{}://{host}", self.urls.public_url.scheme()),
            // Browsers send `Origin` with every form. A client without it is a program, which cannot be tricked.
            (origin, _) => origin.is_none() && !self.headers.contains_key(ORIGIN),
        }
    }

    pub(super) fn cookie(&self, cookie: PoolCookie) -> Option<String> {
        self.jar.get(&self.cookie_name(cookie)).map(|cookie| cookie.value().to_owned())
    }

    /// Returns a cookie for the response. `Secure` is set only for https: Safari rejects it on http even for localhost.
    pub(super) fn cookie_with(&self, cookie: PoolCookie, value: String) -> Cookie<'static> {
        let builder = Cookie::build((self.cookie_name(cookie), value))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(self.urls.public_url.scheme() == "https");
        let max_age_seconds = match cookie {
            PoolCookie::Session => SESSION_SECONDS,
            PoolCookie::Challenge => CHALLENGE_SECONDS,
            // Until the browser is closed.
            PoolCookie::Csrf => return builder.build(),
        };
        builder.max_age(time::Duration::seconds(max_age_seconds)).build()
    }

    /// Returns a cookie for the response that removes one from the browser.
    pub(super) fn removal_of(&self, cookie: PoolCookie) -> Cookie<'static> {
        let mut removal = self.cookie_with(cookie, String::new());
        removal.make_removal();
        removal
    }

    /// The name contains the port: all ports of a host share their cookies, and two pools would overwrite each other's.
    fn cookie_name(&self, cookie: PoolCookie) -> String {
        let purpose = match cookie {
            PoolCookie::Session => "session",
            PoolCookie::Challenge => "challenge",
            PoolCookie::Csrf => "form",
        };
        let port = self.urls.public_url.port_or_known_default().unwrap_or_default();
        format!("cognito-local-{port}-{purpose}")
    }
}

impl FromRequestParts<AppState> for Browser {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Self::Rejection> {
        Ok(Self::new(state, &parts.headers))
    }
}
