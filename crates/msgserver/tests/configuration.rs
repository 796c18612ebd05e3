//! What the real binary makes of flags, environment and file.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use support::{PATIENCE, Server, bar, hello, read_frame, until, write_frame};

const ANY: &str = "127.0.0.1:0";

/// The program, with nothing of the tester's own environment that it would read.
fn msgserver(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_msgserver"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MSGSERVER_") {
            command.env_remove(name);
        }
    }
    command.args(words);
    command
}

struct Said {
    code: i32,
    out: String,
    faults: Vec<String>,
}

fn said(command: &mut Command) -> Said {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let faults = String::from_utf8(stderr).unwrap().lines().map(str::to_owned).collect();
    Said { code: status.code().unwrap(), out: String::from_utf8(stdout).unwrap(), faults }
}

fn write(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("msgserver.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// A server of a file alone; the flags say only where the HTTP API is, if the file does not.
fn serve(directory: &Path, file: &str, flags: &[&str]) -> Server {
    let path = write(directory, file);
    let mut command = msgserver(&["serve", "--config", path.to_str().unwrap(), "--http", ANY]);
    command.args(flags);
    Server::run(command, directory)
}

fn connect(address: &Value) -> TcpStream {
    let socket = TcpStream::connect(address.as_str().unwrap()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn everything_from(mut socket: TcpStream) -> String {
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_flag_goes_before_the_environment_before_the_file_before_the_default() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "[delivery]\nresend_times = 3\n");
    let path = path.to_str().unwrap();
    let mut command = msgserver(&["config", "print"]);
    let line = |command: &mut Command| {
        let said = said(command);
        assert_eq!(said.code, 0, "{:?}", said.faults);
        said.out.lines().find(|line| line.starts_with("resend_times")).unwrap().to_owned()
    };
    assert_eq!(line(&mut command), "resend_times = 2  # default");
    command.env("MSGSERVER_CONFIG", path);
    assert_eq!(line(&mut command), format!("resend_times = 3  # file {path}"));
    command.env("MSGSERVER_DELIVERY__RESEND_TIMES", "4");
    assert_eq!(line(&mut command), "resend_times = 4  # environment MSGSERVER_DELIVERY__RESEND_TIMES");
    command.args(["--delivery-resend-times", "5"]);
    assert_eq!(line(&mut command), "resend_times = 5  # flag --delivery-resend-times");
}

#[test]
fn a_flag_takes_back_what_the_file_switches_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "encrypt = true\n[network]\ndeny = [\"10.0.0.1\"]\n");
    let mut command = msgserver(&["config", "print", "--encrypt=false", "--config", path.to_str().unwrap()]);
    command.args(["--network-deny", "10.0.0.0/8,fd00::/8", "--network-deny", "192.0.2.1"]);
    let said = said(&mut command);
    assert!(said.out.contains("encrypt = false  # flag --encrypt\n"));
    let deny = "deny = [\"10.0.0.0/8\", \"fd00::/8\", \"192.0.2.1/32\"]  # flag --network-deny\n";
    assert!(said.out.contains(deny), "{}", said.out);
}

#[test]
fn all_faults_of_all_layers_are_told_at_once_and_no_door_opens() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(
        directory.path(),
        r#"
            lissten = "127.0.0.1:1"
            resend_times = 3
            encrypt = "yes"
            colour = "blue"

            [[listener]]
            adress = "127.0.0.1:0"

            [[listener]]
            address = "127.0.0.1:0"
            protocol = "frame"
            encrypt = true
            max_connections = 0

            [delivery]
            resend_interval = 10
            min_parallel = 11

            [limits]
            outbox_bytes = 65536
            queue = "many"

            [limts]
            queue = 1

            [network]
            deny = ["300.0.0.0/8"]
        "#,
    );
    let data = directory.path().join("data");
    let mut command = msgserver(&["serve", "--config", path.to_str().unwrap(), "--http", "0.0.0.0:0"]);
    command.args(["--data-dir", data.to_str().unwrap(), "--log-level", "loud"]);
    command.env("MSGSERVER_LIMITS_QUEUE", "1").env("MSGSERVER_SERIALIZER", "xml");
    let said = said(&mut command);
    let expected: [&[&str]; 18] = [
        &["lissten = \"127.0.0.1:1\"", "did you mean listen?", "msgserver.toml"],
        &["resend_times = 3", "did you mean delivery.resend_times?"],
        &["encrypt = \"yes\"", "give true or false"],
        &["colour = \"blue\"", "no such key"],
        &["listener[1].adress = \"127.0.0.1:0\"", "did you mean address?"],
        &["listener[1].address", "missing"],
        &["listener[2].max_connections = 0", "a whole number from 1"],
        &["delivery.resend_interval = 10", "a time with its unit, such as \"10s\""],
        &["limits.outbox_bytes = 65536", "a size with its unit, such as \"1 MiB\""],
        &["limits.queue = \"many\"", "a whole number"],
        &["limts = {…}", "did you mean limits?"],
        &["network.deny = [\"300.0.0.0/8\"]", "10.0.0.0/8"],
        &["MSGSERVER_LIMITS_QUEUE", "did you mean MSGSERVER_LIMITS__QUEUE?"],
        &["serializer = \"xml\"", "\"json\" or \"msgpack\"", "environment MSGSERVER_SERIALIZER"],
        &["log_level = \"loud\"", "error, warn, info", "flag --log-level"],
        &["listener[2].encrypt = true", "not with protocol \"frame\""],
        &["http = \"0.0.0.0:0\"", "api_key", "allow_anonymous"],
        &["delivery.min_parallel = 11", "delivery.max_parallel, which is 10"],
    ];
    assert_eq!(said.code, 2);
    for parts in expected {
        let found = said.faults.iter().filter(|line| parts.iter().all(|part| line.contains(part))).count();
        assert_eq!(found, 1, "{parts:?} in {:#?}", said.faults);
    }
    assert_eq!(said.faults.len(), expected.len(), "{:#?}", said.faults);
    assert!(!data.exists(), "it had begun to work");
}

