//! Reads one row again and again with a bare AWS SDK, and prints how often and at what cost.
//!
//! ```text
//! get-item-loop TABLE PK SK SECONDS IN_FLIGHT
//! ```
//!
//! The answer is a line of JSON with `requests` and `cpu_seconds`, after a second to warm up.

use std::{
    error::Error,
    fs,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use tokio::{task::JoinSet, time::sleep};

const WARM_UP: Duration = Duration::from_secs(1);

/// `USER_HZ`, which is 100 on every Linux (man 5 proc, `/proc/pid/stat`).
const TICKS_PER_SECOND: f64 = 100.0;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [table, partition_key, sort_key, seconds, in_flight] = arguments.as_slice() else {
        return Err("usage: get-item-loop TABLE PK SK SECONDS IN_FLIGHT".into());
    };
    let (seconds, in_flight): (f64, usize) = (seconds.parse()?, in_flight.parse()?);
    let config = aws_config::load_defaults(BehaviorVersion::v2026_01_12()).await;
    let client = Client::new(&config);
    let done = Arc::new(AtomicU64::new(0));
    let mut readers = JoinSet::new();
    for _ in 0..in_flight {
        let key = (partition_key.clone(), sort_key.clone());
        readers.spawn(read(client.clone(), table.clone(), key, done.clone()));
    }
    let measured = measure(&done, Duration::from_secs_f64(seconds));
    tokio::select! {
        Some(failed) = readers.join_next() => failed?.map_err(Into::into),
        measured = measured => {
            let (requests, cpu_seconds) = measured?;
            Ok(writeln!(io::stdout(), r#"{{"requests": {requests}, "cpu_seconds": {cpu_seconds}}}"#)?)
        }
    }
}

async fn read(
    client: Client,
    table: String,
    key: (String, String),
    done: Arc<AtomicU64>,
) -> Result<(), String> {
    loop {
        let request = client.get_item().table_name(&table).consistent_read(true);
        let request =
            request.key("pk", AttributeValue::S(key.0.clone())).key("sk", AttributeValue::S(key.1.clone()));
        match request.send().await {
            Ok(answer) if answer.item.is_some() => done.fetch_add(1, Ordering::Relaxed),
            Ok(_) => return Err("there is no such row".to_owned()),
            Err(error) => return Err(aws_sdk_dynamodb::error::DisplayErrorContext(error).to_string()),
        };
    }
}

async fn measure(done: &AtomicU64, time: Duration) -> Result<(u64, f64), Box<dyn Error>> {
    sleep(WARM_UP).await;
    let (requests, cpu) = (done.load(Ordering::Relaxed), cpu_seconds()?);
    sleep(time).await;
    Ok((done.load(Ordering::Relaxed) - requests, cpu_seconds()? - cpu))
}

/// What this process has used so far, in user mode and in the kernel: the fields 14 and 15 of `/proc/self/stat`.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(") ").ok_or("/proc/self/stat has no name")?.1;
    let ticks = after_name.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(ticks as f64 / TICKS_PER_SECOND)
}
