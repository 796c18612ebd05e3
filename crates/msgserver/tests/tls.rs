//! TLS at every door: the real binary, and clients that nobody here wrote.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::authority::{Authority, Tls, ask};
use support::{Client, Server, bar, next_frame, put_frame, read_frame, until, write_frame};

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

#[test]
fn clients_of_other_libraries_come_in_at_each_raw_door() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let server = start(directory.path(), &authority.server(), &["--shared-secret", SECRET]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/tls_client.py");
    let python = |door: &str, more: &[&str]| {
        let address = server.address(door);
        Client::start(Command::new("python3").args([script, address, &authority.ca()]).args(more))
    };
    let mut frames = python("frame", &[]);
    frames.tell(json!({"type": "hello", "user": "ada", "device": "new", "token": SECRET}).to_string());
    assert_eq!(frames.json()["type"], "welcome");
    let mut old = python("listen", &["--bar"]);
    old.tell(format!("bob;{SECRET}|"));
    server.wait_for("connections", 2);

    // More than one record.
    let long = "x".repeat(100_000);
    for user in ["ada", "bob"] {
        publish(&server, user, &json!(long));
    }
    let message = frames.json();
    assert_eq!((&message["content"], &message["seq"]), (&json!(long), &json!(1)));
    assert_eq!(old.line().unwrap(), format!("\"{long}\""));
    frames.tell(json!({"type": "ack", "seq": 1}).to_string());
    // The one has said so, the other's TCP has: its last record is there.
    server.wait_for("stored", 0);

    server.http().publish(&json!({"to": {"all": true}, "content": "to all"}));
    assert_eq!(frames.json()["content"], "to all");
    assert_eq!(old.line().unwrap(), "\"to all\"");

    server.signal("-TERM");
    assert_eq!(frames.json()["code"], "shutting_down");
    assert_eq!(frames.line().unwrap(), "closed", "the end is announced, as TLS has it");
    assert_eq!(old.line().unwrap(), "closed");
}

#[test]
fn openssl_speaks_both_versions_and_comes_back_with_its_ticket() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let server = start(directory.path(), &authority.server(), &[]);
    let ticket = authority.file("ticket");
    for version in ["-tls1_2", "-tls1_3"] {
        for (session, news) in [("-sess_out", "New, TLSv1."), ("-sess_in", "Reused, TLSv1.")] {
            let mut client = Client::start(
                Command::new("openssl")
                    .args(["s_client", "-connect", server.address("frame"), "-servername", "localhost"])
                    .args(["-CAfile", &authority.ca(), "-verify_return_error", version, session, &ticket]),
            );
            client.line_with(news);
            let hello = json!({"type": "hello", "user": "ada"}).to_string();
            client.write(&[&(hello.len() as u32).to_be_bytes(), hello.as_bytes()].concat());
            // Its ticket comes before that.
            client.read_until("\"welcome\"");
            client.close_input();
            server.wait_for("connections", 0);
            while client.line().is_some() {}
        }
    }
}

#[test]
fn https_websockets_and_streams_of_events_are_under_tls_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let [certificate, key] = authority.server();
    let server = Server::start(directory.path(), &["--tls-cert", &certificate, "--tls-key", &key]);
    let (ca, address) = (authority.ca(), server.address("http").to_owned());
    let url = |path: &str| format!("https://{address}{path}");
    let mut events = Client::curl(&["--cacert", &ca, &url("/v1/sse?user=ada&device=d")]);
    events.line_with("content-type: text/event-stream");

    let websocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let mut socket = authority.connect(&server, "http");
    write!(socket, "GET /v1/ws?user=bob HTTP/1.1\r\nHost: a\r\n{websocket}\r\n\r\n").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    // A `hello` in one masked frame, whose mask is nothing.
    let hello = br#"{"type":"hello"}"#;
    socket.write_all(&[&[0x81, 0x80 | hello.len() as u8, 0, 0, 0, 0], &hello[..]].concat()).unwrap();
    let mut frame = [0; 2];
    socket.read_exact(&mut frame).unwrap();
    let mut welcome = vec![0; usize::from(frame[1])];
    socket.read_exact(&mut welcome).unwrap();
    let welcome: Value = serde_json::from_slice(&welcome).unwrap();
    assert_eq!((&welcome["type"], &welcome["user"]), (&json!("welcome"), &json!("bob")));

    let body = json!({"to": {"all": true}, "content": "hi"}).to_string();
    let mut posted = Client::curl(&["--cacert", &ca, "--http1.1", "-d", &body, &url("/v1/messages")]);
    posted.line_with("HTTP/1.1 202");
    while !events.line_with("data:").contains("\"hi\"") {}
    socket.read_exact(&mut frame).unwrap();
    let mut notice = vec![0; usize::from(frame[1])];
    socket.read_exact(&mut notice).unwrap();
    assert!(String::from_utf8(notice).unwrap().contains("\"hi\""));
}