#[test]
fn a_file_that_is_not_toml_or_not_there_is_told_with_the_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "store = \"memory\"\napi_key = s3cret\n");
    let check = |path: &Path| said(msgserver(&["config", "check"]).arg(path));
    let not_toml = check(&path);
    assert_eq!((not_toml.code, not_toml.faults.len()), (2, 1));
    assert!(not_toml.faults[0].contains("line 2, column 11"), "{:?}", not_toml.faults);
    assert!(!not_toml.faults[0].contains("s3cret"));
    let not_there = check(&directory.path().join("nowhere.toml"));
    assert_eq!((not_there.code, not_there.faults.len()), (2, 1));
    assert!(not_there.faults[0].contains("nowhere.toml"));
}

#[test]
fn secrets_are_shown_nowhere() {
    let directory = tempfile::tempdir().unwrap();
    let good =
        write(directory.path(), "store = \"redis://ada:s3cret@db:6379\"\nshared_secret = \"s3cret\"\n");
    let print = said(msgserver(&["config", "print", "--api-key", "s3cret", "--config"]).arg(&good));
    assert_eq!(print.code, 0, "{:?}", print.faults);
    for line in [
        "shared_secret = \"***\"  # file",
        "api_key = \"***\"  # flag --api-key",
        "store = \"redis://ada:***@db:6379\"  # file",
    ] {
        assert!(print.out.contains(line), "{}", print.out);
    }
    assert!(!print.out.contains("s3cret"));

    let bad = write(
        directory.path(),
        "store = \"rediss://:s3cret@db\"\nshared_secret = [\"s3cret\"]\napi_kye = \"s3cret\"\n\
         [database]\npassword = \"s3cret\"\n",
    );
    let mut check = msgserver(&["config", "check", "--api-key", "s3cret\n"]);
    let check = said(check.arg(bad).env("MSGSERVER_SHARED_SECRETS", "s3cret"));
    assert_eq!((check.code, check.faults.len()), (2, 6), "{:#?}", check.faults);
    assert!(!check.faults.concat().contains("s3cret"), "{:#?}", check.faults);
}

