//! What a door shows, and what it is shown from.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::authority::Authority;
use crate::support::{Client, Server, read_frame, until};
use crate::{hello, is_welcome, publish, start};

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