#[test]
fn who_speaks_no_tls_or_does_not_finish_is_closed_and_holds_up_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let flags = ["--limits-opening-deadline", "300ms"];
    let server = start(directory.path(), &authority.server(), &flags);
    let mut clear = server.connect("frame");
    write_frame(&mut clear, &json!({"type": "hello", "user": "ada"}));
    let mut said = Vec::new();
    let _ = clear.read_to_end(&mut said);
    assert!(!String::from_utf8_lossy(&said).contains("welcome"));

    // The beginning of a ClientHello, and nothing more.
    let mut slow: Vec<_> = (0..50).map(|_| server.connect("frame")).collect();
    slow.iter_mut().for_each(|socket| socket.write_all(&[22, 3, 1, 2, 0, 1]).unwrap());
    let mut quick = authority.connect(&server, "frame");
    assert_eq!(hello(&mut quick, &json!({"type": "hello", "user": "ada"}))["type"], "welcome");
    for mut socket in slow {
        let mut said = Vec::new();
        let _ = socket.read_to_end(&mut said);
    }
    server.wait_for("connections_refused", 51);
    server.wait_for("connections", 1);
}

#[test]
fn each_client_is_shown_the_certificate_of_the_name_that_it_asks_for() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let own = ["one", "two"].map(|name| authority.certify_for(name, name, &format!("DNS:{name}.example"), 2));
    let [first, second] = &own;
    let certificates = format!("{},{}", first[0], second[0]);
    let keys = format!("{},{}", first[1], second[1]);
    let server = Server::start(directory.path(), &["--tls-cert", &certificates, "--tls-key", &keys]);
    for (asked, shown) in [("one.example", "one"), ("two.example", "two"), ("else.example", "one")] {
        let address = server.address("frame");
        let mut client = Client::start(Command::new("openssl").args([
            "s_client",
            "-connect",
            address,
            "-servername",
            asked,
        ]));
        client.line_with(&format!("subject=CN = {shown}"));
    }
}

#[test]
fn new_certificates_are_shown_to_who_comes_and_nobody_is_disconnected() {
    let directory = tempfile::tempdir().unwrap();
    let [old, new, other] = ["old", "new", "other"].map(|name| Authority::named(directory.path(), name));
    let own = old.server();
    let server = start(directory.path(), &own, &[]);
    let says_hello = json!({"type": "hello", "user": "ada"});
    let mut connected = old.connect(&server, "frame");
    assert_eq!(hello(&mut connected, &says_hello)["type"], "welcome");
    let is_shown_one_of =
        |authority: &Authority| is_welcome(&mut authority.connect(&server, "frame"), "somebody else");

    // When asked to, and when the files are others.
    let replace = |authority: &Authority| {
        let [certificate, key] = authority.server();
        std::fs::copy(key, &own[1]).unwrap();
        std::fs::copy(certificate, &own[0]).unwrap();
    };
    replace(&new);
    server.signal("-HUP");
    until(|| is_shown_one_of(&new).then_some(()));
    assert!(!is_shown_one_of(&old));
    replace(&other);
    until(|| is_shown_one_of(&other).then_some(()));

    // What is not of use is said, and changes nothing.
    std::fs::write(&own[0], "no certificate").unwrap();
    server.signal("-HUP");
    until(|| server.log().contains("those that were stay in force").then_some(()));
    assert!(is_shown_one_of(&other));

    publish(&server, "ada", &json!("still there"));
    assert_eq!(read_frame(&mut connected)["content"], "still there");
}

