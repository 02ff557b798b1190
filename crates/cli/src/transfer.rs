//! Uploads to S3 and downloads from it: streamed, verified by their MD5, and repeated when a connection breaks.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Seek as _, Write as _},
    path::Path,
    pin::pin,
    time::Duration,
};

use backon::{ExponentialBuilder, Retryable as _};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use indicatif::{ProgressBar, ProgressStyle};
use md5::{Digest as _, Md5, digest::Output};
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode, header::ETAG};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use crate::{
    api::{Api, Attachment, PresignedRequest},
    error::{Error, Exit},
    http, output,
};

/// The longest time without a byte moving.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a transfer is repeated.
const MAX_RETRIES: usize = 3;

/// Attaches a file to an item.
///
/// S3 stores a file as a whole or not at all, and rejects content that does not match `Content-MD5` (S3 API,
/// `PutObject`).
pub(crate) async fn upload(
    api: &Api<'_>,
    item: Uuid,
    path: &Path,
    content_type: Option<&str>,
) -> Result<Attachment, Error> {
    let (size, md5) = size_and_md5(path)?;
    let guessed = mime_guess::from_path(path).first_or_octet_stream();
    let content_type = content_type.unwrap_or(guessed.essence_str());
    let filename = file_name(path)?;
    let what = format!("the upload of {}", path.display());
    let md5 = BASE64_STANDARD.encode(md5);
    let bar = progress_bar(filename, size);
    repeat(&bar, || async {
        let file = tokio::fs::File::open(path).await.map_err(cannot_read(path))?;
        let upload = api.create_attachment(item, filename, content_type, size).await?;
        let content = ReaderStream::new(bar.wrap_async_read(file).take(size));
        let request = request(Method::PUT, &upload.upload)?;
        let request = request.header("content-md5", &md5).body(Body::wrap_stream(content));
        let sent = send(api, &what, request);
        let outcome = while_bytes_move(&what, &bar, sent).await;
        if outcome.is_err() {
            // An attachment without content is invisible, but counts as one of the item's until its URL expires.
            let _ = api.delete_attachment(item, upload.attachment.id).await;
        }
        outcome.map(|_| upload.attachment)
    })
    .await
}

/// Downloads an attachment. On success, `output` contains the attachment and nothing else.
pub(crate) async fn download(
    api: &Api<'_>,
    item: Uuid,
    attachment: &Attachment,
    output: &File,
) -> Result<(), Error> {
    let what = format!("the download of {}", output::plain(&attachment.filename));
    let bar = progress_bar(&attachment.filename, attachment.size);
    repeat(&bar, || async {
        let presigned = api.download(item, attachment.id).await?;
        let received = async {
            let response = send(api, &what, request(Method::GET, &presigned)?).await?;
            receive(&what, response, attachment.size, output, &bar).await
        };
        while_bytes_move(&what, &bar, received).await
    })
    .await
}

/// Makes attempts until one succeeds or fails for another reason than an unavailable server or a broken connection.
///
/// Each attempt starts over with another presigned URL, since the previous one may have expired.
async fn repeat<T, F: Future<Output = Result<T, Error>>>(
    bar: &ProgressBar,
    mut attempt: impl FnMut() -> F,
) -> Result<T, Error> {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_times(MAX_RETRIES)
        .with_jitter();
    let attempt = || {
        bar.set_position(0);
        attempt()
    };
    let outcome = attempt
        .retry(pauses)
        .sleep(tokio::time::sleep)
        .when(|error: &Error| error.exit() == Exit::Unavailable)
        .await;
    bar.finish_and_clear();
    outcome
}

/// Waits for a transfer as long as the progress bar moves.
async fn while_bytes_move<T>(
    what: &str,
    bar: &ProgressBar,
    transfer: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let mut transfer = pin!(transfer);
    loop {
        let before = bar.position();
        match tokio::time::timeout(STALL_TIMEOUT, &mut transfer).await {
            Ok(outcome) => return outcome,
            Err(_) if bar.position() == before => {
                let what = format!("{what} made no progress for {} s", STALL_TIMEOUT.as_secs());
                return Err(Error::new(Exit::Unavailable, what, "Try again."));
            }
            Err(_) => {}
        }
    }
}

