//! A server whose disk is full refuses what is new, goes on with all else, and is well again when the disk is.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use support::{AtEnd, Server, acknowledge, contents, hello, read_frame, until};

/// Takes all room that is left.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    while file.write_all(&[1]).is_ok() {}
}

#[test]
fn a_full_disk_refuses_what_is_new_and_delivers_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    fs::create_dir(&data).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"]).arg(&data).status();
    assert!(
        mounted.is_ok_and(|status| status.success()),
        "this test has to be allowed to mount a small tmpfs"
    );
    let _unmounted = AtEnd(|| drop(Command::new("umount").arg("--lazy").arg(&data).status()));

    let server = Server::start(directory.path(), &[]);
    let (mut phone, _) = hello(&server, "ada", "phone");
    let mut http = server.http();
    let to_ada = |text: &str| json!({"to": {"user": "ada"}, "content": text});
    http.publish(&to_ada("before"));
    assert_eq!(contents(&mut phone, 1), ["before"]);

    let ballast = data.join("ballast");
    fill(&ballast);
    // Some more may still find room in a page that is already there.
    let mut kept = 0;
    let refused = until(|| {
        let answer = http.post("/v1/messages", &to_ada(&"x".repeat(10_000))).unwrap();
        kept += usize::from(answer.status == 202);
        (answer.status != 202).then_some(answer)
    });
    refused.assert_problem(503);
    assert!(refused.body.contains("No space left"), "{}", refused.body);
    let ready = http.request("GET", "/readyz", "").unwrap();
    assert_eq!(ready.status, 503, "{ready:?}");
    assert_eq!(http.request("GET", "/healthz", "").unwrap().status, 200);
    contents(&mut phone, kept);

    // Whoever is connected is served.
    http.publish(&json!({"to": {"all": true}, "content": "a notice"}));
    assert_eq!(read_frame(&mut phone)["content"], "a notice");
    assert_eq!(http.get("/v1/users/ada")["waiting"], 1 + kept);

    fs::remove_file(&ballast).unwrap();
    until(|| (http.post("/v1/messages", &to_ada("after")).unwrap().status == 202).then_some(()));
    let message = read_frame(&mut phone);
    assert_eq!(message["content"], "after", "what was refused is not delivered");
    acknowledge(&mut phone, message["seq"].as_u64().unwrap());
    until(|| (http.request("GET", "/readyz", "").unwrap().status == 200).then_some(()));
}
