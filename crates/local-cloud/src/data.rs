//! The data folder: its files belong to the user who runs the program, and to nobody else.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use aws_credential_types::Credentials;
use uuid::Uuid;

use crate::StartError;

/// The credentials, in the format of the AWS CLI.
const CREDENTIALS: &str = "aws-credentials";
pub(crate) const DYNAMODB: &str = "dynamodb.sqlite";
pub(crate) const COGNITO: &str = "cognito.sqlite";
pub(crate) const S3: &str = "s3";
/// Files that SQLite keeps beside a database: <https://www.sqlite.org/tempfiles.html>
const SQLITE_SUFFIXES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Returns the credentials of the data folder; makes random ones at the first start, and whenever there is no folder.
///
/// # Errors
///
/// [`StartError::Io`], or [`StartError::Credentials`] if the file holds none.
pub fn credentials(data_dir: Option<&Path>) -> Result<Credentials, StartError> {
    let Some(folder) = data_dir else { return Ok(random_credentials()) };
    let path = folder.join(CREDENTIALS);
    let failed = || StartError::io(format!("cannot use {}", path.display()));
    create_folder(folder).map_err(failed())?;
    if !path.exists() {
        write_credentials(folder, &path, &random_credentials()).map_err(failed())?;
    }
    tighten(&path, 0o600).map_err(failed())?;
    let text = fs::read_to_string(&path).map_err(failed())?;
    parse_credentials(&text).ok_or(StartError::Credentials(path))
}

/// Deletes what this crate keeps in `folder`, and nothing else.
///
/// # Errors
///
/// If something of it cannot be deleted.
pub fn remove_data(folder: &Path) -> io::Result<()> {
    let databases = [DYNAMODB, COGNITO];
    let files = databases.iter().flat_map(|name| SQLITE_SUFFIXES.map(|suffix| format!("{name}{suffix}")));
    for file in files.chain([CREDENTIALS.to_owned()]) {
        unless_missing(fs::remove_file(folder.join(file)))?;
    }
    unless_missing(fs::remove_dir_all(folder.join(S3)))
}

/// Creates a folder that only its owner can enter; one that exists stays as it is.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Creates a folder, or takes one that exists, and makes it its owner's alone.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    create_folder(path)?;
    tighten(path, 0o700)
}

/// Creates the file of a database, or takes one that exists, and makes it its owner's alone. SQLite gives the files beside
/// it the same permissions.
pub(crate) fn create_private_database(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    drop(options.open(path)?);
    for suffix in SQLITE_SUFFIXES {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        unless_missing(tighten(&PathBuf::from(name), 0o600))?;
    }
    Ok(())
}

fn tighten(path: &Path, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    #[cfg(not(unix))]
    let _ = (path, mode);
    Ok(())
}

fn unless_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn random_credentials() -> Credentials {
    let id = Uuid::new_v4().simple().to_string().to_ascii_uppercase();
    let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    Credentials::new(format!("LOCAL{}", &id[..15]), secret, None, None, "local-cloud")
}

/// Writes the whole file or none. A program that was faster wins.
fn write_credentials(folder: &Path, path: &Path, credentials: &Credentials) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "[default]")?;
    writeln!(file, "aws_access_key_id = {}", credentials.access_key_id())?;
    writeln!(file, "aws_secret_access_key = {}", credentials.secret_access_key())?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}

fn parse_credentials(text: &str) -> Option<Credentials> {
    let value = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim()).filter(|v| !v.is_empty())
    };
    let (id, secret) = (value("aws_access_key_id")?, value("aws_secret_access_key")?);
    Some(Credentials::new(id, secret, None, None, "local-cloud"))
}
