//! The first msgserver's clients, plain and encrypted: a client that shares no code with the server
//! (`clients/old_client.py`) talks to the real binary.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use msgserver::{Content, Encryption, Server as Embedded, ServerKey, Settings, SharedSecret};
use serde_json::{Value, json};
use support::Server;

/// A Python that has the package `cryptography`.
static PYTHON: LazyLock<&str> = LazyLock::new(|| {
    let has_it = |python: &&str| {
        let output = Command::new(python).args(["-c", "import cryptography"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has_it);
    found.expect("python3 and its package `cryptography` are needed; scripts/test installs them")
});

struct OldClient {
    child: Child,
    told: BufReader<ChildStdout>,
}

impl OldClient {
    fn start(address: &str, options: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/old_client.py");
        let mut command = Command::new(*PYTHON);
        let mut child =
            command.arg(script).arg(address).args(options).stdout(Stdio::piped()).spawn().unwrap();
        let told = BufReader::new(child.stdout.take().unwrap());
        Self { child, told }
    }

    /// What comes next.
    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.told.read_line(&mut line).unwrap();
        serde_json::from_str(&line).expect("the client goes on until the server closes")
    }

    fn key(&mut self) -> String {
        self.next()["key"].as_str().expect("a handshake").to_owned()
    }

    fn content(&mut self) -> Value {
        loop {
            let next = self.next();
            assert!(next["content"] != Value::Null || next["keepalive"] == true, "{next}");
            if next["content"] != Value::Null {
                return next["content"].clone();
            }
        }
    }

    fn refusal(&mut self) -> String {
        let refusal = self.next()["refused"].as_str().expect("a refusal").to_owned();
        assert_eq!(self.next()["closed"], true);
        refusal
    }
}

impl Drop for OldClient {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A text each of less than a block, a block, more, and with what the frame's end and JSON trip over.
fn texts() -> Vec<String> {
    let long = "x".repeat(1000);
    ["a", "13 characters", "14 characters!", "15 characters!!", &long, "你好，世界", "a|b", "\"\\\n"]
        .map(str::to_owned)
        .to_vec()
}

/// Ways in which a client may send its bytes.
const WAYS: [&[&str]; 8] = [
    &[],
    &["--end", "|"],
    &["--cut", "1"],
    &["--cut", "1", "--end", "|"],
    &["--cut", "5", "--end", "|"],
    &["--cut", "1", "--end", "\r\n"],
    &["--end", "\n"],
    &["--end", "|more that nobody asked for"],
];

fn all_get_what_is_sent(server: &Server, clients: &mut [(String, OldClient)]) {
    server.wait_for("users", clients.len() as u64);
    for text in texts() {
        for (user, _) in &*clients {
            let (status, body) = server.post("/msg/sender", &json!({"To": user, "Content": text}));
            assert_eq!((status, &*body), (200, "1"));
        }
        for (user, client) in &mut *clients {
            assert_eq!(client.content(), text, "{user}");
        }
    }
    server.post("/msg/sender", &json!({"Content": "to all, and longer than a block"}));
    for (user, client) in clients {
        assert_eq!(client.content(), "to all, and longer than a block", "{user}");
    }
}

#[test]
fn plain_clients_get_their_messages_however_tcp_cuts_them() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--shared-secret", "123456"]);
    let mut clients: Vec<_> = (0..)
        .zip(WAYS)
        .map(|(number, way)| {
            let text = format!("user{number};123456");
            let options = [&["--text", &text], way].concat();
            (format!("user{number}"), OldClient::start(server.address("listen"), &options))
        })
        .collect();
    all_get_what_is_sent(&server, &mut clients);
}

#[test]
fn encrypted_clients_get_their_messages_however_tcp_cuts_them() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--encrypt", "--shared-secret", "123456"]);
    let strays = ["", "7c", "00", "0d0a", "0a", "7c000d0a7c00", "", "7c"];
    let bits = ["1024", "1024", "1024", "1024", "1536", "2048", "3072", "4096"];
    let mut clients = Vec::new();
    for (number, way) in WAYS.into_iter().enumerate() {
        let text = format!("user{number};123456");
        let options = ["--encrypt", bits[number], "--stray", strays[number], "--text", &text];
        let breaks: &[&str] = if number % 2 == 0 { &[] } else { &["--break-lines"] };
        let options = [&options, way, breaks].concat();
        clients.push((format!("user{number}"), OldClient::start(server.address("listen"), &options)));
    }
    let keys: HashSet<_> = clients.iter_mut().map(|(_, client)| client.key()).collect();
    assert_eq!(keys.len(), clients.len(), "each connection has a key of its own");
    all_get_what_is_sent(&server, &mut clients);
}

