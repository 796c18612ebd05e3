//! What an endpoint gets, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use msgserver_message::{MessageId, Stage, Step, Timestamp, UserId};
use msgserver_webhooks::{Endpoint, Retry, Webhooks};
use serde_json::{Value, json};
use support::{PATIENCE, Receiver, Reply, Request, SECRET, status, until};

/// Retries that a test need not wait for.
const QUICK: Retry = Retry {
    first: Duration::from_millis(2),
    longest: Duration::from_millis(20),
    give_up_after: Duration::from_secs(600),
};

fn endpoint(url: &str) -> Endpoint {
    Endpoint::new(url).unwrap().secret(SECRET.parse().unwrap()).retry(QUICK)
}

fn start(endpoint: Endpoint) -> Webhooks {
    Webhooks::start(vec![endpoint]).unwrap()
}

/// Tells of a step of its own for each number, which is its time as well.
fn tell(webhooks: &Webhooks, numbers: impl IntoIterator<Item = u64>) {
    let ada = UserId::new("ada").unwrap();
    for number in numbers {
        let step = Step::of(&ada, Stage::Acknowledged, Timestamp::from_millis(number));
        webhooks.tell(MessageId::generate(), &step, None);
    }
}

/// The numbers of the steps in a request.
fn numbers(request: &Request) -> Vec<u64> {
    let number = |step: &Value| step["at"].as_str().unwrap().parse::<Timestamp>().unwrap().as_millis();
    request.steps().iter().map(number).collect()
}

/// The next numbers, however many requests bring them.
fn next_numbers(receiver: &Receiver, count: usize) -> Vec<u64> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(numbers(&receiver.next()));
    }
    all
}

