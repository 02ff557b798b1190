//! The endpoint for AI clients, and their sign-in.

use std::fmt;

use url::Url;

use super::{
    Cognito,
    variables::{Variables, list},
};

/// The endpoint for AI clients.
#[derive(Debug, Clone)]
pub struct Mcp {
    /// The sign-in of clients that know only the URL; with `MCP_CLIENT_ID`. Other clients need a client ID of their own.
    pub sign_in: Option<McpSignIn>,
}

/// The sign-in of AI clients through this server.
#[derive(Debug, Clone)]
pub struct McpSignIn {
    /// `MCP_CLIENT_ID`: the public app client that all of them use. One of `COGNITO_APP_CLIENT_ID`.
    pub client_id: String,
    /// `MCP_REDIRECT_URIS`: where a sign-in may end, besides the user's own machine.
    pub redirect_uris: Vec<String>,
    /// `MCP_BROKER_KEY`: turns on the broker, which lets a sign-in end at any port of the user's own machine.
    pub broker_key: Option<BrokerKey>,
    domain: Url,
}

impl McpSignIn {
    /// Returns the URL of an endpoint of the hosted UI.
    pub(crate) fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.domain.as_str().trim_end_matches('/'))
    }
}

/// The key that seals what the broker gives to browsers. A secret.
#[derive(Clone)]
pub struct BrokerKey(String);

impl BrokerKey {
    /// A key of at least 32 characters.
    pub(crate) fn new(key: &str) -> Option<Self> {
        (key.len() >= 32).then(|| Self(key.to_owned()))
    }

    /// Returns the key.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for BrokerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BrokerKey(..)")
    }
}

/// Reads the settings, if the endpoint is turned on.
pub(super) fn mcp(from: &mut Variables<'_>, cognito: Option<&Cognito>) -> Option<Mcp> {
    if !from.flag("MCP", false) {
        return None;
    }
    let client_id = from.optional("MCP_CLIENT_ID");
    let redirect_uris = from.parsed(
        "MCP_REDIRECT_URIS",
        "URLs such as https://claude.ai/api/mcp/auth_callback, comma-separated (http for loopback hosts only)",
        |value| list(value).map(redirect_uri).collect(),
    );
    let broker_key = from.parsed("MCP_BROKER_KEY", "a secret of at least 32 characters", BrokerKey::new);
    let sign_in = match (client_id, cognito) {
        (Some(client_id), Some(cognito)) => sign_in(from, cognito, client_id, redirect_uris, broker_key),
        (None, _) if redirect_uris.is_some() => {
            from.mistakes.push("MCP_CLIENT_ID is required with MCP_REDIRECT_URIS".to_owned());
            None
        }
        _ => None,
    };
    Some(Mcp { sign_in })
}

fn sign_in(
    from: &mut Variables<'_>,
    cognito: &Cognito,
    client_id: String,
    redirect_uris: Option<Vec<String>>,
    broker_key: Option<BrokerKey>,
) -> Option<McpSignIn> {
    if !cognito.app_client_ids.contains(&client_id) {
        from.mistakes.push("MCP_CLIENT_ID must be one of COGNITO_APP_CLIENT_ID".to_owned());
    }
    let Some(domain) = cognito.domain.clone() else {
        from.mistakes.push("COGNITO_DOMAIN is required with MCP_CLIENT_ID: clients sign in there".to_owned());
        return None;
    };
    Some(McpSignIn { client_id, redirect_uris: redirect_uris.unwrap_or_default(), broker_key, domain })
}

/// Parses a URI that is later compared character for character: no wildcard, user name or fragment; https, http on this
/// machine, or the scheme of an application.
fn redirect_uri(value: &str) -> Option<String> {
    let url = Url::parse(value).ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let scheme_fits = match url.scheme() {
        "https" => true,
        "http" => matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")),
        // A browser runs or shows these itself.
        "javascript" | "data" | "vbscript" | "blob" | "file" | "filesystem" | "about" | "ws" | "wss"
        | "ftp" => false,
        _ => true,
    };
    (is_plain && scheme_fits && !value.contains('*')).then(|| value.to_owned())
}
