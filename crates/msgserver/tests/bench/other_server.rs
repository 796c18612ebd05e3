//! A server that is there already.

use crate::support::Server;
use crate::{assert_whole, bench, works};

#[test]
fn another_server_is_loaded_with_its_key_and_its_secret() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--api-key", "K", "--shared-secret", "S"]);
    let (url, connect) = (format!("http://{}", server.address("http")), server.address("listen"));
    let (frame, process) = (server.address("frame"), server.child.id().to_string());
    let to = ["--url", &url, "--connect", connect, "--frame", frame, "--shared-secret", "S"];
    let load = ["to-one", "--clients", "5", "--messages", "50", "--api-key", "K", "--pid", &process];
    for work in works(&[&load[..], &to].concat()) {
        assert_whole(&work["server"], 50, 1);
        assert!(work["server"]["cpu_seconds"].is_number());
        assert!(work["store"].is_null());
    }
    let refused = bench(&["fan-out", "--clients", "2", "--messages", "5"]).args(to).output().unwrap();
    let line = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(line.contains("401"), "{line}");
}
