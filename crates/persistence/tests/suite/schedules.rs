use crate::*;

pub(crate) fn limits() -> Limits {
    Limits { messages: 3, ..Limits::default() }
}

fn at(at: Timestamp, append: Append) -> Append {
    Append { deliver_at: Some(at), ..append }
}

/// The texts of what is released, with the numbers.
fn told(due: &Due) -> Vec<String> {
    let released = due.released.iter();
    released
        .map(|released| {
            let seqs: Vec<_> = released.seqs.iter().map(|(user, seq)| format!("{user}:{seq}")).collect();
            format!("{} {}", released.message.content.as_text().unwrap(), seqs.join(" "))
        })
        .collect()
}

pub(crate) async fn a_message_waits_for_its_time_and_comes_once(store: Arc<dyn Store>) {
    let store = &*store;
    let (time, later) = (in_an_hour(), message("later"));
    let scheduled = || at(time, named(&["a", "b"], later.clone()));
    assert_eq!(try_append(store, scheduled()).await.unwrap(), Appended::Scheduled);
    assert_eq!(try_append(store, scheduled()).await.unwrap(), Appended::Duplicate);
    assert_eq!(append(store, "now", &["a"]).await, [1]);
    assert_eq!(store.stored().await.unwrap(), 1);
    let before = Timestamp::from_millis(time.as_millis() - 1);
    assert_eq!(store.release_due(before, 10).await.unwrap(), Due { released: Vec::new(), next: Some(time) });
    let due = store.release_due(time, 10).await.unwrap();
    assert_eq!(told(&due), ["later a:2 b:1"]);
    assert_eq!(*due.released[0].message, later);
    assert_eq!(due.released[0].recipients, Recipients::Users([user("a"), user("b")].into()));
    assert_eq!(due.next, None);
    assert_eq!(store.release_due(time, 10).await.unwrap(), Due::default());
    assert_eq!(all(store, "a").await, ["1:now", "2:later"]);
    assert_eq!(all(store, "b").await, ["1:later"]);
    assert_eq!(steps(store, later.id).await, ["scheduled", "accepted"]);
    assert_eq!(try_append(store, scheduled()).await.unwrap(), Appended::Duplicate);
    assert_eq!(store.cancel(later.id).await.unwrap(), Cancelled::TakenBack(2), "it can still be taken back");
}

pub(crate) async fn a_time_that_is_over_is_now(store: Arc<dyn Store>) {
    let past = Timestamp::from_millis(Timestamp::now().as_millis() - 1);
    assert_eq!(put(&*store, at(past, to(&["a"], message("1")))).await, [1]);
    assert_eq!(store.release_due(in_an_hour(), 10).await.unwrap(), Due::default());
}

pub(crate) async fn the_next_time_is_told(store: Arc<dyn Store>) {
    let store = &*store;
    let times = [3, 1, 2, 1].map(|hours| Timestamp::now().saturating_add(HOUR * hours));
    for (time, text) in times.into_iter().zip(["3", "1", "2", "1b"]) {
        assert_eq!(
            try_append(store, at(time, to(&["a"], message(text)))).await.unwrap(),
            Appended::Scheduled
        );
    }
    let due = store.release_due(times[2], 2).await.unwrap();
    assert_eq!((told(&due), due.next), (vec!["1 a:1".into(), "1b a:2".into()], Some(times[2])));
    let due = store.release_due(times[2], 2).await.unwrap();
    assert_eq!((told(&due), due.next), (vec!["2 a:3".into()], Some(times[0])));
}

pub(crate) async fn a_scheduled_notice_is_released_to_nobody(store: Arc<dyn Store>) {
    let store = &*store;
    open(store, "a", "x").await;
    let time = in_an_hour();
    for recipients in [Recipients::Nobody, Recipients::Known] {
        let notice = Append { recipients, ..at(time, named(&[], message("notice"))) };
        assert_eq!(try_append(store, notice).await.unwrap(), Appended::Scheduled);
    }
    // Who is known by then is meant, not who was known before.
    open(store, "b", "x").await;
    let due = store.release_due(time, 10).await.unwrap();
    let mut told: Vec<_> =
        due.released.iter().map(|released| (&released.recipients, released.seqs.len())).collect();
    told.sort_by_key(|(_, seqs)| *seqs);
    assert_eq!(told, [(&Recipients::Nobody, 0), (&Recipients::Known, 2)]);
}