#[test]
fn what_is_printed_is_a_file_that_says_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(
        directory.path(),
        r#"
            shared_secret = "s3cret"
            log_level = "warn,msgserver_pool=debug"
            data_dir = "a \"quoted\" # directory"

            [delivery]
            resend_interval = "1h 30m 5s"
            replacement = "all"

            [limits]
            outbox_bytes = "1.5 KiB"

            [network]
            allow = ["10.0.0.0/8", "::1"]

            [[listener]]
            address = "0.0.0.0:3366"
            encrypt = true

            [[listener]]
            address = "[::1]:3367"
            protocol = "frame"
            serializer = "msgpack"
            max_connections = 5
        "#,
    );
    let print = |path: &Path, flags: &[&str]| {
        let said = said(msgserver(&["config", "print"]).args(flags).arg("--config").arg(path));
        assert_eq!(said.code, 0, "{:?}", said.faults);
        said.out
    };
    let values = |text: &str| -> toml::Table { text.parse().unwrap() };
    let first = print(&path, &["--limits-queue", "77", "--ready-file", "/tmp/ready"]);
    std::fs::write(&path, &first).unwrap();
    let check = said(msgserver(&["config", "check"]).arg(&path));
    assert_eq!((check.code, check.out.as_str()), (0, "ok\n"), "{:?}", check.faults);
    let second = print(&path, &[]);
    assert_eq!(values(&second), values(&first));
    assert_eq!(values(&second)["limits"]["queue"].as_integer(), Some(77));
    assert_eq!(values(&second)["listener"].as_array().unwrap().len(), 2);
    std::fs::write(&path, &second).unwrap();
    assert_eq!(print(&path, &[]), second);

    // What stands for a secret is good to look at, and no secret.
    assert!(check.faults.concat().contains("shared_secret"));
    let serve = said(msgserver(&["serve", "--config"]).arg(&path));
    assert_eq!((serve.code, serve.faults.len()), (2, 1), "{:?}", serve.faults);
    assert!(serve.faults[0].contains("shared_secret = \"***\""));
}

#[test]
fn without_a_word_everything_is_good() {
    let check = said(&mut msgserver(&["config", "check"]));
    assert_eq!((check.code, check.out.as_str(), check.faults.len()), (0, "ok\n", 0));
}

#[test]
fn the_doors_of_a_list_open_in_place_of_the_usual_ones() {
    let directory = tempfile::tempdir().unwrap();
    let file = r#"
        [[listener]]
        address = "127.0.0.1:0"
        protocol = "frame"

        [[listener]]
        address = "127.0.0.1:0"
    "#;
    let server = serve(directory.path(), file, &[]);
    let doors: Vec<_> = server.doors.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(doors, ["http", "listeners"]);
    let mut phone = connect(&server.doors["listeners"][0]);
    write_frame(&mut phone, &json!({"type": "hello", "user": "ada"}));
    assert_eq!(read_frame(&mut phone)["type"], "welcome");
    let old = connect(&server.doors["listeners"][1]);
    server.wait_for("connections", 2);
    assert_eq!(server.post("/msg/sender", &json!({"Content": "to all"})).1, "1");
    assert_eq!(read_frame(&mut phone)["content"], "to all");
    assert_eq!(bar(&mut BufReader::new(old)), "\"to all\"");
    drop(server);

    let server = serve(directory.path(), &format!("frame = \"{ANY}\"\n{file}"), &["--listen", ANY]);
    let doors: Vec<_> = server.doors.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(doors, ["frame", "http", "listen", "listeners"]);
    hello(&server, "ada", "phone");
}

#[test]
fn a_door_that_is_off_is_neither_open_nor_in_the_ready_file() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path(), "", &["--listen", "off", "--frame", ANY]);
    let doors: Vec<_> = server.doors.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(doors, ["frame", "http"]);
}

#[test]
fn a_network_that_is_denied_or_not_among_the_allowed_is_told_so() {
    for network in ["deny = [\"127.0.0.0/8\"]", "allow = [\"192.0.2.0/24\", \"::1\"]"] {
        let directory = tempfile::tempdir().unwrap();
        let file = format!("[network]\n{network}\n");
        let server = serve(directory.path(), &file, &["--listen", ANY, "--frame", ANY]);
        assert_eq!(everything_from(server.connect("listen")), "authorization validation failed");
        let mut phone = server.connect("frame");
        let bye = read_frame(&mut phone);
        assert_eq!((&bye["type"], &bye["code"]), (&json!("bye"), &json!("unauthorized")));
        server.wait_for("connections_refused", 2);
    }
    let directory = tempfile::tempdir().unwrap();
    let server =
        serve(directory.path(), "", &["--listen", "off", "--frame", ANY, "--network-allow", "127.0.0.1"]);
    hello(&server, "ada", "phone");
}

