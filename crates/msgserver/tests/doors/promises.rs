//! What every door promises, written once.

use serde_json::{Value, json};

use crate::came::Came;
use crate::door::{Device, Door, Line, Said};
use crate::support::{Server, until};

const PHONE: Device<'_> = Device::of("ada", "phone");

/// A server with this door, and what it has on its disk.
fn server(door: &dyn Door, flags: &[&str]) -> (tempfile::TempDir, Server) {
    let directory = tempfile::tempdir().unwrap();
    let server = door.start(directory.path(), flags);
    (directory, server)
}

fn publish(server: &Server, contents: impl IntoIterator<Item = u64>) -> Vec<String> {
    let message = |n| json!({"to": {"user": "ada"}, "content": n});
    server.http().publish_all(contents.into_iter().map(message))
}

fn notice(content: &str) -> Value {
    json!({"to": {"all": true}, "content": content})
}

/// Makes a device known, and then it is away.
fn was_here(door: &dyn Door, server: &Server, device: Device<'_>) {
    door.online(server, device).leave();
    server.wait_until_away(device.user);
}

/// Waits until this many devices of the user are online.
fn wait_until_online(server: &Server, count: usize) {
    let mut http = server.http();
    until(|| (http.get("/v1/users/ada")["sessions"].as_array().unwrap().len() == count).then_some(()));
}

pub fn what_came_while_it_was_away_waits_and_comes_in_order(door: &dyn Door) {
    let (_directory, server) = server(door, &[]);
    was_here(door, &server, PHONE);
    publish(&server, 0..50);
    let mut line = door.online(&server, PHONE);
    assert_eq!(line.take(50), (0..50).collect::<Vec<_>>());
    line.leave();
    server.wait_until_away("ada");
    // All of it is done with: the next is new.
    publish(&server, [50]);
    let mut line = door.online(&server, PHONE);
    let next = line.message();
    assert_eq!((next.content, next.again), (json!(50), false));
}

pub fn each_message_comes_once_however_often_it_comes_back(door: &dyn Door) {
    const ALL: u64 = 120;
    let (_directory, server) = server(door, &[]);
    was_here(door, &server, PHONE);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..ALL {
                publish(&server, [n]);
            }
        });
        let mut came = Came::default();
        while came.contents.len() < ALL as usize {
            let mut line = door.online(&server, PHONE);
            let count = (came.contents.len() % 17 + 1).min(ALL as usize - came.contents.len());
            came.take(&mut *line, count);
            line.leave();
        }
        assert_eq!(came.contents, (0..ALL).collect::<Vec<_>>());
    });
}

pub fn what_was_not_acknowledged_comes_again_and_is_marked(door: &dyn Door) {
    let (_directory, server) = server(door, &[]);
    let ids = publish(&server, 1..=3);
    let mut line = door.online(&server, PHONE);
    let first = line.message();
    assert_eq!((&first.content, first.again), (&json!(1), false));
    line.acknowledge(&first);
    assert_eq!((line.message().content, line.message().content), (json!(2), json!(3)));
    line.leave();
    server.wait_until_away("ada");
    let mut line = door.online(&server, PHONE);
    for n in 2..=3 {
        let message = line.message();
        assert_eq!((&message.content, message.again), (&json!(n), true));
        line.acknowledge(&message);
    }
    line.leave();
    let receipt = until(|| {
        let receipt = server.http().get(&format!("/v1/messages/{}", ids[2]));
        (receipt["state"] == "acknowledged").then_some(receipt)
    });
    let steps = receipt["steps"].as_array().unwrap();
    let sent = steps.iter().find(|step| step["state"] == "sent").unwrap();
    assert_eq!((&sent["device"], &sent["door"]), (&json!("phone"), &json!(door.name())), "{receipt}");
}

pub fn no_more_is_sent_than_may_be_unacknowledged(door: &dyn Door) {
    const WINDOW: usize = 5;
    let (_directory, server) = server(door, &["--sessions-window", "5"]);
    publish(&server, 0..20);
    let mut line = door.online(&server, PHONE);
    let mut came: Vec<_> = (0..WINDOW).map(|_| line.message()).collect();
    // This waits for no acknowledgement, and so it overtakes the sixth, unless the line had ended before.
    server.http().publish(&notice("overtakes"));
    match line.next() {
        Said::Message(message) => assert_eq!(message.content, "overtakes"),
        Said::End(cause) => assert_eq!(cause, None),
    }
    for message in &came {
        line.acknowledge(message);
    }
    while came.len() < 20 {
        match line.next() {
            Said::Message(message) if message.mark.is_some() => {
                line.acknowledge(&message);
                came.push(message);
            }
            // It ended, and is back before the notice was sent.
            Said::Message(message) => assert_eq!(message.content, "overtakes"),
            Said::End(_) => line = door.online(&server, PHONE),
        }
    }
    let contents: Vec<_> = came.into_iter().map(|message| message.content).collect();
    assert_eq!(contents, (0..20).collect::<Vec<_>>());
}