/// The signature that Python's own HMAC gives.
fn signature(request: &Request, secret: &str) -> String {
    let script = "import base64, hmac, sys\n\
        key = base64.b64decode(sys.argv[1].removeprefix('whsec_'))\n\
        mac = hmac.new(key, sys.stdin.buffer.read(), 'sha256')\n\
        print('v1,' + base64.b64encode(mac.digest()).decode(), end='')";
    let mut python = Command::new("python3")
        .args(["-c", script, secret])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (id, timestamp) = (request.header("webhook-id"), request.header("webhook-timestamp"));
    write!(python.stdin.take().unwrap(), "{id}.{timestamp}.{}", request.body).unwrap();
    String::from_utf8(python.wait_with_output().unwrap().stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_signed_with_each_secret() {
    let receiver = Receiver::start(|_| status(200));
    let second = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let before = Timestamp::now();
    let webhooks = start(endpoint(&receiver.url()).secret(second.parse().unwrap()));
    tell(&webhooks, [1]);
    let request = receiver.next();
    assert!(request.head.starts_with("POST /hooks?a=b HTTP/1.1\r\n"), "{}", request.head);
    assert_eq!(request.header("content-type"), "application/json");
    let signatures: Vec<_> = request.header("webhook-signature").split(' ').collect();
    assert_eq!(signatures, [signature(&request, SECRET), signature(&request, second)]);
    let sent: u64 = request.header("webhook-timestamp").parse().unwrap();
    assert!((before.as_millis() / 1000..=Timestamp::now().as_millis() / 1000).contains(&sent));

    let json = request.json();
    assert_eq!((&json["type"], &json["data"]["missed"]), (&json!("message.steps"), &json!(0)));
    let since: Timestamp = json["data"]["since"].as_str().unwrap().parse().unwrap();
    assert!(since >= before);
    let step = &json["data"]["steps"][0];
    assert_eq!((&step["state"], &step["user"]), (&json!("acknowledged"), &json!("ada")));
    assert!(step["id"].as_str().unwrap().parse::<MessageId>().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_comes_again_under_its_id_and_nothing_overtakes_it() {
    let elsewhere = Receiver::start(|_| status(200));
    let location = format!("Location: {}\r\n", elsewhere.url());
    let mut replies = vec![
        status(500),
        Reply::Status(307, location),
        Reply::Status(429, "Retry-After: 0\r\n".to_owned()),
        Reply::Nothing,
    ];
    replies.reverse();
    let receiver = Receiver::start(move |_| replies.pop().unwrap_or_else(|| status(204)));
    let webhooks = start(endpoint(&receiver.url()).timeout(Duration::from_millis(200)));
    tell(&webhooks, [1]);
    let first = receiver.next();
    tell(&webhooks, [2]);
    for _ in 0..4 {
        let again = receiver.next();
        assert_eq!(again.body, first.body);
        assert_eq!(again.header("webhook-id"), first.header("webhook-id"));
        assert_eq!(again.header("webhook-signature"), signature(&again, SECRET));
    }
    let next = receiver.next();
    assert_eq!(numbers(&next), [2]);
    assert_ne!(next.header("webhook-id"), first.header("webhook-id"));
    webhooks.stop(PATIENCE).await;
    let figures = webhooks.figures();
    assert_eq!((figures.delivered, figures.failed, figures.waiting, figures.dropped), (2, 4, 0, 0));
    assert!(elsewhere.rest().is_empty(), "a redirect is not followed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_goes_together_and_in_order() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let mut first = true;
    let receiver = Receiver::start(move |_| {
        if std::mem::take(&mut first) {
            wait.recv().unwrap();
        }
        status(200)
    });
    let webhooks = start(endpoint(&receiver.url()).batch(40));
    tell(&webhooks, 0..1);
    until(|| webhooks.figures().waiting == 1).await;
    tell(&webhooks, 1..101);
    go.send(()).unwrap();
    let mut requests = Vec::new();
    while requests.iter().map(Vec::len).sum::<usize>() < 101 {
        requests.push(numbers(&receiver.next()));
    }
    // The first may have taken some along.
    assert!(requests.iter().all(|numbers| numbers.len() <= 40) && requests.len() <= 4, "{requests:?}");
    assert!(requests.concat().into_iter().eq(0..101), "{requests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_was_away_gets_everything_when_it_is_back() {
    let place = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = place.local_addr().unwrap();
    drop(place);
    let webhooks = start(endpoint(&format!("http://{address}/")));
    tell(&webhooks, 0..250);
    until(|| webhooks.figures().failed > 3).await;
    let receiver = Receiver::on(TcpListener::bind(address).unwrap(), |_| status(200));
    assert!(next_numbers(&receiver, 250).into_iter().eq(0..250));
    webhooks.stop(PATIENCE).await;
    assert_eq!((webhooks.figures().delivered, webhooks.figures().dropped), (250, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_endpoint_costs_bounded_memory_and_is_told_how_much_it_has_missed() {
    let mut left = 2;
    let receiver = Receiver::start(move |_| {
        left -= i32::from(left > 0);
        if left > 0 { Reply::Nothing } else { status(200) }
    });
    let webhooks = start(endpoint(&receiver.url()).backlog(64 * 1024).timeout(Duration::from_millis(500)));
    tell(&webhooks, [0]);
    let stuck = receiver.next();
    assert_eq!(numbers(&stuck), [0]);
    tell(&webhooks, 1..=10_000);
    let figures = webhooks.figures();
    assert!(figures.dropped > 9000, "{figures:?}");
    assert_eq!(figures.waiting + figures.dropped + figures.delivered, 10_001);

    assert_eq!(receiver.next().body, stuck.body);
    let after = receiver.next();
    assert_eq!(after.json()["data"]["missed"], figures.dropped);
    assert_eq!(numbers(&after)[0], figures.dropped + 1, "the newest are kept");
    webhooks.stop(PATIENCE).await;
    assert_eq!(webhooks.figures().delivered, 10_001 - figures.dropped);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_gone_is_told_nothing_more() {
    let receiver = Receiver::start(|_| status(410));
    let other = Receiver::start(|_| status(200));
    let webhooks = Webhooks::start(vec![endpoint(&receiver.url()), endpoint(&other.url())]).unwrap();
    tell(&webhooks, [1]);
    assert_eq!(numbers(&receiver.next()), [1]);
    until(|| webhooks.figures().dropped == 1).await;
    tell(&webhooks, [2, 3]);
    assert_eq!(next_numbers(&other, 3), [1, 2, 3]);
    webhooks.stop(PATIENCE).await;
    assert_eq!((webhooks.figures().dropped, webhooks.figures().delivered), (3, 3));
    assert!(receiver.rest().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_is_given_up_and_counted() {
    let (mut tries, (away, back)) = (0, std::sync::mpsc::channel::<()>());
    let receiver = Receiver::start(move |_| {
        tries += 1;
        if tries < 3 || back.try_recv().is_err() { status(503) } else { status(200) }
    });
    let retry = Retry { give_up_after: Duration::ZERO, ..QUICK };
    let webhooks = start(endpoint(&receiver.url()).retry(retry));
    tell(&webhooks, [1]);
    assert_eq!(numbers(&receiver.next()), [1]);
    until(|| webhooks.figures().dropped == 1).await;
    tell(&webhooks, [2]);
    assert_eq!(numbers(&receiver.next()), [2]);
    until(|| webhooks.figures().dropped == 2).await;
    away.send(()).unwrap();
    tell(&webhooks, [3]);
    let request = receiver.next();
    assert_eq!((numbers(&request), &request.json()["data"]["missed"]), (vec![3], &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_gives_what_waits_a_bounded_time() {
    let receiver = Receiver::start(|_| status(200));
    let webhooks = start(endpoint(&receiver.url()));
    tell(&webhooks, 0..1000);
    webhooks.stop(PATIENCE).await;
    assert_eq!((webhooks.figures().delivered, webhooks.figures().waiting), (1000, 0));
    tell(&webhooks, [1]);
    assert_eq!(webhooks.figures().dropped, 1, "after the end nothing is taken");

    let stuck = Receiver::start(|_| Reply::Nothing);
    let webhooks = start(endpoint(&stuck.url()).timeout(PATIENCE));
    tell(&webhooks, 0..1000);
    stuck.next();
    webhooks.stop(Duration::from_millis(50)).await;
    let figures = webhooks.figures();
    assert_eq!((figures.dropped, figures.waiting, figures.delivered), (1000, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_away_at_the_end_is_tried_until_the_time_is_over() {
    let mut tries = 0;
    let receiver = Receiver::start(move |_| {
        tries += 1;
        if tries < 3 { Reply::Status(503, "Retry-After: 3600\r\n".to_owned()) } else { status(200) }
    });
    let webhooks = start(endpoint(&receiver.url()));
    tell(&webhooks, [1]);
    receiver.next();
    webhooks.stop(PATIENCE).await;
    assert_eq!(webhooks.figures().delivered, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_counts_whatever_becomes_of_the_rest_of_the_answer() {
    let receiver = Receiver::start(|_| Reply::Half(200));
    let webhooks = start(endpoint(&receiver.url()));
    tell(&webhooks, [1]);
    webhooks.stop(PATIENCE).await;
    assert_eq!((webhooks.figures().delivered, webhooks.figures().failed), (1, 0));
    assert_eq!(receiver.rest().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_tried_again_once_nobody_has_the_webhooks() {
    let receiver = Receiver::start(|_| status(503));
    let retry = Retry { first: PATIENCE, longest: PATIENCE, ..QUICK };
    let webhooks = start(endpoint(&receiver.url()).retry(retry));
    tell(&webhooks, [1]);
    receiver.next();
    until(|| webhooks.figures().failed == 1).await;
    let tasks = tokio::runtime::Handle::current().metrics();
    assert!(tasks.num_alive_tasks() > 0);
    drop(webhooks);
    until(|| tasks.num_alive_tasks() == 0).await;
}
