//! The scheduler's settings, under the first msgserver's names, and a callback for each try that failed.
//!
//! `cargo run -p msgserver-examples --bin scheduler_settings`, and type `@ada hello`: nobody is there, so it is
//! tried three times and given up.

use std::time::Duration;

use msgserver::{Server, Settings};
use msgserver_examples::{console, open};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings = Settings {
        resend_times: 2,
        resend_interval: Duration::from_millis(100), // 10 s unless said
        max_parallel: 10,
        min_parallel: 1,
        queue_buffer_len: 1000,
        ..Settings::default()
    };
    let server = Server::builder()
        .settings(settings)
        .failed_callback(|failed| {
            println!("failed: to {}, try {}: {}", failed.user, failed.attempt, failed.reason);
        })
        .build()?;
    open(&server).await?;
    console(&server).await
}