pub fn a_notice_is_for_who_is_online_and_a_stored_one_waits(door: &dyn Door) {
    let (_directory, server) = server(door, &[]);
    was_here(door, &server, PHONE);
    let mut http = server.http();
    let mut witness = door.online(&server, Device::of("bob", "phone"));
    until(|| (http.get("/v1/users/bob")["online"] == true).then_some(()));
    http.publish(&notice("missed"));
    assert_eq!(witness.message().content, "missed");
    let mut line = door.online(&server, PHONE);
    wait_until_online(&server, 1);
    http.publish(&notice("seen"));
    let message = line.message();
    assert_eq!((&message.content, message.seq), (&json!("seen"), None));
    line.leave();
    server.wait_until_away("ada");
    let mut stored = notice("waits");
    stored["store"] = true.into();
    http.publish(&stored);
    let mut line = door.online(&server, PHONE);
    let message = line.message();
    assert_eq!((&message.content, message.mark.is_some()), (&json!("waits"), true));
    line.acknowledge(&message);
    publish(&server, [1]);
    assert_eq!(line.message().content, 1);
}

pub fn a_topic_is_followed_also_while_it_is_away(door: &dyn Door) {
    let (_directory, server) = server(door, &[]);
    let follower = PHONE.following(&["news/+", "weather"]);
    let to = |topic: &str, n: u64| json!({"to": {"topic": topic}, "content": n});
    let mut http = server.http();
    let mut line = door.online(&server, follower);
    http.publish_all([to("news/eu", 1), to("news", 2), to("weather", 3)]);
    let expect = |line: &mut Box<dyn Line>, topic: &str, n: u64| {
        let message = line.message();
        assert_eq!((message.topic.as_deref(), &message.content), (Some(topic), &json!(n)));
        line.acknowledge(&message);
    };
    expect(&mut line, "news/eu", 1);
    expect(&mut line, "weather", 3);
    line.leave();
    server.wait_until_away("ada");
    http.publish_all([to("news/us", 4), to("sport", 5), to("weather", 6)]);
    let mut line = door.online(&server, follower);
    expect(&mut line, "news/us", 4);
    expect(&mut line, "weather", 6);
}

pub fn a_stop_is_told_and_nothing_is_lost_by_it(door: &dyn Door) {
    let (directory, mut server) = server(door, &[]);
    let mut line = door.online(&server, PHONE);
    wait_until_online(&server, 1);
    server.signal("-TERM");
    assert_ends(door, &mut line, "shutting_down");
    assert!(server.child.wait().unwrap().success(), "{}", server.log());
    drop((line, server));
    let server = door.start(directory.path(), &[]);
    publish(&server, [1]);
    assert_eq!(door.online(&server, PHONE).take(1), [1]);
}

pub fn the_same_device_again_takes_the_place_of_the_first(door: &dyn Door) {
    let (_directory, server) = server(door, &[]);
    let mut first = door.online(&server, PHONE);
    wait_until_online(&server, 1);
    let mut second = door.online(&server, PHONE);
    assert_ends(door, &mut first, "replaced");
    publish(&server, [1]);
    assert_eq!(second.take(1), [1]);
    server.http().call("DELETE", "/v1/users/ada/sessions", "");
    // A poll is over with its answer, so that the next may have begun before or after this.
    if door.name() != "poll" {
        assert_ends(door, &mut second, "dismissed");
    }
}

/// The line ends, for this cause.
fn assert_ends(door: &dyn Door, line: &mut Box<dyn Line>, cause: &str) {
    match line.next() {
        Said::End(said) => assert_eq!(said.as_deref(), door.says_why().then_some(cause)),
        Said::Message(message) => panic!("{message:?}"),
    }
}

pub fn what_cannot_be_understood_is_answered_and_disturbs_nobody(door: &dyn Door) {
    let (_directory, server) = server(door, &[]);
    let mut bystander = door.online(&server, PHONE);
    wait_until_online(&server, 1);
    for _ in 0..20 {
        door.says_what_was_wrong(&server);
    }
    publish(&server, [1]);
    assert_eq!(bystander.take(1), [1]);
    drop(bystander);
    server.wait_for("connections", 0);
    assert!(!server.log().contains("panic"), "{}", server.log());
}

pub fn who_does_not_prove_who_it_is_stays_outside(door: &dyn Door) {
    let (_directory, server) = server(door, &["--shared-secret", "s3cret"]);
    let [without, wrong] = door.refusals();
    for (device, expected) in
        [(PHONE, without), (PHONE.with_token("guess"), wrong), (PHONE.with_token("s3cret2"), wrong)]
    {
        assert_eq!(door.connect(&server, device).map(|_| ()).unwrap_err(), expected);
    }
    publish(&server, [1]);
    assert_eq!(door.online(&server, PHONE.with_token("s3cret")).take(1), [1]);
}

pub fn what_was_accepted_comes_after_kills_of_the_server(door: &dyn Door) {
    let (directory, mut server) = server(door, &[]);
    was_here(door, &server, PHONE);
    let mut came = Came::default();
    for round in 0..4 {
        // In the middle of being delivered, and before and behind it.
        publish(&server, round * 20..round * 20 + 10);
        let mut line = door.online(&server, PHONE);
        came.take(&mut *line, 3);
        publish(&server, round * 20 + 10..round * 20 + 20);
        server.child.kill().unwrap();
        server.child.wait().unwrap();
        // What had come until then is read as well, and its acknowledgements come too late.
        while let Said::Message(message) = line.next() {
            came.note(&message);
            line.acknowledge(&message);
        }
        drop((line, server));
        server = door.start(directory.path(), &[]);
    }
    let mut line = door.online(&server, PHONE);
    came.take(&mut *line, 80 - came.contents.len());
    assert_eq!(came.contents, (0..80).collect::<Vec<_>>());
}
