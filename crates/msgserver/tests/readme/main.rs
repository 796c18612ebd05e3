//! Everything that the README has its readers type is typed, and gives what they were told it would.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test that meets an error has to end")]
#![allow(
    clippy::print_stdout,
    reason = "the README prints what arrives, and a failure says of which one it is"
)]

mod document;
mod program;
mod reader;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;

use document::{Readme, content};
use reader::Reader;
use serde_json::{Value, json};
use support::{Browser, until};

/// The README in each of its languages.
const READMES: [&str; 2] = ["README.md", "README.zh-CN.md"];

/// How each command begins, in the order in which they stand there. Each is typed by a test below.
const COMMANDS: [&str; 15] = [
    SERVE,
    "./scripts/test",
    LISTEN,
    SEND,
    CURL,
    RECEIPT,
    FOLLOW,
    SEND_TO_TOPIC,
    TOPIC,
    EVENTS,
    SERVE_MQTT,
    SUBSCRIBE,
    PUBLISH,
    OLD_CLIENT,
    OLD_SENDER,
];

const SERVE: &str = "cargo run --release -- serve";
const LISTEN: &str = "cargo run --release -- listen --user ada";
const SEND: &str = "cargo run --release -- send --to ada '";
const CURL: &str = "curl -d '{\"to\":{\"user\":\"ada\"},\"content\":";
const RECEIPT: &str = "curl http://127.0.0.1:3365/v1/messages/";
const FOLLOW: &str = "cargo run --release -- listen --user ada --topic 'news/+'";
const SEND_TO_TOPIC: &str = "cargo run --release -- send --topic news/europe '";
const TOPIC: &str = "curl http://127.0.0.1:3365/v1/topics/news%2Feurope";
const EVENTS: &str = "curl -N 'http://127.0.0.1:3365/v1/sse?user=ada&device=shell'";
const SERVE_MQTT: &str = "cargo run --release -- serve --mqtt 127.0.0.1:1883";
const SUBSCRIBE: &str = "mosquitto_sub -u ada -i phone -c -q 1 -t inbox -t 't/news/+' -v";
const PUBLISH: &str = "mosquitto_pub -u bob -q 1 -t to/ada -m '";
const OLD_CLIENT: &str = "nc 127.0.0.1 3366";
const OLD_SENDER: &str = "curl -d '{\"To\":\"\",\"Content\":\"";

/// Does something for each README, with a server of its own that was started as it says.
fn each(serve: &'static str, check: impl Fn(&Reader)) {
    for readme in READMES {
        println!("{readme}");
        check(&Reader::of(readme, serve));
    }
}

/// What the store knows of Ada's devices.
fn devices(reader: &Reader) -> Vec<Value> {
    reader.server.http().get("/v1/users/ada")["devices"].as_array().cloned().unwrap_or_default()
}

