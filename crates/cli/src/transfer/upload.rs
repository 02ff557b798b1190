//! A file into S3.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::stream;
use indicatif::ProgressBar;
use reqwest::{Body, StatusCode};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
};
use uuid::Uuid;

use super::{ATTEMPTS, CHUNK_BYTES, Checksum, Failure, STALL_TIMEOUT, display_name, pause, progress_bar};
use crate::{
    api::{Api, Attachment, NewAttachment, Upload},
    error::Error,
    http,
};

/// A file that is being attached.
struct Source {
    file: File,
    name: String,
    size: u64,
    /// `Content-MD5`, by which S3 itself refuses bytes that were changed on their way (RFC 1864, S3 API `PutObject`).
    checksum: String,
}

/// Attaches a file to an item.
///
/// S3 takes a file in one piece or not at all, so each attempt begins anew, and what an attempt reserved is given back.
pub(crate) async fn upload(
    api: &Api<'_>,
    item: Uuid,
    path: &Path,
    content_type: Option<&str>,
) -> Result<Attachment, Error> {
    let source = Source::open(path).await?;
    let guessed = mime_guess::from_path(path).first_or_octet_stream();
    let new = NewAttachment {
        filename: file_name(path)?,
        content_type: content_type.map_or_else(|| guessed.essence_str().to_owned(), str::to_owned),
        size: source.size,
    };
    let bar = progress_bar(&new.filename, source.size);
    for attempt in 1.. {
        bar.set_position(0);
        let upload = api.create_attachment(item, &new).await?;
        let id = upload.attachment.id;
        let failure = match source.send(&upload, &bar, api.is_verbose()).await {
            Ok(()) => {
                bar.finish_and_clear();
                return Ok(upload.attachment);
            }
            Err(failure) => failure,
        };
        // What was never uploaded is invisible; it only takes a place until its URL expires.
        let _ = api.delete_attachment(item, id).await;
        match failure {
            Failure::Transient(_) if attempt < ATTEMPTS => pause(attempt).await,
            Failure::Transient(error) | Failure::Final(error) => return Err(error),
        }
    }
    Err(Error::Stalled { what: "the upload".to_owned() })
}

impl Source {
    async fn open(path: &Path) -> Result<Self, Error> {
        let name = display_name(path);
        let cannot = || Error::io(format!("{name} cannot be read"));
        // Before it is opened: a named pipe would wait for a writer.
        let metadata = tokio::fs::metadata(path).await.map_err(cannot())?;
        if !metadata.is_file() {
            return Err(Error::Usage(format!("{name} is no file: name files, or pack the folder first")));
        }
        let file = File::open(path).await.map_err(cannot())?;
        let size = metadata.len();
        let mut source = Self { file, name, size, checksum: String::new() };
        source.checksum = source.compute_checksum().await?;
        Ok(source)
    }

    async fn compute_checksum(&mut self) -> Result<String, Error> {
        let mut checksum = Checksum::default();
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let read = self
                .file
                .read(&mut buffer)
                .await
                .map_err(Error::io(format!("{} cannot be read", self.name)))?;
            match buffer.get(..read) {
                Some([]) | None => return Ok(BASE64_STANDARD.encode(checksum.finish())),
                Some(bytes) => checksum.update(bytes),
            }
        }
    }

    async fn send(&self, upload: &Upload, bar: &ProgressBar, verbose: bool) -> Result<(), Failure> {
        let http = http::client(&upload.upload.url).map_err(Failure::Final)?;
        let (body, sent) = self.body(bar).await.map_err(Failure::Final)?;
        let mut request =
            http.put(upload.upload.url.clone()).body(body).header("content-md5", &self.checksum);
        for (name, value) in &upload.upload.headers {
            request = request.header(name, value);
        }
        let answer = tokio::select! {
            answer = http::send(&http, request, verbose) => answer,
            () = stalled(&sent) => return Err(Failure::Transient(Error::Stalled { what: "the upload".to_owned() })),
        };
        let what = || format!("the upload of {}", self.name);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => {
                let what = "the store of attachments".to_owned();
                return Err(Failure::Transient(Error::Unreachable { what, source: error }));
            }
            Err(error) => {
                let source = Some(error);
                return Err(Failure::Transient(Error::Interrupted {
                    what: what(),
                    hint: "try again",
                    source,
                }));
            }
        };
        judge(answer.status(), &self.name)
    }

    /// The file from its beginning, with a count of what was sent. A file that shrinks meanwhile breaks the request off.
    async fn body(&self, bar: &ProgressBar) -> Result<(Body, Arc<AtomicU64>), Error> {
        let cannot = || Error::io(format!("{} cannot be read", self.name));
        let mut file = self.file.try_clone().await.map_err(cannot())?;
        file.rewind().await.map_err(cannot())?;
        let sent = Arc::new(AtomicU64::new(0));
        if self.size == 0 {
            return Ok((Body::from(Vec::new()), sent));
        }
        let (count, bar) = (sent.clone(), bar.clone());
        let chunks = stream::try_unfold((file, self.size), move |(mut file, left)| {
            let (count, bar) = (count.clone(), bar.clone());
            async move {
                if left == 0 {
                    return Ok(None);
                }
                let mut buffer = vec![0; CHUNK_BYTES.min(usize::try_from(left).unwrap_or(CHUNK_BYTES))];
                let read = file.read(&mut buffer).await?;
                if read == 0 {
                    return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
                }
                buffer.truncate(read);
                let read = u64::try_from(read).unwrap_or(left);
                count.fetch_add(read, Ordering::Relaxed);
                bar.inc(read);
                Ok(Some((buffer, (file, left - read))))
            }
        });
        Ok((Body::wrap_stream(chunks), sent))
    }
}

fn judge(status: StatusCode, name: &str) -> Result<(), Failure> {
    let interrupted = |hint| Error::Interrupted { what: format!("the upload of {name}"), hint, source: None };
    match status {
        status if status.is_success() => Ok(()),
        // BadDigest and IncompleteBody, or a URL that expired: another attempt gets another URL.
        StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN => Err(Failure::Transient(interrupted(
            "the store refused it; if the file is being changed, wait for that to end, then try again",
        ))),
        _ => Err(Failure::Transient(interrupted("the store has a failure; try again later"))),
    }
}

/// Comes to an end when no byte has moved for a while.
async fn stalled(sent: &AtomicU64) {
    let mut before = sent.load(Ordering::Relaxed);
    loop {
        tokio::time::sleep(STALL_TIMEOUT).await;
        let now = sent.load(Ordering::Relaxed);
        if now == before {
            return;
        }
        before = now;
    }
}

fn file_name(path: &Path) -> Result<String, Error> {
    let name = path.file_name().and_then(|name| name.to_str());
    let unusable = || Error::Usage(format!("{} has a name that is not Unicode: rename it", path.display()));
    name.map(str::to_owned).ok_or_else(unusable)
}
