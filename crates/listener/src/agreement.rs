//! Agreeing on the keys of a TLS connection.

use std::io;
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;

use msgserver_tls::DoorTls;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use crate::stream::RawSocket;
use crate::{OpeningError, Sealed};

/// Turns at the keys, for half of the cores: a signature takes from 0.03 ms (ECDSA) to several (RSA), and a herd that
/// comes at once must not keep the threads that everybody's messages need.
static TURNS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let cores = available_parallelism().map_or(1, |cores| cores.get());
    Arc::new(Semaphore::new((cores / 2).max(1)))
});

/// What a client sends at once, seldom more than this.
const READ: usize = 4096;

/// Speaks the handshake.
pub(crate) async fn agree(mut socket: RawSocket, tls: &DoorTls) -> Result<Sealed, OpeningError> {
    let mut channel = Box::new(tls.channel()?);
    let mut plain = Vec::new();
    loop {
        let mut bytes = vec![0; READ];
        let n = socket.read(&mut bytes).await?;
        if n == 0 {
            let text = "the connection ended during the handshake";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text).into());
        }
        let turn = Arc::clone(&TURNS).acquire_owned().await.expect("nobody closes it");
        let step = tokio::task::spawn_blocking(move || {
            // Kept here: a client that goes away meanwhile does not give its turn to another before its end.
            let _turn = turn;
            let mut answer = Vec::new();
            let came = channel.take(&mut bytes[..n], &mut plain, &mut answer);
            (channel, plain, answer, came)
        });
        let (came, answer);
        (channel, plain, answer, came) = step.await.map_err(io::Error::other)?;
        // Also if it is why there is no connection.
        socket.write_all(&answer).await?;
        came?;
        if channel.is_open() {
            return Ok(Sealed::new(socket, channel, plain));
        }
    }
}
