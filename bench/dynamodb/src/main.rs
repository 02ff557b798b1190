//! DynamoDB's API in memory, on a free port of loopback, which it prints. It ends with its standard input.

use std::{
    error::Error,
    io::{self, Read, Write},
    net::Ipv4Addr,
};

use dynoxide::{Database, server::serve_with_shutdown};
use tokio::{net::TcpListener, task::spawn_blocking};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    writeln!(io::stdout(), "http://{}", listener.local_addr()?)?;
    let parent_gone = async {
        let _ = spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new())).await;
    };
    Ok(serve_with_shutdown(listener, Database::memory()?, parent_gone).await?)
}
