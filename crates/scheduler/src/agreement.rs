//! Agreeing on a key with a client of an encrypted door.

use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;

use msgserver_handshake::{HandshakeError, Progress, ServerHandshake, ServerKey, SessionCipher};
use msgserver_listener::Stream;
use msgserver_protocol::ByeCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use crate::refusal::Refusal;

/// Turns at the private key, for half of the cores, whatever the number of servers in the process.
///
/// One RSA operation takes 0.5 ms with a key of 1024 bits, 2.3 ms with 2048 and 11.6 ms with 4096, and a
/// handshake needs from one to seven. On the threads of tasks a thousand clients that connect together hold
/// up a message to somebody else for as much as 0.5, 1.3 and 8.5 s; in turns for 2, 10 and 50 ms
/// (`docs/decisions/005-rsa-in-turns.md`).
static TURNS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let cores = available_parallelism().map_or(1, |cores| cores.get());
    Arc::new(Semaphore::new((cores / 2).max(1)))
});

/// Speaks the handshake; gives the connection's cipher, and what came behind the second message.
pub(crate) async fn agree(socket: &mut Stream, key: &ServerKey) -> Result<(SessionCipher, Vec<u8>), Refusal> {
    socket.write_all(key.hello()).await?;
    let mut handshake = ServerHandshake::new(key);
    let mut buffer = [0; 1024];
    loop {
        let n = socket.read(&mut buffer).await?;
        if n == 0 {
            return Err(Refusal::new(ByeCode::BadFrame, "the connection ended during the handshake"));
        }
        if !handshake.take(&buffer[..n])? {
            continue;
        }
        let progress;
        (handshake, progress) = advance(handshake).await?;
        if let Progress::Done { reply, cipher, rest } = progress? {
            socket.write_all(&reply).await?;
            return Ok((cipher, rest));
        }
    }
}

/// Decrypts in a blocking thread when it has a turn.
async fn advance(
    mut handshake: ServerHandshake,
) -> Result<(ServerHandshake, Result<Progress, HandshakeError>), Refusal> {
    let turn = Arc::clone(&TURNS).acquire_owned().await.expect("nobody closes it");
    let advanced = tokio::task::spawn_blocking(move || {
        // Kept here: a client that goes away meanwhile does not give its turn to another before its end.
        let _turn = turn;
        let progress = handshake.advance();
        (handshake, progress)
    });
    advanced.await.map_err(|_| Refusal::new(ByeCode::Unavailable, "the handshake could not be finished"))
}

impl From<HandshakeError> for Refusal {
    fn from(fault: HandshakeError) -> Self {
        Self::new(ByeCode::BadFrame, fault)
    }
}
