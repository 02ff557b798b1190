//! User pools: their IDs, the issuers of their tokens, and the URLs of their keys.

use std::sync::Arc;

use url::Url;

use crate::keys::{JwksError, KeySet};
use crate::loopback::is_loopback;

/// The longest user pool ID (`UserPoolIdType` of the Cognito API: 1 to 55 characters).
const MAX_POOL_ID_CHARS: usize = 55;

/// The DNS suffix of each AWS partition whose regions do not end in `amazonaws.com`, by the start of the region's
/// name (`partitions.json` of the AWS SDKs).
const PARTITION_SUFFIXES: [(&str, &str); 6] = [
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("us-isof-", "csp.hci.ic.gov"),
];

/// A Cognito user pool whose tokens are trusted.
///
/// The ID determines the two issuers that tokens can name, the original and the updated one, and the URLs of the keys
/// (Cognito developer guide, [identity provider and relying party endpoints][guide]). Both can be replaced, for example
/// for a local pool.
///
/// ```
/// use cognito_auth::UserPool;
///
/// let pool = UserPool::new("eu-west-1_AbCdEfGhI")?;
/// assert_eq!(
///     pool.issuers(),
///     [
///         "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI",
///         "https://issuer-cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI",
///     ]
/// );
/// # Ok::<(), cognito_auth::PoolError>(())
/// ```
///
/// [guide]: https://docs.aws.amazon.com/cognito/latest/developerguide/federation-endpoints.html
#[derive(Debug, Clone)]
pub struct UserPool {
    id: Arc<str>,
    region: String,
    replica_regions: Vec<String>,
    issuer: Option<String>,
    jwks_url: Option<Url>,
    keys: Option<KeySet>,
}

impl UserPool {
    /// Creates a pool from its ID, such as `eu-west-1_AbCdEfGhI`.
    ///
    /// # Errors
    ///
    /// [`PoolError::Id`] if it does not have the form `<region>_<letters and digits>` of at most 55 characters.
    pub fn new(id: &str) -> Result<Self, PoolError> {
        let region = region_of(id).ok_or_else(|| PoolError::Id { id: id.escape_debug().to_string() })?;
        Ok(Self {
            id: id.into(),
            region: region.to_owned(),
            replica_regions: Vec::new(),
            issuer: None,
            jwks_url: None,
            keys: None,
        })
    }

    /// Accepts tokens of exactly this issuer, instead of the two that the ID determines.
    ///
    /// The keys are then fetched from `<issuer>/.well-known/jwks.json`, unless [`with_jwks_url`](Self::with_jwks_url)
    /// sets another URL. The issuer is compared with a token's `iss` byte by byte.
    ///
    /// # Errors
    ///
    /// [`PoolError::Url`] if it is not an `https` URL without credentials, query and fragment. Plain `http` is allowed
    /// for loopback hosts only.
    pub fn with_issuer(mut self, issuer: &str) -> Result<Self, PoolError> {
        issuer_url(issuer)?;
        self.issuer = Some(issuer.to_owned());
        Ok(self)
    }

    /// Fetches the keys from this URL only, without changing the issuers.
    ///
    /// # Errors
    ///
    /// [`PoolError::Url`], as for [`with_issuer`](Self::with_issuer); a query is allowed.
    pub fn with_jwks_url(mut self, url: &str) -> Result<Self, PoolError> {
        self.jwks_url = Some(fetchable_url(url)?);
        Ok(self)
    }

    /// Takes the keys from a JSON Web Key Set, so that nothing is fetched for this pool.
    ///
    /// Keys that Cognito adds later are unknown until a new [`Verifier`] is built with a new set.
    ///
    /// # Errors
    ///
    /// [`PoolError::Keys`] if the text is not a key set or has no usable key.
    ///
    /// [`Verifier`]: crate::Verifier
    pub fn with_jwks_json(mut self, json: &str) -> Result<Self, PoolError> {
        self.keys = Some(KeySet::parse(json.as_bytes())?);
        Ok(self)
    }

    /// Also accepts tokens that the pool's replica in another region issued.
    ///
    /// With multi-Region replication a replica has the pool's ID, and its original issuer names its own region
    /// (Cognito developer guide, [multi-Region replication][guide]).
    ///
    /// # Errors
    ///
    /// [`PoolError::Region`] if the region does not have the form `eu-west-1`.
    ///
    /// [guide]: https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-multi-region.html
    pub fn replica_region(mut self, region: &str) -> Result<Self, PoolError> {
        if !is_region(region) {
            return Err(PoolError::Region { region: region.escape_debug().to_string() });
        }
        self.replica_regions.push(region.to_owned());
        Ok(self)
    }

