//! The state of the pool, in SQLite.
//!
//! Every change is one transaction, on disk before it is acknowledged. The submodules hold the statements: each function
//! takes the connection of the transaction that it is part of.

pub(crate) mod api_sessions;
pub(crate) mod challenges;
pub(crate) mod codes;
pub(crate) mod grants;
pub(crate) mod groups;
pub(crate) mod keys;
pub(crate) mod mail;
pub(crate) mod sessions;
pub(crate) mod settings;
pub(crate) mod throttle;
pub(crate) mod users;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

const SCHEMA_VERSION: i64 = 3;
const SCHEMA: &str = include_str!("store/schema.sql");
const FROM_VERSION_2: &str = include_str!("store/from_version_2.sql");

/// How long a change waits for another process (`rotate-keys`) that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(crate) struct Store {
    connection: Arc<Mutex<Connection>>,
}

/// An error while reading or writing the state of the pool.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite failed.
    #[error("cannot use the database of the pool")]
    Sqlite(#[from] rusqlite::Error),
    /// The folder or the file could not be created.
    #[error("cannot create the database of the pool")]
    Io(#[from] std::io::Error),
    /// The file does not exist.
    #[error("cannot find a user pool in {}", .0.display())]
    Missing(PathBuf),
    /// Another version of this program created the file.
    #[error(
        "the database of the pool has schema version {found}, but this program supports {SCHEMA_VERSION}. Delete the file, or use the program that created it."
    )]
    SchemaVersion {
        /// The version in the file.
        found: i64,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random(#[from] aws_lc_rs::error::Unspecified),
    /// A stored value is invalid.
    #[error("the database of the pool contains an invalid {0}")]
    Damaged(&'static str),
    /// The program is stopping.
    #[error("the program is stopping")]
    Stopping,
}

impl Store {
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, StoreError> {
        let mut connection = match path {
            Some(path) => open_file(path)?,
            None => Connection::open_in_memory()?,
        };
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        // FULL: a commit returns after the log is on disk, so that an acknowledged change survives a power failure.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        create_schema(&mut connection)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    /// Opens the file of an existing pool.
    pub(crate) fn open_existing(path: &Path) -> Result<Self, StoreError> {
        if path.is_file() { Self::open(Some(path)) } else { Err(StoreError::Missing(path.to_owned())) }
    }

    /// Runs `change` in one transaction. It is on disk when this returns `Ok`, and rolled back when `change` fails.
    pub(crate) async fn write<T, F>(&self, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.blocking(move |connection| {
            // Immediate: a transaction that reads first and then writes would fail when another process wrote between.
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let outcome = change(&transaction)?;
            transaction.commit()?;
            Ok(outcome)
        })
        .await
    }

    pub(crate) async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.blocking(move |connection| query(connection)).await
    }

    /// A transaction that has started also completes when the client disconnects.
    async fn blocking<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let connection = Arc::clone(&self.connection);
        tokio::task::spawn_blocking(move || {
            // A panic rolls the transaction back, so the connection is usable.
            work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
        .map_err(|_| StoreError::Stopping)?
    }
}

fn open_file(path: &Path) -> Result<Connection, StoreError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    create_private(path)?;
    Ok(Connection::open(path)?)
}

/// The file holds signing keys, so only its owner may read it; SQLite gives its side files the same permissions.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn create_schema(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        SCHEMA_VERSION => return Ok(()),
        0 => {}
        2 => transaction.execute_batch(FROM_VERSION_2)?,
        found => return Err(StoreError::SchemaVersion { found }),
    }
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The users table of version 2, with one confirmed and one unconfirmed user.
    const VERSION_2: &str = "
        CREATE TABLE users (
            sub TEXT PRIMARY KEY, username TEXT NOT NULL, username_key TEXT NOT NULL UNIQUE,
            password_hash TEXT NOT NULL, email TEXT, email_key TEXT, email_verified INTEGER NOT NULL DEFAULT 0,
            confirmed INTEGER NOT NULL DEFAULT 0, generation INTEGER NOT NULL DEFAULT 0,
            attributes TEXT NOT NULL DEFAULT '{}', totp_secret BLOB, totp_last_step INTEGER NOT NULL DEFAULT 0
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE grants (origin_jti TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
        CREATE TABLE mail_codes (sub TEXT) STRICT;
        CREATE TABLE mails (id INTEGER) STRICT;
        INSERT INTO users (sub, username, username_key, password_hash, confirmed, totp_secret)
            VALUES ('1', 'alice', 'alice', 'hash', 1, x'01'), ('2', 'bob', 'bob', 'hash', 0, NULL);
        PRAGMA user_version = 2;";

    #[test]
    fn users_of_an_older_file_are_kept() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(VERSION_2).unwrap();
        create_schema(&mut connection).unwrap();
        let alice = users::find_by_username(&connection, "alice").unwrap().unwrap();
        let bob = users::find_by_username(&connection, "bob").unwrap().unwrap();
        assert!(alice.is_confirmed() && alice.enabled && alice.totp_enabled);
        assert!(alice.credentials.srp.is_none() && alice.created_at > 0);
        assert!(!bob.is_confirmed() && !bob.totp_enabled);
    }
}
