//! Downloads from S3.

use std::{
    io,
    path::{Path, PathBuf},
};

use indicatif::ProgressBar;
use md5::{Digest as _, Md5};
use reqwest::{
    Response, StatusCode,
    header::{CONTENT_RANGE, ETAG, IF_MATCH, RANGE},
};
use tempfile::NamedTempFile;
use tokio::{
    fs::File,
    io::{AsyncWrite, AsyncWriteExt as _},
};
use uuid::Uuid;

use super::attempt::{Failure, STALL_TIMEOUT, interrupted, no_response, pauses, progress_bar, stalled};
use crate::{
    api::{Api, Download},
    error::{Error, Exit},
    http, output,
};

/// Where a download goes.
pub(crate) enum Target {
    File { path: PathBuf, replace: bool },
    StandardOutput,
}

/// Downloads an attachment. Resumes when the connection breaks; a file appears under its name only when it is complete and its
/// checksum is right.
pub(crate) async fn download(
    api: &Api<'_>,
    item: Uuid,
    attachment: Uuid,
    target: &Target,
) -> Result<Download, Error> {
    let download = api.download(item, attachment).await?;
    let bar = progress_bar(&download.attachment.filename, download.attachment.size);
    match target {
        Target::StandardOutput => {
            Transfer::new(api, item, &download, tokio::io::stdout(), &bar).run(&download).await?;
        }
        Target::File { path, replace } => {
            let cannot_write = || Error::io(format!("cannot write {}", path.display()));
            let partial = create_partial(path).map_err(cannot_write())?;
            let file = File::from_std(partial.reopen().map_err(cannot_write())?);
            let mut transfer = Transfer::new(api, item, &download, file, &bar);
            transfer.run(&download).await?;
            transfer.output.sync_all().await.map_err(cannot_write())?;
            persist(partial, path, *replace)?;
        }
    }
    bar.finish_and_clear();
    Ok(download)
}

/// A download in progress, over one or more connections.
struct Transfer<'a, W> {
    api: &'a Api<'a>,
    item: Uuid,
    attachment: Uuid,
    what: String,
    output: W,
    bar: &'a ProgressBar,
    received: u64,
    checksum: Md5,
    /// Of the first response. Later ones must be parts of the same file.
    etag: Option<String>,
}

impl<'a, W: AsyncWrite + Unpin> Transfer<'a, W> {
    fn new(api: &'a Api<'a>, item: Uuid, download: &Download, output: W, bar: &'a ProgressBar) -> Self {
        let attachment = download.attachment.id;
        let what = format!("the download of {}", output::plain(&download.attachment.filename));
        Self { api, item, attachment, what, output, bar, received: 0, checksum: Md5::new(), etag: None }
    }

    async fn run(&mut self, first: &Download) -> Result<(), Error> {
        let mut pauses = pauses();
        let mut outcome = self.attempt(first).await;
        let mut before = 0;
        loop {
            let error = match outcome {
                Ok(()) => return self.verify(),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Transient(error)) => error,
            };
            if self.received > before {
                pauses = super::attempt::pauses();
            }
            let Some(pause) = pauses.next() else { return Err(error) };
            tokio::time::sleep(pause).await;
            before = self.received;
            // The URL may have expired since, so each attempt gets another.
            outcome = match self.api.download(self.item, self.attachment).await.map_err(Error::from) {
                Ok(download) => self.attempt(&download).await,
                Err(error) if error.is_unavailable() => Err(Failure::Transient(error)),
                Err(error) => Err(Failure::Final(error)),
            };
        }
    }

    /// Downloads what is missing, until it is complete or the connection breaks.
    async fn attempt(&mut self, download: &Download) -> Result<(), Failure> {
        let size = download.attachment.size;
        if self.received >= size && self.etag.is_some() {
            return Ok(());
        }
        let mut response = self.request(download).await?;
        loop {
            let chunk = tokio::time::timeout(STALL_TIMEOUT, response.chunk()).await;
            let chunk = chunk.map_err(|_| stalled(&self.what))?;
            let Some(chunk) = chunk.map_err(|error| no_response(&self.what, error))? else { break };
            self.received += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            if self.received > size {
                return Err(self.damaged().into());
            }
            self.checksum.update(&chunk);
            self.output.write_all(&chunk).await.map_err(Error::io("cannot write the download"))?;
            self.bar.set_position(self.received);
        }
        self.output.flush().await.map_err(Error::io("cannot write the download"))?;
        if self.received == size { Ok(()) } else { Err(self.interrupted()) }
    }

    async fn request(&mut self, download: &Download) -> Result<Response, Failure> {
        let url = &download.download.url;
        let http = http::client(url)?;
        let mut request = http.get(url.clone());
        for (name, value) in &download.download.headers {
            request = request.header(name, value);
        }
        if self.received > 0 {
            request = request.header(RANGE, format!("bytes={}-", self.received));
            if let Some(etag) = &self.etag {
                request = request.header(IF_MATCH, etag);
            }
        }
        let sent = http::send(&http, request, self.api.is_verbose());
        let response = tokio::time::timeout(STALL_TIMEOUT, sent).await.map_err(|_| stalled(&self.what))?;
        let response = response.map_err(|error| no_response(&self.what, error))?;
        self.check(&response)?;
        Ok(response)
    }

    /// Checks that the response is the rest of what was received so far.
    fn check(&mut self, response: &Response) -> Result<(), Failure> {
        let header =
            |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let etag = header(ETAG);
        let continues = match response.status() {
            StatusCode::OK => self.received == 0,
            StatusCode::PARTIAL_CONTENT => {
                let start = format!("bytes {}-", self.received);
                header(CONTENT_RANGE).is_some_and(|range| range.starts_with(&start)) && etag == self.etag
            }
            StatusCode::PRECONDITION_FAILED => false,
            _ => return Err(self.interrupted()),
        };
        if !continues {
            return Err(self.damaged().into());
        }
        self.etag = etag;
        Ok(())
    }

    /// Compares the MD5 with the ETag. They differ if the object is encrypted with a KMS key (S3 API, `Object`): then an ETag is not
    /// of MD5 form, and only the length is checked.
    fn verify(&self) -> Result<(), Error> {
        let etag = self.etag.as_deref().map(|etag| etag.trim_matches('"')).unwrap_or_default();
        let is_md5 = etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit());
        let ours = format!("{:032x}", u128::from_be_bytes(self.checksum.clone().finalize().into()));
        if is_md5 && !etag.eq_ignore_ascii_case(&ours) { Err(self.damaged()) } else { Ok(()) }
    }

    fn damaged(&self) -> Error {
        Error::new(Exit::Local, format!("{} is damaged", self.what), "Try again.")
    }

    fn interrupted(&self) -> Failure {
        Failure::Transient(interrupted(&self.what, "Try again."))
    }
}

/// Creates a file beside the one that it will become. It is removed unless it is persisted.
fn create_partial(path: &Path) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    builder.prefix(".items-").suffix(".part");
    // As a file that is created in the usual way: the umask decides.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder.unwrap_or(Path::new(".")))
}

fn persist(partial: NamedTempFile, path: &Path, replace: bool) -> Result<(), Error> {
    let persisted = if replace { partial.persist(path) } else { partial.persist_noclobber(path) };
    persisted.map(drop).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => {
            let hint = "Use --force to replace it, or --output for another place.";
            Error::usage(format!("{} already exists", path.display()), hint)
        }
        _ => Error::io(format!("cannot write {}", path.display()))(error.error),
    })
}
