//! Where a sign-in is stored: in the keyring, or in a file that only its owner can read. The file says which.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    crash,
    error::{Error, Exit},
    keyring, output,
    profile::{Profile, TokenStore},
    session::Session,
};

/// How long another process may hold the lock: longer than its two attempts at the token endpoint can take.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// The stored sign-in of one profile.
pub(crate) struct SessionStore<'a> {
    folder: PathBuf,
    profile: &'a Profile,
}

/// Where the tokens are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Location {
    Keyring,
    File,
}

/// The content of the file.
#[derive(Serialize, Deserialize)]
struct Stored {
    tokens_in: Location,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<Session>,
}

/// The right to change the sign-in. The system releases it with the process, so that a crash leaves no lock behind.
#[must_use]
pub(crate) struct Lock(#[expect(dead_code, reason = "holds the lock until it is dropped")] File);

impl<'a> SessionStore<'a> {
    /// Returns the store of a profile. Nothing is read or created yet.
    pub(crate) fn new(profile: &'a Profile) -> Result<Self, Error> {
        Ok(Self { folder: state_folder()?.join("sessions"), profile })
    }

    /// Loads the sign-in. Returns nothing if there is none, or if it belongs to another pool or client than the profile's.
    ///
    /// Does not need the lock, since a sign-in is only ever replaced as a whole.
    pub(crate) fn load(&self) -> Result<Option<Session>, Error> {
        let session = match self.read()? {
            Some(Stored { tokens_in: Location::Keyring, .. }) => keyring::get(&self.profile.name)
                .map_err(keyring_error)?
                .map(|bytes| serde_json::from_slice(&bytes).map_err(|_| self.unreadable()))
                .transpose()?,
            stored => stored.and_then(|stored| stored.session),
        };
        let (issuer, client_id) = (self.profile.issuer(), &self.profile.client_id);
        Ok(session.filter(|session| session.issuer == issuer && session.client_id == *client_id))
    }

    /// Waits until no other process has the lock.
    pub(crate) async fn lock(&self) -> Result<Lock, Error> {
        let path = self.path("lock");
        let cannot_lock = || Error::io(format!("cannot lock {}", path.display()));
        create_private_folder(&self.folder).map_err(cannot_lock())?;
        let file = File::options().append(true).create(true).open(&path).map_err(cannot_lock())?;
        let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| Lock(file)));
        let locked = tokio::time::timeout(LOCK_TIMEOUT, locked).await.map_err(|_| {
            let what = format!("another `items` has held the lock for {}", output::span(LOCK_TIMEOUT));
            Error::new(Exit::Local, what, "Try again.")
        })?;
        locked.map_err(io::Error::from).flatten().map_err(cannot_lock())
    }

    /// Stores a new sign-in, where the profile says. When this returns, it is on the disk.
    pub(crate) fn start(&self, lock: &Lock, session: &Session) -> Result<Location, Error> {
        self.write(lock, session, self.profile.token_store)
    }

    /// Stores a refreshed sign-in, where it was before: a keyring that is locked for a while must not move it to a file.
    pub(crate) fn save(&self, lock: &Lock, session: &Session) -> Result<Location, Error> {
        let before = self.read().ok().flatten().map(|stored| stored.tokens_in);
        let wanted = match (self.profile.token_store, before) {
            (TokenStore::Auto, Some(Location::Keyring)) => TokenStore::Keyring,
            (TokenStore::Auto, Some(Location::File)) => TokenStore::File,
            (wanted, _) => wanted,
        };
        self.write(lock, session, wanted)
    }

    /// Removes the tokens, wherever they are.
    pub(crate) fn forget(&self, _lock: &Lock) -> Result<(), Error> {
        let stored = self.read();
        for path in [self.path("json"), self.path("json.new")] {
            remove(&path).map_err(Error::io(format!("cannot remove {}", path.display())))?;
        }
        match stored {
            Ok(Some(Stored { tokens_in: Location::Keyring, .. })) => {
                keyring::delete(&self.profile.name).map_err(keyring_error)
            }
            _ => Ok(()),
        }
    }

    fn path(&self, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", self.profile.name))
    }

    fn read(&self) -> Result<Option<Stored>, Error> {
        let path = self.path("json");
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|_| self.unreadable()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(format!("cannot read {}", path.display()))(error)),
        }
    }

    fn write(&self, _lock: &Lock, session: &Session, wanted: TokenStore) -> Result<Location, Error> {
        let cannot_store = || Error::io("cannot store the tokens");
        let mut stored = Stored { tokens_in: Location::File, session: Some(session.clone()) };
        if wanted != TokenStore::File {
            let secret = serde_json::to_vec(session).map_err(io::Error::from).map_err(cannot_store())?;
            match keyring::set(&self.profile.name, secret) {
                Ok(()) => stored = Stored { tokens_in: Location::Keyring, session: None },
                Err(error) if wanted == TokenStore::Keyring => return Err(keyring_error(error)),
                Err(_) => {}
            }
        }
        self.replace(&stored).map_err(cannot_store())?;
        Ok(stored.tokens_in)
    }

    /// Writes another file and renames it: a reader sees the old content or the new one, also after a power failure.
    ///
    /// The name of the new file is fixed, since only the holder of the lock writes, and replaces what a crash left behind.
    fn replace(&self, stored: &Stored) -> io::Result<()> {
        remove(&self.path("json.new"))?;
        let name = format!("{}.json.new", self.profile.name);
        let mut file = tempfile::Builder::new().prefix(&name).rand_bytes(0).tempfile_in(&self.folder)?;
        serde_json::to_writer(&mut file, stored)?;
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
        Error::new(Exit::NotSignedIn, what, format!("Run `{}`.", self.profile.login_command()))
    }
}

fn keyring_error(error: keyring_core::Error) -> Error {
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

/// Creates the folder, and lets only its owner use it. (Windows protects the folders of a user's profile.)
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}
