//! Where a sign-in is stored: in the keyring, or in a file that only its owner can read. The file says which.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    crash,
    error::{Error, Exit},
    keyring::{self, KeyringError},
    profile::{Profile, TokenStore},
    session::Session,
};

/// More than three tokens of 16 KiB each.
const MAX_FILE_BYTES: u64 = 128 * 1024; // 128 KiB

/// The stored sign-in of one profile.
pub(crate) struct SessionStore {
    folder: PathBuf,
    profile: String,
    issuer: String,
    client_id: String,
    token_store: TokenStore,
    login: String,
}

/// Where the tokens are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Location {
    Keyring,
    File,
}

/// The content of the file.
#[derive(Serialize, Deserialize)]
#[serde(tag = "tokens_in", rename_all = "lowercase")]
enum Content {
    Keyring,
    File { session: Session },
}

/// The right to change the sign-in. The system releases it with the process, so that a crash leaves no lock behind.
#[derive(Debug)]
#[must_use]
pub(crate) struct Lock(#[expect(dead_code, reason = "holds the lock until it is dropped")] File);

impl SessionStore {
    /// Returns the store of a profile. Nothing is read or created yet.
    pub(crate) fn new(profile: &Profile) -> Result<Self, Error> {
        Ok(Self::in_folder(state_folder()?.join("sessions"), profile))
    }

    pub(crate) fn in_folder(folder: PathBuf, profile: &Profile) -> Self {
        Self {
            folder,
            profile: profile.name.clone(),
            issuer: profile.issuer(),
            client_id: profile.client_id.clone(),
            token_store: profile.token_store,
            login: profile.login_command(),
        }
    }

    /// Loads the sign-in; returns nothing if there is none, or if it belongs to another pool or client than the profile names.
    ///
    /// Needs no lock: what is stored is only ever replaced as a whole.
    pub(crate) fn load(&self) -> Result<Option<Session>, Error> {
        let session = match self.read()? {
            None => None,
            Some(Content::File { session }) => Some(session),
            Some(Content::Keyring) => keyring::get(&self.profile)
                .map_err(keyring_error)?
                .map(|bytes| serde_json::from_slice(&bytes).map_err(|_| self.unreadable()))
                .transpose()?,
        };
        Ok(session.filter(|session| session.issuer == self.issuer && session.client_id == self.client_id))
    }

    /// Takes the lock, unless another process holds it.
    pub(crate) fn try_lock(&self) -> Result<Option<Lock>, Error> {
        let path = self.path("lock");
        let what = format!("cannot lock {}", path.display());
        create_private_folder(&self.folder).map_err(Error::io(what.clone()))?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(Error::io(what.clone()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::io(what)(error)),
        }
    }

    /// Stores a new sign-in, where the profile says. When this returns, it is on the disk.
    pub(crate) fn start(&self, lock: &Lock, session: &Session) -> Result<Location, Error> {
        self.write(lock, session, self.token_store)
    }

    /// Stores a refreshed sign-in, where it was before: a keyring that is locked for a while must not move it to a file.
    pub(crate) fn save(&self, lock: &Lock, session: &Session) -> Result<Location, Error> {
        let wanted = match (self.token_store, self.read()) {
            (TokenStore::Auto, Ok(Some(Content::Keyring))) => TokenStore::Keyring,
            (TokenStore::Auto, Ok(Some(Content::File { .. }))) => TokenStore::File,
            (wanted, _) => wanted,
        };
        self.write(lock, session, wanted)
    }

    /// Removes the tokens, wherever they are.
    pub(crate) fn forget(&self, _lock: &Lock) -> Result<(), Error> {
        let is_in_keyring = matches!(self.read(), Ok(Some(Content::Keyring)));
        for path in [self.path("json"), self.path("json.new")] {
            remove(&path).map_err(Error::io(format!("cannot remove {}", path.display())))?;
        }
        if is_in_keyring { keyring::delete(&self.profile).map_err(keyring_error) } else { Ok(()) }
    }

    fn path(&self, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", self.profile))
    }

    fn read(&self) -> Result<Option<Content>, Error> {
        let path = self.path("json");
        let cannot_read = || Error::io(format!("cannot read {}", path.display()));
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            metadata if metadata.as_ref().is_ok_and(|file| file.len() > MAX_FILE_BYTES) => {
                return Err(self.unreadable());
            }
            _ => {}
        }
        match fs::read(&path) {
            // It was removed since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            bytes => serde_json::from_slice(&bytes.map_err(cannot_read())?)
                .map(Some)
                .map_err(|_| self.unreadable()),
        }
    }

    fn write(&self, _lock: &Lock, session: &Session, wanted: TokenStore) -> Result<Location, Error> {
        let what = "cannot store the tokens";
        let to_bytes = |error: serde_json::Error| Error::io(what)(error.into());
        if wanted != TokenStore::File {
            match keyring::set(&self.profile, serde_json::to_vec(session).map_err(to_bytes)?) {
                Ok(()) => {
                    let content = serde_json::to_vec(&Content::Keyring).map_err(to_bytes)?;
                    self.replace(&content).map_err(Error::io(what))?;
                    return Ok(Location::Keyring);
                }
                Err(error) if wanted == TokenStore::Keyring => return Err(keyring_error(error)),
                Err(_) => {}
            }
        }
        let content = serde_json::to_vec(&Content::File { session: session.clone() }).map_err(to_bytes)?;
        self.replace(&content).map_err(Error::io(what))?;
        Ok(Location::File)
    }

    /// Writes another file and renames it: a reader sees the old content or the new one, also after a power failure.
    ///
    /// The name of the new file is fixed, since only the holder of the lock writes: the next one replaces what a crash left.
    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        remove(&self.path("json.new"))?;
        let name = format!("{}.json.new", self.profile);
        let mut file = tempfile::Builder::new().prefix(&name).rand_bytes(0).tempfile_in(&self.folder)?;
        file.write_all(bytes)?;
        crash::point("before-sync");
        file.as_file().sync_all()?;
        crash::point("before-rename");
        file.persist(self.path("json"))?;
        crash::point("after-rename");
        // A rename is durable when the folder is on the disk. Windows does that by itself and cannot open folders.
        if cfg!(unix) { File::open(&self.folder)?.sync_all() } else { Ok(()) }
    }

    fn unreadable(&self) -> Error {
        let what = "the stored sign-in is damaged or from another version";
        Error::new(Exit::NotSignedIn, what, format!("Run `{}`.", self.login))
    }
}

