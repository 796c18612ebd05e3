//! Certificates of clients.

use std::io::{BufReader, Write};

use serde_json::{Value, json};

use crate::support::authority::{Authority, ask};
use crate::support::{Server, bar, read_frame, until};
use crate::{SECRET, hello, is_welcome, publish, start};

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
