//! The file in which a sign-in is kept: readable for its owner only, replaced whole, sealed where there is a keyring.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use aws_lc_rs::error::Unspecified;
use serde::{Deserialize, Serialize};

use super::{KeyringError, Lock, Session, keyring, seal::SealingKey};
use crate::{
    crash,
    error::Error,
    profile::{Profile, TokenStore},
};

/// More than the longest answer of a token endpoint, sealed and in Base64.
const MAX_FILE_BYTES: u64 = 256 * 1024; // 256 KiB

/// Where one profile's sign-in is kept.
pub(crate) struct SessionStore {
    folder: PathBuf,
    profile: String,
    issuer: String,
    client_id: String,
    token_store: TokenStore,
    login: String,
}

/// What keeps others from reading the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protection {
    /// A key in the keyring.
    Keyring,
    /// The file's mode alone.
    File,
}

/// The content of the file.
#[derive(Serialize, Deserialize)]
#[serde(tag = "protection", rename_all = "lowercase")]
enum Content {
    /// Sealed with the profile's key in the keyring.
    Keyring { sealed: String },
    /// As it is.
    File { session: Session },
}

impl SessionStore {
    /// The store of a profile. Nothing is read or created yet.
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

    /// The sign-in; nothing if there is none, or if it belongs to another pool or client than the profile names now.
    ///
    /// It can be called without the lock: the file is only ever replaced whole.
    pub(crate) fn load(&self) -> Result<Option<Session>, Error> {
        let session = match self.read()? {
            None => return Ok(None),
            Some(Content::File { session }) => session,
            Some(Content::Keyring { sealed }) => self.open(&sealed)?,
        };
        let is_ours = session.issuer == self.issuer && session.client_id == self.client_id;
        Ok(is_ours.then_some(session))
    }

    /// The right to change the sign-in, unless another process has it.
    pub(crate) fn try_lock(&self) -> Result<Option<Lock>, Error> {
        self.create_folder()?;
        let path = self.path("lock");
        let what = || format!("{} cannot be locked", path.display());
        let file = private_file().create(true).truncate(false).open(&path).map_err(Error::io(what()))?;
        Lock::try_take(file).map_err(Error::io(what()))
    }

    /// Keeps a new sign-in, as the profile asks. When this returns, it is on the disk.
    pub(crate) fn start(&self, lock: &Lock, session: &Session) -> Result<Protection, Error> {
        self.write(lock, session, self.token_store)
    }

    /// Keeps a refreshed sign-in, in the way it was kept before. When this returns, it is on the disk.
    ///
    /// A keyring that is locked for a while must not move the tokens into the open.
    pub(crate) fn save(&self, lock: &Lock, session: &Session) -> Result<Protection, Error> {
        let wanted = match (self.token_store, self.read()) {
            (TokenStore::Auto, Ok(Some(Content::Keyring { .. }))) => TokenStore::Keyring,
            (TokenStore::Auto, Ok(Some(Content::File { .. }))) => TokenStore::File,
            (wanted, _) => wanted,
        };
        self.write(lock, session, wanted)
    }

