//! A file from S3.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use indicatif::ProgressBar;
use reqwest::{
    Response, StatusCode,
    header::{CONTENT_RANGE, ETAG, IF_MATCH, RANGE},
};
use tokio::{
    fs::File,
    io::{AsyncWrite, AsyncWriteExt as _},
};
use uuid::Uuid;

use super::{ATTEMPTS, Checksum, Failure, STALL_TIMEOUT, pause, progress_bar};
use crate::{
    api::{Api, Download},
    error::Error,
    http, output,
};

/// Where a download goes.
pub(crate) enum Target {
    File { path: PathBuf, replace: bool },
    StandardOutput,
}

/// Downloads an attachment. A broken connection is taken up where it broke; a file appears under its name only when it is
/// whole and its checksum is right.
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
            let mut transfer = Transfer::new(api, item, attachment, tokio::io::stdout(), &bar);
            transfer.run(&download).await?;
        }
        Target::File { path, replace } => {
            let partial = PartialFile::create(path, *replace)?;
            let mut transfer = Transfer::new(api, item, attachment, partial.open().await?, &bar);
            transfer.run(&download).await?;
            transfer
                .output
                .sync_all()
                .await
                .map_err(Error::io(format!("{} cannot be written", path.display())))?;
            partial.finish(path, *replace)?;
        }
    }
    bar.finish_and_clear();
    Ok(download)
}

/// A download under way, over as many connections as it takes.
struct Transfer<'a, W> {
    api: &'a Api<'a>,
    item: Uuid,
    attachment: Uuid,
    output: W,
    bar: &'a ProgressBar,
    received: u64,
    checksum: Checksum,
    /// Of the first answer. Later ones must be parts of the same file.
    etag: Option<String>,
}

impl<'a, W: AsyncWrite + Unpin> Transfer<'a, W> {
    fn new(api: &'a Api<'a>, item: Uuid, attachment: Uuid, output: W, bar: &'a ProgressBar) -> Self {
        Self { api, item, attachment, output, bar, received: 0, checksum: Checksum::default(), etag: None }
    }

    async fn run(&mut self, first: &Download) -> Result<(), Error> {
        let mut attempt = 1;
        let mut outcome = self.attempt(first).await;
        loop {
            let error = match outcome {
                Ok(()) => return self.verify(first),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Transient(error)) => error,
            };
            if attempt >= ATTEMPTS {
                return Err(error);
            }
            pause(attempt).await;
            // The URL may have expired meanwhile: it is asked for anew.
            let before = self.received;
            outcome = match self.api.download(self.item, self.attachment).await {
                Ok(download) => self.attempt(&download).await,
                Err(error @ (Error::Unreachable { .. } | Error::Unavailable(_))) => {
                    Err(Failure::Transient(error))
                }
                Err(error) => Err(Failure::Final(error)),
            };
            attempt = if self.received > before { 1 } else { attempt + 1 };
        }
    }

    /// Gets what is missing, until it is there or the connection breaks.
    async fn attempt(&mut self, download: &Download) -> Result<(), Failure> {
        let size = download.attachment.size;
        if self.received >= size && self.etag.is_some() {
            return Ok(());
        }
        let mut answer = self.request(download).await?;
        while let Some(chunk) = next_chunk(&mut answer, &download.attachment.filename).await? {
            self.received += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            if self.received > size {
                return Err(Failure::Final(self.damaged(download)));
            }
            self.checksum.update(&chunk);
            let written = self.output.write_all(&chunk).await;
            written.map_err(Error::io("the download cannot be written")).map_err(Failure::Final)?;
            self.bar.set_position(self.received);
        }
        let flushed = self.output.flush().await;
        flushed.map_err(Error::io("the download cannot be written")).map_err(Failure::Final)?;
        if self.received == size { Ok(()) } else { Err(Failure::Transient(interrupted(download, None))) }
    }

    async fn request(&mut self, download: &Download) -> Result<Response, Failure> {
        let url = &download.download.url;
        let http = http::client(url).map_err(Failure::Final)?;
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
        let answer = tokio::time::timeout(STALL_TIMEOUT, sent).await.map_err(|_| stalled())?;
        let answer = answer.map_err(|source| {
            Failure::Transient(if source.is_connect() {
                Error::Unreachable { what: "the store of attachments".to_owned(), source }
            } else {
                interrupted(download, Some(source))
            })
        })?;
        self.check(download, &answer)?;
        Ok(answer)
    }

    /// Whether the answer is the rest of what has come so far.
    fn check(&mut self, download: &Download, answer: &Response) -> Result<(), Failure> {
        let header =
            |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let etag = header(ETAG);
        let continues = match answer.status() {
            StatusCode::OK => self.received == 0,
            StatusCode::PARTIAL_CONTENT => {
                let start = format!("bytes {}-", self.received);
                header(CONTENT_RANGE).is_some_and(|range| range.starts_with(&start)) && etag == self.etag
            }
            StatusCode::PRECONDITION_FAILED => false,
            _ => return Err(Failure::Transient(interrupted(download, None))),
        };
        if !continues {
            return Err(Failure::Final(self.damaged(download)));
        }
        self.etag = etag;
        Ok(())
    }

    /// An object that was put in one piece has its MD5 as ETag, unless it is encrypted with a key of KMS or of the caller (S3
    /// API, `Object`). Then its length must do.
    fn verify(&self, download: &Download) -> Result<(), Error> {
        let etag = self.etag.as_deref().map(|etag| etag.trim_matches('"')).unwrap_or_default();
        let is_md5 = etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit());
        let ours: String = self.checksum.clone().finish().iter().map(|byte| format!("{byte:02x}")).collect();
        if is_md5 && !etag.eq_ignore_ascii_case(&ours) { Err(self.damaged(download)) } else { Ok(()) }
    }

    fn damaged(&self, download: &Download) -> Error {
        Error::Checksum { name: output::plain(&download.attachment.filename) }
    }
}

