//! Uploads to S3.

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
use md5::{Digest as _, Md5};
use reqwest::{Body, StatusCode};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
};
use uuid::Uuid;

use super::attempt::{Failure, STALL_TIMEOUT, interrupted, no_response, pauses, progress_bar, stalled};
use crate::{
    api::{Api, Attachment, NewAttachment, Upload},
    error::Error,
    http,
};

/// How much of a file is read at once.
const CHUNK_BYTES: usize = 64 * 1024; // 64 KiB

/// A file to attach.
struct Source {
    file: File,
    name: String,
    size: u64,
    /// `Content-MD5`, by which S3 rejects bytes that were changed on the way (RFC 1864; S3 API, `PutObject`).
    checksum: String,
}

/// Attaches a file to an item.
///
/// S3 takes a file as a whole or not at all, so each attempt starts over, and removes what a failed one reserved.
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
    let mut pauses = pauses();
    loop {
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
        // An attachment without bytes is invisible; it only uses up a place until its URL expires.
        let _ = api.delete_attachment(item, id).await;
        match (failure, pauses.next()) {
            (Failure::Transient(_), Some(pause)) => tokio::time::sleep(pause).await,
            (Failure::Transient(error) | Failure::Final(error), _) => return Err(error),
        }
    }
}

impl Source {
    async fn open(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let cannot = || Error::io(format!("cannot read {name}"));
        // Checked before it is opened: a named pipe would wait for a writer.
        let metadata = tokio::fs::metadata(path).await.map_err(cannot())?;
        if !metadata.is_file() {
            return Err(Error::usage(format!("{name} is not a regular file"), "Name a file."));
        }
        let file = File::open(path).await.map_err(cannot())?;
        let size = metadata.len();
        let mut source = Self { file, name, size, checksum: String::new() };
        source.checksum = source.compute_checksum().await?;
        Ok(source)
    }

    async fn compute_checksum(&mut self) -> Result<String, Error> {
        let mut checksum = Md5::new();
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let read = self.file.read(&mut buffer).await;
            match buffer.get(..read.map_err(Error::io(format!("cannot read {}", self.name)))?) {
                Some([]) | None => return Ok(BASE64_STANDARD.encode(checksum.finalize())),
                Some(bytes) => checksum.update(bytes),
            }
        }
    }

    async fn send(&self, upload: &Upload, bar: &ProgressBar, verbose: bool) -> Result<(), Failure> {
        let http = http::client(&upload.upload.url)?;
        let (body, sent) = self.body(bar).await?;
        let mut request =
            http.put(upload.upload.url.clone()).body(body).header("content-md5", &self.checksum);
        for (name, value) in &upload.upload.headers {
            request = request.header(name, value);
        }
        let what = format!("the upload of {}", self.name);
        let response = tokio::select! {
            response = http::send(&http, request, verbose) => response,
            () = stall(&sent) => return Err(stalled(&what)),
        };
        let hint = match response.map_err(|error| no_response(&what, error))?.status() {
            status if status.is_success() => return Ok(()),
            // BadDigest and IncompleteBody, or a URL that expired: another attempt gets another URL.
            StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN => {
                "The storage rejected it. Check that nothing changes the file, then try again."
            }
            _ => "The storage failed. Try again later.",
        };
        Err(Failure::Transient(interrupted(&what, hint)))
    }

    /// Returns the file from its beginning, and a count of the bytes sent. If the file shrinks meanwhile, the request fails.
    async fn body(&self, bar: &ProgressBar) -> Result<(Body, Arc<AtomicU64>), Error> {
        let cannot = || Error::io(format!("cannot read {}", self.name));
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

/// Completes when no byte has moved for a while.
async fn stall(sent: &AtomicU64) {
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
    let unusable = || Error::usage(format!("the name of {} is not Unicode", path.display()), "Rename it.");
    name.map(str::to_owned).ok_or_else(unusable)
}