fn request(method: Method, presigned: &PresignedRequest) -> Result<RequestBuilder, Error> {
    let request = http::client(&presigned.url)?.request(method, presigned.url.clone());
    let headers = &presigned.headers;
    Ok(headers.iter().fold(request, |request, (name, value)| request.header(name, value)))
}

/// Sends a request to S3. The result is the response of a request that succeeded.
async fn send(api: &Api<'_>, what: &str, request: RequestBuilder) -> Result<Response, Error> {
    let response = http::send(request, api.is_verbose()).await;
    let response = response.map_err(|error| connection_failed(what, error))?;
    let hint = match response.status() {
        status if status.is_success() => return Ok(response),
        // BadDigest and IncompleteBody.
        StatusCode::BAD_REQUEST => {
            "The storage rejected it. Check that nothing changes the file, then try again."
        }
        _ => "The storage failed. Try again later.",
    };
    Err(interrupted(what, hint))
}

/// Writes a response of S3 to a file in place of what it contains, and verifies it.
async fn receive(
    what: &str,
    mut response: Response,
    size: u64,
    mut output: &File,
    bar: &ProgressBar,
) -> Result<(), Error> {
    let etag =
        response.headers().get(ETAG).and_then(|etag| etag.to_str().ok()).unwrap_or_default().to_owned();
    let cannot_write = || Error::io("cannot write the download");
    output.set_len(0).and_then(|()| output.rewind()).map_err(cannot_write())?;
    let (mut received, mut md5) = (0, Md5::new());
    while let Some(chunk) = response.chunk().await.map_err(|error| connection_failed(what, error))? {
        received += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        if received > size {
            break;
        }
        md5.update(&chunk);
        output.write_all(&chunk).map_err(cannot_write())?;
        bar.set_position(received);
    }
    if received != size || !is_etag_of(etag.trim_matches('"'), md5.finalize()) {
        return Err(Error::new(Exit::Local, format!("{what} is damaged"), "Try again."));
    }
    output.sync_all().map_err(cannot_write())
}

/// An ETag is the MD5 of the content, unless it is encrypted with a KMS key (S3 API, `Object`). Then the ETag does not
/// have the form of an MD5, and cannot be compared.
fn is_etag_of(etag: &str, md5: Output<Md5>) -> bool {
    let is_md5 = etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit());
    !is_md5 || etag.eq_ignore_ascii_case(&format!("{:032x}", u128::from_be_bytes(md5.into())))
}

fn size_and_md5(path: &Path) -> Result<(u64, Output<Md5>), Error> {
    // Checked before it is opened: a named pipe would wait for a writer.
    if !path.metadata().map_err(cannot_read(path))?.is_file() {
        return Err(Error::usage(format!("{} is not a regular file", path.display()), "Name a file."));
    }
    let mut file = BufReader::with_capacity(64 * 1024, File::open(path).map_err(cannot_read(path))?);
    let (mut size, mut md5) = (0, Md5::new());
    loop {
        let chunk = file.fill_buf().map_err(cannot_read(path))?;
        if chunk.is_empty() {
            return Ok((size, md5.finalize()));
        }
        let length = chunk.len();
        md5.update(chunk);
        size += u64::try_from(length).unwrap_or(u64::MAX);
        file.consume(length);
    }
}

fn file_name(path: &Path) -> Result<&str, Error> {
    let unusable = || Error::usage(format!("the name of {} is not Unicode", path.display()), "Rename it.");
    path.file_name().and_then(|name| name.to_str()).ok_or_else(unusable)
}

/// Returns a progress bar on standard error. It is hidden if that is not a terminal.
fn progress_bar(name: &str, bytes: u64) -> ProgressBar {
    let template = "{msg}  {bar:30}  {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(bytes).with_style(style).with_message(output::plain(name))
}

fn connection_failed(what: &str, error: reqwest::Error) -> Error {
    if error.is_connect() {
        http::unreachable("the storage of attachments", error)
    } else {
        interrupted(what, "Try again.").with_source(error.without_url())
    }
}

fn interrupted(what: &str, hint: &str) -> Error {
    Error::new(Exit::Unavailable, format!("{what} was interrupted"), hint)
}

fn cannot_read(path: &Path) -> impl FnOnce(io::Error) -> Error {
    Error::io(format!("cannot read {}", path.display()))
}
