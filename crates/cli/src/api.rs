//! The client of the API.

mod models;
mod problem;

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use reqwest::{
    Client, Method, Request, RequestBuilder, Response, StatusCode,
    header::{CONTENT_TYPE, IF_MATCH, RETRY_AFTER},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) use self::models::{Attachment, Content, Item, ItemPage, PresignedRequest, Upload, UserProfile};
use crate::{
    access::AccessTokens,
    error::{Error, Exit},
    http, output,
    profile::Profile,
    session::Token,
};

/// Longer than the server's own limit of 10 s.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How often a repeatable request is repeated.
const MAX_RETRIES: usize = 2;

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The longest `Retry-After` that is waited for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);

/// A profile's API, called with its tokens.
pub(crate) struct Api<'a> {
    http: Client,
    profile: &'a Profile,
    tokens: &'a AccessTokens<'a>,
}

impl<'a> Api<'a> {
    pub(crate) fn new(profile: &'a Profile, tokens: &'a AccessTokens<'a>) -> Result<Self, Error> {
        Ok(Self { http: http::client(&profile.api_url)?.clone(), profile, tokens })
    }

    /// Whether requests are logged.
    pub(crate) fn is_verbose(&self) -> bool {
        self.profile.verbose
    }

    pub(crate) async fn current_user(&self) -> Result<Value, Error> {
        self.read(self.request(Method::GET, "users/me")).await
    }

    /// Returns a page of at most `limit` items, after the page that ended with this cursor.
    pub(crate) async fn items(&self, limit: u64, cursor: Option<&str>) -> Result<ItemPage, Error> {
        let query = [("limit", Some(limit.to_string())), ("cursor", cursor.map(str::to_owned))];
        self.read(self.request(Method::GET, "items").query(&query)).await
    }

    pub(crate) async fn item(&self, id: Uuid) -> Result<Item, Error> {
        self.read(self.request(Method::GET, &format!("items/{id}"))).await
    }

    /// Creates an item, with an idempotency key, so that the request can be repeated when the connection breaks.
    pub(crate) async fn create_item(&self, item: &Content) -> Result<Item, Error> {
        let request = self.request(Method::POST, "items").header(IDEMPOTENCY_KEY, Uuid::new_v4().to_string());
        self.read(request.json(item)).await
    }

    /// Changes an item by a JSON merge patch (RFC 7396), if it is still at this version.
    pub(crate) async fn update_item(&self, id: Uuid, patch: &Value, version: u64) -> Result<Item, Error> {
        let request = self
            .request(Method::PATCH, &format!("items/{id}"))
            .header(CONTENT_TYPE, "application/merge-patch+json")
            .header(IF_MATCH, etag(version));
        self.read(request.json(patch)).await
    }

    pub(crate) async fn delete_item(&self, id: Uuid, version: Option<u64>) -> Result<(), Error> {
        let mut request = self.request(Method::DELETE, &format!("items/{id}"));
        if let Some(version) = version {
            request = request.header(IF_MATCH, etag(version));
        }
        self.send(request).await.map(drop)
    }

    pub(crate) async fn attachments(&self, item: Uuid) -> Result<Vec<Attachment>, Error> {
        let request = self.request(Method::GET, &format!("items/{item}/attachments"));
        let list: models::AttachmentList = self.read(request).await?;
        Ok(list.attachments)
    }

    pub(crate) async fn create_attachment(
        &self,
        item: Uuid,
        filename: &str,
        content_type: &str,
        size: u64,
    ) -> Result<Upload, Error> {
        let attachment = json!({ "filename": filename, "content_type": content_type, "size": size });
        self.read(self.request(Method::POST, &format!("items/{item}/attachments")).json(&attachment)).await
    }

    pub(crate) async fn download(&self, item: Uuid, id: Uuid) -> Result<PresignedRequest, Error> {
        let request = self.request(Method::GET, &format!("items/{item}/attachments/{id}"));
        let attachment: models::Download = self.read(request).await?;
        Ok(attachment.download)
    }

