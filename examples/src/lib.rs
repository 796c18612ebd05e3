//! What the examples share: a door, and a console to send from.

use std::error::Error;
use std::io;

use msgserver::{Content, Server, UserId};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::net::TcpListener;

/// Opens a door at the address that the first argument names, 127.0.0.1:3366 if there is none, and says
/// where it is.
///
/// # Errors
/// What the system says of the address.
pub async fn open(server: &Server) -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3366".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("open on {}", listener.local_addr()?);
    let server = server.clone();
    tokio::spawn(async move { server.serve(listener).await });
    Ok(())
}

/// Sends each line of standard input, until it ends: `@ada text` to ada, any other line to everybody who is
/// connected. `count` says how many that is.
///
/// # Errors
/// What the server refuses.
pub async fn console(server: &Server) -> Result<(), Box<dyn Error>> {
    let sender = server.sender();
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        if line == "count" {
            println!("{}", server.online_count());
        } else if let Some((user, text)) = line.strip_prefix('@').and_then(|rest| rest.split_once(' ')) {
            sender.send_message(Content::text(text), UserId::new(user)?).await?;
        } else {
            sender.send_notice(Content::text(&line)).await?;
        }
    }
    Ok(())
}