#[test]
fn every_command_is_typed_by_a_test() {
    for readme in READMES.map(Readme::of) {
        let commands = readme.commands();
        assert_eq!(commands.len(), COMMANDS.len(), "{commands:?}");
        for (command, beginning) in commands.iter().zip(COMMANDS) {
            assert!(command.starts_with(beginning), "{command:?} is another one than {beginning:?}");
        }
        for (language, count) in [("js", 1), ("rust", 2)] {
            assert_eq!(readme.blocks(language).len(), count, "{language}");
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/test");
        assert!(Command::new("bash").arg("-n").arg(script).status().unwrap().success());
    }
}

#[test]
fn the_addresses_that_the_commands_leave_out_are_those_of_a_server_that_is_told_none() {
    let program = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_msgserver")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        // Help is broken into lines wherever one ends.
        String::from_utf8(output.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(program(&["listen", "--help"]).contains("[default: tcp://127.0.0.1:3367]"));
    assert!(program(&["send", "--help"]).contains("[default: http://127.0.0.1:3365]"));
    let addresses = program(&["config", "print"]);
    for address in ["127.0.0.1:3365", "127.0.0.1:3366", "127.0.0.1:3367"] {
        assert!(addresses.contains(address), "{address}: {addresses}");
    }
}

#[test]
fn a_first_message_arrives_also_if_the_server_is_killed_before_and_its_receipt_tells_each_step() {
    each(SERVE, |reader| {
        let [send, curl] = [SEND, CURL].map(|beginning| reader.readme.command(beginning));
        let mut listen = reader.start(&reader.readme.command(LISTEN));
        let sent = reader.run(&send);
        let (id, state) = sent.split_once(' ').unwrap();
        assert_eq!((id.len(), state), (26, "accepted"), "{sent}");
        assert_eq!(listen.line().unwrap(), content(&send));
        let answer: Value = serde_json::from_str(&reader.run(&curl)).unwrap();
        assert_eq!((answer["id"].as_str().unwrap().len(), &answer["state"]), (26, &json!("accepted")));
        assert_eq!(listen.line().unwrap(), content(&curl));

        let receipt = reader.readme.command(RECEIPT);
        let shown = receipt.rsplit('/').next().unwrap();
        let steps = until(|| {
            let receipt: Value = serde_json::from_str(&reader.run(&receipt.replace(shown, id))).unwrap();
            (receipt["state"] == "acknowledged").then(|| receipt["steps"].as_array().unwrap().clone())
        });
        for state in ["accepted", "sent", "acknowledged"] {
            let step = steps.iter().find(|step| step["state"] == state).unwrap();
            assert!(step["at"].is_string() && (state == "accepted" || step["device"].is_string()), "{step}");
        }
    });
    // And the other way round.
    for readme in READMES {
        let mut reader = Reader::of(readme, SERVE);
        let send = reader.readme.command(SEND);
        reader.run(&send);
        reader.kill_and_serve_again();
        let mut listen = reader.start(&reader.readme.command(LISTEN));
        assert_eq!(listen.line().unwrap(), content(&send));
    }
}

#[test]
fn who_follows_a_topic_gets_what_is_published_there_and_is_counted() {
    each(SERVE, |reader| {
        let mut listen = reader.start(&reader.readme.command(FOLLOW));
        let topic = reader.readme.command(TOPIC);
        until(|| {
            let topic: Value = serde_json::from_str(&reader.run(&topic)).unwrap();
            (topic["subscribers"] == 1 && topic["online"] == 1).then_some(())
        });
        let send = reader.readme.command(SEND_TO_TOPIC);
        reader.run(&send);
        assert_eq!(listen.line().unwrap(), content(&send));
    });
}

#[test]
fn the_console_of_a_browser_logs_what_arrives_and_it_is_acknowledged() {
    each(SERVE, |reader| {
        let profile = reader.directory.path().join("profile");
        let page = format!("http://{}/healthz", reader.server.address("http"));
        let browser = Browser::show(&profile, &page);
        let mut console = browser.console(&page);
        let [script] = &reader.readme.blocks("js")[..] else { panic!("there is one block for browsers") };
        for line in script.lines() {
            console.enter(line);
        }
        reader.run(&reader.readme.command(SEND));
        assert_eq!(console.logged(), content(&reader.readme.command(SEND)));
        until(|| (devices(reader).first()?["acknowledged"] == 1).then_some(()));
        assert_eq!(devices(reader)[0]["device"], "tab");
        drop(browser);
    });
}

#[test]
fn curl_alone_shows_what_arrives() {
    each(SERVE, |reader| {
        let mut events = reader.start(&reader.readme.command(EVENTS));
        let welcome: Value = serde_json::from_str(&events.line_with("data: ")).unwrap();
        assert_eq!((&welcome["user"], &welcome["device"]), (&json!("ada"), &json!("shell")));
        reader.run(&reader.readme.command(SEND));
        let message: Value = serde_json::from_str(&events.line_with("data: ")).unwrap();
        assert_eq!(message["content"], content(&reader.readme.command(SEND)));
    });
}

#[test]
fn the_clients_of_mosquitto_get_what_comes_and_what_came_while_they_were_away() {
    each(SERVE_MQTT, |reader| {
        let publish = reader.readme.command(PUBLISH);
        let expected = format!("inbox {}", content(&publish));
        let mut phone = reader.start(&reader.readme.command(SUBSCRIBE));
        until(|| devices(reader).first().map(|_| ()));
        reader.run(&publish);
        assert_eq!(phone.line().unwrap(), expected);
        drop(phone);
        reader.server.wait_until_away("ada");
        reader.run(&publish);
        let mut phone = reader.start(&reader.readme.command(SUBSCRIBE));
        // The first one comes again if the client had no time left to acknowledge it.
        assert_eq!(phone.line().unwrap(), expected);
        until(|| (reader.server.http().get("/v1/users/ada")["waiting"] == 0).then_some(()));
    });
}

#[test]
fn a_client_of_the_old_protocol_gets_what_an_old_sender_sends_to_all() {
    each(SERVE, |reader| {
        let mut client = reader.start(&reader.readme.command(OLD_CLIENT));
        reader.server.wait_for("connections", 1);
        let send = reader.readme.command(OLD_SENDER);
        assert_eq!(reader.run(&send), "1");
        client.read_until(&format!("{}|", Value::from(content(&send))));
    });
}

#[test]
fn the_programs_in_rust_are_those_that_are_compiled_and_the_client_acknowledges_what_arrives() {
    for readme in READMES.map(Readme::of) {
        let [client, library] = &readme.blocks("rust")[..] else { panic!("there are two programs") };
        assert_eq!(*client, program::text());
        let shown = include_str!("../../src/lib.rs").split("```no_run\n").nth(1).unwrap();
        let shown = shown
            .lines()
            .take_while(|line| *line != "//! ```")
            .map(|line| line.strip_prefix("//! ").unwrap_or_default().to_owned() + "\n");
        let in_english = library.replace("你好", "hello").replace("通知所有人", "to all");
        assert_eq!(in_english, shown.collect::<String>(), "the program of the crate's documentation");
    }
    each(SERVE, |reader| {
        reader.run(&reader.readme.command(SEND));
        let address = format!("tcp://{}", reader.server.address("frame"));
        let file = reader.directory.path().join("position");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let acknowledged = async {
                while devices(reader).first().is_none_or(|device| device["acknowledged"] != 1) {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            };
            tokio::select! {
                ended = program::run(&address, &file) => panic!("it ended: {ended:?}"),
                () = acknowledged => {}
            }
        });
        assert_eq!(devices(reader)[0]["device"], "phone");
    });
}