pub(crate) async fn a_full_inbox_refuses_at_release(store: Arc<dyn Store>) {
    let store = &*store;
    let (time, refused) = (in_an_hour(), message("refused"));
    let scheduled = Append { if_full: IfFull::Refuse, ..at(time, to(&["b", "a"], refused.clone())) };
    try_append(store, scheduled).await.unwrap();
    try_append(store, at(time, to(&["a"], message("4")))).await.unwrap();
    for text in ["1", "2", "3"] {
        append(store, text, &["a"]).await;
    }
    let due = store.release_due(time, 10).await.unwrap();
    let mut told = told(&due);
    told.sort();
    assert_eq!(told, ["4 a:4", "refused "]);
    assert_eq!(inbox(store, "b").await, (0, 0), "in all of its inboxes or in none");
    assert_eq!(steps(store, refused.id).await, ["scheduled", "expired a the inbox was full"]);
}

pub(crate) async fn its_id_is_known_until_it_is_released(store: Arc<dyn Store>) {
    let store = &*store;
    let time = Timestamp::now().saturating_add(DAY * 10);
    let late = message("late");
    try_append(store, at(time, named(&["a"], late.clone()))).await.unwrap();
    assert_eq!(sweep(store, time).await.receipts, 0);
    assert_eq!(try_append(store, at(time, named(&["a"], late.clone()))).await.unwrap(), Appended::Duplicate);
    assert_eq!(told(&store.release_due(time, 10).await.unwrap()), ["late a:1"]);
    assert_eq!(sweep(store, time.saturating_add(DAY - HOUR)).await.receipts, 0);
    assert_eq!(sweep(store, time.saturating_add(DAY + HOUR)).await.receipts, 1);
}

pub(crate) async fn what_is_due_at_one_moment_comes_in_the_order_of_acceptance(store: Arc<dyn Store>) {
    let store = &*store;
    let time = in_an_hour();
    // Their ids are in the other order.
    let messages: Vec<_> = (0..20).map(|_| message("m")).rev().collect();
    for (n, message) in messages.iter().enumerate() {
        try_append(store, at(time, to(&[&format!("user {n}")], message.clone()))).await.unwrap();
    }
    let due = store.release_due(time, 20).await.unwrap();
    let released: Vec<_> = due.released.iter().map(|released| released.message.id).collect();
    assert_eq!(released, messages.iter().map(|message| message.id).collect::<Vec<_>>());
}

pub(crate) async fn its_age_counts_from_when_it_is_in_the_inbox(store: Arc<dyn Store>) {
    let store = &*store;
    let time = Timestamp::now().saturating_add(DAY * 20);
    try_append(store, at(time, to(&["a"], message("late")))).await.unwrap();
    assert_eq!(told(&store.release_due(time, 10).await.unwrap()), ["late a:1"]);
    assert_eq!(sweep(store, time.saturating_add(DAY * 29)).await.expired, 0);
    assert_eq!(sweep(store, time.saturating_add(DAY * 31)).await.expired, 1);
}

pub(crate) async fn what_is_large_is_released_a_part_at_a_time(store: Arc<dyn Store>) {
    let store = &*store;
    let time = in_an_hour();
    let texts: Vec<_> = (0..60).map(|n| format!("{n} {}", "x".repeat(100_000))).collect();
    for (n, text) in texts.iter().enumerate() {
        try_append(store, at(time, to(&[&format!("user {n}")], message(text)))).await.unwrap();
    }
    let mut released = Vec::new();
    loop {
        let due = store.release_due(time, 1000).await.unwrap();
        assert!(due.released.len() < texts.len(), "all at once");
        released.extend(due.released.iter().map(|one| one.message.content.as_text().unwrap()));
        if due.next.is_none() {
            break;
        }
        assert!(!due.released.is_empty(), "something is due still, and nothing comes");
        assert_eq!(due.next, Some(time));
    }
    assert_eq!(released, texts);
}
