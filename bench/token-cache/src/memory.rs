//! What cached tokens take, by the verifier itself.

use std::{error::Error, fs, io};

use cognito_auth::testing::TestPool;

/// How many tokens are cached first, so that what the process had free is used up before anything is measured.
const WARM_UP: usize = 20_000;

/// By how many bytes the process grows for each of this many cached tokens.
///
/// # Errors
///
/// If a token is refused, or the system does not tell the process's size as Linux does.
pub(crate) async fn of_a_cached_token(count: usize) -> Result<usize, Box<dyn Error>> {
    let pool = TestPool::new();
    let verifier = pool.verifier_builder().cache_capacity(WARM_UP + count).build()?;
    let token_of = |number: usize| pool.user(&format!("user-{number}")).access_token();
    let tokens: Vec<String> = (0..WARM_UP + count).map(token_of).collect();
    let (warm_up, measured) = tokens.split_at(WARM_UP);
    for token in warm_up {
        verifier.verify_access(token).await?;
    }
    let before = resident_bytes()?;
    for token in measured {
        verifier.verify_access(token).await?;
    }
    Ok(resident_bytes()?.saturating_sub(before) / count)
}

/// The resident set, from `/proc/self/status` (proc(5)).
fn resident_bytes() -> io::Result<usize> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other("no VmRSS"))
}
