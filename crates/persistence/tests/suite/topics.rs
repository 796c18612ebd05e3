use crate::*;

pub(crate) fn limits() -> Limits {
    Limits {
        messages: 4,
        topics: 3,
        history: 3,
        history_age: DAY * 2,
        device_ttl: DAY * 5,
        ..Limits::default()
    }
}

fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

/// A message of a topic, for who follows it.
fn of(name: &str, message: Message) -> Append {
    let message = Message { topic: Some(topic(name)), ..message };
    Append { recipients: Recipients::Followers, ..to(&[], message) }
}

/// Whose inboxes it came into, and under which number.
async fn publish(store: &dyn Store, name: &str, text: &str) -> Vec<String> {
    match try_append(store, of(name, message(text))).await.unwrap() {
        Appended::New(seqs) => seqs.into_iter().map(|(user, seq)| format!("{user}:{seq}")).collect(),
        other => panic!("{other:?}"),
    }
}

async fn follow(store: &dyn Store, name: &str, of: &str, filter: &str) -> Result<(), StoreError> {
    store.follow(&user(name), &device(of), &TopicFilter::new(filter).unwrap()).await
}

async fn unfollow(store: &dyn Store, name: &str, of: &str, filter: &str) {
    store.unfollow(&user(name), &device(of), &TopicFilter::new(filter).unwrap()).await.unwrap();
}

/// A device that follows these.
async fn follower(store: &dyn Store, name: &str, of: &str, filters: &[&str]) {
    open(store, name, of).await;
    for filter in filters {
        follow(store, name, of, filter).await.unwrap();
    }
}

async fn log(store: &dyn Store, name: &str, after: u64, limit: usize) -> Vec<String> {
    let entries = store.published(&topic(name), Seq::new(after), limit).await.unwrap();
    let told = |entry: &Entry| format!("{}:{}", entry.seq, entry.message.content.as_text().unwrap());
    entries.iter().map(told).collect()
}

async fn history(store: &dyn Store, filter: &str, of_each: usize) -> Vec<String> {
    let entries = store.history(&TopicFilter::new(filter).unwrap(), of_each).await.unwrap();
    let told = |entry: &Entry| {
        let Message { topic, content, .. } = &*entry.message;
        format!("{} {}:{}", topic.as_ref().unwrap(), entry.seq, content.as_text().unwrap())
    };
    entries.iter().map(told).collect()
}

pub(crate) async fn a_message_comes_into_the_inbox_of_each_follower(store: Arc<dyn Store>) {
    follower(&*store, "a", "x", &["news"]).await;
    follower(&*store, "a", "y", &["news"]).await;
    follower(&*store, "b", "x", &["news"]).await;
    follower(&*store, "c", "x", &["other"]).await;
    open(&*store, "d", "x").await;
    append(&*store, "before", &["b"]).await;
    // Away or not.
    leave(&*store, "b", "x", 0).await;
    assert_eq!(publish(&*store, "news", "1").await, ["a:1", "b:2"]);
    assert_eq!(all(&*store, "a").await, ["1:1"]);
    assert_eq!(all(&*store, "b").await, ["1:before", "2:1"]);
    assert!(all(&*store, "c").await.is_empty() && all(&*store, "d").await.is_empty());
    let entries = store.read(&user("a"), Seq::ZERO, 10).await.unwrap();
    assert_eq!(entries[0].message.topic, Some(topic("news")));
    assert_eq!(store.stored().await.unwrap(), 3);
    // It goes like any other.
    acknowledge(&*store, "a", "x", 1).await;
    acknowledge(&*store, "a", "y", 1).await;
    assert_eq!(inbox(&*store, "a").await, (0, 1));
}

pub(crate) async fn nobody_has_to_follow_a_topic(store: Arc<dyn Store>) {
    assert!(publish(&*store, "news", "1").await.is_empty());
    assert_eq!(log(&*store, "news", 0, 10).await, ["1:1"]);
    assert_eq!(store.stored().await.unwrap(), 0);
    assert_eq!(log(&*store, "old", 0, 10).await, [""; 0]);
    assert_eq!(store.topic(&topic("old")).await.unwrap(), TopicLog::default());
}

pub(crate) async fn a_device_follows_until_it_stops(store: Arc<dyn Store>) {
    follower(&*store, "a", "x", &["news", "news"]).await;
    follower(&*store, "a", "y", &["news"]).await;
    unfollow(&*store, "a", "x", "news").await;
    unfollow(&*store, "a", "x", "news").await;
    unfollow(&*store, "nobody", "x", "news").await;
    assert_eq!(publish(&*store, "news", "1").await, ["a:1"], "the other device follows it still");
    unfollow(&*store, "a", "y", "news").await;
    assert!(publish(&*store, "news", "2").await.is_empty());
    follow(&*store, "a", "x", "news").await.unwrap();
    assert_eq!(publish(&*store, "news", "3").await, ["a:2"]);
}