#[test]
fn a_door_takes_as_many_connections_as_it_may_and_others_are_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let file = r#"
        [[listener]]
        address = "127.0.0.1:0"
        max_connections = 2

        [[listener]]
        address = "127.0.0.1:0"
        protocol = "frame"
        max_connections = 1
    "#;
    let server = serve(directory.path(), file, &["--frame", ANY]);
    let [old, new] = [&server.doors["listeners"][0], &server.doors["listeners"][1]];
    let first = connect(old);
    let _second = connect(old);
    server.wait_for("connections", 2);
    for _ in 0..3 {
        let reason = everything_from(connect(old));
        assert!(reason.contains("all 2 connections"), "{reason}");
    }
    // A connection counts before it has said anything.
    let silent = connect(new);
    until(|| {
        let bye = read_frame(&mut connect(new));
        (bye["code"] == "unavailable").then_some(())
    });
    hello(&server, "ada", "phone");
    let full =
        |server: &Server| server.log().lines().filter(|line| line.contains("the door is full")).count();
    assert_eq!(full(&server), 2, "one line a door:\n{}", server.log());

    drop((first, silent));
    server.wait_for("connections", 1);
    let mut phone = until(|| {
        let mut phone = connect(new);
        write_frame(&mut phone, &json!({"type": "hello", "user": "eve"}));
        (read_frame(&mut phone)["type"] == "welcome").then_some(phone)
    });
    write_frame(&mut phone, &json!({"type": "ping"}));
    assert_eq!(read_frame(&mut phone)["type"], "pong");
    let _third = connect(old);
    server.wait_for("connections", 3);
    assert!(server.stats()["connections_refused"].as_u64().unwrap() >= 4);
}

#[test]
fn settings_reach_what_they_are_for() {
    let directory = tempfile::tempdir().unwrap();
    let file = r#"
        shared_secret = "s3cret"

        [limits]
        authentication_bytes = "32 B"
        frame_bytes = "1 KiB"

        [sessions]
        heartbeat = "7s"
        threads = 3

        [delivery]
        replacement = "all"

        [encryption]
        key_bits = 2048

        [[listener]]
        address = "127.0.0.1:0"
        encrypt = true
    "#;
    let server = serve(directory.path(), file, &["--listen", ANY, "--frame", ANY]);
    let mut talker = server.connect("listen");
    talker.write_all(&[b'x'; 33]).unwrap();
    assert!(everything_from(talker).contains("32"));
    let hello = || {
        let mut phone = server.connect("frame");
        write_frame(&mut phone, &json!({"type": "hello", "user": "ada", "token": "s3cret"}));
        let welcome = read_frame(&mut phone);
        (phone, welcome)
    };
    let (mut first, welcome) = hello();
    assert_eq!(welcome["heartbeat_ms"], 7000, "{welcome}");
    let (mut second, _) = hello();
    for phone in [&mut first, &mut second] {
        write_frame(phone, &json!({"type": "ping"}));
        assert_eq!(read_frame(phone)["type"], "pong");
    }
    write_frame(&mut first, &json!({"type": "ping", "more": "x".repeat(1100)}));
    until(|| matches!(first.read(&mut [0; 4096]), Ok(0) | Err(_)).then_some(()));
    // The public key of a door with `encrypt`: of 2,048 bits, 294 bytes, in base64.
    let mut step = [0; 392];
    connect(&server.doors["listeners"][0]).read_exact(&mut step).unwrap();
    assert!(step.starts_with(b"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"));
    let threads = std::fs::read_dir(format!("/proc/{}/task", server.child.id())).unwrap();
    let names = threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("comm")).unwrap());
    assert_eq!(names.filter(|name| name.starts_with("reactor-")).count(), 3);
    assert!(server.log().contains("it authenticates nobody"));
}

#[test]
fn who_says_nothing_in_the_configured_time_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let flags =
        ["--listen", ANY, "--frame", "off", "--shared-secret", "s3cret", "--limits-opening-deadline", "50ms"];
    let server = serve(directory.path(), "", &flags);
    let said = everything_from(server.connect("listen"));
    assert!(said.ends_with("did not come whole in time"), "{said}");
}

#[test]
fn a_key_that_is_kept_is_the_one_that_clients_get() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key.pem");
    let vectors: Value =
        serde_json::from_str(include_str!("../../handshake/tests/vectors/handshake.json")).unwrap();
    let flags =
        ["--encrypt", "--listen", ANY, "--frame", "off", "--encryption-key-file", key.to_str().unwrap()];
    for kept in vectors["servers"].as_array().unwrap() {
        std::fs::write(&key, kept["pkcs8_pem"].as_str().unwrap()).unwrap();
        let expected = kept["step1"].as_str().unwrap();
        let mut step = vec![0; expected.len()];
        let server = serve(directory.path(), "", &flags);
        server.connect("listen").read_exact(&mut step).unwrap();
        assert_eq!(step, expected.as_bytes());
    }

    std::fs::write(&key, "no key").unwrap();
    let said = said(msgserver(&["serve", "--store", "memory"]).args(flags));
    assert_eq!(said.code, 1);
    assert!(said.faults.last().unwrap().contains("encryption.key_file = "), "{:?}", said.faults);
}

