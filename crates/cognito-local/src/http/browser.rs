//! What a browser keeps for the pool, and the proof that a form is the pool's own.

use aws_lc_rs::hmac;
use axum::extract::FromRequestParts;
use axum::http::header::{COOKIE, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::pool::LocalPool;
use crate::secret::{random_token, secrets_match};
use crate::sign_in::SESSION_SECONDS;
use crate::store::{StoreError, sessions::Session};
use crate::totp::CHALLENGE_SECONDS;

/// The browser that sends a request.
pub(crate) struct Browser {
    headers: HeaderMap,
    port: u16,
    secure: bool,
}

/// What a browser keeps.
#[derive(Clone, Copy)]
pub(crate) enum Cookie {
    /// A sign-in.
    Session,
    /// A sign-in that waits for its second factor.
    Challenge,
    /// What the marks of forms are derived from.
    Form,
}

impl Browser {
    /// The sign-in that the browser remembers, if it still holds.
    pub(crate) async fn session(&self, pool: &LocalPool) -> Result<Option<Session>, StoreError> {
        match self.cookie(Cookie::Session) {
            Some(token) => pool.session(&token).await,
            None => Ok(None),
        }
    }

    pub(crate) fn new(pool: &LocalPool, headers: &HeaderMap) -> Self {
        let url = pool.public_url();
        let port = url.port_or_known_default().unwrap_or_default();
        Self { headers: headers.clone(), port, secure: url.scheme() == "https" }
    }

    /// The mark that the forms of a page carry, and the cookie it belongs to, to be set if the browser has none.
    pub(crate) fn form_mark(&self, pool: &LocalPool) -> Result<FormMark, StoreError> {
        if let Some(token) = self.cookie(Cookie::Form) {
            return Ok(FormMark { mark: mark_of(pool, &token), set_cookie: None });
        }
        let token = random_token()?;
        let set_cookie = Some(self.set_cookie(Cookie::Form, &token));
        Ok(FormMark { mark: mark_of(pool, &token), set_cookie })
    }

    /// Whether a form was sent by a page of this pool in this browser.
    ///
    /// The mark alone would not do: any page on this host, whatever its port, can set cookies for the host. So the
    /// origin, which no page can choose, must be right as well.
    pub(crate) fn sent_form(&self, pool: &LocalPool, mark: &str) -> bool {
        let marked = self
            .cookie(Cookie::Form)
            .is_some_and(|token| secrets_match(mark_of(pool, &token).as_bytes(), mark.as_bytes()));
        marked && self.same_origin(pool)
    }

    fn same_origin(&self, pool: &LocalPool) -> bool {
        let text = |name| self.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        match (text(ORIGIN), text(HOST)) {
            (Some(origin), Some(host)) => origin == format!("{}://{host}", pool.public_url().scheme()),
            // A browser sends `Origin` with every form; a program that sends none is no browser to be misled.
            (origin, _) => origin.is_none() && !self.headers.contains_key(ORIGIN),
        }
    }

    pub(crate) fn cookie(&self, cookie: Cookie) -> Option<String> {
        let wanted = self.cookie_name(cookie);
        self.headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|header| header.to_str().ok())
            .flat_map(|header| header.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(name, value)| (name == wanted).then(|| value.to_owned()))
    }

    pub(crate) fn set_cookie(&self, cookie: Cookie, value: &str) -> HeaderValue {
        let max_age = match cookie {
            Cookie::Session => format!("; Max-Age={SESSION_SECONDS}"),
            Cookie::Challenge => format!("; Max-Age={CHALLENGE_SECONDS}"),
            // As long as the browser runs.
            Cookie::Form => String::new(),
        };
        self.cookie_header(cookie, value, &max_age)
    }

    pub(crate) fn clear_cookie(&self, cookie: Cookie) -> HeaderValue {
        self.cookie_header(cookie, "", "; Max-Age=0")
    }

    /// `Secure` only behind a proxy that speaks https: on plain http Safari refuses it, even for this host.
    fn cookie_header(&self, cookie: Cookie, value: &str, max_age: &str) -> HeaderValue {
        let name = self.cookie_name(cookie);
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{max_age}");
        // Base64url and digits are valid in a header.
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// The port is in the name because cookies are shared by all ports of a host, and two pools would otherwise sign
    /// each other's users out.
    fn cookie_name(&self, cookie: Cookie) -> String {
        let purpose = match cookie {
            Cookie::Session => "session",
            Cookie::Challenge => "challenge",
            Cookie::Form => "form",
        };
        format!("cognito-local-{}-{purpose}", self.port)
    }
}

/// See [`Browser::form_mark`].
pub(crate) struct FormMark {
    pub(crate) mark: String,
    pub(crate) set_cookie: Option<HeaderValue>,
}

fn mark_of(pool: &LocalPool, token: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, pool.form_secret());
    // The prefix keeps marks apart from what else is derived with the same key.
    URL_SAFE_NO_PAD.encode(hmac::sign(&key, format!("form:{token}").as_bytes()))
}

impl FromRequestParts<LocalPool> for Browser {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, pool: &LocalPool) -> Result<Self, Self::Rejection> {
        Ok(Self::new(pool, &parts.headers))
    }
}
