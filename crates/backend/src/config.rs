//! The configuration, read once at startup from the environment.
//!
//! Only `main` and `telemetry` read the environment; the rest of the program takes a [`Config`]. The variables are described
//! in `.env.example`.

mod limits;
mod mcp;
mod telemetry;
mod variables;

use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

use cognito_auth::UserPool;
use http::HeaderValue;
use tracing_subscriber::EnvFilter;
use url::Url;

pub use self::limits::{Attachments, Limits};
pub use self::mcp::{BrokerKey, Mcp, McpSignIn};
use self::variables::{Variables, list};

/// Where the MCP endpoint is.
pub(crate) const MCP_PATH: &str = "/mcp";
use crate::telemetry::Signals;

/// All settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// The user pool and app clients whose tokens are accepted.
    pub cognito: Cognito,
    /// `DYNAMODB_TABLE_NAME`: the table with `pk` and `sk`.
    pub table_name: String,
    /// `S3_BUCKET_NAME`: the bucket for attachments. Without it the routes of attachments return 501.
    pub bucket_name: Option<String>,
    /// `PUBLIC_URL` (default `http://<BIND_ADDRESS>`): the API's own URL, the `resource` of RFC 9728.
    pub public_url: Url,
    /// `BIND_ADDRESS` (default `127.0.0.1:8000`).
    pub bind_address: SocketAddr,
    /// `METRICS_ADDRESS`: the address that serves metrics to Prometheus. Without it none are served.
    pub metrics_address: Option<SocketAddr>,
    /// `CORS_ALLOWED_ORIGINS`: the web pages that may call this API, comma-separated.
    pub cors_allowed_origins: Vec<HeaderValue>,
    /// `STRICT_TRANSPORT_SECURITY`: the value of that header. Without it, or where TLS ends elsewhere, the header is not sent.
    pub strict_transport_security: Option<HeaderValue>,
    /// `DOCS_ENABLED` (default `true`): whether `/docs` and `/openapi.json` are served.
    pub docs_enabled: bool,
    /// `ADMIN_MAX_AGE_SECONDS` (default 3600): how long after their sign-in administrators may use `/admin`. `None` for 0.
    pub admin_max_age: Option<Duration>,
    /// `RUST_LOG` (default `info`): what is logged.
    pub log_filter: String,
    /// `LOG_FORMAT` (default `text`).
    pub log_format: LogFormat,
    /// `LOG_HASH_KEY`: the key of the hash that identifies a caller in the log. Without it, each start makes a random one.
    pub log_key: Option<LogKey>,
    /// `MCP` (default `false`): whether `/mcp` serves AI clients, and how they sign in.
    pub mcp: Option<Mcp>,
    /// `OTEL_…`: what is exported by OTLP.
    pub telemetry: Signals,
    /// Limits per caller, request, connection and address.
    pub limits: Limits,
    /// Limits of attachments.
    pub attachments: Attachments,
}

/// The user pool and app clients whose tokens are accepted.
#[derive(Debug, Clone)]
pub struct Cognito {
    /// `COGNITO_USER_POOL_ID`, with `COGNITO_ISSUER` and `COGNITO_JWKS_URL` where they differ from Cognito's own.
    pub user_pool: UserPool,
    /// `COGNITO_APP_CLIENT_ID`: one or several, comma-separated. The first is the one that `/docs` signs in with.
    pub app_client_ids: Vec<String>,
    /// `COGNITO_DOMAIN`: the hosted UI's base URL; turns on sign-in in `/docs`.
    pub domain: Option<Url>,
    /// `COGNITO_REQUIRE_SCOPES` (default `true`): whether routes ask for `items/read` and `items/write`.
    pub require_scopes: bool,
}

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line, for log collectors.
    Json,
}

/// The key of the hash that identifies a caller in the log. A secret.
#[derive(Clone)]
pub struct LogKey(String);

impl LogKey {
    /// Returns the key.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogKey(..)")
    }
}

