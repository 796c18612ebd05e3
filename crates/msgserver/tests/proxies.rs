//! Doors that are files, and doors behind proxies.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::authority::{Authority, ask};
use support::{Client, Server, next_frame, put_frame, read_frame, until, write_frame};

const PROXY: &str = "127.0.0.1/32";

#[test]
fn publishers_and_clients_of_this_machine_come_by_unix_sockets() {
    let directory = tempfile::tempdir().unwrap();
    let [http, frame] = ["http.sock", "frame.sock"].map(|name| directory.path().join(name));
    let doors = [&http, &frame].map(|path| format!("unix:{}", path.display()));
    let flags = ["--http", &doors[0], "--frame", &doors[1], "--unix-mode", "600"];
    let mut server = Server::start(directory.path(), &flags);
    assert_eq!((server.address("http"), server.address("frame")), (&*doors[0], &*doors[1]));
    for path in [&http, &frame] {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let mut ada = UnixStream::connect(&frame).unwrap();
    let long = "x".repeat(300_000);
    write_frame(&mut ada, &json!({"type": "hello", "user": "ada", "device": "d"}));
    assert_eq!(read_frame(&mut ada)["type"], "welcome");
    let body = json!({"to": {"user": "ada"}, "content": long}).to_string();
    let body_file = directory.path().join("body");
    std::fs::write(&body_file, body).unwrap();
    let data = format!("@{}", body_file.display());
    let socket = http.to_str().unwrap();
    let mut curl = Client::curl(&["--unix-socket", socket, "-d", &data, "http://local/v1/messages"]);
    curl.line_with("HTTP/1.1 202");
    assert_eq!(read_frame(&mut ada)["content"], long);

    server.signal("-TERM");
    assert_eq!(read_frame(&mut ada)["code"], "shutting_down");
    assert!(server.child.wait().unwrap().success());
    assert!(!http.exists() && !frame.exists(), "the files go with the server");
}

#[test]
fn what_a_killed_server_left_is_replaced_and_what_is_anothers_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("http.sock");
    let door = format!("unix:{}", path.display());
    let start = || Server::start(directory.path(), &["--http", &door]);
    let mut killed = start();
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    assert!(path.exists());
    let server = start();
    assert!(ask(&mut UnixStream::connect(&path).unwrap(), "GET /healthz").starts_with("HTTP/1.1 200"));

    let refused = |path: &Path| {
        let output = Command::new(env!("CARGO_BIN_EXE_msgserver"))
            .args(["serve", "--listen", "off", "--frame", "off", "--store", "memory", "--http"])
            .arg(format!("unix:{}", path.display()))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused(&path).contains("another server listens there"));
    drop(server);
    let file = directory.path().join("precious");
    std::fs::write(&file, "precious").unwrap();
    assert!(refused(&file).contains("there is a file that is no socket"));
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
}

/// A header of version 2 for a client at this address, and port 443 here.
fn version_2(address: [u8; 4], port: u16) -> Vec<u8> {
    let signature = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
    [&signature[..], &address, &[127, 0, 0, 1], &port.to_be_bytes(), &443u16.to_be_bytes()].concat()
}

/// What a client gets in answer to a `hello` that names nobody, if it gets anything.
fn answer(connection: &mut (impl Read + Write)) -> Option<Value> {
    put_frame(connection, &json!({"type": "hello"})).and_then(|()| next_frame(connection)).ok()
}

