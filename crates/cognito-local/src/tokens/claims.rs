//! The claims of access and ID tokens, as Cognito writes them.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::models::{Grant, User};
use crate::secret::random_id;

/// The access token of a user (Cognito Developer Guide, "Understanding the access token").
#[derive(Serialize)]
pub(crate) struct AccessClaims<'a> {
    sub: &'a str,
    #[serde(rename = "cognito:groups", skip_serializing_if = "<[_]>::is_empty")]
    groups: &'a [String],
    iss: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u8>,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    origin_jti: &'a str,
    event_id: &'a str,
    token_use: &'static str,
    scope: &'a str,
    auth_time: i64,
    exp: i64,
    iat: i64,
    jti: String,
    username: &'a str,
}

/// The access token of a machine client. AWS publishes no sample: these are the claims seen in tokens of Cognito.
#[derive(Serialize)]
pub(crate) struct MachineClaims<'a> {
    sub: &'a str,
    token_use: &'static str,
    scope: &'a str,
    auth_time: i64,
    iss: &'a str,
    exp: i64,
    iat: i64,
    version: u8,
    jti: String,
    client_id: &'a str,
}

/// The ID token (Cognito Developer Guide, "Understanding the identity (ID) token").
#[derive(Serialize)]
pub(crate) struct IdClaims<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    at_hash: Option<String>,
    sub: &'a str,
    #[serde(rename = "cognito:groups", skip_serializing_if = "<[_]>::is_empty")]
    groups: &'a [String],
    iss: &'a str,
    #[serde(rename = "cognito:username")]
    username: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    origin_jti: &'a str,
    aud: &'a str,
    event_id: &'a str,
    token_use: &'static str,
    auth_time: i64,
    exp: i64,
    iat: i64,
    jti: String,
    #[serde(flatten)]
    attributes: Map<String, Value>,
}

/// The data that the tokens of one response share.
pub(crate) struct Issue<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) user: &'a User,
    pub(crate) groups: &'a [String],
    pub(crate) grant: &'a Grant,
    /// The scope of the grant, or a part of it.
    pub(crate) scope: &'a str,
    pub(crate) now: i64,
}

impl Issue<'_> {
    pub(crate) fn access(&self, lifetime_seconds: u32) -> AccessClaims<'_> {
        AccessClaims {
            sub: &self.user.sub,
            groups: self.groups,
            iss: self.issuer,
            // Only tokens of the hosted UI have a version.
            version: (!self.grant.by_api).then_some(2),
            client_id: &self.grant.client_id,
            aud: self.grant.resource.as_deref(),
            origin_jti: &self.grant.origin_jti,
            event_id: &self.grant.event_id,
            token_use: "access",
            scope: self.scope,
            auth_time: self.grant.auth_time,
            exp: self.now + i64::from(lifetime_seconds),
            iat: self.now,
            jti: random_id(),
            username: &self.user.username,
        }
    }

    pub(crate) fn id<'a>(
        &'a self,
        lifetime_seconds: u32,
        nonce: Option<&'a str>,
        access_token: &str,
    ) -> IdClaims<'a> {
        IdClaims {
            at_hash: (!self.grant.by_api).then(|| at_hash(access_token)),
            sub: &self.user.sub,
            groups: self.groups,
            iss: self.issuer,
            username: &self.user.username,
            nonce,
            origin_jti: &self.grant.origin_jti,
            aud: &self.grant.client_id,
            event_id: &self.grant.event_id,
            token_use: "id",
            auth_time: self.grant.auth_time,
            exp: self.now + i64::from(lifetime_seconds),
            iat: self.now,
            jti: random_id(),
            // A sign-in through the API is not limited by scopes.
            attributes: attribute_claims(self.user, if self.grant.by_api { "profile" } else { self.scope }),
        }
    }
}

impl<'a> MachineClaims<'a> {
    pub(crate) fn new(
        issuer: &'a str,
        client_id: &'a str,
        scope: &'a str,
        now: i64,
        lifetime_seconds: u32,
    ) -> Self {
        Self {
            sub: client_id,
            token_use: "access",
            scope,
            auth_time: now,
            iss: issuer,
            exp: now + i64::from(lifetime_seconds),
            iat: now,
            version: 2,
            jti: random_id(),
            client_id,
        }
    }
}

/// The left half of the SHA-256 of the access token (OpenID Connect Core 1.0, section 3.1.3.6).
fn at_hash(access_token: &str) -> String {
    let digest = digest::digest(&digest::SHA256, access_token.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16])
}

/// Returns the attributes that these scopes release: `email` and `phone` release their own, `profile` and `openid` alone
/// release all (Cognito Developer Guide, "App client settings": allowed OAuth scopes).
pub(crate) fn attribute_claims(user: &User, scope: &str) -> Map<String, Value> {
    let asked = |name: &str| scope.split(' ').any(|scope| scope == name);
    let all = asked("profile") || !(asked("email") || asked("phone"));
    let mut claims = Map::new();
    if let Some(email) = &user.email
        && (all || asked("email"))
    {
        claims.insert("email".to_owned(), email.clone().into());
        claims.insert("email_verified".to_owned(), user.email_verified.into());
    }
    claims.extend(other_attributes(&user.attributes, all, asked("phone")));
    if claims.contains_key("phone_number") {
        // The pool sends no text messages, so only an administrator can have verified a number.
        let verified = user.attributes.get("phone_number_verified").is_some_and(|value| value == "true");
        claims.insert("phone_number_verified".to_owned(), verified.into());
    }
    claims
}

fn other_attributes(
    attributes: &BTreeMap<String, String>,
    all: bool,
    phone: bool,
) -> impl Iterator<Item = (String, Value)> {
    let shown = move |name: &str| all || (phone && name == "phone_number");
    attributes
        .iter()
        .filter(move |(name, _)| shown(name) && *name != "phone_number_verified")
        .map(|(name, value)| (name.clone(), value.clone().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_hash_matches_the_specification() {
        // The access token and the at_hash of OpenID Connect Core 1.0, appendix A.3.
        assert_eq!(at_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"), "77QmUPtjPfzWtF2AnpK9RQ");
    }
}