/// All mistakes in the configuration, one per line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// One message per mistake, each with the name of its variable.
    pub mistakes: Vec<String>,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} mistake(s):", self.mistakes.len())?;
        self.mistakes.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl Config {
    /// Reads the configuration from the variables that `lookup` returns. An empty variable counts as not set.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] lists every mistake, each with the name of its variable and the values that are allowed.
    ///
    /// # Example
    ///
    /// ```
    /// let config = backend::Config::from_variables(|name| match name {
    ///     "COGNITO_USER_POOL_ID" => Some("eu-west-1_AbCdEfGhI".to_owned()),
    ///     "COGNITO_APP_CLIENT_ID" => Some("1example23456789".to_owned()),
    ///     "DYNAMODB_TABLE_NAME" => Some("items".to_owned()),
    ///     _ => None,
    /// })?;
    /// assert_eq!(config.bind_address.port(), 8000);
    /// # Ok::<(), backend::config::ConfigError>(())
    /// ```
    pub fn from_variables(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut from = Variables { lookup: &lookup, mistakes: Vec::new() };
        let bind_address =
            from.parsed("BIND_ADDRESS", "an address and port such as 127.0.0.1:8000", |v| v.parse().ok());
        let bind_address = bind_address.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8000)));
        let public_url =
            from.url("PUBLIC_URL").or_else(|| Url::parse(&format!("http://{bind_address}")).ok());
        let cognito = cognito(&mut from);
        let mcp = mcp::mcp(&mut from, cognito.as_ref());
        let table_name = from.required("DYNAMODB_TABLE_NAME", "the name of the DynamoDB table");
        let log_format = from.parsed("LOG_FORMAT", "`text` or `json`", |value| value.parse().ok());
        let log_filter = from.parsed("RUST_LOG", "a filter such as info or backend=debug", |value| {
            EnvFilter::try_new(value).ok().map(|_| value.to_owned())
        });
        let read = Self::optional_parts(&mut from);
        match (cognito, table_name, public_url, from.mistakes.is_empty()) {
            (Some(cognito), Some(table_name), Some(public_url), true) => Ok(Self {
                cognito,
                table_name,
                bucket_name: read.bucket_name,
                public_url,
                bind_address,
                metrics_address: read.metrics_address,
                cors_allowed_origins: read.cors_allowed_origins,
                strict_transport_security: read.strict_transport_security,
                docs_enabled: read.docs_enabled,
                admin_max_age: read.admin_max_age,
                log_filter: log_filter.unwrap_or_else(|| "info".to_owned()),
                log_format: log_format.unwrap_or(LogFormat::Text),
                log_key: read.log_key,
                telemetry: read.telemetry,
                mcp,
                limits: read.limits,
                attachments: read.attachments,
            }),
            _ => Err(ConfigError { mistakes: from.mistakes }),
        }
    }

    fn optional_parts(from: &mut Variables<'_>) -> OptionalParts {
        OptionalParts {
            bucket_name: from.optional("S3_BUCKET_NAME"),
            metrics_address: from.parsed(
                "METRICS_ADDRESS",
                "an address and port such as 127.0.0.1:9000",
                |value| value.parse().ok(),
            ),
            cors_allowed_origins: from
                .parsed(
                    "CORS_ALLOWED_ORIGINS",
                    "origins such as https://app.example.com, comma-separated",
                    |value| list(value).map(origin).collect(),
                )
                .unwrap_or_default(),
            strict_transport_security: from.parsed(
                "STRICT_TRANSPORT_SECURITY",
                "max-age=<seconds>, optionally followed by ; includeSubDomains or ; preload",
                strict_transport_security,
            ),
            docs_enabled: from.flag("DOCS_ENABLED", true),
            admin_max_age: Some(from.seconds("ADMIN_MAX_AGE_SECONDS", 3600, 0, 30 * 24 * 3600))
                .filter(|max_age| !max_age.is_zero()),
            log_key: from.parsed("LOG_HASH_KEY", "a secret of at least 16 characters", |value| {
                (value.len() >= 16).then(|| LogKey(value.to_owned()))
            }),
            telemetry: telemetry::signals(from),
            limits: limits::limits(from),
            attachments: limits::attachments(from),
        }
    }

    /// Returns the URL of the metadata document that a 401 names (RFC 9728, sections 3.1 and 5.1).
    pub fn resource_metadata_url(&self) -> String {
        let base = self.public_url.as_str().trim_end_matches('/');
        format!("{base}{}", crate::routes::metadata::PATH)
    }

    /// Returns the API's own URL without a slash at the end: the `resource` of RFC 9728 and the accepted `aud` (RFC 8707).
    pub fn resource(&self) -> &str {
        self.public_url.as_str().trim_end_matches('/')
    }

    /// Returns the URL of the MCP endpoint: its `resource`, and the `aud` of tokens that are bound to it.
    pub fn mcp_resource(&self) -> String {
        format!("{}{MCP_PATH}", self.resource())
    }

    /// Returns the URL of the metadata document that a 401 of the MCP endpoint names.
    pub(crate) fn mcp_metadata_url(&self) -> String {
        format!("{}{}", self.resource(), crate::routes::metadata::MCP_METADATA_PATH)
    }
}

