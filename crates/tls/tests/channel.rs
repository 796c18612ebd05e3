//! Channels and rustls's own client, byte by byte and without a socket.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

use std::io::{Read, Write};
use std::process::Command;
use std::sync::Arc;

use msgserver_tls::{Application, Came, Channel, DoorTls, Tls, TlsFiles};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

struct Stage {
    door: DoorTls,
    client: Arc<ClientConfig>,
}

impl Stage {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let made = Command::new("openssl")
            .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(' '))
            .args("-keyout key.pem -out cert.pem -subj /CN=localhost".split(' '))
            .args(
                "-addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE".split(' '),
            )
            .current_dir(&directory)
            .output()
            .expect("openssl is needed; scripts/test installs it");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| directory.path().join(name));
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&certificate).unwrap()).unwrap();
        let files = TlsFiles { certificates: vec![(certificate, key)], ..TlsFiles::default() };
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let client = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            door: DoorTls::new(Arc::new(Tls::open(files).unwrap()), Application::Unnamed),
            client: Arc::new(client),
        }
    }

    fn client(&self) -> ClientConnection {
        ClientConnection::new(Arc::clone(&self.client), ServerName::try_from("localhost").unwrap()).unwrap()
    }

    /// Both ends of a connection whose handshake came in pieces of so many bytes.
    fn connected(&self, piece: usize) -> (Channel, ClientConnection) {
        let (mut channel, mut client) = (self.door.channel().unwrap(), self.client());
        while !channel.is_open() || client.is_handshaking() {
            assert_eq!(to_server(&mut client, &mut channel, piece), (Vec::new(), Came::More));
        }
        (channel, client)
    }
}

/// Brings what the client wants to send to the channel, in pieces, and the answer back; gives what the channel heard.
fn to_server(client: &mut ClientConnection, channel: &mut Channel, piece: usize) -> (Vec<u8>, Came) {
    let (mut sent, mut heard, mut answer, mut last) = (Vec::new(), Vec::new(), Vec::new(), Came::More);
    while client.wants_write() {
        client.write_tls(&mut sent).unwrap();
    }
    for bytes in sent.chunks_mut(piece) {
        last = channel.take(bytes, &mut heard, &mut answer).unwrap();
    }
    to_client(client, &answer);
    (heard, last)
}

fn to_client(client: &mut ClientConnection, mut sealed: &[u8]) {
    while !sealed.is_empty() {
        client.read_tls(&mut sealed).unwrap();
        client.process_new_packets().unwrap();
    }
}

fn heard(client: &mut ClientConnection, bytes: usize) -> Vec<u8> {
    let mut heard = vec![0; bytes];
    client.reader().read_exact(&mut heard).unwrap();
    heard
}

#[test]
fn what_is_said_arrives_however_it_is_cut() {
    let stage = Stage::new();
    let long: Vec<u8> = (0..60_000u32).map(|n| n as u8).collect();
    for piece in [1, 7, 1000, usize::MAX] {
        let (mut channel, mut client) = stage.connected(piece);
        client.writer().write_all(&long).unwrap();
        assert_eq!(to_server(&mut client, &mut channel, piece), (long.clone(), Came::More), "{piece}");
        // Half as much at a time: rustls's client keeps no more that nobody has read.
        for part in long.chunks(16_000) {
            let mut sealed = Vec::new();
            channel.seal(part, &mut sealed).unwrap();
            to_client(&mut client, &sealed);
            assert_eq!(heard(&mut client, part.len()), part);
        }
    }
}

#[test]
fn each_side_hears_that_nothing_more_comes() {
    let stage = Stage::new();
    let (mut channel, mut client) = stage.connected(usize::MAX);
    client.send_close_notify();
    assert_eq!(to_server(&mut client, &mut channel, usize::MAX), (Vec::new(), Came::End));
    let mut sealed = Vec::new();
    channel.seal(b"last", &mut sealed).unwrap();
    channel.close(&mut sealed).unwrap();
    to_client(&mut client, &sealed);
    assert_eq!(heard(&mut client, 4), b"last");
    assert_eq!(client.reader().read(&mut [0]).unwrap(), 0, "announced, and not cut off");
}

#[test]
fn a_client_may_change_its_keys_and_is_answered_under_new_ones() {
    let stage = Stage::new();
    let (mut channel, mut client) = stage.connected(usize::MAX);
    for round in 0..3u8 {
        client.refresh_traffic_keys().unwrap();
        client.writer().write_all(&[round]).unwrap();
        assert_eq!(to_server(&mut client, &mut channel, 3), (vec![round], Came::More));
        let mut sealed = Vec::new();
        channel.seal(&[round], &mut sealed).unwrap();
        to_client(&mut client, &sealed);
        assert_eq!(heard(&mut client, 1), [round]);
    }
}

#[test]
fn what_is_no_tls_ends_it_and_the_peer_is_told() {
    let stage = Stage::new();
    let (mut plain, mut answer) = (Vec::new(), Vec::new());
    let mut channel = stage.door.channel().unwrap();
    assert!(channel.take(&mut b"GET / HTTP/1.1\r\n\r\n".to_vec(), &mut plain, &mut answer).is_err());
    assert!(channel.seal(b"x", &mut Vec::new()).is_err());

    // A record that was changed on its way: an alert is the answer.
    let (mut channel, mut client) = stage.connected(usize::MAX);
    client.writer().write_all(b"pay 10").unwrap();
    let mut sent = Vec::new();
    client.write_tls(&mut sent).unwrap();
    *sent.last_mut().unwrap() ^= 1;
    answer.clear();
    assert!(channel.take(&mut sent, &mut plain, &mut answer).is_err());
    assert!(plain.is_empty() && !answer.is_empty());
}

#[test]
fn an_idle_channel_keeps_its_keys_and_no_buffers() {
    const CHANNELS: usize = 2_000;
    let stage = Stage::new();
    let idle = || {
        let (mut channel, mut client) = stage.connected(usize::MAX);
        client.writer().write_all(&[0; 10_000]).unwrap();
        to_server(&mut client, &mut channel, 1000);
        Box::new(channel)
    };
    // What is allocated once.
    let mut channels: Vec<_> = (0..100).map(|_| idle()).collect();
    let before = rss_anon();
    channels.extend((0..CHANNELS).map(|_| idle()));
    let each = (rss_anon() - before) / CHANNELS;
    println!("{each} bytes for each idle channel, {} of them its own", size_of::<Channel>());
    // A read buffer alone would be 4 KiB more.
    assert!((1..5 * 1024).contains(&each), "{each} bytes each");
}

/// Memory that is neither shared nor a file's.
fn rss_anon() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    1024 * line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
}
