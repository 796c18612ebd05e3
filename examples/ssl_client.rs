//! The first msgserver's "SSL" handshake, the client's side, with `msgserver-handshake` alone.
//!
//! `cargo run -p msgserver-examples --bin ssl_client -- 127.0.0.1:3366 'ada;123456'`, with `ssl_server` running.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use msgserver_handshake::ClientHandshake;
use msgserver_protocol::Cipher;

/// The first and the third message under keys of 1024 bits, in characters.
const SERVER_KEY: usize = 216;
const SESSION_KEY: usize = 172;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3366".to_owned());
    let proof = arguments.next().unwrap_or_else(|| "ada;123456".to_owned());
    let mut socket = BufReader::new(TcpStream::connect(address)?);

    let mut hello = [0; SERVER_KEY];
    socket.read_exact(&mut hello)?;
    let (handshake, answer) = ClientHandshake::answer(&hello, 1024)?;
    socket.get_mut().write_all(&answer)?;
    let mut reply = [0; SESSION_KEY];
    socket.read_exact(&mut reply)?;
    let cipher = handshake.finish(&reply)?;

    let mut sealed = Vec::new();
    cipher.seal(proof.as_bytes(), &mut sealed);
    sealed.push(b'|');
    socket.get_mut().write_all(&sealed)?;

    for frame in socket.split(b'|') {
        let frame = frame?;
        // Between frames there may be NUL bytes: the server asks whether the client is still there.
        let nuls = frame.iter().take_while(|&&byte| byte == 0).count();
        let frame = &frame[nuls..];
        // A refusal is plain text.
        match cipher.open(frame) {
            Some(message) => println!("{}", String::from_utf8_lossy(&message)),
            None => println!("refused: {}", String::from_utf8_lossy(frame)),
        }
    }
    Ok(())
}
