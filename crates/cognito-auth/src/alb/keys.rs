//! The public keys of a region's load balancers: one PEM file for each `kid`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::sync::Semaphore;
use url::Url;

use super::AlbError;
use crate::clock::Clock;
use crate::error::{BuildError, VerifyError};
use crate::keys::{FetchCause, LimitedFetcher};

/// A region has one key at a time, which AWS seldom replaces.
const MAX_KEYS: usize = 8;

/// Unknown key IDs cause at most one fetch in this time on average, because anybody can invent one.
pub(super) const REQUEST_INTERVAL: Duration = Duration::from_secs(1);

/// How many fetches can follow each other at once.
const BURST: u32 = 10;

/// How long a request waits for the fetches of others.
const MAX_WAIT: Duration = Duration::from_secs(3);

/// The length of both numbers of a signature with P-256 (RFC 7518, section 3.4).
const SIGNATURE_BYTES: usize = 64;

/// Returns the URL below which a region publishes its keys.
pub(super) fn url(region: &str) -> Result<Url, BuildError> {
    let url = match region {
        gov if gov.starts_with("us-gov-") => {
            format!("https://s3-{gov}.amazonaws.com/aws-elb-public-keys-prod-{gov}/")
        }
        other => format!("https://public-keys.auth.elb.{other}.amazonaws.com/"),
    };
    url.parse().map_err(|_| BuildError::LoadBalancer { arn: region.to_owned() })
}

/// The known keys, and the fetcher of others.
pub(super) struct PublicKeys {
    url: Url,
    fetcher: LimitedFetcher,
    clock: Clock,
    known: Mutex<Known>,
    /// One fetch at a time, so that requests with the same new key cause one.
    fetching: Semaphore,
}

#[derive(Default)]
struct Known {
    /// The newest key is the last one.
    keys: VecDeque<(String, Arc<PublicKey>)>,
    /// When the bucket of fetches is full again: each fetch adds [`REQUEST_INTERVAL`].
    bucket_full: Duration,
}

/// A key that verifies signatures of ES256.
#[derive(Debug)]
pub(crate) struct PublicKey(ParsedPublicKey);

impl PublicKeys {
    pub(super) fn new(url: Url, fetcher: LimitedFetcher, clock: Clock) -> Self {
        Self { url, fetcher, clock, known: Mutex::default(), fetching: Semaphore::new(1) }
    }

    /// Returns the key with this ID, which must be a UUID.
    pub(super) async fn key(&self, kid: &str) -> Result<Arc<PublicKey>, AlbError> {
        if let Some(key) = self.known_key(kid) {
            return Ok(key);
        }
        let permit = tokio::time::timeout(MAX_WAIT, self.fetching.acquire()).await;
        let _permit = permit.map_err(|_| AlbError::TooManyKeys)?;
        if let Some(key) = self.known_key(kid) {
            return Ok(key);
        }
        self.take_from_bucket()?;
        let key = Arc::new(self.fetch(kid).await?);
        self.remember(kid, &key);
        Ok(key)
    }

    fn known_key(&self, kid: &str) -> Option<Arc<PublicKey>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.keys.iter().find(|(id, _)| id == kid).map(|(_, key)| Arc::clone(key))
    }

    fn take_from_bucket(&self) -> Result<(), AlbError> {
        let now = self.clock.elapsed();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let full = known.bucket_full.max(now) + REQUEST_INTERVAL;
        if full > now + REQUEST_INTERVAL * BURST {
            return Err(AlbError::TooManyKeys);
        }
        known.bucket_full = full;
        Ok(())
    }

    async fn fetch(&self, kid: &str) -> Result<PublicKey, AlbError> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{kid}", url.path().trim_end_matches('/')));
        match self.fetcher.fetch(&url).await {
            Ok(pem) => PublicKey::from_pem(&pem).ok_or(AlbError::UnknownKey),
            // The bucket of GovCloud answers 403 for an object that does not exist.
            Err(FetchCause::Status(403 | 404)) => Err(AlbError::UnknownKey),
            Err(cause) => Err(AlbError::KeyUnavailable(cause)),
        }
    }

    fn remember(&self, kid: &str, key: &Arc<PublicKey>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.keys.push_back((kid.to_owned(), Arc::clone(key)));
        if known.keys.len() > MAX_KEYS {
            known.keys.pop_front();
        }
    }
}

impl PublicKey {
    fn from_pem(pem: &[u8]) -> Option<Self> {
        Self::from_der(&SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?)
    }

    /// Parses a `SubjectPublicKeyInfo` of a point on P-256.
    pub(crate) fn from_der(der: &[u8]) -> Option<Self> {
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, der).ok().map(Self)
    }

    /// Checks that this key made the signature over the message.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), VerifyError> {
        if signature.len() != SIGNATURE_BYTES {
            return Err(VerifyError::SignatureLength { expected: SIGNATURE_BYTES, found: signature.len() });
        }
        self.0.verify_sig(message, signature).map_err(|_| VerifyError::Signature)
    }
}
