//! Passwords: what is stored of them, and the policy for new ones.

use std::sync::Arc;
use std::time::Duration;

use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::PasswordPolicy;
use crate::models::{Credentials, SrpVerifier};
use crate::srp;

/// Longest password that is hashed (Cognito: 256 characters); each character is at most 4 bytes.
const MAX_CHARACTERS: usize = 256;
const SYMBOLS: &str = "^$*.[]{}()?\"!@#%&/\\,><':;|_~`=+- ";
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Hashes and verifies passwords, one at a time.
///
/// This limits the memory (19 MiB for each hash) and makes the count of failures exact: an attempt holds its turn from
/// reading the count until its own failure is counted.
#[derive(Clone)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    decoy: Arc<str>,
    /// `None` in a pool that stores no verifiers of the Secure Remote Password protocol.
    pool_name: Option<Arc<str>>,
}

/// The right to hash; it ends when dropped.
pub(crate) struct Turn {
    permit: OwnedSemaphorePermit,
    decoy: Arc<str>,
}

/// Why a password could not be hashed or verified.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many others wait for a hash.
    #[error("too many sign-ins at once")]
    Busy,
    /// The hash function failed.
    #[error("argon2id failed: {0}")]
    Hash(String),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random(#[from] aws_lc_rs::error::Unspecified),
}

impl Passwords {
    /// `pool_name` is what follows the region in the ID of the pool. Without it, only hashes are stored.
    pub(crate) fn new(pool_name: Option<&str>) -> Result<Self, PasswordError> {
        let decoy = hash(b"the password of nobody")?;
        Ok(Self {
            turns: Arc::new(Semaphore::new(1)),
            decoy: decoy.into(),
            pool_name: pool_name.map(Arc::from),
        })
    }

    pub(crate) async fn turn(&self) -> Result<Turn, PasswordError> {
        let permit = tokio::time::timeout(LONGEST_WAIT, Arc::clone(&self.turns).acquire_owned()).await;
        match permit {
            Ok(Ok(permit)) => Ok(Turn { permit, decoy: Arc::clone(&self.decoy) }),
            Ok(Err(_)) | Err(_) => Err(PasswordError::Busy),
        }
    }

    /// Returns what is stored of a new password.
    pub(crate) async fn protect(&self, username: &str, password: &str) -> Result<Credentials, PasswordError> {
        let (turn, hash) = self.turn().await?.hash(password).await?;
        let (_, srp) = self.new_verifier(turn, username, password).await?;
        Ok(Credentials { hash, srp })
    }

    /// Returns the verifier of a password, unless the pool stores none.
    pub(crate) async fn new_verifier(
        &self,
        turn: Turn,
        username: &str,
        password: &str,
    ) -> Result<(Turn, Option<SrpVerifier>), PasswordError> {
        let Some(pool_name) = self.pool_name.clone() else { return Ok((turn, None)) };
        let (username, password) = (username.to_owned(), password.to_owned());
        let (turn, verifier) = turn.run(move || srp::new_verifier(&pool_name, &username, &password)).await?;
        Ok((turn, Some(verifier?)))
    }

    /// Whether users can sign in by the Secure Remote Password protocol.
    pub(crate) fn stores_verifiers(&self) -> bool {
        self.pool_name.is_some()
    }
}

impl Turn {
    /// Whether `password` has this hash. Without a hash, for a user who does not exist, it takes the same time and says no.
    pub(crate) async fn verify(
        self,
        password: &str,
        hash: Option<String>,
    ) -> Result<(Self, bool), PasswordError> {
        let password = password.to_owned();
        let decoy = Arc::clone(&self.decoy);
        self.run(move || {
            let matches = |hash: &str| Argon2::default().verify_password(password.as_bytes(), hash).is_ok();
            match &hash {
                Some(hash) => matches(hash),
                None => {
                    std::hint::black_box(matches(&decoy));
                    false
                }
            }
        })
        .await
    }

    async fn hash(self, password: &str) -> Result<(Self, String), PasswordError> {
        let password = password.to_owned();
        let (turn, hash) = self.run(move || hash(password.as_bytes())).await?;
        Ok((turn, hash?))
    }

    /// Runs expensive work on a thread for blocking work.
    ///
    /// The turn goes with the work, so that a request that goes away does not let another hash start beside it.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<(Self, T), PasswordError> {
        let Self { permit, decoy } = self;
        let ran = tokio::task::spawn_blocking(move || (permit, work())).await;
        let (permit, outcome) = ran.map_err(|_| PasswordError::Busy)?;
        Ok((Self { permit, decoy }, outcome))
    }
}

fn hash(password: &[u8]) -> Result<String, PasswordError> {
    let hash = Argon2::default().hash_password(password).map_err(|e| PasswordError::Hash(e.to_string()))?;
    Ok(hash.to_string())
}

impl PasswordPolicy {
    /// Everything the password lacks, in Cognito's words; empty when it is good.
    pub(crate) fn violations(&self, password: &str) -> Vec<&'static str> {
        let has = |wanted: fn(char) -> bool| password.chars().any(wanted);
        let length = password.chars().count();
        let rules = [
            (length >= usize::from(self.minimum_length), "Password not long enough"),
            (length <= MAX_CHARACTERS, "Password must not be longer than 256 characters"),
            (
                !self.require_lowercase || has(|c| c.is_ascii_lowercase()),
                "Password must have lowercase characters",
            ),
            (
                !self.require_uppercase || has(|c| c.is_ascii_uppercase()),
                "Password must have uppercase characters",
            ),
            (!self.require_numbers || has(|c| c.is_ascii_digit()), "Password must have numeric characters"),
            (!self.require_symbols || has(|c| SYMBOLS.contains(c)), "Password must have symbol characters"),
        ];
        rules.into_iter().filter(|(holds, _)| !holds).map(|(_, message)| message).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_policy_matches_cognito() {
        let policy = PasswordPolicy::default();
        assert_eq!(policy.violations("Wonder-land1"), [""; 0]);
        assert_eq!(policy.violations("Wo-1"), ["Password not long enough"]);
        assert_eq!(policy.violations("WONDER-LAND1"), ["Password must have lowercase characters"]);
        assert_eq!(policy.violations("wonder-land1"), ["Password must have uppercase characters"]);
        assert_eq!(policy.violations("Wonder-land"), ["Password must have numeric characters"]);
        assert_eq!(policy.violations("Wonderland1"), ["Password must have symbol characters"]);
        assert_eq!(policy.violations(&format!("{}-1A", "a".repeat(300))).len(), 1);
    }

    #[tokio::test]
    async fn hashes_are_argon2id_and_verify() {
        let passwords = Passwords::new(None).unwrap();
        let Credentials { hash, srp } = passwords.protect("alice", "Wonder-land1").await.unwrap();
        assert!(srp.is_none());
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let turn = passwords.turn().await.unwrap();
        let (turn, right) = turn.verify("Wonder-land1", Some(hash.clone())).await.unwrap();
        let (turn, wrong) = turn.verify("Wonder-land2", Some(hash)).await.unwrap();
        let (_, nobody) = turn.verify("the password of nobody", None).await.unwrap();
        assert!(right && !wrong && !nobody);
    }
}