pub(crate) async fn a_plus_stands_for_one_level(store: Arc<dyn Store>) {
    follower(&*store, "a", "x", &["news/+/sport"]).await;
    follower(&*store, "b", "x", &["+", "news/+/+"]).await;
    follower(&*store, "c", "x", &["news/eu/sport", "news/+/sport"]).await;
    assert_eq!(publish(&*store, "news/eu/sport", "1").await, ["a:1", "b:1", "c:1"]);
    assert_eq!(publish(&*store, "news/eu/art", "2").await, ["b:2"]);
    assert_eq!(publish(&*store, "news", "3").await, ["b:3"]);
    assert!(publish(&*store, "news/eu/west/sport", "4").await.is_empty());
    let known = store.topic(&topic("news/eu/sport")).await.unwrap();
    assert_eq!(known, TopicLog { followers: 3, kept: 1, last: Seq::new(1) });
    unfollow(&*store, "c", "x", "news/eu/sport").await;
    unfollow(&*store, "b", "x", "news/+/+").await;
    unfollow(&*store, "a", "x", "news/eu/sport").await;
    assert_eq!(publish(&*store, "news/eu/sport", "5").await, ["a:2", "c:2"]);
}

pub(crate) async fn what_a_device_follows_is_told(store: Arc<dyn Store>) {
    follower(&*store, "a", "x", &["news/+", "b", "aa"]).await;
    follower(&*store, "a", "y", &[]).await;
    let right: Vec<_> = ["aa", "b", "news/+"].map(|name| TopicFilter::new(name).unwrap()).into();
    assert_eq!(store.open(&user("a"), &device("x")).await.unwrap().topics, right);
    let devices = store.devices(&user("a")).await.unwrap();
    assert_eq!((&devices[0].topics, &devices[1].topics), (&right, &vec![]));
}

pub(crate) async fn a_device_follows_no_more_topics_than_it_may(store: Arc<dyn Store>) {
    follower(&*store, "a", "x", &["1", "2", "3"]).await;
    let refused = follow(&*store, "a", "x", "4").await.unwrap_err();
    assert!(matches!(refused, StoreError::TooManyTopics { limit: 3, .. }), "{refused:?}");
    assert!(publish(&*store, "4", "x").await.is_empty());
    // One that it follows already is not one more.
    follow(&*store, "a", "x", "3").await.unwrap();
    unfollow(&*store, "a", "x", "1").await;
    follow(&*store, "a", "x", "4").await.unwrap();
    assert_eq!(publish(&*store, "4", "y").await, ["a:1"]);
}

pub(crate) async fn only_a_known_device_follows(store: Arc<dyn Store>) {
    let refused = follow(&*store, "a", "x", "news").await.unwrap_err();
    assert!(matches!(refused, StoreError::NoDevice { .. }), "{refused:?}");
    assert!(publish(&*store, "news", "1").await.is_empty());
}

pub(crate) async fn a_forgotten_device_follows_nothing(store: Arc<dyn Store>) {
    follower(&*store, "a", "x", &["news", "+/b"]).await;
    follower(&*store, "a", "y", &["news"]).await;
    leave(&*store, "a", "x", 0).await;
    sweep(&*store, Timestamp::now().saturating_add(DAY * 6)).await;
    assert_eq!(publish(&*store, "news", "1").await, ["a:1"], "of one that is connected");
    assert!(publish(&*store, "a/b", "2").await.is_empty());
    leave(&*store, "a", "y", 0).await;
    sweep(&*store, Timestamp::now().saturating_add(DAY * 12)).await;
    assert!(publish(&*store, "news", "3").await.is_empty());
    assert_eq!(store.open(&user("a"), &device("x")).await.unwrap().topics, []);
}

pub(crate) async fn a_topic_keeps_its_last_messages(store: Arc<dyn Store>) {
    for text in ["1", "2", "3", "4", "5"] {
        publish(&*store, "a/b", text).await;
    }
    publish(&*store, "a/c", "6").await;
    publish(&*store, "a", "7").await;
    assert_eq!(log(&*store, "a/b", 0, 10).await, ["3:3", "4:4", "5:5"]);
    assert_eq!(log(&*store, "a/b", 3, 1).await, ["4:4"]);
    assert_eq!(log(&*store, "a/b", 5, 1).await, [""; 0]);
    assert_eq!(history(&*store, "a/b", 2).await, ["a/b 4:4", "a/b 5:5"]);
    assert_eq!(history(&*store, "a/+", 1).await, ["a/b 5:5", "a/c 1:6"]);
    assert_eq!(history(&*store, "a/+", 0).await, [""; 0]);
    assert_eq!(history(&*store, "+", 9).await, ["a 1:7"]);
}