#[test]
fn a_client_with_a_wrong_password_is_told_in_plain_text() {
    let directory = tempfile::tempdir().unwrap();
    for door in [&["--shared-secret", "123456"][..], &["--shared-secret", "123456", "--encrypt"]] {
        let server = Server::start(directory.path(), door);
        for way in WAYS {
            let encrypted = door.len() > 2;
            let handshake: &[&str] = if encrypted { &["--encrypt", "1024"] } else { &[] };
            let options = [handshake, &["--text", "ada;12345"], way].concat();
            let mut client = OldClient::start(server.address("listen"), &options);
            if encrypted {
                client.key();
            }
            assert_eq!(client.refusal(), "password is wrong");
        }
        assert_eq!(server.stats()["connections"], 0);
    }
}

#[test]
fn without_authentication_an_encrypted_client_may_say_anything() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--encrypt"]);
    let garbage = "00ff7c".repeat(2000);
    let mut clients = Vec::new();
    for said in [&[][..], &["--text", "ada;123456"], &["--stray", "7c0d0a", "--raw", &garbage]] {
        let mut client = OldClient::start(server.address("listen"), &[&["--encrypt", "1024"], said].concat());
        client.key();
        clients.push(client);
    }
    server.wait_for("connections", 3);
    server.post("/msg/sender", &json!({"Content": "for whoever is there"}));
    for client in &mut clients {
        assert_eq!(client.content(), "for whoever is there");
    }
}

/// Sends `bytes` on a fresh connection; gives what the server says after its public key until it closes.
fn answer_to(server: &Server, bytes: &[u8], and_close: bool) -> String {
    let mut socket = server.connect("listen");
    let mut hello = [0; 216];
    socket.read_exact(&mut hello).unwrap();
    // The server may close as soon as it has seen enough.
    let _ = socket.write_all(bytes);
    if and_close {
        let _ = socket.shutdown(Shutdown::Write);
    }
    let mut said = String::new();
    socket.read_to_string(&mut said).unwrap();
    said
}

#[test]
fn garbage_at_every_step_is_answered_and_harms_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--encrypt", "--shared-secret", "123456"]);
    let mut bystander =
        OldClient::start(server.address("listen"), &["--encrypt", "1024", "--text", "ada;123456"]);
    bystander.key();
    server.wait_for("users", 1);

    let vectors = include_str!("../../handshake/tests/vectors/handshake.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let for_another_server = vectors["handshakes"][0]["step2"].as_str().unwrap().as_bytes();
    let zeros = format!("{:A<171}=", "");
    for (garbage, reason) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "not base64"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "not base64"),
        (b"|", "not base64"),
        (b"\0", "not base64"),
        (b"====", "not base64"),
        (b"aGVsbG8=", "not base64"),
        (b"ada;123456|", "not base64"),
        ("你好".as_bytes(), "not base64"),
        (zeros.as_bytes(), "block"),
        (&[b'A'; 20_000], "block"),
        (&[b'\n'; 20_000], "longer than"),
        (for_another_server, "block"),
    ] {
        let said = answer_to(&server, garbage, false);
        assert!(said.contains(reason), "{:?}: {said}", String::from_utf8_lossy(garbage));
    }
    for half in [&b""[..], b"AAAA", &for_another_server[..100]] {
        assert_eq!(answer_to(&server, half, true), "the connection ended during the handshake");
    }

    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let not_sealed = "the text is not enciphered under the agreed key";
    for (garbage, reason) in [
        (hex(b"ada;123456|"), not_sealed),
        (hex(b"ada;123456"), not_sealed),
        (hex(b"AAAAAAAAAAAAAAAAAAAAAA==|"), not_sealed),
        (hex(b"AAAA|"), not_sealed),
        (hex(b"===="), not_sealed),
        (hex(&[0xff; 40]), not_sealed),
        (hex(&[b'A'; 20_000]), "an authentication text may be"),
        (hex(&[0; 20_000]), "an authentication text may be"),
    ] {
        let mut client =
            OldClient::start(server.address("listen"), &["--encrypt", "1024", "--raw", &garbage]);
        client.key();
        let said = client.refusal();
        assert!(said.contains(reason), "{garbage:.80}: {said}");
    }
    // A text that is sealed and no user.
    for text in ["", ";", ";123456", "ada", "a\nb;123456", &"x".repeat(2000)] {
        let options = ["--encrypt", "1024", "--end", "|", "--text", text];
        let mut client = OldClient::start(server.address("listen"), &options);
        client.key();
        assert!(!client.refusal().is_empty(), "{text}");
    }

    assert_eq!(server.stats()["connections"], 1);
    server.post("/msg/sender", &json!({"To": "ada", "Content": "still here"}));
    assert_eq!(bystander.content(), "still here");
}

