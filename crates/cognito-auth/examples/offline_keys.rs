//! Verifies one token with keys from a file, without a network.
//!
//! ```text
//! curl -O https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI/.well-known/jwks.json
//! cargo run -p cognito-auth --example offline_keys -- eu-west-1_AbCdEfGhI jwks.json < token.txt
//! ```
#![expect(clippy::print_stdout, reason = "the output of a program")]

use std::error::Error;
use std::{env, fs, io};

use cognito_auth::{UserPool, Verifier};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [pool_id, jwks] = &env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("usage: offline_keys <user pool id> <key set file> < <file with a token>".into());
    };
    let pool = UserPool::new(pool_id)?.with_jwks_json(&fs::read_to_string(jwks)?)?;
    // A tool for inspection may accept the tokens of any app client; a server must name its own.
    let verifier = Verifier::builder(pool).any_client().build()?;

    let token = verifier.verify_access(io::read_to_string(io::stdin())?.trim()).await?;
    println!("{:?}", token.principal());
    println!("app client {}", token.client_id());
    println!("scopes {:?}", token.scopes().collect::<Vec<_>>());
    println!("groups {:?}", token.groups());
    Ok(())
}
