//! The operating system's keyring: the Secret Service on Linux, the Keychain on macOS, the Credential Manager on Windows.
//!
//! It holds one key of 32 bytes for each profile, and the tokens lie in a file that is sealed with it. The tokens
//! themselves would not fit everywhere (Windows takes 2560 bytes, Cognito's three tokens are longer), and a file can be
//! replaced atomically and durably, which no keyring promises.

use std::{sync::Arc, sync::mpsc, thread, time::Duration};

use keyring_core::{CredentialStore, Entry};

use super::seal::SealingKey;

/// The name under which the keyring shows the keys.
const SERVICE: &str = "items";

/// How long a person may take to unlock the keyring.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Why the keyring does not help.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyringError {
    #[error("{0}")]
    Store(#[from] keyring_core::Error),
    #[error("the keyring did not answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    #[error("the key in the keyring is not one of this program's")]
    Key,
}

/// The profile's key, if it has one.
pub(super) fn key(profile: &str) -> Result<Option<SealingKey>, KeyringError> {
    with_entry(profile, |entry| match entry.get_secret() {
        Ok(bytes) => SealingKey::new(&bytes).map(Some).map_err(|_| KeyringError::Key),
        Err(keyring_core::Error::NoEntry) => Ok(None),
        Err(error) => Err(error.into()),
    })
}

/// The profile's key; a new one if it has none.
pub(super) fn key_or_create(profile: &str) -> Result<SealingKey, KeyringError> {
    if let Some(key) = key(profile)? {
        return Ok(key);
    }
    with_entry(profile, |entry| {
        let bytes = SealingKey::generate().map_err(|_| KeyringError::Key)?;
        entry.set_secret(&bytes)?;
        SealingKey::new(&bytes).map_err(|_| KeyringError::Key)
    })
}

/// Removes the profile's key, if it has one.
pub(super) fn delete_key(profile: &str) -> Result<(), KeyringError> {
    with_entry(profile, |entry| match entry.delete_credential() {
        Ok(()) | Err(keyring_core::Error::NoEntry) => Ok(()),
        Err(error) => Err(error.into()),
    })
}

/// Runs on a thread of its own, because the keyring may wait for a person who has gone home.
fn with_entry<T: Send + 'static>(
    profile: &str,
    action: impl FnOnce(Entry) -> Result<T, KeyringError> + Send + 'static,
) -> Result<T, KeyringError> {
    let profile = profile.to_owned();
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let entry = store().and_then(|store| store.build(SERVICE, &profile, None));
        let _ = sender.send(entry.map_err(KeyringError::from).and_then(action));
    });
    receiver.recv_timeout(TIMEOUT).unwrap_or(Err(KeyringError::Timeout))
}

#[cfg(target_os = "linux")]
fn store() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(dbus_secret_service_keyring_store::Store::new()?)
}

#[cfg(target_os = "macos")]
fn store() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(target_os = "windows")]
fn store() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(windows_native_keyring_store::Store::new()?)
}

#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "windows")))]
fn store() -> keyring_core::Result<Arc<CredentialStore>> {
    Err(keyring_core::Error::NoDefaultStore)
}