#[test]
fn a_trusted_proxy_says_for_whom_it_speaks_and_filters_see_that() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let [certificate, key] = authority.server();
    let flags = [
        "--network-trusted-proxies",
        PROXY,
        "--network-proxy-protocol",
        "--network-deny",
        "192.0.2.0/24",
        "--tls-cert",
        &certificate,
        "--tls-key",
        &key,
        "--tls-except",
        "frame",
    ];
    let server = Server::start(directory.path(), &flags);
    let connect = |header: &[u8]| {
        let mut socket = server.connect("frame");
        socket.write_all(header).unwrap();
        socket
    };
    for (header, user) in [
        (&b"PROXY TCP4 198.51.100.7 127.0.0.1 4711 443\r\n"[..], "198.51.100.7:4711"),
        (&version_2([198, 51, 100, 8], 4712), "198.51.100.8:4712"),
        (b"PROXY TCP6 2001:db8::1 ::1 4713 443\r\n", "[2001:db8::1]:4713"),
    ] {
        let welcome = answer(&mut connect(header)).unwrap();
        assert!(welcome["user"].as_str().unwrap().contains(user), "{welcome}");
    }
    for denied in [&b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 443\r\n"[..], &version_2([192, 0, 2, 7], 1)] {
        assert_eq!(answer(&mut connect(denied)).unwrap()["code"], "unauthorized");
    }
    // What does not begin as it has to is closed: a proxy that forgets to say so would pass for its clients.
    assert_eq!(answer(&mut connect(b"")), None);
    assert_eq!(answer(&mut connect(b"PROXY TCP4 nobody\r\n")), None);
    until(|| server.log().contains("does not begin with a header of the PROXY protocol").then_some(()));

    // The header stands before TLS.
    let mut socket = server.connect("http");
    socket.write_all(&version_2([198, 51, 100, 7], 1)).unwrap();
    assert!(ask(&mut authority.over(socket, None), "GET /healthz").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_door_behind_proxies_is_for_them_alone() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--network-trusted-proxies", "10.0.0.0/8", "--network-proxy-protocol"];
    let server = Server::start(directory.path(), &flags);
    let mut socket = server.connect("frame");
    let _ = socket.write_all(b"PROXY TCP4 198.51.100.7 127.0.0.1 4711 443\r\n");
    assert_eq!(answer(&mut socket), None);
    until(|| server.log().contains("127.0.0.1 is none of the trusted proxies").then_some(()));
}

#[test]
fn over_http_the_header_counts_if_a_trusted_proxy_has_written_it() {
    let stream = |server: &Server, forwarded: &str| {
        let mut socket = TcpStream::connect(server.address("http")).unwrap();
        let request = format!(
            "GET /v1/poll?user=ada&wait=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: {forwarded}"
        );
        write!(socket, "{request}\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer[9..12].to_owned()
    };
    let directory = tempfile::tempdir().unwrap();
    let deny = ["--network-deny", "192.0.2.0/24"];
    let trusting =
        Server::start(directory.path(), &[&deny[..], &["--network-trusted-proxies", PROXY]].concat());
    assert_eq!(stream(&trusting, "192.0.2.7"), "401");
    assert_eq!(stream(&trusting, "192.0.2.7, 198.51.100.1"), "200", "the first may be invented");
    drop(trusting);
    let careful = Server::start(directory.path(), &deny);
    assert_eq!(stream(&careful, "192.0.2.7"), "200", "a stranger's word does not count");
}

#[test]
fn what_cannot_be_is_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("msgserver.toml");
    for (toml, why) in [
        ("[network]\nproxy_protocol = true", "no proxy is trusted; give network.trusted_proxies"),
        ("[[listener]]\naddress = \"unix:/tmp/a\"\nproxy_protocol = true", "not with proxy_protocol"),
        ("[[listener]]\naddress = \"unix:/tmp/a\"\ntls = true", "not at a Unix socket"),
        ("[[listener]]\naddress = \"127.0.0.1:0\"\ntls = true", "there is no certificate"),
        ("[[listener]]\naddress = \"unix:\"", "a path, as \"unix:/run/msgserver.sock\""),
        ("unix_mode = \"9\"", "three octal digits"),
    ] {
        std::fs::write(&file, toml).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_msgserver"))
            .args(["config", "check"])
            .arg(&file)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(why), "{toml}: {said}");
    }
}
