//! Opens a user pool.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::hmac;
use secrecy::SecretString;
use url::Url;

use crate::accounts::{Accounts, ConfiguredUserError, create_missing};
use crate::auth_flow::AuthFlows;
use crate::clock::Clock;
use crate::config::{ConfigError, PoolConfig, UserConfig};
use crate::directory::{Client, Directory};
use crate::groups::Groups;
use crate::http::{AppState, CsrfKey};
use crate::keys::KeyRing;
use crate::mail::Mailbox;
use crate::mfa::SecondFactor;
use crate::password::{PasswordError, Passwords};
use crate::secret::{random_client_secret, random_key};
use crate::sign_in::SignIns;
use crate::store::{Store, StoreError, groups, settings};
use crate::tokens::Tokens;
use crate::urls::PoolUrls;

/// An open user pool: its services, and the router over them.
///
/// Clones share the pool.
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
    state: AppState,
    configured_users: Arc<[UserConfig]>,
}

/// Why a pool cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The public URL is not the origin of a loopback host.
    #[error(
        "`{0}` cannot be the URL of the pool: it must be http or https with a loopback host, without a path"
    )]
    PublicUrl(Url),
    /// The configuration is invalid.
    #[error("the configuration of the pool is invalid: {0}")]
    Config(#[from] ConfigError),
    /// The file belongs to another pool.
    #[error("the database belongs to pool `{found}`, not to `{wanted}`. Choose another file or pool ID.")]
    OtherPool {
        /// The pool of the file.
        found: String,
        /// The pool ID of the configuration.
        wanted: String,
    },
    /// Two users of the configuration or of the pool have the same e-mail address.
    #[error("cannot create user `{username}`: the e-mail address belongs to another user")]
    EmailTaken {
        /// The username.
        username: String,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A password cannot be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
}

/// A configured user, for a message that says how to sign in.
#[derive(Clone)]
pub struct DemoUser {
    /// The username.
    pub username: String,
    /// The initial password. The user may have changed it since.
    pub password: SecretString,
    /// The groups of the user.
    pub groups: Vec<String>,
}

/// A client of the pool, for a message that says what to configure.
#[derive(Clone)]
pub struct ClientSummary {
    /// The `client_id`.
    pub id: String,
    /// The secret of a confidential client.
    pub secret: Option<SecretString>,
}

impl LocalPool {
    /// Opens or creates the pool in the file at `path`, or in memory for `None`.
    ///
    /// `public_url` is the origin of the pool, such as `http://localhost:9229`. Existing users, keys, sessions and
    /// generated secrets are kept. Clients, resource servers and the groups of configured users are taken from `config`.
    ///
    /// # Errors
    /// [`OpenError::PublicUrl`] and [`OpenError::Config`] for invalid arguments, [`OpenError::OtherPool`] and
    /// [`OpenError::EmailTaken`] when they contradict the file, [`OpenError::Store`] and [`OpenError::Password`] when the
    /// machine fails.
    pub async fn open(path: Option<&Path>, public_url: Url, config: PoolConfig) -> Result<Self, OpenError> {
        Self::open_with_clock(path, public_url, config, Clock::system()).await
    }

    /// Does the same as [`open`](Self::open), with a clock that a test can advance.
    ///
    /// # Errors
    /// The same as [`open`](Self::open).
    pub async fn open_with_clock(
        path: Option<&Path>,
        public_url: Url,
        config: PoolConfig,
        clock: Clock,
    ) -> Result<Self, OpenError> {
        config.validate()?;
        let urls = PoolUrls::new(config.pool_id.clone(), public_url.clone(), config.issuer);
        let urls = Arc::new(urls.ok_or(OpenError::PublicUrl(public_url))?);
        let path = path.map(Path::to_owned);
        let store = blocking(move || Store::open(path.as_deref())).await?;
        let secrets = init_pool(&store, &config.pool_id).await?;
        let directory = Arc::new(load_directory(&store, config.clone()).await?);
        let pool_name = config.store_srp_verifiers.then(|| urls.pool_name().to_owned());
        let passwords = blocking(move || Passwords::new(pool_name.as_deref())).await?;
        create_missing(&store, &passwords, &config.users, clock.unix_seconds()).await?;
        let (names, now) = (config.groups, clock.unix_seconds());
        store.write(move |tx| groups::insert_missing(tx, &names, now)).await?;
        let state = state(store, urls, directory, passwords, clock, &secrets);
        Ok(Self { state, configured_users: config.users.into() })
    }

    /// Returns the router with the endpoints and pages, to be served at the public URL.
    pub fn router(&self) -> axum::Router {
        crate::http::router(self.state.clone())
    }

    /// Returns the issuer of the tokens: `<public url>/<pool id>`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.state.urls.issuer
    }

    /// Returns the ID of the pool.
    #[must_use]
    pub fn pool_id(&self) -> &str {
        &self.state.urls.pool_id
    }

    /// Returns the origin of the pool.
    #[must_use]
    pub fn public_url(&self) -> &Url {
        &self.state.urls.public_url
    }

    /// Returns the configured users in the order of the configuration.
    #[must_use]
    pub fn users(&self) -> Vec<DemoUser> {
        let summary = |user: &UserConfig| DemoUser {
            username: user.username.clone(),
            password: user.password.clone().into(),
            groups: user.groups.clone(),
        };
        self.configured_users.iter().map(summary).collect()
    }

    /// Returns the clients in the order of their IDs.
    #[must_use]
    pub fn clients(&self) -> Vec<ClientSummary> {
        let summary =
            |client: &Arc<Client>| ClientSummary { id: client.id.clone(), secret: client.secret.clone() };
        self.state.directory.clients().into_iter().map(summary).collect()
    }

    /// Returns the client with this ID.
    #[must_use]
    pub fn client(&self, id: &str) -> Option<ClientSummary> {
        self.clients().into_iter().find(|client| client.id == id)
    }

    /// Creates new signing keys, which sign from now on. Older tokens stay valid, because their keys stay published until
    /// [`withdraw_old_keys`](Self::withdraw_old_keys).
    ///
    /// # Errors
    /// [`StoreError`] when the keys cannot be created or stored.
    pub async fn rotate_keys(&self) -> Result<(), StoreError> {
        self.state.keys.rotate().await
    }

    /// Deletes every key but the two that sign now, and returns how many it deleted. Tokens that those keys signed are no
    /// longer valid.
    ///
    /// # Errors
    /// [`StoreError`] when the keys cannot be deleted.
    pub async fn withdraw_old_keys(&self) -> Result<usize, StoreError> {
        self.state.keys.withdraw_old().await
    }
}

