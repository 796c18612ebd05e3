//! Every example, as a process of its own, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod process;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use msgserver::{Content, MemoryStore, Server, Store, UserId};
use process::{Client, Example, start, until};

const ANY: &str = "127.0.0.1:0";

/// Makes a test of each function, and a list of them.
macro_rules! examples {
    ($($name:ident),+ $(,)?) => {
        const RUN: &[&str] = &[$(stringify!($name)),+];
        mod example {
            $(#[test] fn $name() { super::$name(); })+
        }
    };
}

examples![
    authentication,
    client,
    codec_alone,
    filter,
    frame_client,
    hello,
    http_api,
    offline,
    online_count,
    own_pool,
    own_protocol,
    own_queue,
    own_serializer,
    parameters,
    publisher,
    queue_alone,
    scheduler_settings,
    several_users,
    ssl_client,
    ssl_server,
    stopping,
    store_alone,
    topics,
];

#[test]
fn no_example_is_left_out() {
    let files = fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap().map(|file| file.unwrap().path());
    let mut examples: Vec<String> = files
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    examples.sort();
    assert_eq!(examples, RUN, "each file has a test above, in this order");
}

fn hello() {
    let mut hello = start!("hello", ANY);
    let address = hello.address();
    let mut clients = [Client::connect(address), Client::connect(address)];
    hello.ask_until("count", "2");
    hello.say("a|b");
    for client in &mut clients {
        assert_eq!(client.message(), r#""a\u007cb""#);
    }
    assert!(hello.end().success());
}

fn parameters() {
    for how in ["name", "value"] {
        let mut server = start!("parameters", ANY, how);
        let morse = r#"refused: there is no protocol called "morse"; there is default and frame"#;
        assert_eq!(server.line(), morse);
        let refusal = server.line();
        assert!(refusal.contains("msgpack") && refusal.contains("default"), "{refusal}");
        let address = server.address();
        if how == "name" {
            let mut client = Client::connect(address);
            server.ask_until("count", "1");
            server.say("hello");
            assert_eq!(client.message(), r#""hello""#);
        } else {
            let client = start!("frame_client", address);
            assert_eq!(client.line(), "welcome ada, resumed: false");
            server.ask_until("count", "1");
            server.say("hello");
            assert_eq!(client.line(), r#""hello""#);
        }
    }
}

fn own_serializer() {
    let mut server = start!("own_serializer", ANY);
    let mut client = Client::connect(server.address());
    server.ask_until("count", "1");
    server.say("a|b");
    assert_eq!(client.message(), r#"{"version":1,"body":"a\u007cb"}"#);
}

fn own_protocol() {
    let mut server = start!("own_protocol", ANY);
    let mut client = Client::connect(server.address());
    server.ask_until("count", "1");
    server.say("a|b");
    server.say("c");
    assert_eq!(client.until(b'\n'), r#""a|b""#);
    assert_eq!(client.until(b'\n'), r#""c""#);
}

fn own_pool() {
    let mut server = start!("own_pool", ANY);
    let address = server.address();
    let mut clients: Vec<_> = (0..3).map(|_| Client::connect(address)).collect();
    server.ask_until("", "3 now, 3 at most");
    clients.truncate(1);
    server.ask_until("", "1 now, 3 at most");
}

fn own_queue() {
    let mut server = start!("own_queue");
    assert_eq!([server.line(), server.line(), server.line()], ["tried ada", "tried cyd", "tried bob"]);
    assert!(server.end().success());
}

fn ssl_server() {
    let mut server = start!("ssl_server", ANY);
    let address = server.address();
    let long = "longer than one block of sixteen bytes | and with a bar";
    server.say(&format!("@ada {long}"));
    let client = start!("ssl_client", address);
    assert_eq!(client.line(), r#""longer than one block of sixteen bytes \u007c and with a bar""#);
    server.say("@ada hello");
    assert_eq!(client.line(), r#""hello""#);
}

fn ssl_client() {
    let server = start!("ssl_server", ANY);
    let mut client = start!("ssl_client", server.address(), "ada;654321");
    assert_eq!(client.line(), "refused: password is wrong");
    assert!(client.end().success());
}

fn filter() {
    for how in ["function", "type", "networks"] {
        let mut server = start!("filter", "127.0.0.1:0", how);
        let address = server.address();
        let mut refused = Client::connect_from("127.0.0.2", address);
        assert_eq!(refused.rest(), "authorization validation failed", "{how}");
        let mut client = Client::connect(address);
        if how == "type" {
            assert_eq!([server.line(), server.line()], ["127.0.0.2 asks", "127.0.0.1 asks"]);
        }
        server.ask_until("count", "1");
        server.say("hello");
        assert_eq!(client.message(), r#""hello""#);
    }
}

fn authentication() {
    let directory = tempfile::tempdir().unwrap();
    let accounts = directory.path().join("accounts");
    fs::write(&accounts, "ada;123456\nbob;654321\n").unwrap();
    for (how, stranger) in
        [("function", "password is wrong"), ("async", "password is wrong"), ("type", "nobody is called eve")]
    {
        let mut server = start!("authentication", ANY, how, accounts.display());
        let address = server.address();
        assert_eq!(Client::online(address, "ada;1|").rest(), "password is wrong", "{how}");
        assert_eq!(Client::online(address, "eve;1|").rest(), stranger, "{how}");
        server.say("@ada hello");
        assert_eq!(Client::online(address, "ada;123456|").message(), r#""hello""#, "{how}");
    }
    fs::remove_file(&accounts).unwrap();
    let server = start!("authentication", ANY, "async", accounts.display());
    assert_eq!(Client::online(server.address(), "ada;123456|").rest(), "the accounts cannot be read now");
}

fn offline() {
    let mut server = start!("offline", ANY, "memory");
    let mut address = server.address();
    server.say("@ada one");
    server.say("@ada two");
    let mut ada = Client::online(address, "ada|");
    assert_eq!([ada.message(), ada.message()], [r#""one""#, r#""two""#]);

    let directory = tempfile::tempdir().unwrap();
    let redis = Redis::start(directory.path());
    let inboxes = directory.path().join("inboxes");
    for (store, place) in [("disk", inboxes.display().to_string()), ("redis", redis.url.clone())] {
        let start = || {
            let server = start!("offline", ANY, store, place);
            if store == "redis" {
                assert_eq!(server.line(), "taken over: 0 messages");
            }
            server
        };
        server = start();
        address = server.address();
        server.say("@ada one");
        server.say("@ada two");
        // Lines are done one after the other: with this answer both are safe.
        assert_eq!(server.ask("count"), "0");
        server.kill();
        assert!(std::net::TcpStream::connect(address).is_err());

        server = start();
        let mut ada = Client::online(server.address(), "ada|");
        assert_eq!([ada.message(), ada.message()], [r#""one""#, r#""two""#], "{store}");
    }
}

/// A Redis server of the test's own, on a socket in its directory.
struct Redis {
    process: Child,
    url: String,
}

impl Redis {
    fn start(directory: &Path) -> Self {
        let process = Command::new("redis-server")
            .args(["--port", "0", "--unixsocket", "redis.sock", "--save", "", "--dir"])
            .arg(directory)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server has to be installed");
        let socket = directory.join("redis.sock");
        until(|| std::os::unix::net::UnixStream::connect(&socket).ok());
        Self { process, url: format!("redis+unix://{}", socket.display()) }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn http_api() {
    let server = start!("http_api", ANY, ANY, "KEY");
    let mut client = Client::connect(server.address());
    let url = format!("http://{}", server.address());
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let post = |path: &str, key: &str, body: serde_json::Value| {
        let request = agent.post(format!("{url}{path}")).header("Authorization", format!("Bearer {key}"));
        let mut response = request.send(body.to_string()).unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    };
    until(|| {
        let request = agent.get(format!("{url}/v1/stats")).header("Authorization", "Bearer KEY");
        let stats: serde_json::Value = request.call().unwrap().body_mut().read_json().unwrap();
        (stats["connections"] == 1).then_some(())
    });
    let notice = serde_json::json!({"To": "", "Content": "hello"});
    assert_eq!(post("/msg/sender", "WRONG", notice.clone()), (401, "0".to_owned()));
    assert_eq!(post("/msg/sender", "KEY", notice), (200, "1".to_owned()));
    assert_eq!(client.message(), r#""hello""#);
    let (status, answer) =
        post("/v1/messages", "KEY", serde_json::json!({"to": {"all": true}, "content": [1]}));
    assert_eq!(status, 202, "{answer}");
    assert_eq!(client.message(), "[1]");
}

fn scheduler_settings() {
    let mut server = start!("scheduler_settings", ANY);
    server.address();
    server.say("@ada hello");
    assert_eq!(server.line(), "failed: to ada, try 1: not online, tried again");
    assert_eq!(server.line(), "failed: to ada, try 2: not online, tried again");
    assert_eq!(server.line(), "failed: to ada, try 3: not online, given up");
}

fn several_users() {
    let mut server = start!("several_users", ANY);
    let address = server.address();
    let mut cyd = Client::online(address, "cyd|");
    assert!(server.ask("hello").ends_with(" accepted"));
    for user in ["ada|", "bob|"] {
        assert_eq!(Client::online(address, user).message(), r#"{"text":"hello"}"#);
    }
    assert!(server.end().success());
    assert_eq!(cyd.rest(), "");
}

fn online_count() {
    let mut server = start!("online_count", ANY);
    let address = server.address();
    let _ada = [Client::online(address, "ada|"), Client::online(address, "ada|")];
    let bob = Client::online(address, "bob|");
    server.ask_until("", "3 connections of 2 users");
    drop(bob);
    server.ask_until("", "2 connections of 1 users");
}

fn stopping() {
    let directory = tempfile::tempdir().unwrap();
    let start = || start!("stopping", ANY, directory.path().display());
    let mut server = start();
    let client = start!("frame_client", server.address());
    assert_eq!(client.line(), "welcome ada, resumed: false");
    server.say("@bob later");
    server.say("@ada hello");
    assert_eq!(client.line(), r#""hello""#);
    server.signal("-TERM");
    assert_eq!(client.line(), "bye: the server stops");
    assert_eq!(server.line(), "stopped");
    assert!(server.end().success());

    let server = start();
    let client = start!("frame_client", server.address(), "bob");
    assert_eq!([client.line(), client.line()], ["welcome bob, resumed: false", r#""later""#]);
}

fn topics() {
    let mut server = start!("topics", ANY);
    let address = server.address();
    let client = start!("frame_client", address, "ada", "phone", "news/+");
    assert_eq!(client.line(), "welcome ada, resumed: false");
    server.say("other hello");
    assert_eq!(server.line(), "0 users follow other, 0 sessions now");
    server.say("news/europe hello");
    assert_eq!(server.line(), "1 users follow news/europe, 1 sessions now");
    assert_eq!(client.line(), r#""hello""#);
}

fn frame_client() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = std::sync::Arc::new(MemoryStore::new());
        let server = Server::builder().shared_store(store.clone()).build().unwrap();
        let listener = tokio::net::TcpListener::bind(ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        let door = server.clone();
        tokio::spawn(async move { door.serve_frames(listener).await });

        let ada = UserId::new("ada").unwrap();
        for (resumed, text) in [(false, "one"), (true, "two")] {
            server.sender().send_message(Content::text(text), ada.clone()).await.unwrap();
            // Off the runtime's thread: waiting for a line blocks.
            let client = tokio::task::spawn_blocking(move || {
                let client = start!("frame_client", address, "ada", "phone");
                assert_eq!(client.line(), format!("welcome ada, resumed: {resumed}"));
                // What was acknowledged does not come again.
                assert_eq!(client.line(), Content::text(text).as_json());
                client
            });
            let client: Example = client.await.unwrap();
            let store = store.clone();
            let stored = move || tokio::runtime::Handle::current().block_on(store.stored()).unwrap();
            tokio::task::spawn_blocking(move || until(|| (stored() == 0).then_some(()))).await.unwrap();
            drop(client);
        }
    });
}

fn codec_alone() {
    let mut codec = start!("codec_alone");
    assert_eq!(codec.line(), r#"default: "a\u007cb"|"#);
    let frame = codec.line();
    assert!(frame.starts_with("frame: ") && frame.contains("after a length of [0, 0, 0, "), "{frame}");
    assert!(codec.line().starts_with(r#"Hello(Hello { user: Some("ada")"#));
    assert_eq!(codec.line(), "Ack { seq: 1 }");
    assert!(codec.end().success());
}

fn queue_alone() {
    let mut queue = start!("queue_alone");
    for user in ["ada", "bob", "cyd"] {
        assert_eq!(queue.line(), format!("{user}: 1000 jobs, in order: true"));
    }
    assert!(queue.end().success());
}

fn store_alone() {
    let directory = tempfile::tempdir().unwrap();
    let run = || {
        let mut store = start!("store_alone", directory.path().display());
        assert!(store.end().success());
        std::iter::from_fn(|| store.next_line()).collect::<Vec<_>>()
    };
    let first = run();
    assert_eq!(first[0], "phone is known: false, and has seen up to 0");
    assert_eq!(
        first[1..],
        [r#"kept "one" as 1"#, r#"kept "two" as 2"#, r#"1: "one""#, r#"2: "two""#, "1 still waits"]
    );
    let second = run();
    assert_eq!(second[0], "phone is known: true, and has seen up to 1");
    assert_eq!(second[3..], [r#"2: "two""#, r#"3: "one""#, r#"4: "two""#, "1 still waits"]);
}

fn client() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = start!("stopping", ANY, directory.path().join("inboxes").display());
    let (url, position) = (format!("tcp://{}", server.address()), directory.path().join("position"));
    let start = || start!("client", url, "ada", position.display(), "news/+");
    let mut client = start();
    server.say("@ada hello");
    assert_eq!(client.line(), r#""hello""#);
    until(|| fs::read_to_string(&position).is_ok_and(|place| place.contains(r#""seq":1"#)).then_some(()));
    client.kill();
    server.say("@ada while away");
    let mut client = start();
    // What the first one has printed does not come again.
    assert_eq!(client.line(), r#""while away""#);
    server.say("@ada and now");
    assert_eq!(client.line(), r#""and now""#);
    client.signal("-INT");
    assert!(client.end().success());
}

fn publisher() {
    let server = start!("http_api", ANY, ANY, "KEY");
    server.address();
    let url = format!("http://{}", server.address());
    let run = |key: &str| {
        let mut publisher = Command::new(env!("CARGO_BIN_EXE_publisher"));
        let output = publisher.args([&*url, "one", "two"]).env("MSGSERVER_API_KEY", key).output().unwrap();
        let [printed, said] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.success(), printed, said)
    };
    let (is_well, printed, said) = run("KEY");
    assert!(is_well, "{said}");
    // Of a server without a store.
    assert_eq!(printed.lines().filter(|line| line.ends_with(" queued")).count(), 2, "{printed}");
    let (is_well, _, said) = run("WRONG");
    assert!(!is_well && said.contains("401"), "{said}");
}
