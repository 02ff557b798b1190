//! The client of the API.

mod models;
mod problem;

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode,
    header::{CONTENT_TYPE, IF_MATCH, RETRY_AFTER},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

pub(crate) use self::models::{
    Attachment, Item, ItemPage, NewAttachment, NewItem, NewUserProfile, PresignedRequest, Upload, UserProfile,
};
use crate::{
    access::AccessTokens,
    error::{Error, Exit},
    http::{self, join},
    output,
    profile::Profile,
    session::Token,
};

/// Longer than the server's own limit of 10 s.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How often a repeatable request is repeated.
const MAX_RETRIES: usize = 2;

/// The longest `Retry-After` that is waited for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);

/// A profile's API, called with its tokens.
pub(crate) struct Api<'a> {
    http: Client,
    profile: &'a Profile,
    tokens: &'a AccessTokens<'a>,
}

/// A request without its token.
struct Call {
    request: RequestBuilder,
    /// Whether sending it twice has the effect and the response of sending it once.
    is_repeatable: bool,
}

impl<'a> Api<'a> {
    pub(crate) fn new(profile: &'a Profile, tokens: &'a AccessTokens<'a>) -> Result<Self, Error> {
        Ok(Self { http: http::client(&profile.api_url)?, profile, tokens })
    }

    /// Whether requests are logged.
    pub(crate) fn is_verbose(&self) -> bool {
        self.profile.verbose
    }

    pub(crate) async fn current_user(&self) -> Result<Value, Error> {
        self.read(self.repeatable(Method::GET, &["users", "me"])?).await
    }

    /// Returns a page of at most `limit` items, after the page that ended with this cursor.
    pub(crate) async fn items(&self, limit: u64, cursor: Option<&str>) -> Result<ItemPage, Error> {
        let call = self.repeatable(Method::GET, &["items"])?;
        let query = [("limit", Some(limit.to_string())), ("cursor", cursor.map(str::to_owned))];
        self.read(call.with(|request| request.query(&query))).await
    }

    pub(crate) async fn item(&self, id: Uuid) -> Result<Item, Error> {
        self.read(self.repeatable(Method::GET, &["items", &id.to_string()])?).await
    }

    /// Creates an item, with an idempotency key, so that the request can be repeated when the connection breaks.
    pub(crate) async fn create_item(&self, item: &NewItem) -> Result<Item, Error> {
        let call = self.repeatable(Method::POST, &["items"])?;
        let key = Uuid::new_v4().to_string();
        self.read(call.with(|request| request.header("idempotency-key", key).json(item))).await
    }

    /// Changes an item by a JSON merge patch (RFC 7396), if it is still at this version.
    pub(crate) async fn update_item(&self, id: Uuid, patch: &Value, version: u64) -> Result<Item, Error> {
        let call = self.call(Method::PATCH, &["items", &id.to_string()])?;
        let (media_type, etag) = ("application/merge-patch+json", etag(version));
        self.read(
            call.with(|request| request.header(CONTENT_TYPE, media_type).header(IF_MATCH, etag).json(patch)),
        )
        .await
    }

    pub(crate) async fn delete_item(&self, id: Uuid, version: Option<u64>) -> Result<(), Error> {
        let call = self.call(Method::DELETE, &["items", &id.to_string()])?;
        let call = match version {
            Some(version) => call.with(|request| request.header(IF_MATCH, etag(version))),
            None => call,
        };
        self.send(call).await.map(drop)
    }

    pub(crate) async fn attachments(&self, item: Uuid) -> Result<Vec<Attachment>, Error> {
        let call = self.repeatable(Method::GET, &["items", &item.to_string(), "attachments"])?;
        let list: models::AttachmentList = self.read(call).await?;
        Ok(list.attachments)
    }

    pub(crate) async fn create_attachment(&self, item: Uuid, new: &NewAttachment) -> Result<Upload, Error> {
        let call = self.call(Method::POST, &["items", &item.to_string(), "attachments"])?;
        self.read(call.with(|request| request.json(new))).await
    }

    pub(crate) async fn download(&self, item: Uuid, id: Uuid) -> Result<PresignedRequest, Error> {
        let path = ["items", &item.to_string(), "attachments", &id.to_string()];
        let attachment: models::Download = self.read(self.repeatable(Method::GET, &path)?).await?;
        Ok(attachment.download)
    }

    pub(crate) async fn delete_attachment(&self, item: Uuid, id: Uuid) -> Result<(), Error> {
        let path = ["items", &item.to_string(), "attachments", &id.to_string()];
        self.send(self.call(Method::DELETE, &path)?).await.map(drop)
    }

    /// Returns the profile, if one was set.
    pub(crate) async fn user_profile(&self) -> Result<Option<UserProfile>, Error> {
        match self.read(self.repeatable(Method::GET, &["users", "me", "profile"])?).await {
            Err(error) if error.has_status(404) => Ok(None),
            profile => profile.map(Some),
        }
    }

