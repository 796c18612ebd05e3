//! The HTTP door of the real binary against requests that no well-meaning client sends.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::io::{self, BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::{Http, Server, hello, read_frame, until};

const LIMIT: usize = 1024 * 1024 + 4096;

fn server() -> (tempfile::TempDir, Server) {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", "memory"]);
    (directory, server)
}

fn http(server: &Server) -> Http {
    Http::connect(server.address("http")).unwrap()
}

/// A publication to `ada` whose body is so many bytes long.
fn publication(bytes: usize) -> String {
    let empty = json!({"to": {"user": "ada"}, "content": ""}).to_string();
    json!({"to": {"user": "ada"}, "content": "x".repeat(bytes - empty.len())}).to_string()
}

fn chunked(body: &str, chunk: usize) -> String {
    let chunks = body.as_bytes().chunks(chunk);
    let mut out: String = chunks
        .map(|part| format!("{:x}\r\n{}\r\n", part.len(), std::str::from_utf8(part).unwrap()))
        .collect();
    out.push_str("0\r\n\r\n");
    out
}

#[test]
fn a_body_is_taken_up_to_the_limit_whether_or_not_it_says_how_long_it_is() {
    let (_directory, server) = server();
    let (mut socket, _) = hello(&server, "ada", "phone");
    let mut http = http(&server);
    for bytes in [100, 70_000, 1 << 20] {
        let mut body = publication(bytes);
        // As long as a body may be, though not its content.
        body += &" ".repeat(if bytes == 1 << 20 { LIMIT - bytes } else { 0 });
        assert_eq!(http.request("POST", "/v1/messages", &body).unwrap().status, 202);
        http.send("POST /v1/messages HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        http.send(chunked(&body, 9_000)).unwrap();
        assert_eq!(http.answer("POST").unwrap().status, 202);
        let sent: Value = serde_json::from_str(&body).unwrap();
        for _ in 0..2 {
            assert_eq!(read_frame(&mut socket)["content"], sent["content"]);
        }
    }
}

#[test]
fn an_oversize_body_is_refused_even_to_a_client_that_sends_it_whole_before_it_reads() {
    let (_directory, server) = server();
    let body = publication(2_000_000);
    for _ in 0..20 {
        http(&server).request("POST", "/v1/messages", &body).unwrap().assert_problem(413);
        let mut http = http(&server);
        http.send("POST /v1/messages HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        http.send(chunked(&body, 100_000)).unwrap();
        http.answer("POST").unwrap().assert_problem(413);
    }
    // The first program's clients look at the body alone.
    let answer = http(&server).request("POST", "/msg/sender", &body).unwrap();
    assert_eq!((answer.status, &*answer.body), (413, "0"));
}

#[test]
fn a_client_that_asks_before_it_sends_is_answered_before_it_sends() {
    let (_directory, server) = server();
    let ask = |http: &mut Http, bytes: usize| {
        let head = "POST /v1/messages HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length:";
        http.send(format!("{head} {bytes}\r\n\r\n")).unwrap();
    };
    let mut asking = http(&server);
    let body = publication(50_000);
    ask(&mut asking, body.len());
    assert_eq!(asking.head().unwrap().0, 100);
    asking.send(body).unwrap();
    assert_eq!(asking.answer("POST").unwrap().status, 202);
    ask(&mut asking, LIMIT + 1);
    asking.answer("POST").unwrap().assert_problem(413);
}

#[test]
fn a_body_that_nobody_asked_for_costs_no_memory() {
    let (_directory, server) = server();
    let before = server.memory();
    let megabyte = chunked(&"x".repeat(1 << 20), 1 << 20);
    let megabyte = megabyte.strip_suffix("0\r\n\r\n").unwrap();
    for line in ["PUT /v1/messages", "GET /v1/stats", "POST /nowhere", "POST /v1/messages", "DELETE /"] {
        let mut http = http(&server);
        http.send(format!("{line} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")).unwrap();
        for _ in 0..200 {
            if http.send(megabyte).is_err() {
                break;
            }
        }
        let grown = server.memory().saturating_sub(before);
        assert!(grown < 40 << 20, "{line}: {grown} bytes more");
    }
}

#[test]
fn what_does_not_exist_or_is_not_done_is_answered_with_a_problem() {
    let (_directory, server) = server();
    let mut http = http(&server);
    for path in ["/nowhere", "/v1/messages/", "/v1/stats/", "//", "/v1/../v1/stats", "/%00", "/v1/stats%2f"] {
        for method in ["GET", "POST"] {
            http.request(method, path, "").unwrap().assert_problem(404);
        }
    }
    for (path, allowed) in [
        ("/v1/messages", "POST"),
        ("/v1/stats", "GET, HEAD"),
        ("/healthz", "GET, HEAD"),
        ("/readyz", "GET, HEAD"),
        ("/metrics", "GET, HEAD"),
    ] {
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "POST", "BREW"] {
            if allowed.split(", ").any(|allowed| method == allowed) {
                continue;
            }
            let answer = http.request(method, path, "").unwrap();
            assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}: {answer:?}");
            if method == "HEAD" {
                assert_eq!(answer.status, 405);
            } else {
                answer.assert_problem(405);
            }
        }
    }
    for path in ["/healthz", "/openapi.json", "/v1/users/ada"] {
        let [whole, head] = ["GET", "HEAD"].map(|method| http.request(method, path, "").unwrap());
        for name in ["content-type", "content-length"] {
            assert_eq!(head.header(name), whole.header(name), "{path}: {head:?}");
        }
        assert_eq!((head.status, whole.status), (200, 200));
    }
    let answer = http.request("GET", "/msg/sender", "").unwrap();
    assert_eq!((answer.status, answer.header("allow"), &*answer.body), (405, Some("POST"), "0"));
    // A query changes nothing.
    assert_eq!(http.request("GET", "/healthz?a=b&a=%zz", "").unwrap().status, 200);
    let body = json!({"to": {"user": "ada"}, "content": 1});
    assert_eq!(http.post("/v1/messages?user=eve", &body).unwrap().status, 202);
}

