use std::path::Path;

use aws_credential_types::Credentials;
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tower::service_fn;
use tower_http::cors::{AllowOrigin, Any, CorsLayer};
use tracing::warn;

use crate::{StartError, checksum, data, guard, server::Server};

/// S3's API on a folder, with one bucket.
///
/// Requests must be signed with its credentials. Pages of loopback origins may use presigned URLs.
#[derive(Debug)]
pub struct LocalS3 {
    server: Server,
    _ephemeral: Option<tempfile::TempDir>,
}

impl LocalS3 {
    /// Serves the folder `s3` of `data_dir`, or a temporary one, and creates `bucket` if it does not exist.
    ///
    /// # Errors
    ///
    /// [`StartError::S3`] or [`StartError::Io`].
    pub fn start(
        listeners: Vec<TcpListener>,
        data_dir: Option<&Path>,
        bucket: &str,
        credentials: &Credentials,
    ) -> Result<Self, StartError> {
        let (root, ephemeral) = match data_dir {
            Some(folder) => (folder.join(data::S3), None),
            None => {
                let folder = tempfile::tempdir().map_err(StartError::io("cannot create a folder for S3"))?;
                (folder.path().to_owned(), Some(folder))
            }
        };
        let path = root.join(bucket);
        data::create_private_folder(&root)
            .and_then(|()| data::create_private_folder(&path))
            .map_err(StartError::io(format!("cannot create {}", path.display())))?;
        let files = FileSystem::new(&root).map_err(|error| StartError::S3(format!("{error:?}")))?;
        let router = router(files, credentials);
        let server = Server::start("s3", listeners, move || router);
        Ok(Self { server: server.map_err(StartError::io("cannot serve S3"))?, _ephemeral: ephemeral })
    }

    /// The URL for the AWS SDK.
    pub fn endpoint_url(&self) -> &str {
        self.server.url()
    }

    /// Lets running requests finish, for half a second at most, and stops.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

fn router(files: FileSystem, credentials: &Credentials) -> Router {
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(credentials.access_key_id(), credentials.secret_access_key()));
    let s3 = builder.build();
    let service = service_fn(move |request: Request| {
        let mut s3 = s3.clone();
        async move {
            let answer = tower::Service::call(&mut s3, request).await;
            Ok::<_, std::convert::Infallible>(match answer {
                Ok(response) => response.map(Body::new).into_response(),
                Err(error) => {
                    warn!(?error, "S3 failed");
                    StatusCode::INTERNAL_SERVER_ERROR.into_response()
                }
            })
        }
    });
    Router::new()
        .fallback_service(service)
        .layer(middleware::from_fn(checksum::reject_wrong_checksums))
        .layer(middleware::from_fn(apply_overrides))
        .layer(cors())
        .layer(middleware::from_fn(guard::reject_foreign_pages))
}

/// What the bucket's CORS rules in `infra/` allow, for pages of this machine.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(|origin, _| guard::is_loopback_origin(origin)))
        .allow_methods([Method::GET, Method::PUT, Method::HEAD])
        .allow_headers(Any)
        .expose_headers([header::ETAG])
}

/// Applies `response-content-type` and `response-content-disposition`, which the signature covers and s3s-fs ignores:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>
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
