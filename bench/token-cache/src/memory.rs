//! What cached tokens take, by the verifier itself.

use std::{error::Error, fs, io};

use cognito_auth::testing::TestPool;

/// By how many bytes the process grows when a verifier caches this many tokens.
///
/// # Errors
///
/// If a token is refused, or the system does not tell the process's size as Linux does.
pub(crate) async fn of_cached_tokens(count: usize) -> Result<usize, Box<dyn Error>> {
    let pool = TestPool::new();
    let verifier = pool.verifier_builder().build()?;
    let tokens: Vec<String> =
        (0..count).map(|number| pool.user(&format!("user-{number}")).access_token()).collect();
    let before = resident_bytes()?;
    for token in &tokens {
        verifier.verify_access(token).await?;
    }
    Ok(resident_bytes()?.saturating_sub(before))
}

/// The resident set, from `/proc/self/status` (proc(5)).
fn resident_bytes() -> io::Result<usize> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other("no VmRSS"))
}