#[test]
fn a_publication_of_wrong_types_or_absurd_size_is_refused_and_says_why() {
    let (_directory, server) = server();
    let mut http = http(&server);
    let long = "x".repeat(257);
    let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    let message = |to: &str, rest: &str| format!(r#"{{"to":{to},"content":1{rest}}}"#);
    for body in [
        "null".to_owned(),
        "\"\"".to_owned(),
        "[1]".to_owned(),
        "{}".to_owned(),
        "[".repeat(500_000),
        nested("[", "]"),
        nested("{\"a\":", "}"),
        message(&nested("[", "]"), ""),
        message(r#""ada""#, ""),
        message("[]", ""),
        message("null", ""),
        message(r#"{"user":1}"#, ""),
        message(r#"{"user":""}"#, ""),
        message(r#"{"user":"a\nb"}"#, ""),
        message(r#"{"user":"a\u009f"}"#, ""),
        message(r#"{"user":"\ud800"}"#, ""),
        message(&format!(r#"{{"user":"{long}"}}"#), ""),
        message(r#"{"users":"ada"}"#, ""),
        message(r#"{"users":["ada",7]}"#, ""),
        message(r#"{"users":["ada",""]}"#, ""),
        message(r#"{"all":false}"#, ""),
        message(r#"{"all":"yes"}"#, ""),
        message(r#"{"user":"a","user":"b"}"#, ""),
        message(r#"{"user":"a"}"#, r#","ttl":"soon""#),
        message(r#"{"user":"a"}"#, r#","ttl":"99999999999999999999y""#),
        message(r#"{"user":"a"}"#, r#","ttl":5"#),
        message(r#"{"user":"a"}"#, r#","id":"8ZZZZZZZZZZZZZZZZZZZZZZZZZ""#),
        message(r#"{"user":"a"}"#, r#","id":7"#),
        message(r#"{"user":"a"}"#, r#","store":"yes""#),
        message(r#"{"user":"a"}"#, r#","content":2"#),
        message(r#"{"user":"a"}"#, "} trailing"),
        r#"{"to":{"user":"a"},"content":1e999}"#.to_owned(),
        r#"{"to":{"user":"a"},"content":"\ud800"}"#.to_owned(),
        r#"{"to":{"user":"a"},"content":NaN}"#.to_owned(),
    ] {
        let answer = http.request("POST", "/v1/messages", &body).unwrap();
        let shown: String = body.chars().take(80).collect();
        assert_eq!(answer.status, 400, "{shown}: {answer:?}");
        answer.assert_problem(400);
    }
    for body in [
        "",
        "{",
        "1",
        r#"{"To":"ada"}"#,
        r#"{"To":1,"Content":"x"}"#,
        r#"{"To":"a\u0000","Content":"x"}"#,
        r#"{"Content":{}}"#,
    ] {
        let answer = http.request("POST", "/msg/sender", body).unwrap();
        assert_eq!((answer.status, &*answer.body), (400, "0"), "{body}");
    }
    // Not UTF-8, in each place where a text stands.
    for (before, after) in [
        (&br#"{"to":{"user":"a"#[..], &br#""},"content":1}"#[..]),
        (br#"{"to":{"user":"ada"},"content":""#, br#""}"#),
        (br#"{"to":{"user":"ada"},"con"#, br#"tent":1}"#),
    ] {
        let body = [before, b"\xff\xfe", after].concat();
        http.send(format!("POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()))
            .unwrap();
        http.send(body).unwrap();
        http.answer("POST").unwrap().assert_problem(400);
    }
}

#[test]
fn what_is_unusual_and_right_arrives_as_it_was_sent() {
    let (_directory, server) = server();
    let (mut socket, _) = hello(&server, "小甘 18", "phone");
    let mut http = http(&server);
    let deep = format!("{}1{}", "[".repeat(120), "]".repeat(120));
    let users: Vec<_> = (0..20_000).map(|n| format!("u{n}")).chain(["小甘 18".to_owned()]).collect();
    for (to, content, ttl) in [
        (json!({"user": "小甘 18"}), json!("\u{0}\u{1b}[31m\u{7f}\u{2028}|\r\n"), "1s 500ms"),
        (json!({"user": "小甘 18"}), serde_json::from_str(&deep).unwrap(), "584542046090y"),
        (json!({"user": "小甘 18"}), json!({"": {"type": "bye", "seq": -1}}), "1day"),
        (json!({"users": users}), json!("many"), "1h"),
        (json!({"users": vec!["小甘 18"; 50_000]}), json!("once"), "1h"),
    ] {
        let answer = http.post("/v1/messages", &json!({"to": to, "content": content, "ttl": ttl})).unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(read_frame(&mut socket)["content"], content);
    }
    let last = r#"{"to":{"user":"小甘 18"},"content":"last","id":"7ZZZZZZZZZZZZZZZZZZZZZZZZZ"}"#;
    assert_eq!(http.request("POST", "/v1/messages", last).unwrap().status, 202);
    assert_eq!(read_frame(&mut socket)["seq"], 6);
}

#[test]
fn what_is_not_http_is_closed_and_harms_nobody() {
    let (_directory, server) = server();
    let long_path = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(100_000));
    let many_headers = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(10_000));
    let long_header = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(1_000_000));
    for garbage in [
        &b"\0\0\0\x10{\"type\":\"hello\"}\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /v1/messages HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        b"POST /v1/messages HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        long_path.as_bytes(),
        many_headers.as_bytes(),
        long_header.as_bytes(),
    ] {
        let mut http = http(&server);
        let shown = String::from_utf8_lossy(&garbage[..garbage.len().min(60)]).into_owned();
        // It may be refused before all of it is sent.
        let _ = http.send(garbage);
        match http.answer("GET") {
            Ok(answer) => assert!((400..=505).contains(&answer.status), "{shown}: {answer:?}"),
            Err(fault) => assert!(
                !matches!(fault.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
                "{shown}: {fault}"
            ),
        }
        assert!(http.is_closed(), "{shown}");
    }
    assert_eq!(http(&server).request("GET", "/healthz", "").unwrap().status, 200);
}

#[test]
fn requests_in_one_burst_are_answered_in_order() {
    let (_directory, server) = server();
    let (mut socket, _) = hello(&server, "ada", "phone");
    let mut http = http(&server);
    let mut burst = String::new();
    for n in 0..100 {
        let body = json!({"to": {"user": "ada"}, "content": n}).to_string();
        burst +=
            &format!("POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        burst += "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n";
    }
    http.send(burst).unwrap();
    for n in 0..100 {
        assert_eq!(http.answer("POST").unwrap().status, 202);
        http.answer("GET").unwrap().assert_problem(404);
        assert_eq!(read_frame(&mut socket)["content"], n);
    }
}

#[test]
fn a_publisher_that_asks_and_never_reads_costs_bounded_memory() {
    let (_directory, server) = server();
    let before = server.memory();
    let requests = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    let mut deaf: Vec<_> = (0..20).map(|_| http(&server)).collect();
    for http in &mut deaf {
        http.stop_waiting();
        // Until the server takes no more of them.
        while http.send(&requests).is_ok() {}
    }
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 40 << 20, "{grown} bytes more");
    assert_eq!(http(&server).request("GET", "/healthz", "").unwrap().status, 200);
    let connections = server.descriptors();
    drop(deaf);
    until(|| (server.descriptors() <= connections - 20).then_some(()));
}

#[test]
fn the_longest_message_reaches_a_real_client_and_a_longer_one_is_refused() {
    let (_directory, server) = server();
    let mut http = http(&server);
    let text = |bytes: usize| json!({"to": {"user": "ada"}, "content": "x".repeat(bytes - 2)});
    http.post("/v1/messages", &text((1 << 20) + 1)).unwrap().assert_problem(413);
    assert_eq!(http.post("/v1/messages", &text(1 << 20)).unwrap().status, 202);
    let mut listen = Command::new(env!("CARGO_BIN_EXE_msgserver"))
        .args(["listen", "--url", &format!("tcp://{}", server.address("frame")), "--user", "ada"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(listen.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim_end().len(), (1 << 20) - 2);
    server.wait_for("stored", 0);
    listen.kill().unwrap();
    listen.wait().unwrap();
}

#[test]
fn requests_that_do_not_wait_for_answers_get_them_all_in_order_and_none_waits_for_the_next_request() {
    let (_directory, server) = server();
    let (mut socket, _) = hello(&server, "ada", "phone");
    let mut http = http(&server);
    let request = |n: u32| {
        let body = json!({"to": {"user": "ada"}, "content": n}).to_string();
        format!("POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let many: String = (0..500)
        .map(|n| if n % 50 == 7 { "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n".to_owned() } else { request(n) })
        .collect();
    // The last one is not whole, and all before it are answered nevertheless.
    let last = request(500);
    let (begun, rest) = last.split_at(last.len() - 1);
    http.send(many + begun).unwrap();
    for n in 0..500 {
        assert_eq!(http.answer("POST").unwrap().status, if n % 50 == 7 { 404 } else { 202 }, "{n}");
    }
    http.send(rest).unwrap();
    assert_eq!(http.answer("POST").unwrap().status, 202);
    for n in (0..=500).filter(|n| n % 50 != 7) {
        assert_eq!(read_frame(&mut socket)["content"], n);
    }
    // Who takes the connection over leaves nothing unsaid.
    http.send(request(501) + "GET /v1/sse?user=bob HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(http.answer("POST").unwrap().status, 202);
    assert!(http.head().unwrap().1.contains("text/event-stream"));
}
