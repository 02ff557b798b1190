use std::{path::Path, time::Duration};

use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tower::service_fn;
use tower_http::cors::{Any, CorsLayer};
use tracing::warn;

use crate::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, StartError, listener};

/// How long requests may take to finish when it stops.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// S3's API on a folder, with one bucket.
#[derive(Debug)]
pub struct LocalS3 {
    endpoint_url: String,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    _ephemeral: Option<tempfile::TempDir>,
}

impl LocalS3 {
    /// Serves the folder `s3` of `data_dir`, or one that is removed at the end, and creates `bucket` if it is not there.
    ///
    /// # Errors
    ///
    /// [`StartError::S3`] or [`StartError::Io`].
    pub fn start(
        listeners: Vec<TcpListener>,
        data_dir: Option<&Path>,
        bucket: &str,
    ) -> Result<Self, StartError> {
        let ephemeral = match data_dir {
            Some(_) => None,
            None => Some(tempfile::tempdir().map_err(StartError::io("a folder for S3"))?),
        };
        let root = match (data_dir, &ephemeral) {
            (Some(folder), _) => folder.join("s3"),
            (None, Some(folder)) => folder.path().to_owned(),
            (None, None) => return Err(StartError::S3("there is no folder".to_owned())),
        };
        let path = root.join(bucket);
        std::fs::create_dir_all(&path).map_err(StartError::io(format!("the folder {}", path.display())))?;
        let files = FileSystem::new(&root).map_err(|error| StartError::S3(format!("{error:?}")))?;
        let endpoint_url = listener::url(&listeners).map_err(StartError::io("the address of S3"))?;
        let (stop, stopping) = watch::channel(false);
        let serving = tokio::spawn(serve(listeners, router(files), stopping));
        Ok(Self { endpoint_url, stop, serving, _ephemeral: ephemeral })
    }

    /// Where the AWS SDK reaches it.
    pub fn endpoint_url(&self) -> &str {
        &self.endpoint_url
    }

    /// Lets running requests finish, at most half a second, and stops.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let _ = self.serving.await;
    }
}

fn router(files: FileSystem) -> Router {
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
    let s3 = builder.build();
    let service = service_fn(move |request: Request| {
        let mut s3 = s3.clone();
        async move {
            let answer = tower::Service::call(&mut s3, request).await;
            Ok::<_, std::convert::Infallible>(match answer {
                Ok(response) => response.map(axum::body::Body::new).into_response(),
                Err(error) => {
                    warn!(?error, "S3 failed");
                    StatusCode::INTERNAL_SERVER_ERROR.into_response()
                }
            })
        }
    });
    // As the bucket's CORS rules in `infra/` say: a web page may use a presigned request, and what protects it is its signature.
    let cors = CorsLayer::new().allow_origin(Any).allow_methods([Method::GET, Method::PUT, Method::HEAD]);
    let cors = cors.allow_headers(Any).expose_headers([header::ETAG]);
    Router::new().fallback_service(service).layer(middleware::from_fn(apply_overrides)).layer(cors)
}

/// Applies `response-content-type` and `response-content-disposition`, which are part of GetObject and of what was signed,
/// and which s3s-fs passes over: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>
async fn apply_overrides(request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let is_get = request.method() == Method::GET;
    let mut response = next.run(request).await;
    if is_get && response.status().is_success() {
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let header = name.strip_prefix("response-").and_then(|name| HeaderName::try_from(name).ok());
            let header =
                header.filter(|name| [header::CONTENT_TYPE, header::CONTENT_DISPOSITION].contains(name));
            if let (Some(name), Ok(value)) = (header, HeaderValue::try_from(value.as_ref())) {
                response.headers_mut().insert(name, value);
            }
        }
    }
    response
}

async fn serve(listeners: Vec<TcpListener>, router: Router, stopping: watch::Receiver<bool>) {
    let mut servers = JoinSet::new();
    for listener in listeners {
        let (router, mut stopping) = (router.clone(), stopping.clone());
        let stop = async move {
            let _ = stopping.wait_for(|stop| *stop).await;
        };
        servers.spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stop).await });
    }
    let mut stopping = stopping;
    let _ = stopping.wait_for(|stop| *stop).await;
    let all = async { while servers.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(STOP_TIMEOUT, all).await;
}