/// What is said of a start that is refused.
fn refused(flags: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_msgserver"))
        .args(["serve", "--frame", "off", "--http", "off", "--store", "memory"])
        .args(flags)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{flags:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn files_that_are_not_of_use_are_refused_by_name_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let [certificate, key] = authority.server();
    let [expired, expired_key] = authority.certify_for("expired", "expired", "DNS:localhost", -1);
    let [_, stranger_key] = authority.user("stranger");
    let absent = authority.file("absent.pem");
    for (certificate, key, at, why) in [
        (&expired, &expired_key, ("tls_cert", &expired), "it expired at "),
        (&certificate, &stranger_key, ("tls_cert", &certificate), "its key is not the one in "),
        (&absent, &key, ("tls_cert", &absent), "No such file"),
        (&certificate, &absent, ("tls_key", &absent), "No such file"),
        (&key, &key, ("tls_key", &key), "there is no certificate in it"),
        (&certificate, &certificate, ("tls_key", &certificate), "there is no private key in it"),
    ] {
        let said = refused(&["--tls-cert", certificate, "--tls-key", key]);
        let line = format!("msgserver: {} = {:?}: {why}", at.0, at.1);
        assert!(said.contains(why) && said.lines().count() == 1, "{said}{line}");
        assert!(said.contains(&format!("{:?}", at.1)), "{said}{line}");
    }
    let said = refused(&["--tls-cert", &certificate]);
    assert!(said.contains("tls_key = 0 files: tls_cert has 1"), "{said}");
    let said = refused(&["--tls-client-ca", &certificate]);
    assert!(said.contains("there is no TLS in which clients could show a certificate"), "{said}");
    let both = ["--tls-cert", &certificate, "--tls-key", &key];
    let said = refused(&[&both[..], &["--tls-client-certificates", "required"]].concat());
    assert!(said.contains("give tls.client_ca"), "{said}");
    let said = refused(&[&both[..], &["--listen", "0.0.0.0:0"]].concat());
    assert!(said.contains("open to the network without authentication"), "{said}");
}

#[test]
fn a_clients_certificate_says_who_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let (ada, ca) = (authority.user("ada"), authority.ca());
    let flags = ["--tls-client-ca", &ca, "--shared-secret", SECRET, "--api-key", "k"];
    let server = start(directory.path(), &authority.server(), &flags);
    let mut certified = authority.connect_as(&server, "frame", Some(&ada));
    assert_eq!(hello(&mut certified, &json!({"type": "hello", "device": "d"}))["user"], "ada");
    let mut as_other = authority.connect_as(&server, "frame", Some(&ada));
    let bye = hello(&mut as_other, &json!({"type": "hello", "user": "bob"}));
    assert_eq!((&bye["type"], &bye["code"]), (&json!("bye"), &json!("unauthorized")), "{bye}");
    // Who shows none proves it in another way, or not at all.
    let mut without = authority.connect(&server, "frame");
    let with_secret = json!({"type": "hello", "user": "bob", "token": SECRET});
    assert_eq!(hello(&mut without, &with_secret)["user"], "bob");
    let mut without = authority.connect(&server, "frame");
    assert_eq!(hello(&mut without, &json!({"type": "hello", "user": "bob"}))["code"], "unauthorized");
    // An old client has nothing to say any more.
    let mut old = authority.connect_as(&server, "listen", Some(&ada));
    old.flush().unwrap();
    until(|| {
        let presence = server.request("GET", "/v1/users/ada", Some("k"), None).1;
        let presence: Value = serde_json::from_str(&presence).unwrap();
        (presence["devices"].as_array()?.iter().filter(|device| device["connected"] == true).count() == 2)
            .then_some(())
    });
    publish(&server, "ada", &json!("for ada"));
    assert_eq!(bar(&mut BufReader::new(old)), "\"for ada\"");
    assert_eq!(read_frame(&mut certified)["content"], "for ada");
}

