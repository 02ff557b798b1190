//! The operating system's keyring: the Secret Service on Linux, the Keychain on macOS, the Credential Manager on Windows.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use keyring_core::{CredentialStore, Entry, Error, Result};

/// The name under which the keyring shows the entries.
const SERVICE: &str = "items";

/// How long a user may take to unlock the keyring.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Reads the profile's entry; returns nothing if there is none.
pub(crate) fn get(profile: &str) -> Result<Option<Vec<u8>>> {
    with_entry(profile, |entry| match entry.get_secret() {
        Err(Error::NoEntry) => Ok(None),
        secret => secret.map(Some),
    })
}

/// Writes or replaces the profile's entry. Windows takes at most 2560 bytes.
pub(crate) fn set(profile: &str, secret: Vec<u8>) -> Result<()> {
    with_entry(profile, move |entry| entry.set_secret(&secret))
}

/// Removes the profile's entry, if there is one.
pub(crate) fn delete(profile: &str) -> Result<()> {
    with_entry(profile, |entry| match entry.delete_credential() {
        Err(Error::NoEntry) => Ok(()),
        deleted => deleted,
    })
}

/// Runs on a thread of its own, because the keyring may wait for somebody to unlock it.
fn with_entry<T: Send + 'static>(
    profile: &str,
    action: impl FnOnce(Entry) -> Result<T> + Send + 'static,
) -> Result<T> {
    let profile = profile.to_owned();
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let entry = store().and_then(|store| store.build(SERVICE, &profile, None));
        let _ = sender.send(entry.and_then(action));
    });
    let no_reply = || format!("no reply within {} s", TIMEOUT.as_secs());
    receiver.recv_timeout(TIMEOUT).map_err(|_| Error::NoStorageAccess(no_reply().into()))?
}

#[cfg(any(target_os = "linux", target_os = "macos", target_os = "windows"))]
fn store() -> Result<Arc<CredentialStore>> {
    #[cfg(target_os = "linux")]
    let store = dbus_secret_service_keyring_store::Store::new()?;
    #[cfg(target_os = "macos")]
    let store = apple_native_keyring_store::keychain::Store::new()?;
    #[cfg(target_os = "windows")]
    let store = windows_native_keyring_store::Store::new()?;
    Ok(store)
}

#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "windows")))]
fn store() -> Result<Arc<CredentialStore>> {
    Err(Error::NoDefaultStore)
}
