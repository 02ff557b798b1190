//! The API, as a client uses it.

mod models;
mod problem;

use std::time::Duration;

use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderName, IF_MATCH, RETRY_AFTER},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use url::Url;
use uuid::Uuid;

pub(crate) use self::{
    models::{
        Attachment, Download, Item, ItemPage, NewAttachment, NewItem, NewUserProfile, Upload, UserProfile,
    },
    problem::Problem,
};
use crate::{
    access::AccessTokens,
    error::Error,
    http::{self, join},
    profile::Profile,
    session::Token,
};

/// The server cuts off after 10 s; this is for one that does not.
const TIMEOUT: Duration = Duration::from_secs(20);

/// More than a page of 100 items of 4 000 characters.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024; // 8 MiB

/// How often a request that may be repeated is made in all.
const ATTEMPTS: u32 = 3;

/// The longest wait that a server's `Retry-After` is granted.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);

/// How long to wait before a repetition, if the server does not say.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_millis(250);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A profile's API, called with its tokens.
pub(crate) struct Api<'a> {
    http: Client,
    profile: &'a Profile,
    tokens: &'a AccessTokens<'a>,
}

/// A request without its token.
struct Call {
    method: Method,
    url: Url,
    headers: Vec<(HeaderName, String)>,
    body: Option<(&'static str, Vec<u8>)>,
    /// Whether doing it twice is the same as doing it once, and is answered in the same way.
    is_repeatable: bool,
}

/// A page of a list: how many, and after what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageRequest<'a> {
    pub(crate) limit: u64,
    pub(crate) cursor: Option<&'a str>,
}

impl<'a> Api<'a> {
    pub(crate) fn new(profile: &'a Profile, tokens: &'a AccessTokens<'a>) -> Result<Self, Error> {
        Ok(Self { http: http::client(&profile.api_url)?, profile, tokens })
    }

    /// Whether the person wants to know which requests are made.
    pub(crate) fn is_verbose(&self) -> bool {
        self.profile.verbose
    }

    pub(crate) async fn current_user(&self) -> Result<Value, Error> {
        self.read(self.get(["users", "me"])?).await
    }

    pub(crate) async fn items(&self, page: PageRequest<'_>) -> Result<ItemPage, Error> {
        let mut call = self.get(["items"])?;
        call.url.query_pairs_mut().append_pair("limit", &page.limit.to_string());
        if let Some(cursor) = page.cursor {
            call.url.query_pairs_mut().append_pair("cursor", cursor);
        }
        self.read(call).await
    }

    pub(crate) async fn item(&self, id: Uuid) -> Result<Item, Error> {
        self.read(self.get(["items", &id.to_string()])?).await
    }

    /// Creates an item. It carries an idempotency key, so that it can be repeated when the connection breaks.
    pub(crate) async fn create_item(&self, item: &NewItem) -> Result<Item, Error> {
        let call = self.call(Method::POST, ["items"])?.json(item)?;
        let call = call.header(IDEMPOTENCY_KEY, Uuid::new_v4().to_string());
        self.read(Call { is_repeatable: true, ..call }).await
    }

    /// Changes an item by a JSON merge patch (RFC 7396), if it is still at this version.
    pub(crate) async fn update_item(&self, id: Uuid, patch: &Value, version: u64) -> Result<Item, Error> {
        let call = self.call(Method::PATCH, ["items", &id.to_string()])?.json(patch)?;
        let call = call.media_type("application/merge-patch+json").header(IF_MATCH, etag(version));
        self.read(call).await
    }

    pub(crate) async fn delete_item(&self, id: Uuid, version: Option<u64>) -> Result<(), Error> {
        let mut call = self.call(Method::DELETE, ["items", &id.to_string()])?;
        if let Some(version) = version {
            call = call.header(IF_MATCH, etag(version));
        }
        self.send(call).await.map(drop)
    }

    pub(crate) async fn attachments(&self, item: Uuid) -> Result<Vec<Attachment>, Error> {
        let list: models::AttachmentList =
            self.read(self.get(["items", &item.to_string(), "attachments"])?).await?;
        Ok(list.attachments)
    }

    pub(crate) async fn create_attachment(&self, item: Uuid, new: &NewAttachment) -> Result<Upload, Error> {
        self.read(self.call(Method::POST, ["items", &item.to_string(), "attachments"])?.json(new)?).await
    }

    pub(crate) async fn download(&self, item: Uuid, id: Uuid) -> Result<Download, Error> {
        self.read(self.get(["items", &item.to_string(), "attachments", &id.to_string()])?).await
    }

    pub(crate) async fn delete_attachment(&self, item: Uuid, id: Uuid) -> Result<(), Error> {
        let segments = ["items", &item.to_string(), "attachments", &id.to_string()];
        self.send(self.call(Method::DELETE, segments)?).await.map(drop)
    }

    /// The profile, if one was set.
    pub(crate) async fn user_profile(&self) -> Result<Option<UserProfile>, Error> {
        match self.read(self.get(["users", "me", "profile"])?).await {
            Err(Error::Refused(problem)) if problem.status == StatusCode::NOT_FOUND.as_u16() => Ok(None),
            profile => profile.map(Some),
        }
    }

    pub(crate) async fn replace_user_profile(&self, profile: &NewUserProfile) -> Result<UserProfile, Error> {
        let call = self.call(Method::PUT, ["users", "me", "profile"])?.json(profile)?;
        self.read(Call { is_repeatable: true, ..call }).await
    }