#[test]
fn where_certificates_are_required_nobody_else_comes_in() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let strangers = Authority::named(directory.path(), "strangers");
    let ca = authority.ca();
    let [certificate, key] = authority.server();
    let flags = ["--tls-client-ca", &ca, "--tls-client-certificates", "required", "--tls-user", "san"];
    // It is proof enough for a door that is open to the network.
    let flags =
        [&flags[..], &["--frame", "0.0.0.0:0", "--tls-cert", &certificate, "--tls-key", &key]].concat();
    let server = Server::start(directory.path(), &flags);
    let port = server.address("frame").rsplit_once(':').unwrap().1;
    let connect = |own: Option<&[String; 2]>| {
        authority.over(std::net::TcpStream::connect(format!("127.0.0.1:{port}")).unwrap(), own)
    };
    let mut ada = connect(Some(&authority.user("ada")));
    assert_eq!(hello(&mut ada, &json!({"type": "hello"}))["user"], "ada@example.org");
    let is_let_in = |own: Option<&[String; 2]>| is_welcome(&mut connect(own), "eve");
    assert!(!is_let_in(None));
    assert!(!is_let_in(Some(&strangers.user("eve"))));
    assert!(!is_let_in(Some(&authority.certify_for("late", "late", "email:late@example.org", -1))));

    let mut http = authority.connect_as(&server, "http", Some(&authority.user("bob")));
    assert!(ask(&mut http, "GET /healthz").starts_with("HTTP/1.1 200"));
}

#[test]
fn what_a_client_does_not_read_waits_and_comes_whole_and_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let server = start(directory.path(), &authority.server(), &["--limits-outbox-bytes", "256 KiB"]);
    let mut frames = authority.connect(&server, "frame");
    assert_eq!(
        hello(&mut frames, &json!({"type": "hello", "user": "ada", "device": "d"}))["type"],
        "welcome"
    );
    let content = |n: usize| format!("{n} {}", "x".repeat(20_000));
    let message = |n| json!({"to": {"user": "ada"}, "content": content(n)});
    // More than both kernels hold for one connection.
    server.http().publish_all((0..300).map(message));
    server.http().publish_all((300..600).map(message));
    until(|| (server.stats()["queued"] == 0).then_some(()));
    for n in 0..600 {
        let message = read_frame(&mut frames);
        assert_eq!((&message["seq"], &message["content"]), (&json!(n + 1), &json!(content(n))), "{n}");
        write_frame(&mut frames, &json!({"type": "ack", "seq": n + 1}));
    }
    server.wait_for("stored", 0);
}

#[test]
fn what_an_old_client_has_not_taken_stays_and_comes_again() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let flags = ["--limits-outbox-bytes", "256 KiB", "--shared-secret", SECRET];
    let server = start(directory.path(), &authority.server(), &flags);
    let connect = || {
        let mut old = authority.connect(&server, "listen");
        write!(old, "bob;{SECRET}|").unwrap();
        old
    };
    let reads_nothing = connect();
    server.wait_for("connections", 1);
    // More than both kernels hold for one connection.
    let content = |n: usize| format!("{n} {}", "x".repeat(20_000));
    let message = |n| json!({"to": {"user": "bob"}, "content": content(n)});
    (0..3).for_each(|batch| drop(server.http().publish_all((batch * 300..(batch + 1) * 300).map(message))));
    drop(reads_nothing);
    server.wait_until_away("bob");
    let left = server.stats()["stored"].as_u64().unwrap();
    assert!(left > 0, "its kernel cannot have taken all of it");

    let mut old = BufReader::new(connect());
    for n in 900 - usize::try_from(left).unwrap()..900 {
        assert_eq!(bar(&mut old), format!("{:?}", content(n)), "{n}");
    }
    server.wait_for("stored", 0);
}
