//! A browser, with WebSocket, EventSource and the server's own module: headless Chromium shows a page and the page tells
//! what it got.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::{Browser, Server, until};
use tempfile::tempdir;

const CLIENTS: [&str; 4] = ["module-websocket", "module-sse", "socket", "events"];

/// Whose page it is: another host than the server, as browsers count.
struct Site {
    address: SocketAddr,
    reports: Arc<Mutex<Vec<Value>>>,
}

impl Site {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let reports = Arc::<Mutex<Vec<Value>>>::default();
        let told = Arc::clone(&reports);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let told = Arc::clone(&told);
                // A browser opens connections ahead and says nothing on them.
                std::thread::spawn(move || answer(socket.unwrap(), &told));
            }
        });
        Self { address, reports }
    }

    fn reports(&self, who: &str) -> Vec<Value> {
        let reports = self.reports.lock().unwrap();
        let fault = reports.iter().find(|report| report["who"] == "page");
        assert!(fault.is_none(), "{fault:?}");
        reports.iter().filter(|report| report["who"] == who).cloned().collect()
    }

    fn contents(&self, who: &str) -> Vec<u64> {
        self.reports(who).iter().filter_map(|report| report["content"].as_u64()).collect()
    }

    /// Waits until a client was online so many times.
    fn wait_online(&self, who: &str, times: usize) {
        let online = || self.reports(who).iter().filter(|report| report["state"] == "online").count();
        until(|| (online() >= times).then_some(()));
    }

    /// Waits until every client has got everything, and looks that it came once and in order.
    fn wait_contents(&self, upto: u64) {
        for who in CLIENTS {
            until(|| (self.contents(who).len() as u64 >= upto).then_some(()));
            assert_eq!(self.contents(who), (1..=upto).collect::<Vec<_>>(), "{who}");
        }
    }
}

fn answer(socket: TcpStream, reports: &Mutex<Vec<Value>>) {
    let mut socket = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if socket.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    socket.read_exact(&mut body).unwrap();
    if head.starts_with("post /report") {
        reports.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    }
    let page = if head.starts_with("get /page") { include_str!("clients/page.html") } else { "" };
    let _ = write!(
        socket.get_mut(),
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{page}",
        page.len()
    );
}

fn publish(server: &Server, contents: std::ops::RangeInclusive<u64>) {
    server.http().publish_all(contents.map(|n| json!({"to": {"user": "ada"}, "content": n})));
}

#[test]
fn each_client_of_a_browser_gets_each_message_once_whatever_happens() {
    let directory = tempdir().unwrap();
    let site = Site::open();
    let origin = format!("http://{}", site.address);
    let mut server = Server::start(directory.path(), &["--browser-origins", &origin]);
    let address = server.address("http").to_owned();
    let page = format!("{origin}/page?server={address}");
    let profile = directory.path().join("profile");
    let flags = ["--browser-origins", &origin, "--http", &address];

    // Connected.
    let browser = Browser::show(&profile, &page);
    CLIENTS.iter().for_each(|who| site.wait_online(who, 1));
    publish(&server, 1..=20);
    site.wait_contents(20);

    // The server dies, and comes back on what it had kept.
    server.signal("-KILL");
    server.child.wait().unwrap();
    for who in CLIENTS {
        until(|| site.reports(who).iter().any(|report| report["state"] == "waiting").then_some(()));
    }
    server = Server::start(directory.path(), &flags);
    publish(&server, 21..=40);
    CLIENTS.iter().for_each(|who| site.wait_online(who, 2));
    publish(&server, 41..=60);
    site.wait_contents(60);

    // It stops, says when to come back, and is there again.
    server.signal("-TERM");
    assert!(server.child.wait().unwrap().success());
    server = Server::start(directory.path(), &flags);
    publish(&server, 61..=80);
    site.wait_contents(80);

    // The browser is closed, and shows the page again later.
    browser.close();
    server.wait_until_away("ada");
    publish(&server, 81..=100);
    let browser = Browser::show(&profile, &page);
    site.wait_contents(100);

    // What they have acknowledged is not kept any more; an EventSource does it when it comes back.
    browser.close();
    server.wait_until_away("ada");
    let user = server.http().get("/v1/users/ada");
    for device in user["devices"].as_array().unwrap() {
        if device["device"] != "events" {
            assert_eq!(device["acknowledged"], 100, "{device}");
        }
    }
}

/// The package for npm, in a directory of its own, as a program has it.
#[test]
fn the_package_for_npm_is_what_the_server_serves_and_has_what_its_types_say() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", "memory"]);
    let package = directory.path().join("node_modules/msgserver-client");
    std::fs::create_dir_all(&package).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../http-api/browser");
    let manifest = std::fs::read_to_string(source.join("package.json")).unwrap();
    std::fs::write(package.join("package.json"), &manifest).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    for file in manifest["files"].as_array().unwrap() {
        let file = file.as_str().unwrap();
        let (status, served) = server.request("GET", &format!("/{file}"), None, None);
        assert_eq!((status, &*served), (200, &*std::fs::read_to_string(source.join(file)).unwrap()));
        std::fs::write(package.join(file), served).unwrap();
    }
    let names = r#"
        import * as client from "msgserver-client";
        const types = (await import("node:fs")).readFileSync(process.argv[1], "utf8");
        const said = [...types.matchAll(/^export (?:function|class) (\w+)/gm)].map((found) => found[1]);
        const members = [...types.split("export class Connection")[1].matchAll(/^  (?:readonly )?(\w+)[(:]/gm)];
        const connection = new client.Connection("http://127.0.0.1:1", {});
        const missing = members.map((found) => found[1]).filter((name) => !(name in connection));
        connection.close();
        console.log(JSON.stringify([Object.keys(client).sort(), said.sort(), members.length, missing]));
    "#;
    let output = Command::new("node")
        .current_dir(directory.path())
        .args(["--input-type=module", "-e", names, "node_modules/msgserver-client/client.d.ts"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let fault = String::from_utf8_lossy(&output.stderr);
    let said: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said} {fault}"));
    assert_eq!(said, json!([["Connection", "connect"], ["Connection", "connect"], 6, []]));
}