    /// Removes the tokens, but not the key that the keyring may hold for them.
    pub(crate) fn forget(&self, _lock: &Lock) -> Result<(), Error> {
        for name in ["json", "json.new"] {
            let path = self.path(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io(format!("{} cannot be removed", path.display()))(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes the tokens and the key.
    pub(crate) fn forget_everything(&self, lock: &Lock) -> Result<(), Error> {
        let was_sealed = matches!(self.read(), Ok(Some(Content::Keyring { .. })));
        self.forget(lock)?;
        if was_sealed {
            keyring::delete_key(&self.profile).map_err(|source| Error::Keyring { source })?;
        }
        Ok(())
    }

    fn path(&self, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", self.profile))
    }

    fn read(&self) -> Result<Option<Content>, Error> {
        let path = self.path("json");
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Ok(metadata) if metadata.len() > MAX_FILE_BYTES => return Err(self.unusable("cannot be read")),
            _ => {}
        }
        let bytes = fs::read(&path).map_err(Error::io(format!("{} cannot be read", path.display())))?;
        serde_json::from_slice(&bytes).map(Some).map_err(|_| self.unusable("cannot be read"))
    }

    fn open(&self, sealed: &str) -> Result<Session, Error> {
        let key = keyring::key(&self.profile).map_err(|source| Error::Keyring { source })?;
        let key = key.ok_or_else(|| self.unusable("has lost its key in the keyring"))?;
        let text = key
            .open(sealed, &self.profile)
            .map_err(|Unspecified| self.unusable("has another key than the keyring"))?;
        serde_json::from_slice(&text).map_err(|_| self.unusable("cannot be read"))
    }

    fn write(&self, _lock: &Lock, session: &Session, wanted: TokenStore) -> Result<Protection, Error> {
        let (content, protection) = match self.sealing_key(wanted)? {
            Some(key) => (self.seal(&key, session)?, Protection::Keyring),
            None => (Content::File { session: session.clone() }, Protection::File),
        };
        let bytes = serde_json::to_vec(&content)
            .map_err(|error| Error::io("the tokens cannot be written")(error.into()))?;
        let path = self.path("json");
        self.replace(&path, &bytes)
            .map_err(Error::io(format!("the tokens cannot be kept in {}", path.display())))?;
        Ok(protection)
    }

    /// The key to seal with, or nothing where a file must do.
    fn sealing_key(&self, wanted: TokenStore) -> Result<Option<SealingKey>, Error> {
        if wanted == TokenStore::File {
            return Ok(None);
        }
        match keyring::key_or_create(&self.profile) {
            Ok(key) => Ok(Some(key)),
            Err(_) if wanted == TokenStore::Auto => Ok(None),
            Err(source) => Err(Error::Keyring { source }),
        }
    }

    fn seal(&self, key: &SealingKey, session: &Session) -> Result<Content, Error> {
        let text = serde_json::to_vec(session)
            .map_err(|error| Error::io("the tokens cannot be written")(error.into()))?;
        let sealed = key
            .seal(&text, &self.profile)
            .map_err(|Unspecified| Error::Keyring { source: KeyringError::Key })?;
        Ok(Content::Keyring { sealed })
    }

    /// Writes beside the file, and renames: whoever reads sees the old content or the new one, also after a power cut.
    ///
    /// The name of the new file is fixed, since only the holder of the lock writes: what a crash leaves is overwritten.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let new = self.path("json.new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = private_file().create_new(true).open(&new)?;
        file.write_all(bytes)?;
        crash::point("before-sync");
        file.sync_all()?;
        crash::point("before-rename");
        fs::rename(&new, path)?;
        crash::point("after-rename");
        sync_folder(&self.folder)
    }

    fn create_folder(&self) -> Result<(), Error> {
        create_private_folder(&self.folder)
            .map_err(Error::io(format!("{} cannot be used", self.folder.display())))
    }

    fn unusable(&self, what: &'static str) -> Error {
        Error::SignInUnusable { what, login: self.login.clone() }
    }
}

/// Where this program keeps what it learns: `~/.local/state/items` on Linux.
pub(crate) fn state_folder() -> Result<PathBuf, Error> {
    let folder = dirs::state_dir().or_else(dirs::data_local_dir);
    let folder =
        folder.ok_or_else(|| Error::Usage("set HOME: there is no folder to keep the sign-in in".into()))?;
    Ok(folder.join("items"))
}

/// Creates the folder, or closes it to others if it is there.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
        builder.mode(0o700).create(path)?;
        let mode = fs::metadata(path)?.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        }
        Ok(())
    }
    // The folders of a user's profile are closed to other users on Windows.
    #[cfg(not(unix))]
    builder.create(path)
}

/// How a file is opened for writing that only its owner may read.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// A rename is durable when the folder is on the disk. Windows does that by itself and lets no folder be opened.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
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

    fn lock(store: &SessionStore) -> Lock {
        store.try_lock().unwrap().unwrap()
    }

    #[test]
    fn what_is_saved_is_loaded_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        assert!(store.load().unwrap().is_none());
        let lock = lock(&store);
        assert_eq!(store.save(&lock, &session(100)).unwrap(), Protection::File);
        assert_eq!(store.load().unwrap().unwrap().access_token.expose(), "the-access-token");
        store.forget_everything(&lock).unwrap();
        assert!(store.load().unwrap().is_none());
    }

    #[test]
    fn one_at_a_time_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let lock = lock(&store);
        assert!(store.try_lock().unwrap().is_none());
        drop(lock);
        assert!(store.try_lock().unwrap().is_some());
    }

    #[test]
    fn tokens_of_another_pool_or_client_are_not_given_out() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        store.save(&lock(&store), &session(100)).unwrap();
        let other_client = SessionStore { client_id: "other".into(), ..self::store(folder.path()) };
        let other_pool =
            SessionStore { issuer: "https://other.example".into(), ..self::store(folder.path()) };
        assert!(other_client.load().unwrap().is_none());
        assert!(other_pool.load().unwrap().is_none());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_the_files() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        fs::create_dir_all(&store.folder).unwrap();
        fs::set_permissions(&store.folder, fs::Permissions::from_mode(0o755)).unwrap();
        let lock = lock(&store);
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
    fn a_damaged_file_asks_to_sign_in_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let lock = lock(&store);
        for damage in ["", "{", r#"{"protection":"file"}"#, &"x".repeat(300_000)] {
            fs::write(store.path("json"), damage).unwrap();
            assert!(matches!(store.load(), Err(Error::SignInUnusable { .. })), "{damage:.20}");
        }
        store.save(&lock, &session(100)).unwrap();
        assert!(store.load().unwrap().is_some());
    }
}