    /// Returns the pool's ID.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the values of `iss` that are accepted.
    #[must_use]
    pub fn issuers(&self) -> Vec<String> {
        if let Some(issuer) = &self.issuer {
            return vec![issuer.clone()];
        }
        let mut issuers = vec![self.original_issuer(&self.region), self.updated_issuer()];
        issuers.extend(self.replica_regions.iter().map(|region| self.original_issuer(region)));
        issuers
    }

    /// Returns the URLs of the keys in the order in which they are tried; none with
    /// [`with_jwks_json`](Self::with_jwks_json).
    ///
    /// The updated issuer is first, because it serves the same keys from several regions. It responds with 403 if the
    /// pool does not use it, and the next URL is tried.
    #[must_use]
    pub fn jwks_urls(&self) -> Vec<Url> {
        if self.keys.is_some() {
            return Vec::new();
        }
        if let Some(url) = &self.jwks_url {
            return vec![url.clone()];
        }
        let mut issuers = self.issuers();
        if self.issuer.is_none() {
            issuers.swap(0, 1);
        }
        issuers.iter().filter_map(|issuer| Url::parse(&jwks_url_of(issuer)).ok()).collect()
    }

    pub(crate) fn shared_id(&self) -> Arc<str> {
        Arc::clone(&self.id)
    }

    /// Returns the keys that were given as text.
    pub(crate) fn fixed_keys(&self) -> Option<&KeySet> {
        self.keys.as_ref()
    }

    fn original_issuer(&self, region: &str) -> String {
        format!("https://cognito-idp.{region}.{}/{}", dns_suffix(region), self.id)
    }

    fn updated_issuer(&self) -> String {
        format!("https://issuer-cognito-idp.{}.{}/{}", self.region, dns_suffix(&self.region), self.id)
    }
}

