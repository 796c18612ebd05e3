//! What is published.

use std::sync::atomic::Ordering;

use msgserver_client::{Error, ErrorCode, MessageId, Publisher, Topic, TopicFilter};

use super::line::Failing;
use super::*;

/// What waits for ada, in order.
fn inbox(server: &Server) -> Vec<u64> {
    let inbox = server.http().get("/v1/users/ada/inbox?limit=1000");
    inbox["messages"].as_array().unwrap().iter().map(|message| message["content"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_counts_once_however_often_it_was_tried_over_http() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", "memory"]);
    // The request gets through, and its answer only now and then.
    let line =
        Failing::before(server.address("http"), |n| if n % 3 == 2 { 10_000 } else { 50 * (n % 3) }).await;
    let publisher = Publisher::new(&format!("http://{}", line.address)).unwrap().deadline(PATIENCE);
    for n in 0..20 {
        let publication = to_ada(n);
        assert_eq!(publisher.publish(&publication).await.unwrap().id, publication.id());
    }
    assert_eq!(inbox(&server), (0..20).collect::<Vec<_>>());
    assert!(line.ended.load(Ordering::Relaxed) > 0);

    let many: Vec<_> = (20..40).map(to_ada).collect();
    let results = publisher.publish_all(&many).await.unwrap();
    let ids: Vec<MessageId> = results.into_iter().map(|result| result.unwrap().id).collect();
    assert_eq!(ids, many.iter().map(Publication::id).collect::<Vec<_>>());
    assert_eq!(inbox(&server), (0..40).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_counts_once_however_often_it_was_tried_over_a_session() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", "memory"]);
    for (door, scheme) in [("frame", "tcp"), ("http", "ws")] {
        let line = Failing::before(server.address(door), |n| 330 + 200 * n).await;
        let bob = msgserver_client::UserId::new("bob").unwrap();
        let url = format!("{scheme}://{}", line.address);
        let builder = Client::builder(&url).unwrap().user(bob).deadline(PATIENCE);
        let (client, _messages) = builder.connect().await.unwrap();
        let before = inbox(&server).len() as u64;
        let publications: Vec<_> = (before..before + 50).map(to_ada).collect();
        let published =
            futures_util::future::join_all(publications.iter().map(|one| client.publish(one))).await;
        for (published, publication) in published.into_iter().zip(&publications) {
            assert_eq!(published.unwrap().id, publication.id());
        }
        let mut numbers = inbox(&server);
        numbers.sort_unstable();
        assert_eq!(numbers, (0..before + 50).collect::<Vec<_>>());
        assert!(line.ended.load(Ordering::Relaxed) > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_does_not_take_is_told_with_its_reason() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", "memory", "--api-key", "K"]);
    let url = format!("http://{}", server.address("http"));
    let publisher = Publisher::new(&url).unwrap().key("K").unwrap();
    let first = to_ada(1);
    publisher.publish(&first).await.unwrap();
    publisher.publish(&first).await.unwrap();
    let other = to_ada(2).with_id(first.id());
    assert!(matches!(publisher.publish(&other).await, Err(Error::Status { status: 409, .. })));
    let results = publisher.publish_all(&[to_ada(3), other.clone(), to_ada(4)]).await.unwrap();
    assert!(matches!(&results[..], [Ok(_), Err(Error::Status { status: 409, .. }), Ok(_)]), "{results:?}");
    assert_eq!(inbox(&server), [1, 3, 4]);
    let stranger = Publisher::new(&url).unwrap().key("wrong").unwrap();
    assert!(matches!(stranger.publish_all(&[to_ada(5)]).await, Err(Error::Status { status: 401, .. })));

    let builder = phone_at(&format!("tcp://{}", server.address("frame"))).token("K");
    let (client, _messages) = builder.connect().await.unwrap();
    let conflict = client.publish(&other).await;
    assert!(matches!(conflict, Err(Error::Refused { code: ErrorCode::Conflict, .. })), "{conflict:?}");
    client.publish(&first).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gets_no_answer_in_time_is_told_the_id_and_what_went_wrong() {
    let nobody = free_address();
    let brief = Duration::from_millis(300);
    let publisher = Publisher::new(&format!("http://{nobody}")).unwrap().deadline(brief);
    let (client, _messages) = phone_at(&format!("tcp://{nobody}")).deadline(brief).connect().await.unwrap();
    let publication = to_ada(1);
    for fault in [publisher.publish(&publication).await, client.publish(&publication).await] {
        let fault = fault.unwrap_err();
        assert!(matches!(&fault, Error::Deadline { id: Some(id), .. } if *id == publication.id()));
        let said = fault.to_string();
        assert!(said.contains("refused") && said.contains("300ms"), "{said}");
    }
    let results = publisher.publish_all(&[to_ada(1), to_ada(2)]).await.unwrap();
    assert!(results.iter().all(|result| matches!(result, Err(Error::Deadline { .. }))), "{results:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_followed_once_that_is_answered_and_no_longer_than_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--store", "memory", "--topics-per-device", "1"];
    let server = Server::start(directory.path(), &flags);
    let (client, mut messages) =
        phone_at(&format!("ws://{}", server.address("http"))).connect().await.unwrap();
    let filter = TopicFilter::new("news/+").unwrap();
    let news = |n: u64| Publication::to_topic(Topic::new("news/a").unwrap(), Content::of(&n).unwrap());
    client.publish(&news(1)).await.unwrap();
    // From its log.
    client.subscribe(filter.clone(), 1).await.unwrap();
    assert_eq!(number(&next(&mut messages).await), 1);
    client.publish(&news(2)).await.unwrap();
    let message = next(&mut messages).await;
    assert_eq!((number(&message), message.topic.as_ref().map(Topic::as_str)), (2, Some("news/a")));
    let more = client.subscribe(TopicFilter::new("sport").unwrap(), 0).await;
    assert!(matches!(more, Err(Error::Refused { code: ErrorCode::TooManyTopics, .. })), "{more:?}");
    client.unsubscribe(filter).await.unwrap();
    client.publish(&news(3)).await.unwrap();
    client.publish(&to_ada(4)).await.unwrap();
    assert_eq!(number(&next(&mut messages).await), 4);
}