async fn next_chunk(
    answer: &mut Response,
    name: &str,
) -> Result<Option<impl AsRef<[u8]> + std::ops::Deref<Target = [u8]>>, Failure> {
    match tokio::time::timeout(STALL_TIMEOUT, answer.chunk()).await {
        Ok(Ok(chunk)) => Ok(chunk),
        Ok(Err(error)) => {
            let what = format!("the download of {}", output::plain(name));
            Err(Failure::Transient(Error::Interrupted {
                what,
                hint: "try again",
                source: Some(error.without_url()),
            }))
        }
        Err(_) => Err(stalled()),
    }
}

fn stalled() -> Failure {
    Failure::Transient(Error::Stalled { what: "the download".to_owned() })
}

fn interrupted(download: &Download, source: Option<reqwest::Error>) -> Error {
    let what = format!("the download of {}", output::plain(&download.attachment.filename));
    Error::Interrupted { what, hint: "try again", source }
}

/// What has come so far, beside the file that it will be. It is removed unless it gets there.
struct PartialFile(PathBuf);

impl PartialFile {
    fn create(path: &Path, replace: bool) -> Result<Self, Error> {
        if !replace && path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let partial = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
        let cannot = Error::io(format!("{} cannot be written", path.display()));
        fs::File::create_new(&partial).map_err(cannot)?;
        Ok(Self(partial))
    }

    async fn open(&self) -> Result<File, Error> {
        let opened = File::options().write(true).open(&self.0).await;
        opened.map_err(Error::io(format!("{} cannot be written", self.0.display())))
    }

    fn finish(&self, path: &Path, replace: bool) -> Result<(), Error> {
        // A link fails where a rename would replace a file that has appeared meanwhile.
        let moved = if replace { fs::rename(&self.0, path) } else { fs::hard_link(&self.0, path) };
        match moved {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists(path)),
            // Not every file system has links.
            Err(_) if !replace && path.symlink_metadata().is_err() => {
                fs::rename(&self.0, path).map_err(Error::io(format!("{} cannot be written", path.display())))
            }
            moved => moved.map_err(Error::io(format!("{} cannot be written", path.display()))),
        }
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        // After a rename there is none.
        let _ = fs::remove_file(&self.0);
    }
}

fn exists(path: &Path) -> Error {
    Error::Usage(format!(
        "{} is there already: use --force to replace it, or --output for another place",
        path.display()
    ))
}
