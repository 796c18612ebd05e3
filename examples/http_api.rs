//! The HTTP API beside a door.
//!
//! `cargo run -p msgserver-examples --bin http_api -- 127.0.0.1:3366 127.0.0.1:3365 KEY`, connect with
//! `nc 127.0.0.1 3366`, and then
//! `curl -H 'Authorization: Bearer KEY' -d '{"To":"","Content":"hello"}' http://127.0.0.1:3365/msg/sender`.

use msgserver::{HttpApi, Server};
use msgserver_examples::open;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(2);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3365".to_owned());
    let server = Server::builder().build()?;
    open(&server).await?;

    let mut api = HttpApi::new(server.sender()).seed_path("/msg/sender");
    if let Some(key) = arguments.next() {
        api = api.key(key);
    }
    let listener = TcpListener::bind(address).await?;
    println!("http on {}", listener.local_addr()?);
    let interrupted = async { drop(tokio::signal::ctrl_c().await) };
    api.serve(listener, interrupted).await;
    Ok(())
}