/// The secrets that a pool creates for itself.
struct PoolSecrets {
    /// Authenticates forms, and derives the secrets of authenticator apps.
    form: Vec<u8>,
    /// Derives the successor of a refresh token.
    rotation: Vec<u8>,
}

/// Creates the ID, the secrets and the signing keys of a new pool.
async fn init_pool(store: &Store, pool_id: &str) -> Result<PoolSecrets, OpenError> {
    let wanted = pool_id.to_owned();
    let (found, secrets) = store
        .write(move |tx| {
            let found = settings::value_or_insert(tx, "pool_id", || Ok(wanted.into_bytes()))?;
            let secrets = PoolSecrets {
                form: settings::value_or_insert(tx, "form_secret", || Ok(random_key()?))?,
                rotation: settings::value_or_insert(tx, "rotation_secret", || Ok(random_key()?))?,
            };
            KeyRing::init(tx)?;
            Ok((String::from_utf8_lossy(&found).into_owned(), secrets))
        })
        .await?;
    if found == pool_id {
        Ok(secrets)
    } else {
        Err(OpenError::OtherPool { found, wanted: pool_id.to_owned() })
    }
}

async fn load_directory(store: &Store, config: PoolConfig) -> Result<Directory, OpenError> {
    store
        .write(move |tx| {
            Ok(Directory::parse::<OpenError>(&config, |client_id| {
                Ok(settings::client_secret_or_insert(tx, client_id, || Ok(random_client_secret()?))?)
            }))
        })
        .await?
}

/// Gives each service what it needs.
fn state(
    store: Store,
    urls: Arc<PoolUrls>,
    directory: Arc<Directory>,
    passwords: Passwords,
    clock: Clock,
    secrets: &PoolSecrets,
) -> AppState {
    let form_key = hmac::Key::new(hmac::HMAC_SHA256, &secrets.form);
    let rotation_key = hmac::Key::new(hmac::HMAC_SHA256, &secrets.rotation);
    let keys = KeyRing::new(store.clone());
    let second_factor = SecondFactor::new(
        store.clone(),
        clock.clone(),
        directory.mfa,
        form_key.clone(),
        urls.pool_id.clone(),
    );
    let tokens = Tokens::new(store.clone(), keys.clone(), clock.clone(), Arc::clone(&urls), rotation_key);
    let sign_ins = SignIns::new(store.clone(), passwords.clone(), second_factor.clone(), clock.clone());
    AppState {
        accounts: Accounts::new(store.clone(), passwords.clone(), clock.clone()),
        auth_flows: AuthFlows {
            store: store.clone(),
            passwords,
            sign_ins: sign_ins.clone(),
            second_factor: second_factor.clone(),
            tokens: tokens.clone(),
            directory: Arc::clone(&directory),
            clock: clock.clone(),
            pool_name: urls.pool_name().into(),
            decoy_key: form_key.clone(),
        },
        groups: Groups::new(store.clone(), clock.clone()),
        sign_ins,
        second_factor,
        tokens,
        keys,
        mailbox: Mailbox::new(store),
        csrf: CsrfKey::new(form_key),
        urls,
        directory,
        clock,
    }
}

impl From<ConfiguredUserError> for OpenError {
    fn from(error: ConfiguredUserError) -> Self {
        match error {
            ConfiguredUserError::EmailTaken { username } => Self::EmailTaken { username },
            ConfiguredUserError::Store(error) => Self::Store(error),
            ConfiguredUserError::Password(error) => Self::Password(error),
        }
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
