use std::io::{self, Write};

use secrecy::ExposeSecret;

use crate::{arguments::Arguments, stack::Stack};

/// Says where everything is and what to do first.
pub(crate) fn print(stack: &Stack, arguments: &Arguments) -> io::Result<()> {
    let Stack { api_url, user_pool, dynamodb, s3, .. } = stack;
    let pool = user_pool.pool();
    let domain = user_pool.domain();
    let mut out = io::stdout().lock();
    writeln!(out, "\n  Everything runs on this machine. Stop it with Ctrl-C.\n")?;
    writeln!(out, "  API            {api_url}")?;
    writeln!(out, "  Documentation  {api_url}/docs   (Authorize signs you in)")?;
    writeln!(out, "  User pool      {domain}   ({})", pool.pool_id())?;
    writeln!(out, "  DynamoDB       {}", dynamodb.endpoint_url())?;
    writeln!(out, "  S3             {}", s3.endpoint_url())?;
    match arguments.data_dir() {
        Some(folder) => writeln!(out, "  Data           {}", folder.display())?,
        None => writeln!(out, "  Data           in memory, gone at the end")?,
    }
    writeln!(out, "\n  Sign in as one of (name, password):\n")?;
    for user in pool.users() {
        writeln!(out, "    {}  {}", user.username, user.password.expose_secret())?;
    }
    writeln!(out, "\n  With an access token in $TOKEN:\n")?;
    writeln!(out, "    curl -H \"Authorization: Bearer $TOKEN\" {api_url}/users/me")?;
    let clients = pool.clients();
    let machine =
        clients.iter().find_map(|client| Some((&client.id, client.secret.as_ref()?.expose_secret())));
    if let Some((id, secret)) = machine {
        writeln!(out, "\n  A program gets one of its own (needs jq):\n")?;
        writeln!(out, "    TOKEN=$(curl -s -u '{id}:{secret}' -d grant_type=client_credentials \\")?;
        writeln!(out, "      {domain}/oauth2/token | jq -r .access_token)")?;
    }
    writeln!(out)?;
    out.flush()
}