    pub(crate) async fn delete_user_profile(&self) -> Result<(), Error> {
        let call = self.call(Method::DELETE, ["users", "me", "profile"])?;
        self.send(Call { is_repeatable: true, ..call }).await.map(drop)
    }

    fn get<'s>(&self, segments: impl IntoIterator<Item = &'s str>) -> Result<Call, Error> {
        Ok(Call { is_repeatable: true, ..self.call(Method::GET, segments)? })
    }

    fn call<'s>(&self, method: Method, segments: impl IntoIterator<Item = &'s str>) -> Result<Call, Error> {
        let url = join(&self.profile.api_url, segments)?;
        Ok(Call { method, url, headers: Vec::new(), body: None, is_repeatable: false })
    }

    async fn read<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        let answer = self.send(call).await?;
        let bytes = self.bytes(answer).await?;
        serde_json::from_slice(&bytes).map_err(|_| self.not_understood())
    }

    /// Sends with a valid token, and once more with another one if that is refused (RFC 6750 §3.1).
    async fn send(&self, call: Call) -> Result<Response, Error> {
        let session = self.tokens.current().await?;
        let answer = self.attempt(&call, &session.access_token).await?;
        let answer = if answer.status() == StatusCode::UNAUTHORIZED {
            let session = self.tokens.another_than(&session.access_token).await?;
            self.attempt(&call, &session.access_token).await?
        } else {
            answer
        };
        if answer.status().is_success() { Ok(answer) } else { Err(self.failure(answer).await?) }
    }

    async fn attempt(&self, call: &Call, token: &Token) -> Result<Response, Error> {
        for _ in 1..ATTEMPTS {
            let outcome = http::send(&self.http, self.request(call, token), self.profile.verbose).await;
            match call.wait_before_repetition(&outcome) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return outcome.map_err(|source| self.no_answer(call, source)),
            }
        }
        let outcome = http::send(&self.http, self.request(call, token), self.profile.verbose).await;
        outcome.map_err(|source| self.no_answer(call, source))
    }

    fn request(&self, call: &Call, token: &Token) -> RequestBuilder {
        let mut request = self.http.request(call.method.clone(), call.url.clone()).timeout(TIMEOUT);
        request = request.bearer_auth(token.expose());
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        match &call.body {
            Some((media_type, body)) => request.header(CONTENT_TYPE, *media_type).body(body.clone()),
            None => request,
        }
    }

    async fn failure(&self, answer: Response) -> Result<Error, Error> {
        let (status, request_id) = (answer.status(), http::request_id(&answer));
        if status == StatusCode::UNAUTHORIZED {
            return Ok(Error::TokenRefused { request_id, login: self.profile.login_command() });
        }
        let retry_after = retry_after(&answer);
        let problem = Box::new(Problem::parse(status, &self.bytes(answer).await?, request_id, retry_after));
        Ok(match status {
            StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => Error::Stale(problem),
            StatusCode::TOO_MANY_REQUESTS => Error::Unavailable(problem),
            StatusCode::NOT_IMPLEMENTED => Error::Refused(problem),
            status if status.is_server_error() => Error::Unavailable(problem),
            _ => Error::Refused(problem),
        })
    }

    fn no_answer(&self, call: &Call, source: reqwest::Error) -> Error {
        if source.is_connect() || call.is_repeatable {
            return Error::Unreachable { what: self.name(), source };
        }
        let hint = "it is not known whether the change was made; look at the item before you repeat it";
        Error::Interrupted { what: "the request".to_owned(), hint, source: Some(source) }
    }

    async fn bytes(&self, answer: Response) -> Result<Vec<u8>, Error> {
        let bytes = http::bytes(answer, MAX_ANSWER_BYTES).await;
        let bytes = bytes.map_err(|source| Error::Unreachable { what: self.name(), source })?;
        bytes.ok_or_else(|| self.not_understood())
    }

    fn not_understood(&self) -> Error {
        Error::Protocol { what: self.name() }
    }

    fn name(&self) -> String {
        format!("the API at {}", http::origin(&self.profile.api_url))
    }
}

impl Call {
    fn json(self, body: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Error::io("the request cannot be written")(error.into()))?;
        Ok(Self { body: Some(("application/json", body)), ..self })
    }

    fn media_type(mut self, media_type: &'static str) -> Self {
        if let Some((current, _)) = &mut self.body {
            *current = media_type;
        }
        self
    }

    fn header(mut self, name: HeaderName, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Nothing if the outcome is final: a refused connection is, since nobody listens there.
    fn wait_before_repetition(&self, outcome: &reqwest::Result<Response>) -> Option<Duration> {
        if !self.is_repeatable {
            return None;
        }
        match outcome {
            Err(error) if error.is_connect() || error.is_timeout() => None,
            Err(_) => Some(RETRY_AFTER_DEFAULT),
            Ok(answer) => {
                let is_transient = answer.status() == StatusCode::SERVICE_UNAVAILABLE
                    || answer.status() == StatusCode::TOO_MANY_REQUESTS
                    || answer.status() == StatusCode::CONFLICT;
                retry_after(answer).filter(|wait| is_transient && *wait <= MAX_RETRY_AFTER)
            }
        }
    }
}

/// The entity tag of a version: the number in quotes.
fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

/// The delay that the server asks for, in seconds (RFC 9110 §10.2.3); it never sends a date.
fn retry_after(answer: &Response) -> Option<Duration> {
    answer.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}
