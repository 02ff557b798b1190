use std::fmt::{self, Write};

use local_cloud::LocalUserPool;
use secrecy::ExposeSecret;

use crate::{arguments::Arguments, progress, stack::Stack};

/// Prints where everything is and what to do first.
pub(crate) fn print(stack: &Stack, arguments: &Arguments) {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_addresses(&mut text, stack, arguments);
    if let Some(user_pool) = &stack.user_pool {
        let _ = write_sign_in(&mut text, user_pool, &stack.api_url, stack.mcp_can_sign_in());
    }
    text.push_str("\n  Everything runs on this machine. Stop it with Ctrl-C.\n\n");
    progress::print(&text);
}

fn write_addresses(out: &mut String, stack: &Stack, arguments: &Arguments) -> fmt::Result {
    let Stack { api_url, user_pool, dynamodb, s3, credentials, .. } = stack;
    let config = stack.app.config();
    writeln!(out, "\n  API            {api_url}")?;
    if config.docs_enabled {
        let sign_in = if stack.docs_can_sign_in { "   (Authorize signs you in)" } else { "" };
        writeln!(out, "  Documentation  {api_url}/docs{sign_in}")?;
    }
    if config.mcp.is_some() {
        writeln!(out, "  MCP            {}", config.mcp_resource())?;
    }
    match user_pool {
        Some(local) => writeln!(out, "  User pool      {}   ({})", local.domain(), local.pool().pool_id())?,
        None => writeln!(out, "  User pool      {} (COGNITO_USER_POOL_ID)", config.cognito.user_pool.id())?,
    }
    let elsewhere = "elsewhere (AWS_ENDPOINT_URL)";
    writeln!(out, "  DynamoDB       {}", dynamodb.as_ref().map_or(elsewhere, |local| local.endpoint_url()))?;
    writeln!(out, "  S3             {}", s3.as_ref().map_or(elsewhere, |local| local.endpoint_url()))?;
    if dynamodb.is_some() || s3.is_some() {
        let (id, secret) = (credentials.access_key_id(), credentials.secret_access_key());
        writeln!(out, "  AWS keys       {id} {secret}")?;
    }
    match arguments.data_dir() {
        Some(folder) => writeln!(out, "  Data           {}", folder.display()),
        None => writeln!(out, "  Data           in memory, lost at the end"),
    }
}

fn write_sign_in(
    out: &mut String,
    user_pool: &LocalUserPool,
    api_url: &str,
    mcp_sign_in: bool,
) -> fmt::Result {
    writeln!(out, "\n  Users with their first passwords:\n")?;
    for user in user_pool.pool().users() {
        writeln!(out, "    {}  {}", user.username, user.password.expose_secret())?;
    }
    if mcp_sign_in {
        writeln!(out, "\n  Add your items to an AI client, which signs you in:\n")?;
        writeln!(out, "    {}", mcp_command(api_url))?;
    }
    writeln!(out, "\n  With an access token in $TOKEN:\n")?;
    writeln!(out, "    curl -H \"Authorization: Bearer $TOKEN\" {api_url}/items")?;
    if let Some(command) = token_command(user_pool) {
        writeln!(out, "\n  A program gets a token of its own:\n")?;
        command.lines().try_for_each(|line| writeln!(out, "    {line}"))?;
    }
    Ok(())
}

/// The command that adds the MCP endpoint to an AI client.
pub(crate) fn mcp_command(api_url: &str) -> String {
    format!("claude mcp add --transport http items {api_url}/mcp")
}

/// A shell command that sets `$TOKEN`, if the pool has a client with a secret.
pub(crate) fn token_command(user_pool: &LocalUserPool) -> Option<String> {
    let clients = user_pool.pool().clients();
    let mut with_secret = clients.iter().filter_map(|client| Some((&client.id, client.secret.as_ref()?)));
    let (id, secret) = with_secret.next()?;
    let (secret, domain) = (secret.expose_secret(), user_pool.domain());
    Some(format!(
        "TOKEN=$(curl -s -u '{id}:{secret}' -d grant_type=client_credentials \\\n  \
         {domain}/oauth2/token | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')"
    ))
}