    pub(crate) async fn delete_attachment(&self, item: Uuid, id: Uuid) -> Result<(), Error> {
        let request = self.request(Method::DELETE, &format!("items/{item}/attachments/{id}"));
        self.send(request).await.map(drop)
    }

    /// Returns the profile, if one was set.
    pub(crate) async fn user_profile(&self) -> Result<Option<UserProfile>, Error> {
        match self.read(self.request(Method::GET, "users/me/profile")).await {
            Err(error) if error.has_status(404) => Ok(None),
            profile => profile.map(Some),
        }
    }

    pub(crate) async fn replace_user_profile(
        &self,
        display_name: &str,
        bio: Option<&str>,
    ) -> Result<UserProfile, Error> {
        let profile = json!({ "display_name": display_name, "bio": bio });
        self.read(self.request(Method::PUT, "users/me/profile").json(&profile)).await
    }

    pub(crate) async fn delete_user_profile(&self) -> Result<(), Error> {
        self.send(self.request(Method::DELETE, "users/me/profile")).await.map(drop)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, http::join(&self.profile.api_url, path)).timeout(TIMEOUT)
    }

    async fn read<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        http::json(self.send(request).await?, &name(self.profile)).await
    }

    /// Sends with a valid token, and once more with another one if the API rejects that (RFC 6750, section 3.1).
    async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let invalid =
            |error| Error::usage("invalid request", "").with_source(reqwest::Error::without_url(error));
        let request = request.build().map_err(invalid)?;
        let session = self.tokens.current().await?;
        let mut response = self.attempt(&request, &session.access_token).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let session = self.tokens.another_than(&session.access_token).await?;
            response = self.attempt(&request, &session.access_token).await?;
        }
        if response.status().is_success() { Ok(response) } else { Err(self.failure(response).await) }
    }

    /// Sends a request, and repeats it after a transient failure if that does no harm.
    async fn attempt(&self, request: &Request, token: &Token) -> Result<Response, Error> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(250))
            .with_max_times(if is_repeatable(request) { MAX_RETRIES } else { 0 })
            .build();
        loop {
            let attempt = request.try_clone().ok_or_else(|| http::invalid_response(&name(self.profile)))?;
            let attempt = RequestBuilder::from_parts(self.http.clone(), attempt).bearer_auth(token.expose());
            let outcome = http::send(attempt, self.profile.verbose).await;
            let retry_after = outcome.as_ref().ok().and_then(retry_after);
            match pauses.next().filter(|_| is_transient(&outcome)) {
                Some(pause) => tokio::time::sleep(retry_after.unwrap_or(pause)).await,
                None => return outcome.map_err(|error| self.no_response(request, error)),
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

    fn no_response(&self, request: &Request, error: reqwest::Error) -> Error {
        if error.is_connect() || is_repeatable(request) {
            return http::unreachable(&name(self.profile), error);
        }
        let what = "the connection broke, and it is not known whether the change was made";
        Error::new(Exit::Unavailable, what, "Check with `items show` before you repeat it.")
            .with_source(error)
    }
}

/// Whether sending it twice has the effect and the response of sending it once.
fn is_repeatable(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::PUT) || request.headers().contains_key(IDEMPOTENCY_KEY)
}

/// Whether another attempt may succeed. A refused connection is final: the server is not running.
fn is_transient(outcome: &reqwest::Result<Response>) -> bool {
    match outcome {
        Ok(response) => {
            matches!(response.status().as_u16(), 409 | 429 | 503)
                && retry_after(response).is_some_and(|wait| wait <= MAX_RETRY_AFTER)
        }
        Err(error) => !error.is_connect() && !error.is_timeout(),
    }
}

/// Returns the scopes in the API's metadata document, which does not need a token (RFC 9728, sections 2 and 3.1).
pub(crate) async fn supported_scopes(profile: &Profile) -> Result<Vec<String>, Error> {
    let mut url = profile.api_url.clone();
    url.set_path(&format!("/.well-known/oauth-protected-resource{}", url.path().trim_end_matches('/')));
    let response = http::send(http::client(&url)?.get(url).timeout(TIMEOUT), profile.verbose)
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