struct OptionalParts {
    bucket_name: Option<String>,
    metrics_address: Option<SocketAddr>,
    cors_allowed_origins: Vec<HeaderValue>,
    strict_transport_security: Option<HeaderValue>,
    docs_enabled: bool,
    admin_max_age: Option<Duration>,
    log_key: Option<LogKey>,
    telemetry: Signals,
    limits: Limits,
    attachments: Attachments,
}

fn cognito(from: &mut Variables<'_>) -> Option<Cognito> {
    let pool_id = from.required("COGNITO_USER_POOL_ID", "the user pool's ID such as eu-west-1_AbCdEfGhI");
    let app_client_ids =
        from.required("COGNITO_APP_CLIENT_ID", "one or several app client IDs, comma-separated");
    let domain = from.url("COGNITO_DOMAIN");
    let require_scopes = from.flag("COGNITO_REQUIRE_SCOPES", true);
    let issuer = from.optional("COGNITO_ISSUER");
    let jwks_url = from.optional("COGNITO_JWKS_URL");
    // If the ID is invalid, another pool takes its place, so that mistakes in the URLs are listed as well.
    let named = pool_id.and_then(|id| from.check("COGNITO_USER_POOL_ID", UserPool::new(&id)));
    let mut user_pool = named.or_else(|| UserPool::new("us-east-1_StandIn").ok())?;
    if let Some(issuer) = issuer {
        let named = from.check("COGNITO_ISSUER", user_pool.clone().with_issuer(&issuer));
        user_pool = named.unwrap_or(user_pool);
    }
    if let Some(jwks_url) = jwks_url {
        user_pool = from.check("COGNITO_JWKS_URL", user_pool.with_jwks_url(&jwks_url))?;
    }
    Some(Cognito {
        user_pool,
        app_client_ids: list(&app_client_ids?).map(str::to_owned).collect(),
        domain,
        require_scopes,
    })
}

impl FromStr for LogFormat {
    type Err = ();

    fn from_str(value: &str) -> Result<Self, ()> {
        match value {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(()),
        }
    }
}

/// Parses an origin as a browser sends it (RFC 6454, section 6.2): scheme, host and port.
/// A port of `*` stands for any port of a loopback host.
fn origin(value: &str) -> Option<HeaderValue> {
    let any_port = value.strip_suffix(":*");
    let url = Url::parse(any_port.unwrap_or(value)).ok()?;
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let valid = url.origin().ascii_serialization() == any_port.unwrap_or(value);
    (valid && (loopback || any_port.is_none())).then(|| HeaderValue::from_str(value).ok())?
}

