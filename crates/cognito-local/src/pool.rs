//! A user pool, open.

use std::path::Path;
use std::sync::Arc;

use secrecy::SecretString;
use url::Url;

use crate::clock::Clock;
use crate::config::{ConfigError, PoolConfig, UserConfig};
use crate::directory::{Client, Directory};
use crate::keys::{KeyRing, SigningKey, TokenUse};
use crate::password::{PasswordError, Passwords};
use crate::secret::random_client_secret;
use crate::store::users::User;
use crate::store::{self, Store, StoreError};
use crate::token::random_id;

/// A user pool: its users, its keys, and the endpoints that sign in with them.
///
/// A clone is another handle to the same pool.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use cognito_local::{LocalPool, PoolConfig};
///
/// let pool = LocalPool::open(None, "http://localhost:9229".parse()?, PoolConfig::demo(8000)).await?;
/// assert_eq!(pool.issuer(), "http://localhost:9229/us-east-1_LocalPool");
/// let app: axum::Router = pool.router();
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct LocalPool {
    inner: Arc<Inner>,
}

struct Inner {
    pool_id: String,
    public_url: Url,
    origin: String,
    issuer: String,
    directory: Directory,
    configured_users: Vec<UserConfig>,
    store: Store,
    keys: KeyRing,
    passwords: Passwords,
    clock: Clock,
    secrets: PoolSecrets,
}

/// Secrets that the pool makes for itself at its first start.
struct PoolSecrets {
    /// Keys the marks that forms carry.
    form: Vec<u8>,
    /// Keys the derivation of a refresh token's successor.
    rotation: Vec<u8>,
}

/// Why a pool cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The public URL is not the origin of a loopback host.
    #[error(
        "`{0}` cannot be the pool's URL: it must be http or https with a loopback host, and nothing after the port"
    )]
    PublicUrl(Url),
    /// The configuration is wrong.
    #[error("the pool's configuration is wrong: {0}")]
    Config(#[from] ConfigError),
    /// The file belongs to another pool.
    #[error("the database is that of pool `{found}`, not `{wanted}`: choose another file or pool id")]
    OtherPool {
        /// The pool the file was made for.
        found: String,
        /// The pool id of the configuration.
        wanted: String,
    },
    /// Two users of the configuration or of the pool have the same e-mail address.
    #[error("user `{username}` cannot be created: their e-mail address belongs to another user")]
    EmailTaken {
        /// The user who could not be created.
        username: String,
    },
    /// The state could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A password could not be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
}

/// A user that the configuration gives, for printing where to sign in.
#[derive(Clone)]
pub struct DemoUser {
    /// What to sign in with.
    pub username: String,
    /// The first password; the user may have reset it since.
    pub password: SecretString,
    /// The groups of the user.
    pub groups: Vec<String>,
}

/// A client of the pool, for printing what to configure.
#[derive(Clone)]
pub struct ClientSummary {
    /// The `client_id`.
    pub id: String,
    /// The secret of a confidential client.
    pub secret: Option<SecretString>,
}

impl LocalPool {
    /// Opens the pool kept in the file at `path`, or creates it; `None` keeps it in memory.
    ///
    /// `public_url` is the origin at which the pool is reached, such as `http://localhost:9229`. Users, keys, sessions
    /// and generated secrets stay as they are; clients, groups and resource servers become those of `config`.
    ///
    /// # Errors
    /// [`OpenError::PublicUrl`] and [`OpenError::Config`] for what the caller gave, [`OpenError::OtherPool`] and
    /// [`OpenError::EmailTaken`] when it does not fit the file, [`OpenError::Store`] and [`OpenError::Password`] when the
    /// machine fails.
    pub async fn open(path: Option<&Path>, public_url: Url, config: PoolConfig) -> Result<Self, OpenError> {
        Self::open_with_clock(path, public_url, config, Clock::system()).await
    }