#[test]
fn a_herd_of_encrypted_clients_is_let_in_while_others_are_served() {
    const HERD: usize = 300;
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--encrypt"]);
    let mut online = OldClient::start(server.address("listen"), &["--encrypt", "1024"]);
    online.key();
    server.wait_for("connections", 1);

    let mut herd: Vec<_> = (0..HERD).map(|_| server.connect("listen")).collect();
    let mut hello = [0; 216];
    let key = msgserver_handshake::ClientKey::generate(1024).unwrap();
    let mut handshakes = Vec::new();
    for socket in &mut herd {
        socket.read_exact(&mut hello).unwrap();
    }
    for socket in &mut herd {
        let (client, second) =
            msgserver_handshake::ClientHandshake::answer_with(&hello, key.clone()).unwrap();
        socket.write_all(&second).unwrap();
        handshakes.push(client);
    }
    for n in 0..20 {
        server.post("/msg/sender", &json!({"Content": format!("notice {n}")}));
        assert_eq!(online.content(), format!("notice {n}"));
    }
    for (socket, client) in herd.iter_mut().zip(handshakes) {
        let mut reply = [0; 172];
        socket.read_exact(&mut reply).unwrap();
        client.finish(&reply).unwrap();
    }
    server.wait_for("connections", HERD as u64 + 1);
}

/// With a heartbeat of a second, which only the library can be given.
#[tokio::test(flavor = "multi_thread")]
async fn keepalives_stand_between_frames_and_a_kept_key_is_used() {
    let vectors = include_str!("../../handshake/tests/vectors/handshake.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let kept = ServerKey::decode(vectors["servers"][1]["pkcs8_pem"].as_str().unwrap().as_bytes()).unwrap();
    for encryption in [Encryption::None, Encryption::Key(kept)] {
        let encrypted = matches!(encryption, Encryption::Key(_));
        let mut settings = Settings::default();
        settings.reactor.heartbeat = Duration::from_secs(1);
        let server = Embedded::builder()
            .encryption(encryption)
            .authentication(SharedSecret::new("123456"))
            .settings(settings)
            .build()
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let door = server.clone();
        tokio::spawn(async move { door.serve(listener).await });

        let sender = server.sender();
        let runtime = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || {
            let handshake: &[&str] = if encrypted { &["--encrypt", "2048"] } else { &[] };
            let mut client = OldClient::start(&address, &[handshake, &["--text", "ada;123456"]].concat());
            if encrypted {
                assert_eq!(client.next()["server_bits"], 2048);
            }
            for n in 0..2 {
                assert_eq!(client.next(), json!({"keepalive": true}));
                runtime.block_on(sender.send_notice(Content::text(&format!("notice {n}")))).unwrap();
                assert_eq!(client.content(), format!("notice {n}"));
            }
        })
        .await
        .unwrap();
        server.stop(Duration::from_secs(10)).await;
    }
}