#[test]
fn what_others_have_ends_the_start_with_the_key_and_the_value() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path(), "", &["--listen", "off", "--frame", ANY]);
    let taken = server.address("frame");
    let other = tempfile::tempdir().unwrap();
    let data = |directory: &Path| directory.join("data").to_str().unwrap().to_owned();
    let list = write(other.path(), &format!("[[listener]]\naddress = \"{taken}\"\n"));
    let list = list.to_str().unwrap();
    for (flags, words) in [
        (vec!["--listen", taken, "--data-dir", &data(other.path())], vec![format!("listen = \"{taken}\": ")]),
        (
            vec!["--config", list, "--data-dir", &data(other.path())],
            vec![format!("listener[1].address = \"{taken}\": ")],
        ),
        (vec!["--data-dir", &data(directory.path())], vec![data(directory.path()), "in use".to_owned()]),
        (vec!["--ready-file", "/nowhere/at/all", "--store", "memory"], vec!["ready_file = ".to_owned()]),
    ] {
        let mut flags = flags;
        for door in ["--listen", "--frame", "--http"] {
            if !flags.contains(&door) {
                flags.extend([door, ANY]);
            }
        }
        let said = said(&mut msgserver(&[&["serve"], &flags[..]].concat()));
        let last = said.faults.last().unwrap();
        assert_eq!(said.code, 1, "{:?}", said.faults);
        assert!(words.iter().all(|word| last.contains(word)), "{last}");
    }
}

#[test]
fn two_doors_at_one_address_are_refused() {
    let said = said(&mut msgserver(&["serve", "--frame", "127.0.0.1:3366"]));
    assert_eq!((said.code, said.faults.len()), (2, 1), "{:?}", said.faults);
    assert!(said.faults[0].contains("frame = \"127.0.0.1:3366\": listen is there already"));
}

#[test]
fn a_json_log_is_an_object_a_line_from_the_start_to_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--log-format", "json", "--listen", ANY, "--frame", ANY, "--encrypt"];
    let mut server = serve(directory.path(), "", &flags);
    server.signal("-TERM");
    assert!(server.child.wait().unwrap().success());
    let lines: Vec<Value> = server.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for door in ["listen", "frame", "http"] {
        let open = lines.iter().find(|line| line["door"] == door).unwrap();
        assert_eq!(open["address"], server.doors[door], "{open}");
    }

    let server = serve(directory.path(), "", &["--listen", "off", "--frame", ANY]);
    let mut failing = msgserver(&["serve", "--log-format", "json", "--store", "memory", "--http", ANY]);
    let failed = said(failing.args(["--listen", ANY, "--frame", server.address("frame")]));
    assert_eq!(failed.code, 1);
    let last: Value = serde_json::from_str(failed.faults.last().unwrap()).unwrap();
    assert_eq!(last["level"], "ERROR");
    assert!(last["message"].as_str().unwrap().contains(server.address("frame")), "{last}");
}

#[test]
fn the_ready_file_is_there_only_while_the_server_is() {
    let directory = tempfile::tempdir().unwrap();
    let ready = directory.path().join("ready.json");
    let mut server = serve(directory.path(), "", &["--frame", ANY, "--listen", ANY]);
    assert!(ready.exists());
    server.signal("-TERM");
    assert!(server.child.wait().unwrap().success());
    assert!(!ready.exists());

    // What a killed server has left must not be taken for the next one's.
    std::fs::write(&ready, "{}").unwrap();
    let other = tempfile::tempdir().unwrap();
    let server = serve(other.path(), "", &["--frame", ANY, "--listen", ANY]);
    let mut failing = msgserver(&["serve", "--store", "memory", "--frame", server.address("frame")]);
    let failed = said(failing.args(["--listen", ANY, "--http", ANY, "--ready-file"]).arg(&ready));
    assert_eq!(failed.code, 1, "{:?}", failed.faults);
    assert!(!ready.exists());
}

#[test]
fn help_and_completions_know_every_section() {
    let short = said(&mut msgserver(&["serve", "-h"])).out;
    let long = said(&mut msgserver(&["serve", "--help"])).out;
    let completions = said(&mut msgserver(&["completions", "bash"])).out;
    for flag in ["--listen", "--store", "--ready-file", "--config"] {
        assert!(short.contains(flag) && long.contains(flag) && completions.contains(flag), "{flag}");
    }
    for flag in ["--limits-outbox-bytes", "--network-deny", "--delivery-resend-times"] {
        assert!(!short.contains(flag) && long.contains(flag) && completions.contains(flag), "{flag}");
    }
    assert!(long.contains("[default: 1 MiB]") && completions.contains("msgpack"));
    assert_eq!(said(&mut msgserver(&["serve", "--lissten", ANY])).code, 2);
}
