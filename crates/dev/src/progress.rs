use std::{
    io::{self, Write},
    time::Instant,
};

/// Prints a line while `work` runs, and completes it with the time that it took.
pub(crate) async fn step<T, E>(what: &str, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let started = Instant::now();
    print(&format!("  {what} …"));
    let result = work.await;
    match &result {
        Ok(_) => print(&format!(" {:.1} s\n", started.elapsed().as_secs_f32())),
        Err(_) => print(" failed\n"),
    }
    result
}

/// Standard output may be closed: that stops nothing.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