/// Why a user pool cannot be configured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The ID does not have the form of Cognito's.
    #[error(
        "user pool ID \"{id}\" does not have the form <region>_<letters and digits>, such as eu-west-1_AbCdEfGhI"
    )]
    Id {
        /// The ID, escaped for printing.
        id: String,
    },
    /// The region does not have the form of AWS's.
    #[error("region \"{region}\" does not have the form eu-west-1")]
    Region {
        /// The region, escaped for printing.
        region: String,
    },
    /// Keys must not be fetched from this URL.
    #[error("URL \"{url}\" {reason}")]
    Url {
        /// The URL, escaped for printing.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The key set given as text cannot be used.
    #[error("the key set cannot be used")]
    Keys(#[from] JwksError),
}

/// Returns the region at the start of a pool ID, if the ID has the form `[\w-]+_[0-9a-zA-Z]+` of the Cognito API.
fn region_of(id: &str) -> Option<&str> {
    let (region, name) = id.rsplit_once('_')?;
    let valid = id.len() <= MAX_POOL_ID_CHARS
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && is_region(region);
    valid.then_some(region)
}

/// Whether the text consists of letters, digits and inner hyphens, so that it is safe in a host name.
fn is_region(region: &str) -> bool {
    !region.is_empty()
        && !region.starts_with('-')
        && !region.ends_with('-')
        && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn dns_suffix(region: &str) -> &'static str {
    let partition = PARTITION_SUFFIXES.iter().find(|(prefix, _)| region.starts_with(prefix));
    partition.map_or("amazonaws.com", |(_, suffix)| suffix)
}

fn jwks_url_of(issuer: &str) -> String {
    format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/'))
}

/// Parses an issuer: a URL without query and fragment (OpenID Connect Discovery 1.0, section 2).
fn issuer_url(text: &str) -> Result<Url, PoolError> {
    let url = fetchable_url(text)?;
    if url.query().is_some() {
        return Err(url_error(text, "must not have a query"));
    }
    Ok(url)
}

/// Parses a URL of keys. Its server decides which tokens are valid, so the transport must authenticate it.
pub(crate) fn fetchable_url(text: &str) -> Result<Url, PoolError> {
    let url = Url::parse(text).map_err(|_| url_error(text, "is not an absolute URL"))?;
    let reason = match url.scheme() {
        "https" | "http" if !url.username().is_empty() || url.password().is_some() => {
            "must not contain credentials"
        }
        "https" | "http" if url.fragment().is_some() => "must not have a fragment",
        "https" => return Ok(url),
        "http" if is_loopback(&url) => return Ok(url),
        "http" => "must use https: plain http is for loopback hosts only",
        _ => "must use https",
    };
    Err(url_error(text, reason))
}

fn url_error(url: &str, reason: &'static str) -> PoolError {
    PoolError::Url { url: url.escape_debug().to_string(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(id: &str) -> UserPool {
        UserPool::new(id).unwrap()
    }

    #[test]
    fn issuers_depend_on_the_partition_of_the_region() {
        for (region, suffix) in [
            ("us-east-1", "amazonaws.com"),
            ("us-gov-west-1", "amazonaws.com"),
            ("cn-north-1", "amazonaws.com.cn"),
            ("eusc-de-east-1", "amazonaws.eu"),
            ("us-iso-east-1", "c2s.ic.gov"),
            ("us-isob-east-1", "sc2s.sgov.gov"),
            ("eu-isoe-west-1", "cloud.adc-e.uk"),
            ("us-isof-south-1", "csp.hci.ic.gov"),
        ] {
            let id = format!("{region}_A1");
            assert_eq!(
                pool(&id).issuers(),
                [
                    format!("https://cognito-idp.{region}.{suffix}/{id}"),
                    format!("https://issuer-cognito-idp.{region}.{suffix}/{id}"),
                ]
            );
        }
    }

    #[test]
    fn keys_are_fetched_from_the_updated_issuer_first() {
        let urls: Vec<String> = pool("eu-west-1_A1").jwks_urls().iter().map(ToString::to_string).collect();
        assert_eq!(
            urls,
            [
                "https://issuer-cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A1/.well-known/jwks.json",
                "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A1/.well-known/jwks.json",
            ]
        );
    }

    #[test]
    fn replica_region_adds_its_issuer_and_is_asked_for_keys_last() {
        let pool = pool("eu-west-1_A1").replica_region("eu-central-1").unwrap();
        let replica = "https://cognito-idp.eu-central-1.amazonaws.com/eu-west-1_A1";
        assert_eq!(pool.issuers().len(), 3);
        assert_eq!(pool.issuers()[2], replica);
        assert_eq!(pool.jwks_urls()[2].as_str(), format!("{replica}/.well-known/jwks.json"));
    }

    #[test]
    fn configured_issuer_replaces_both() {
        let pool =
            pool("us-east-1_LocalPool").with_issuer("http://localhost:9229/us-east-1_LocalPool").unwrap();
        assert_eq!(pool.issuers(), ["http://localhost:9229/us-east-1_LocalPool"]);
        assert_eq!(
            pool.jwks_urls()[0].as_str(),
            "http://localhost:9229/us-east-1_LocalPool/.well-known/jwks.json"
        );
    }

    #[test]
    fn configured_jwks_url_does_not_change_the_issuers() {
        let pool = pool("eu-west-1_A1").with_jwks_url("https://keys.example.com/jwks").unwrap();
        assert_eq!(pool.issuers().len(), 2);
        assert_eq!(pool.jwks_urls(), [Url::parse("https://keys.example.com/jwks").unwrap()]);
    }

    #[test]
    fn malformed_id_is_rejected() {
        let long = format!("eu-west-1_{}", "a".repeat(46));
        for id in
            ["", "eu-west-1", "eu-west-1_", "_abc", "eu-west-1_a/b", "evil.com/_a", "EU_a", "-a_b", &long]
        {
            assert!(matches!(UserPool::new(id), Err(PoolError::Id { .. })), "{id}");
        }
    }

    #[test]
    fn url_without_authenticated_transport_is_rejected() {
        for url in [
            "cognito.example.com",
            "ftp://example.com",
            "http://example.com",
            "http://localhost.example.com",
            "http://10.0.0.1/pool",
            "https://user@example.com/pool",
            "https://example.com/pool?x=1",
            "https://example.com/pool#x",
        ] {
            let rejected = pool("eu-west-1_A1").with_issuer(url);
            assert!(matches!(rejected, Err(PoolError::Url { .. })), "{url}");
        }
        for url in
            ["https://example.com/pool", "http://127.0.0.1:1/p", "http://[::1]:1/p", "http://localhost/p"]
        {
            assert!(pool("eu-west-1_A1").with_issuer(url).is_ok(), "{url}");
        }
    }
}
