//! Clients that take too long over a request, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::time::Duration;

use msgserver_http_api::HttpApi;
use support::scheduler;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to a server that waits for nobody.
async fn connect_to_hasty_server() -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let api = HttpApi::new(scheduler()).patience(Duration::from_millis(50));
    // It ends with the test's runtime.
    tokio::spawn(api.serve(listener, std::future::pending()));
    TcpStream::connect(address).await.unwrap()
}

/// Has the server read `request`, waits for it to give up, and gives all that it said.
async fn says(request: &str) -> String {
    let mut socket = connect_to_hasty_server().await;
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut said = String::new();
    let reading = socket.read_to_string(&mut said);
    tokio::time::timeout(PATIENCE, reading)
        .await
        .unwrap_or_else(|_| panic!("not given up: {request}"))
        .unwrap();
    said
}

#[tokio::test]
async fn a_client_that_says_nothing_or_half_a_head_is_closed() {
    assert_eq!(says("").await, "");
    assert_eq!(says("POST /v1/messages HTTP/1.1\r\nHost: a\r\nX-Slow: ").await, "");
    let answer = says("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok\n"),
        "idle after an answer: {answer}"
    );
}

#[tokio::test]
async fn a_client_that_sends_half_a_body_is_told_and_closed() {
    for body in ["Content-Length: 10\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n5\r\n{"] {
        let answer = says(&format!("POST /v1/messages HTTP/1.1\r\nHost: a\r\n{body}")).await;
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("problem+json"), "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_reads_no_answer_is_closed() {
    let mut socket = connect_to_hasty_server().await;
    let requests = "GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
    let asking = async { while socket.write_all(requests.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, asking).await.expect("it may ask no more");
}
