//! The programs that docs/doors.md has for each language: each gets what is sent, once, also over a restart of the server.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::path::Path;
use std::process::Command;

use serde_json::json;
use support::{Client, Server, blocks, python, until};

/// The only program of a language in the document that has this in its first line.
fn program(language: &str, first: &str) -> String {
    let mut found = blocks("docs/doors.md", language);
    found.retain(|program| program.lines().next().unwrap().contains(first));
    let [program] = &found[..] else { panic!("{found:?}") };
    program.clone()
}

/// Writes a program into a file, with the addresses of a server, and starts it.
fn start(server: &Server, directory: &Path, mut command: Command, file: &str, text: &str) -> Client {
    let (host, port) = server.address("mqtt").split_once(':').unwrap();
    let text = text
        .replace("127.0.0.1:3365", server.address("http"))
        .replace("\"127.0.0.1\", 1883", &format!("\"{host}\", {port}"));
    std::fs::write(directory.join(file), text).unwrap();
    Client::start(command.arg(file).current_dir(directory))
}

/// The next line that has this in it; that it is the next one that has `hello` in it says that nothing came twice.
fn next_hello(client: &mut Client) -> String {
    loop {
        let line = client.line().expect("the program goes on");
        if line.contains("hello") && !line.contains("\"type\":\"hello\"") {
            return line;
        }
    }
}

fn gets_each_message_once(command: Command, file: &str, text: &str, is_acknowledged_at_once: bool) {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path(), &["--mqtt", "127.0.0.1:0"]);
    let mut client = start(&server, directory.path(), command, file, text);
    let until_connected = |server: &Server| {
        until(|| {
            let devices = server.http().get("/v1/users/ada")["devices"].as_array().unwrap().clone();
            devices.iter().any(|device| device["connected"] == true).then_some(())
        });
    };
    until_connected(&server);
    for round in 0..2 {
        let send = |n: u32| {
            let content = format!("hello {round}.{n}");
            server.http().publish(&json!({"to": {"user": "ada"}, "content": content}));
            content
        };
        for content in [send(1), send(2)] {
            let line = next_hello(&mut client);
            assert!(line.contains(&content), "{file}: {line} and not {content}");
        }
        if is_acknowledged_at_once {
            until(|| (server.http().get("/v1/users/ada")["waiting"] == 0).then_some(()));
        }
        let doors = ["http", "mqtt"].map(|door| server.address(door).to_owned());
        server.signal("-TERM");
        assert!(server.child.wait().unwrap().success());
        drop(server);
        let flags = ["--http", &doors[0], "--mqtt", &doors[1]];
        server = Server::start(directory.path(), &flags);
        until_connected(&server);
    }
}

#[test]
fn the_python_program_for_websockets_gets_each_message_once() {
    let mut command = Command::new(python());
    command.arg("-u");
    gets_each_message_once(command, "listen_socket.py", &program("python", "pip install websockets"), true);
}

#[test]
fn the_python_program_for_mqtt_gets_each_message_once() {
    let mut command = Command::new(python());
    command.arg("-u");
    gets_each_message_once(command, "mqtt_client.py", &program("python", "pip install paho-mqtt"), true);
}

/// It acknowledges when it comes back.
#[test]
fn the_program_for_node_gets_each_message_once() {
    gets_each_message_once(Command::new("node"), "listen.mjs", &program("js", "node listen.mjs"), false);
}

#[test]
fn the_java_program_gets_each_message_once() {
    gets_each_message_once(Command::new("java"), "Listen.java", &program("java", "java Listen.java"), true);
}
