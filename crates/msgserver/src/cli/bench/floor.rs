//! The floor: a server that does nothing but write what waits for each socket, with one system call a socket.
//!
//! Nobody can deliver for less than the kernel takes for that, so the distance to it is what a server adds.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use crate::cli::Fault;

/// What is read of the publisher with one call, and so the most that is written to one socket with one.
const BURST: usize = 64 * 1024;

/// In front of each message: whom it is for, and how long it is.
const HEAD: usize = 8;

type Sockets = Arc<Mutex<HashMap<u32, TcpStream>>>;

/// Serves until killed. Says where, as a ready file does, on standard output.
pub(super) fn serve() -> Result<(), Fault> {
    let open = || TcpListener::bind(("127.0.0.1", 0));
    let (clients, publishers) = (open().map_err(Fault::failed)?, open().map_err(Fault::failed)?);
    // The queue in the kernel as long as the system allows, as a server has it.
    socket2::SockRef::from(&clients).listen(i32::MAX).map_err(Fault::failed)?;
    let address = |socket: &TcpListener| socket.local_addr().map_err(Fault::failed);
    let addresses =
        json!({"listen": address(&clients)?.to_string(), "http": address(&publishers)?.to_string()});
    writeln!(std::io::stdout(), "{addresses}").map_err(Fault::failed)?;

    let sockets = Sockets::default();
    let known = Arc::clone(&sockets);
    std::thread::spawn(move || {
        for client in clients.incoming().flatten() {
            // One that goes away before it has said who it is does not end the floor.
            let _ = welcome(client, &known);
        }
    });
    for publisher in publishers.incoming().flatten() {
        fan_out(publisher, &sockets);
    }
    Ok(())
}

fn lock(sockets: &Sockets) -> std::sync::MutexGuard<'_, HashMap<u32, TcpStream>> {
    sockets.lock().unwrap_or_else(PoisonError::into_inner)
}

fn welcome(mut client: TcpStream, sockets: &Sockets) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let (mut said, mut buffer) = (String::new(), [0; 16]);
    while !said.ends_with('|') {
        let read = client.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        said.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    let number = said.trim_end_matches('|').parse().map_err(std::io::Error::other)?;
    client.write_all(&[0])?;
    lock(sockets).insert(number, client);
    Ok(())
}

/// Takes a publisher's messages until it goes.
fn fan_out(mut publisher: TcpStream, sockets: &Sockets) {
    let mut buffer = vec![0; BURST];
    let mut came = Vec::new();
    let mut to_all = Vec::new();
    let mut to_one: HashMap<u32, Vec<u8>> = HashMap::new();
    while let Ok(read @ 1..) = publisher.read(&mut buffer) {
        came.extend_from_slice(&buffer[..read]);
        let mut taken = 0;
        while let Some((to, message)) = message(&came[taken..]) {
            match to {
                u32::MAX => to_all.extend_from_slice(message),
                to => to_one.entry(to).or_default().extend_from_slice(message),
            }
            taken += HEAD + message.len();
        }
        came.drain(..taken);
        let mut sockets = lock(sockets);
        if !to_all.is_empty() {
            // A client that has gone is the next run's.
            sockets.retain(|_, socket| socket.write_all(&to_all).is_ok());
            to_all.clear();
        }
        for (to, bytes) in to_one.drain() {
            if let Some(socket) = sockets.get_mut(&to) {
                let _ = socket.write_all(&bytes);
            }
        }
    }
}

fn message(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (to, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length) as usize;
    Some((u32::from_be_bytes(*to), rest.get(..length)?))
}
