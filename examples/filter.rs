//! Filters: who may connect at all, said three times: by a function, by a type, by lists of networks.
//!
//! `cargo run -p msgserver-examples --bin filter -- 127.0.0.1:3366 function` (or `type`, or `networks`), and
//! connect with `nc 127.0.0.1 3366`; from 127.0.0.2 (`nc -s 127.0.0.2 127.0.0.1 3366`) it is refused.
//! Each line that you type goes to everybody who is connected.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use msgserver::{Filter, Networks, Server};
use msgserver_examples::{console, open};

struct Blocked(HashSet<IpAddr>);

impl Filter for Blocked {
    fn allows(&self, peer: SocketAddr) -> bool {
        println!("{} asks", peer.ip());
        !self.0.contains(&peer.ip())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let blocked: IpAddr = "127.0.0.2".parse()?;
    let builder = Server::builder();
    let builder = match std::env::args().nth(2).as_deref() {
        Some("type") => builder.filter(Blocked(HashSet::from([blocked]))),
        Some("networks") => builder
            .filter(Networks { allow: vec!["127.0.0.0/8".parse()?], deny: vec!["127.0.0.2/32".parse()?] }),
        _ => builder.filter(move |peer: SocketAddr| peer.ip() != blocked),
    };
    let server = builder.build()?;
    open(&server).await?;
    console(&server).await
}
