//! The handshake of the first msgserver's clients ("SSL" mode): RSA to agree on an AES key. No I/O.
//!
//! Three messages, each base64 text: the server's public key; the client's public key, in PKCS#1 v1.5
//! blocks under the server's; a fresh AES-128 key, under the client's. From then on each payload is
//! base64(AES-128-ECB(PKCS#7(payload))).
//!
//! It is kept for clients in the field and protects little: nobody is authenticated, so whoever sits
//! between can read everything; ECB shows which blocks repeat; nothing detects a change. What the second
//! message carries under PKCS#1 v1.5 is a public key, so a padding oracle there gives no secret away.
//!
//! Either side is a state machine that takes bytes as they come, in any pieces, and decrypts no block twice: a
//! client that sends byte by byte costs the server no more than another. Sockets, deadlines and the client's
//! authentication are its caller's. For a server that protects, use TLS.
//!
//! ```
//! use msgserver_handshake::{ClientHandshake, Progress, ServerHandshake, ServerKey};
//! use msgserver_protocol::Cipher;
//!
//! let key = ServerKey::generate(1024)?;
//! let mut server = ServerHandshake::new(&key);
//! let (client, second) = ClientHandshake::answer(key.hello(), 1024)?;
//! let Progress::Done { reply, cipher, rest } = server.feed(&second)? else { panic!("it is whole") };
//! let at_client = client.finish(&reply)?;
//! let mut sealed = Vec::new();
//! cipher.seal(b"hello", &mut sealed);
//! assert_eq!(at_client.open(&sealed).as_deref(), Some(&b"hello"[..]));
//! assert!(rest.is_empty());
//! # Ok::<(), msgserver_handshake::HandshakeError>(())
//! ```

mod cipher;
mod client;
mod error;
mod key;
mod public_key;
mod server;

pub use cipher::SessionCipher;
pub use client::ClientHandshake;
pub use error::HandshakeError;
pub use key::{ClientKey, KEY_BITS, ServerKey};
pub use server::{MAX_STEP_BYTES, Progress, ServerHandshake};