    /// Like [`open`](Self::open), with a clock that a test can advance.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub async fn open_with_clock(
        path: Option<&Path>,
        public_url: Url,
        config: PoolConfig,
        clock: Clock,
    ) -> Result<Self, OpenError> {
        let origin = origin_of(&public_url)?;
        config.validate()?;
        let path = path.map(Path::to_owned);
        let store = blocking(move || Store::open(path.as_deref())).await?;
        let secrets = settle_pool(&store, &config.pool_id).await?;
        let directory = directory(&store, config.clone()).await?;
        let passwords = blocking(|| Passwords::new().map_err(OpenError::from)).await?;
        create_missing_users(&store, &passwords, &config.users).await?;
        let inner = Inner {
            issuer: format!("{origin}/{}", config.pool_id),
            pool_id: config.pool_id,
            public_url,
            origin,
            directory,
            configured_users: config.users,
            keys: KeyRing::new(store.clone()),
            store,
            passwords,
            clock,
            secrets,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The pool's endpoints and pages, to be served at its public URL.
    pub fn router(&self) -> axum::Router {
        crate::http::router(self.clone())
    }

    /// The `iss` of the pool's tokens: `<public url>/<pool id>`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.inner.issuer
    }

    /// The pool's id.
    #[must_use]
    pub fn pool_id(&self) -> &str {
        &self.inner.pool_id
    }

    /// The origin at which the pool is reached.
    #[must_use]
    pub fn public_url(&self) -> &Url {
        &self.inner.public_url
    }

    /// The users that the configuration gives, in its order.
    #[must_use]
    pub fn users(&self) -> Vec<DemoUser> {
        let summary = |user: &UserConfig| DemoUser {
            username: user.username.clone(),
            password: user.password.clone().into(),
            groups: user.groups.clone(),
        };
        self.inner.configured_users.iter().map(summary).collect()
    }

    /// The clients of the pool, in the order of their ids.
    #[must_use]
    pub fn clients(&self) -> Vec<ClientSummary> {
        let summary =
            |client: &Arc<Client>| ClientSummary { id: client.id.clone(), secret: client.secret.clone() };
        self.inner.directory.clients().into_iter().map(summary).collect()
    }

    /// The client with this id.
    #[must_use]
    pub fn client(&self, id: &str) -> Option<ClientSummary> {
        self.clients().into_iter().find(|client| client.id == id)
    }

    /// Introduces new signing keys, as Cognito does now and then: they sign from now on, and tokens signed before stay
    /// valid, since their keys stay published until [`withdraw_old_keys`](Self::withdraw_old_keys).
    ///
    /// # Errors
    /// [`StoreError`] when the keys cannot be made or kept.
    pub async fn rotate_keys(&self) -> Result<(), StoreError> {
        self.inner.keys.rotate().await
    }

    /// Withdraws every key but the two that sign now, so that tokens signed by others are no longer valid; returns how
    /// many went.
    ///
    /// # Errors
    /// [`StoreError`] when the keys cannot be removed.
    pub async fn withdraw_old_keys(&self) -> Result<usize, StoreError> {
        self.inner.keys.withdraw_old().await
    }

    pub(crate) fn origin(&self) -> &str {
        &self.inner.origin
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.inner.directory
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn keys(&self) -> &KeyRing {
        &self.inner.keys
    }

    pub(crate) fn passwords(&self) -> &Passwords {
        &self.inner.passwords
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    pub(crate) fn form_secret(&self) -> &[u8] {
        &self.inner.secrets.form
    }

    pub(crate) fn rotation_secret(&self) -> &[u8] {
        &self.inner.secrets.rotation
    }
}

/// The URL's origin, when the URL is nothing but a loopback origin.
fn origin_of(url: &Url) -> Result<String, OpenError> {
    let host = url.host_str().unwrap_or_default();
    let loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]") || host.ends_with(".localhost");
    let origin = url.origin().ascii_serialization();
    let bare = url.as_str().trim_end_matches('/') == origin;
    if loopback && bare && matches!(url.scheme(), "http" | "https") {
        Ok(origin)
    } else {
        Err(OpenError::PublicUrl(url.clone()))
    }
}

async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, OpenError>
where
    T: Send + 'static,
    E: Send + 'static,
    OpenError: From<E>,
{
    let outcome = tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Stopping)?;
    Ok(outcome?)
}

/// Makes the pool's own values at the first start: its id, its signing keys and its secrets.
async fn settle_pool(store: &Store, pool_id: &str) -> Result<PoolSecrets, OpenError> {
    let wanted = pool_id.to_owned();
    let (found, secrets) = store
        .write(move |tx| {
            let found = store::settings::value_or_insert(tx, "pool_id", || Ok(wanted.into_bytes()))?;
            let secrets = PoolSecrets {
                form: store::settings::value_or_insert(tx, "form_secret", random_secret)?,
                rotation: store::settings::value_or_insert(tx, "rotation_secret", random_secret)?,
            };
            if store::keys::all(tx)?.is_empty() {
                for token_use in [TokenUse::Id, TokenUse::Access] {
                    store::keys::insert(tx, &SigningKey::generate(token_use)?)?;
                }
            }
            Ok((String::from_utf8_lossy(&found).into_owned(), secrets))
        })
        .await?;
    if found == pool_id {
        Ok(secrets)
    } else {
        Err(OpenError::OtherPool { found, wanted: pool_id.to_owned() })
    }
}

fn random_secret() -> Result<Vec<u8>, StoreError> {
    let mut secret = vec![0; 256 / 8];
    aws_lc_rs::rand::fill(&mut secret)?;
    Ok(secret)
}

async fn directory(store: &Store, config: PoolConfig) -> Result<Directory, OpenError> {
    store
        .write(move |tx| {
            Ok(Directory::parse::<OpenError>(&config, |client_id| {
                Ok(store::settings::client_secret_or_insert(tx, client_id, || Ok(random_client_secret()?))?)
            }))
        })
        .await?
}

/// Creates the configured users that the pool does not have, and gives all of them their configured groups.
async fn create_missing_users(
    store: &Store,
    passwords: &Passwords,
    users: &[UserConfig],
) -> Result<(), OpenError> {
    for config in users {
        let username = config.username.clone();
        let existing = store.read(move |db| store::users::find_by_username(db, &username)).await?;
        let hash = match existing {
            Some(_) => None,
            None => Some(passwords.hash(&config.password).await?),
        };
        let user = config.clone();
        let settled = store.write(move |tx| settle_user(tx, user, hash)).await?;
        if !settled {
            return Err(OpenError::EmailTaken { username: config.username.clone() });
        }
    }
    Ok(())
}

fn settle_user(
    tx: &rusqlite::Connection,
    config: UserConfig,
    password_hash: Option<String>,
) -> Result<bool, StoreError> {
    if let Some(user) = store::users::find_by_username(tx, &config.username)? {
        store::users::replace_groups(tx, &user.sub, &config.groups)?;
        return Ok(true);
    }
    if let Some(email) = &config.email
        && store::users::find_by_login(tx, email)?.is_some()
    {
        return Ok(false);
    }
    let user = User {
        sub: random_id(),
        username: config.username,
        password_hash: password_hash.ok_or(StoreError::Damaged("user"))?,
        email_verified: config.email.is_some(),
        email: config.email,
        confirmed: true,
        generation: 0,
        attributes: config.attributes,
        totp_secret: None,
    };
    store::users::insert(tx, &user)?;
    store::users::replace_groups(tx, &user.sub, &config.groups)?;
    Ok(true)
}