pub(crate) async fn the_log_of_a_topic_ends_in_time(store: Arc<dyn Store>) {
    let now = Timestamp::now();
    let over = Message { expires_at: Some(now), ..message("over") };
    put(&*store, of("news", over)).await;
    publish(&*store, "news", "1").await;
    assert_eq!(log(&*store, "news", 0, 10).await, ["2:1"]);
    assert_eq!(store.topic(&topic("news")).await.unwrap().kept, 1);
    sweep(&*store, now.saturating_add(DAY)).await;
    assert_eq!(log(&*store, "news", 0, 10).await, ["2:1"]);
    sweep(&*store, now.saturating_add(DAY * 3)).await;
    assert_eq!(log(&*store, "news", 0, 10).await, [""; 0]);
    publish(&*store, "news", "2").await;
    assert_eq!(log(&*store, "news", 0, 10).await, ["3:2"], "numbers go on");
}

pub(crate) async fn a_message_of_a_topic_is_taken_back(store: Arc<dyn Store>) {
    follower(&*store, "a", "x", &["news"]).await;
    follower(&*store, "b", "x", &["news"]).await;
    leave(&*store, "a", "x", 0).await;
    let sent = of("news", message("1"));
    let id = sent.message.id;
    put(&*store, sent).await;
    // From the log, and from the inbox of who is away.
    assert_eq!(store.cancel(id).await.unwrap(), Cancelled::TakenBack(2));
    assert_eq!(store.cancel(id).await.unwrap(), Cancelled::TooLate);
    assert_eq!(log(&*store, "news", 0, 10).await, [""; 0]);
    assert_eq!((inbox(&*store, "a").await, inbox(&*store, "b").await), ((0, 1), (1, 1)));
}

pub(crate) async fn an_id_is_published_once(store: Arc<dyn Store>) {
    follower(&*store, "a", "x", &["news"]).await;
    let once = Append { check_id: true, ..of("news", message("1")) };
    put(&*store, once.clone()).await;
    follower(&*store, "b", "x", &["news"]).await;
    assert_eq!(try_append(&*store, once.clone()).await.unwrap(), Appended::Duplicate);
    assert_eq!(log(&*store, "news", 0, 10).await, ["1:1"]);
    assert!(all(&*store, "b").await.is_empty());
    let elsewhere = Message { topic: Some(topic("other")), ..(*once.message).clone() };
    let told = try_append(&*store, Append { message: Arc::new(elsewhere), ..once }).await;
    assert!(matches!(told, Err(StoreError::Conflict(_))));
}

pub(crate) async fn what_is_scheduled_goes_to_who_follows_then(store: Arc<dyn Store>) {
    follower(&*store, "a", "x", &["news"]).await;
    let later = Append { deliver_at: Some(in_an_hour()), ..of("news", message("later")) };
    let id = later.message.id;
    assert_eq!(try_append(&*store, later).await.unwrap(), Appended::Scheduled);
    assert_eq!(log(&*store, "news", 0, 10).await, [""; 0]);
    unfollow(&*store, "a", "x", "news").await;
    follower(&*store, "b", "x", &["+"]).await;
    leave(&*store, "b", "x", 0).await;
    let Due { released, .. } = store.release_due(in_an_hour(), 10).await.unwrap();
    assert_eq!(released[0].recipients, Recipients::Followers);
    assert_eq!(released[0].seqs, [(user("b"), Seq::new(1))]);
    assert_eq!(log(&*store, "news", 0, 10).await, ["1:later"]);
    assert_eq!(store.cancel(id).await.unwrap(), Cancelled::TakenBack(2));
}

pub(crate) async fn a_follower_without_room_can_refuse(store: Arc<dyn Store>) {
    follower(&*store, "a", "x", &["news"]).await;
    follower(&*store, "b", "x", &["news"]).await;
    for text in ["1", "2", "3", "4"] {
        append(&*store, text, &["b"]).await;
    }
    let refused = Append { if_full: IfFull::Refuse, ..of("news", message("5")) };
    let told = try_append(&*store, refused).await;
    assert!(matches!(told, Err(StoreError::Full { user, .. }) if user.as_str() == "b"));
    assert!(all(&*store, "a").await.is_empty());
    assert_eq!(log(&*store, "news", 0, 10).await, [""; 0]);
    assert_eq!(publish(&*store, "news", "6").await, ["a:1", "b:5"]);
}

pub(crate) async fn what_is_urgent_and_what_collapses_does_so_in_each_inbox(store: Arc<dyn Store>) {
    follower(&*store, "a", "x", &["news"]).await;
    leave(&*store, "a", "x", 0).await;
    let about = |text| Message { collapse_key: Some(CollapseKey::new("k").unwrap()), ..message(text) };
    put(&*store, of("news", about("1"))).await;
    put(&*store, of("news", about("2"))).await;
    put(&*store, of("news", Message { priority: Priority::High, ..message("3") })).await;
    assert_eq!(all(&*store, "a").await, ["2:3", "3:2"]);
    // The log says what was published, in that order.
    assert_eq!(log(&*store, "news", 0, 10).await, ["1:1", "2:2", "3:3"]);
}