fn keyring_error(error: KeyringError) -> Error {
    let hint = "Unlock it, or set ITEMS_TOKEN_STORE=file and sign in again.";
    Error::new(Exit::Local, "cannot open the keyring", hint).with_source(error)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Returns the folder for this program's data: `~/.local/state/items` on Linux.
pub(crate) fn state_folder() -> Result<PathBuf, Error> {
    let folder = dirs::state_dir().or_else(dirs::data_local_dir);
    let folder = folder.ok_or_else(|| Error::usage("the home folder is unknown", "Set HOME."))?;
    Ok(folder.join("items"))
}

/// Creates the folder with mode 0700, or gives an existing one this mode. (Windows protects the folders of a user's profile.)
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::session;

    fn store(folder: &Path) -> SessionStore {
        SessionStore {
            folder: folder.join("items/sessions"),
            profile: "local".into(),
            issuer: "https://issuer.example".into(),
            client_id: "client".into(),
            token_store: TokenStore::File,
            login: "items login".into(),
        }
    }

    #[test]
    fn session_is_saved_loaded_and_forgotten_under_a_lock() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        assert!(store.load().unwrap().is_none());
        let lock = store.try_lock().unwrap().unwrap();
        assert!(store.try_lock().unwrap().is_none());
        assert_eq!(store.save(&lock, &session(100)).unwrap(), Location::File);
        assert_eq!(store.load().unwrap().unwrap().access_token.expose(), "the-access-token");
        store.forget(&lock).unwrap();
        assert!(store.load().unwrap().is_none());
        drop(lock);
        assert!(store.try_lock().unwrap().is_some());
    }

    #[test]
    fn tokens_of_another_pool_or_client_are_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        store.save(&store.try_lock().unwrap().unwrap(), &session(100)).unwrap();
        let other_client = SessionStore { client_id: "other".into(), ..self::store(folder.path()) };
        let other_pool =
            SessionStore { issuer: "https://other.example".into(), ..self::store(folder.path()) };
        assert!(other_client.load().unwrap().is_none());
        assert!(other_pool.load().unwrap().is_none());
    }

    #[cfg(unix)]
    #[test]
    fn files_are_readable_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        fs::create_dir_all(&store.folder).unwrap();
        fs::set_permissions(&store.folder, fs::Permissions::from_mode(0o755)).unwrap();
        let lock = store.try_lock().unwrap().unwrap();
        fs::write(store.path("json.new"), "left by a crash, readable for all").unwrap();
        fs::set_permissions(store.path("json.new"), fs::Permissions::from_mode(0o644)).unwrap();
        store.save(&lock, &session(100)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&store.folder), 0o700);
        assert_eq!(mode(&store.path("json")), 0o600);
        assert_eq!(mode(&store.path("lock")), 0o600);
        assert!(!store.path("json.new").exists());
    }

    #[test]
    fn damaged_or_older_file_asks_to_sign_in_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let lock = store.try_lock().unwrap().unwrap();
        let sealed = r#"{"protection":"keyring","sealed":"AAAA"}"#;
        for damage in ["", "{", sealed, &"x".repeat(300_000)] {
            fs::write(store.path("json"), damage).unwrap();
            let error = store.load().err().unwrap().to_string();
            assert!(error.ends_with("Run `items login`."), "{damage:.20}: {error}");
        }
        store.save(&lock, &session(100)).unwrap();
        assert!(store.load().unwrap().is_some());
    }
}
