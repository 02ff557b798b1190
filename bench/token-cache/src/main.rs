#![doc = include_str!("../README.md")]
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

mod memory;
mod simulation;

use std::error::Error;

use simulation::{Load, hit_rate};

const CAPACITIES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
const USERS: [u64; 3] = [1_000, 100_000, 10_000_000];
const SKEWS: [f64; 2] = [0.8, 1.0];
const RATES: [f64; 3] = [10.0, 100.0, 1_000.0];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("Hits by capacity, at 1 000 requests a second to one instance:\n");
    print_header("users | skew");
    for users in USERS {
        for skew in SKEWS {
            print_row(&format!("{users} | {skew:.1}"), Load { users, skew, requests_per_second: 1_000.0 });
        }
    }
    println!("\nHits by capacity, of 100 000 users with skew 1.0:\n");
    print_header("requests a second");
    for requests_per_second in RATES {
        let load = Load { users: 100_000, skew: 1.0, requests_per_second };
        print_row(&format!("{requests_per_second}"), load);
    }
    println!("\nA cached token takes {} bytes.", memory::of_a_cached_token(40_000).await?);
    Ok(())
}

fn print_header(first: &str) {
    let columns = CAPACITIES.map(|capacity| capacity.to_string()).join(" | ");
    println!("| {first} | {columns} |");
    println!("|{}", "---|".repeat(first.split('|').count() + CAPACITIES.len()));
}

fn print_row(first: &str, load: Load) {
    let rates = CAPACITIES.map(|capacity| format!("{:.1} %", 100.0 * hit_rate(load, capacity))).join(" | ");
    println!("| {first} | {rates} |");
}
