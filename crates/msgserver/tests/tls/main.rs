//! TLS at every door: the real binary, and clients that nobody here wrote.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod certificates;
mod clients;
mod identity;
#[path = "../support/mod.rs"]
mod support;
mod unread;

use std::path::Path;

use serde_json::{Value, json};
use support::{Server, Tls, next_frame, put_frame, read_frame, write_frame};

const SECRET: &str = "a long secret";

/// A server whose raw doors are under TLS; what the test asks over HTTP is in the clear.
fn start(directory: &Path, own: &[String; 2], flags: &[&str]) -> Server {
    let tls = ["--tls-cert", &own[0], "--tls-key", &own[1], "--tls-except", "http"];
    Server::start(directory, &[&tls, flags].concat())
}

fn hello(connection: &mut Tls, hello: &Value) -> Value {
    write_frame(connection, hello);
    read_frame(connection)
}

/// Whether there is TLS with this server, and a user is let in.
fn is_welcome(connection: &mut Tls, user: &str) -> bool {
    put_frame(connection, &json!({"type": "hello", "user": user})).is_ok()
        && next_frame(connection).is_ok_and(|frame| frame["type"] == "welcome")
}

fn publish(server: &Server, user: &str, content: &Value) {
    server.http().publish(&json!({"to": {"user": user}, "content": content}));
}