    pub(crate) async fn replace_user_profile(&self, profile: &NewUserProfile) -> Result<UserProfile, Error> {
        let call = self.repeatable(Method::PUT, &["users", "me", "profile"])?;
        self.read(call.with(|request| request.json(profile))).await
    }

    pub(crate) async fn delete_user_profile(&self) -> Result<(), Error> {
        self.send(self.repeatable(Method::DELETE, &["users", "me", "profile"])?).await.map(drop)
    }

    fn call(&self, method: Method, path: &[&str]) -> Result<Call, Error> {
        let url = join(&self.profile.api_url, path.iter().copied())?;
        Ok(Call { request: self.http.request(method, url).timeout(TIMEOUT), is_repeatable: false })
    }

    fn repeatable(&self, method: Method, path: &[&str]) -> Result<Call, Error> {
        Ok(Call { is_repeatable: true, ..self.call(method, path)? })
    }

    async fn read<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        http::json(self.send(call).await?, &name(self.profile)).await
    }

    /// Sends with a valid token, and once more with another one if the API rejects that (RFC 6750, section 3.1).
    async fn send(&self, call: Call) -> Result<Response, Error> {
        let session = self.tokens.current().await?;
        let mut response = self.attempt(&call, &session.access_token).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let session = self.tokens.another_than(&session.access_token).await?;
            response = self.attempt(&call, &session.access_token).await?;
        }
        if response.status().is_success() { Ok(response) } else { Err(self.failure(response).await) }
    }

    async fn attempt(&self, call: &Call, token: &Token) -> Result<Response, Error> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(250))
            .with_max_times(MAX_RETRIES)
            .build();
        loop {
            let request =
                call.request.try_clone().ok_or_else(|| http::invalid_response(&name(self.profile)))?;
            let request = request.bearer_auth(token.expose());
            let outcome = http::send(&self.http, request, self.profile.verbose).await;
            match (call.is_transient(&outcome), pauses.next()) {
                (Some(wait), Some(pause)) => tokio::time::sleep(wait.unwrap_or(pause)).await,
                _ => return outcome.map_err(|error| self.no_response(call, error)),
            }
        }
    }

    async fn failure(&self, response: Response) -> Error {
        let (status, request_id, retry_after) =
            (response.status(), http::request_id(&response), retry_after(&response));
        if status == StatusCode::UNAUTHORIZED {
            let what = format!("the API rejected the sign-in{}", output::request(request_id.as_deref()));
            let login = self.profile.login_command();
            let hint = format!("Check that the profile names its user pool, then run `{login}`.");
            return Error::new(Exit::NotSignedIn, what, hint).with_detail("request_id", request_id);
        }
        // If the body cannot be read, the status still says what is wrong.
        let body = http::bytes(response).await.ok().flatten().unwrap_or_default();
        problem::error(status, &body, request_id, retry_after)
    }

    fn no_response(&self, call: &Call, error: reqwest::Error) -> Error {
        if error.is_connect() || call.is_repeatable {
            return http::unreachable(&name(self.profile), error);
        }
        let what = "the connection broke, and it is not known whether the change was made";
        Error::new(Exit::Unavailable, what, "Check with `items show` before you repeat it.")
            .with_source(error)
    }
}

impl Call {
    fn with(self, change: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Self {
        Self { request: change(self.request), ..self }
    }

    /// Returns how long to wait, if the server says so, when another attempt may succeed. A refused connection is final: the server
    /// is not running.
    fn is_transient(&self, outcome: &reqwest::Result<Response>) -> Option<Option<Duration>> {
        match outcome {
            _ if !self.is_repeatable => None,
            Err(error) => (!error.is_connect() && !error.is_timeout()).then_some(None),
            Ok(response) => {
                let is_transient = matches!(response.status().as_u16(), 409 | 429 | 503);
                let wait = retry_after(response).filter(|wait| is_transient && *wait <= MAX_RETRY_AFTER);
                wait.map(Some)
            }
        }
    }
}

/// Returns the scopes in the API's metadata document, which does not need a token (RFC 9728, sections 2 and 3.1).
pub(crate) async fn supported_scopes(profile: &Profile) -> Result<Vec<String>, Error> {
    let mut url = profile.api_url.clone();
    url.set_path(&format!("/.well-known/oauth-protected-resource{}", url.path().trim_end_matches('/')));
    let client = http::client(&url)?;
    let response = http::send(&client, client.get(url).timeout(TIMEOUT), profile.verbose)
        .await
        .and_then(|response| response.error_for_status().map_err(reqwest::Error::without_url))
        .map_err(|error| http::unreachable(&name(profile), error))?;
    let metadata: models::ResourceMetadata = http::json(response, &name(profile)).await?;
    Ok(metadata.scopes_supported)
}

fn name(profile: &Profile) -> String {
    format!("the API at {}", http::origin(&profile.api_url))
}

/// The entity tag of a version: the number in quotes.
fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

/// The delay that the server requests, in seconds (RFC 9110, section 10.2.3); it never sends a date.
fn retry_after(response: &Response) -> Option<Duration> {
    response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}