/// Checks the directives of RFC 6797, section 6.1: a typing error would turn the protection off without a trace.
fn strict_transport_security(value: &str) -> Option<HeaderValue> {
    let mut directives = value.split(';').map(str::trim);
    let max_age = directives.next()?.strip_prefix("max-age=")?;
    let has_age = !max_age.is_empty() && max_age.bytes().all(|byte| byte.is_ascii_digit());
    let others_are_known = directives.all(|name| matches!(name, "includeSubDomains" | "preload"));
    (has_age && others_are_known).then(|| HeaderValue::from_str(value).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let needed = [
            ("COGNITO_USER_POOL_ID", "eu-west-1_AbCdEfGhI"),
            ("COGNITO_APP_CLIENT_ID", "web, cli"),
            ("DYNAMODB_TABLE_NAME", "items"),
        ];
        Config::from_variables(|name| {
            let mut given = variables.iter().chain(&needed);
            given.find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn three_variables_are_sufficient() {
        let config = read(&[]).unwrap();
        assert_eq!(config.cognito.app_client_ids, ["web", "cli"]);
        assert_eq!(config.resource(), "http://127.0.0.1:8000");
        assert_eq!(
            config.resource_metadata_url(),
            "http://127.0.0.1:8000/.well-known/oauth-protected-resource"
        );
        assert!(config.cognito.require_scopes);
        assert_eq!(config.bucket_name, None);
    }

    #[test]
    fn every_mistake_is_listed_with_its_variable() {
        let error = read(&[
            ("COGNITO_USER_POOL_ID", "nonsense"),
            ("DYNAMODB_TABLE_NAME", "  "),
            ("BIND_ADDRESS", "localhost"),
            ("PUBLIC_URL", "http://api.example.com"),
            ("CORS_ALLOWED_ORIGINS", "https://app.example.com/"),
            ("COGNITO_REQUIRE_SCOPES", "yes"),
            ("LOG_FORMAT", "xml"),
            ("MAX_BODY_BYTES", "-1"),
        ])
        .unwrap_err();
        for (variable, mistake) in [
            "BIND_ADDRESS",
            "PUBLIC_URL",
            "COGNITO_REQUIRE_SCOPES",
            "COGNITO_USER_POOL_ID",
            "DYNAMODB_TABLE_NAME",
            "LOG_FORMAT",
            "CORS_ALLOWED_ORIGINS",
            "MAX_BODY_BYTES",
        ]
        .iter()
        .zip(&error.mistakes)
        {
            assert!(mistake.starts_with(variable), "{variable}: {mistake}");
        }
        assert_eq!(error.mistakes.len(), 8);
    }

    #[test]
    fn misspelled_directives_of_strict_transport_security_are_rejected() {
        let read = |value| read(&[("STRICT_TRANSPORT_SECURITY", value)]);
        let valid = "max-age=31536000; includeSubDomains";
        assert_eq!(read(valid).unwrap().strict_transport_security.unwrap(), valid);
        for invalid in ["true", "max-age", "max-age=1y", "includeSubDomains", "max-age=1; includeSubdomain"] {
            assert!(read(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn settings_of_mcp_are_checked_only_where_it_is_on() {
        let uris = ("MCP_REDIRECT_URIS", "https://client.example/callback");
        let error = read(&[("MCP", "true"), uris]).unwrap_err();
        assert!(error.mistakes[0].starts_with("MCP_CLIENT_ID"), "{error}");
        assert!(read(&[("MCP", "false"), uris]).unwrap().mcp.is_none());
    }

    #[test]
    fn an_origin_is_compared_as_browsers_send_it() {
        let config = read(&[("CORS_ALLOWED_ORIGINS", "https://a.example, http://localhost:3000")]).unwrap();
        assert_eq!(config.cors_allowed_origins, ["https://a.example", "http://localhost:3000"]);
    }
}
