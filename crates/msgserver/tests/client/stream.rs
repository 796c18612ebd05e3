//! What arrives.

use std::sync::atomic::Ordering;

use msgserver_client::{ByeCode, Content, Error, Publication, Publisher, State, Topic, TopicFilter};

use super::line::Failing;
use super::*;
use tokio::runtime::Runtime;

/// Publishes numbers, each after the last was answered, while the server comes and goes.
async fn publish_numbers(url: String, count: u64) {
    let publisher = Publisher::new(&url).unwrap().deadline(PATIENCE);
    for n in 0..count {
        publisher.publish(&to_ada(n)).await.unwrap();
    }
}

/// A client with threads of its own, which can end without a word.
struct Process {
    threads: Runtime,
    client: Client,
    messages: Messages,
    states: States,
}

impl Process {
    async fn start(builder: Builder) -> Self {
        let threads =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (builder, states) = States::of(builder);
        let (client, messages) = threads.spawn(builder.connect()).await.unwrap().unwrap();
        Self { threads, client, messages, states }
    }

    /// Once it is online: a server may come to the hello of one that was on its way later than to the next one's.
    async fn kill(self) {
        self.states.wait_until_online().await;
        let Self { threads, .. } = self;
        tokio::task::spawn_blocking(move || threads.shutdown_timeout(PATIENCE)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_is_seen_once_and_in_order_over_kills_of_the_server_and_of_the_client() {
    const COUNT: u64 = 600;
    let directory = tempfile::tempdir().unwrap();
    let position = directory.path().join("position");
    let mut server = Server::start(directory.path(), &[]);
    let urls = [format!("tcp://{}", server.address("frame")), format!("ws://{}", server.address("http"))];
    let mut process = Process::start(phone_of(&urls[0], &position)).await;
    let publishing = tokio::spawn(publish_numbers(format!("http://{}", server.address("http")), COUNT));
    for n in 0..COUNT {
        let message = next(&mut process.messages).await;
        assert_eq!(number(&message), n);
        message.ack().await.unwrap();
        match n % 100 {
            50 => {
                server.child.kill().unwrap();
                server.child.wait().unwrap();
                server = start_again(&server, directory.path(), &[]);
            }
            99 => {
                process.kill().await;
                let url = &urls[usize::try_from(n / 100 % 2).unwrap()];
                process = Process::start(phone_of(url, &position)).await;
            }
            _ => {}
        }
    }
    publishing.await.unwrap();
    server.wait_for("stored", 0);
    process.client.close().await;
    assert!(process.messages.next().await.is_none());
    tokio::task::spawn_blocking(move || drop(process)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_is_seen_once_over_a_line_that_breaks_again_and_again() {
    const COUNT: u64 = 2000;
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", "memory"]);
    for (door, scheme) in [("frame", "tcp"), ("http", "ws")] {
        let line = Failing::before(server.address(door), |n| 500 + 3001 * n).await;
        let (client, mut messages) =
            phone_at(&format!("{scheme}://{}", line.address)).connect().await.unwrap();
        server
            .http()
            .publish_all((0..COUNT).map(|n| serde_json::json!({"to": {"user": "ada"}, "content": n})));
        for n in 0..COUNT {
            let message = next(&mut messages).await;
            assert_eq!(number(&message), n);
            // Not each: some come again although they were handed over.
            if n % 7 == 0 || n + 1 == COUNT {
                message.ack().await.unwrap();
            }
        }
        server.wait_for("stored", 0);
        assert!(line.ended.load(Ordering::Relaxed) > 3);
        client.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_acknowledged_comes_to_the_next_process_and_nothing_else_does() {
    let directory = tempfile::tempdir().unwrap();
    let position = directory.path().join("position");
    let server = Server::start(directory.path(), &["--store", "memory"]);
    let url = format!("tcp://{}", server.address("frame"));
    server.http().publish_all((0..10).map(|n| serde_json::json!({"to": {"user": "ada"}, "content": n})));
    let (client, mut messages) = phone_of(&url, &position).connect().await.unwrap();
    for n in 0..10 {
        let message = next(&mut messages).await;
        assert_eq!((number(&message), message.redelivered), (n, false));
        if n == 6 {
            message.ack().await.unwrap();
        }
    }
    client.close().await;
    let (_client, mut messages) = phone_of(&url, &position).connect().await.unwrap();
    for n in 7..10 {
        let message = next(&mut messages).await;
        assert_eq!((number(&message), message.redelivered), (n, true));
    }
    server.http().publish(&serde_json::json!({"to": {"user": "ada"}, "content": 10}));
    assert_eq!(number(&next(&mut messages).await), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_waits_for_a_server_that_is_away_for_long() {
    let directory = tempfile::tempdir().unwrap();
    let (frame, http) = (free_address(), free_address());
    let (builder, states) = States::of(phone_at(&format!("tcp://{frame}")));
    let (client, mut messages) = builder.connect().await.unwrap();
    states.wait_for(4, is_waiting).await;
    // What is published meanwhile waits as well.
    let publishing = tokio::spawn(async move { (client.publish(&to_ada(7)).await, client) });
    let flags = ["--store", "memory", "--frame", &frame, "--http", &http];
    let _server = Server::start(directory.path(), &flags);
    let (published, _client) = publishing.await.unwrap();
    let message = next(&mut messages).await;
    assert_eq!((number(&message), message.id), (7, published.unwrap().id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_comes_back_when_the_server_wants_it_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--sessions-return-within", "900ms"];
    let mut server = Server::start(directory.path(), &flags);
    let (builder, states) = States::of(phone_at(&format!("ws://{}", server.address("http"))));
    let (client, mut messages) = builder.connect().await.unwrap();
    client.publish(&to_ada(1)).await.unwrap();
    next(&mut messages).await.ack().await.unwrap();
    server.signal("-TERM");
    assert!(until(|| server.child.try_wait().unwrap()).success());
    states.wait_for(1, is_waiting).await;
    let first = states.0.lock().unwrap().iter().find(|state| is_waiting(state)).cloned();
    let Some(State::Waiting { detail, wait, .. }) = first else { panic!("it waits") };
    // The server counts in milliseconds; a wait of the client's own choice has a fraction of one.
    assert!(detail == "the server stops" && wait.subsec_nanos() % 1_000_000 == 0, "{detail} {wait:?}");
    let _server = start_again(&server, directory.path(), &flags);
    client.publish(&to_ada(2)).await.unwrap();
    assert_eq!(number(&next(&mut messages).await), 2);
    assert_eq!(states.count(|state| matches!(state, State::Online { resumed: true, .. })), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_forgotten_a_device_is_followed_from_its_first_message() {
    let directory = tempfile::tempdir().unwrap();
    let position = directory.path().join("position");
    let flags = ["--store", "memory"];
    let mut server = Server::start(directory.path(), &flags);
    let topic = TopicFilter::new("news/+").unwrap();
    let builder = phone_of(&format!("tcp://{}", server.address("frame")), &position);
    let (client, mut messages) = builder.connect().await.unwrap();
    client.subscribe(topic, 0).await.unwrap();
    for n in 0..5 {
        client.publish(&to_ada(n)).await.unwrap();
        next(&mut messages).await.ack().await.unwrap();
    }
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let _server = start_again(&server, directory.path(), &flags);
    client.publish(&to_ada(5)).await.unwrap();
    let message = next(&mut messages).await;
    assert_eq!((number(&message), message.seq.unwrap().get()), (5, 1));
    // What was subscribed to is so again.
    let news = Publication::to_topic(Topic::new("news/europe").unwrap(), Content::of(&6).unwrap());
    client.publish(&news).await.unwrap();
    assert_eq!(number(&next(&mut messages).await), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_no_messages_may_publish_all_the_same_and_misses_nothing() {
    const COUNT: u64 = 300;
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", "memory"]);
    let (builder, states) =
        States::of(phone_at(&format!("tcp://{}", server.address("frame"))).buffer(50_000));
    let (client, mut messages) = builder.connect().await.unwrap();
    let content = |n: u64| serde_json::json!({"n": n, "filling": "x".repeat(10_000)});
    let ids = server
        .http()
        .publish_all((0..COUNT).map(|n| serde_json::json!({"to": {"user": "ada"}, "content": content(n)})));
    // Written before what is published now is answered, so that the answers come behind messages that nobody takes.
    until(|| (server.http().get(&format!("/v1/messages/{}", ids[20]))["state"] == "sent").then_some(()));
    for n in 0..20 {
        let publication = Publication::to_user(ada(), Content::of(&content(COUNT + n)).unwrap());
        client.publish(&publication).await.unwrap();
    }
    for n in 0..COUNT + 20 {
        let message = next(&mut messages).await;
        let content: serde_json::Value = serde_json::from_str(message.content.as_json()).unwrap();
        assert_eq!(content["n"], n);
        message.ack().await.unwrap();
    }
    server.wait_for("stored", 0);
    // What it had left lying was sent again, by another connection.
    assert!(states.count(is_online) > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_there_is_no_use_in_coming_back() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", "memory", "--shared-secret", "S"]);
    let url = format!("tcp://{}", server.address("frame"));
    let code = |end: Option<Result<Message, Error>>| match end {
        Some(Err(Error::Bye { code, .. })) => code,
        other => panic!("{other:?}"),
    };
    let (client, mut messages) = phone_at(&url).token("wrong").connect().await.unwrap();
    assert_eq!(code(messages.next().await), ByeCode::Unauthorized);
    assert!(messages.next().await.is_none());
    assert!(matches!(client.publish(&to_ada(1)).await, Err(Error::Closed)));
    client.close().await;

    let (builder, states) = States::of(phone_at(&url).token("S"));
    let (_first, mut messages) = builder.connect().await.unwrap();
    states.wait_for(1, is_online).await;
    let _second = phone_at(&url).token("S").connect().await.unwrap();
    assert_eq!(code(messages.next().await), ByeCode::Replaced);

    // Who can get another token tries that.
    let tokens = std::sync::Mutex::new(vec!["S", "wrong", "worse"]);
    let other = move || {
        let token = tokens.lock().unwrap().pop().ok_or_else(|| "none left".to_owned());
        async move { token.map(str::to_owned) }
    };
    let (builder, states) = States::of(phone_at(&url).token_from(other));
    let _third = builder.connect().await.unwrap();
    states.wait_for(1, is_online).await;
    assert_eq!(states.count(is_waiting), 2);

    let (_client, mut messages) =
        phone_at(&format!("ws://{}/nothing", server.address("http"))).connect().await.unwrap();
    let end = messages.next().await;
    assert!(matches!(end, Some(Err(Error::Status { status: 404, .. }))), "{end:?}");
}
