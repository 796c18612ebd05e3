use crate::*;

pub(crate) fn limits() -> Limits {
    Limits::default()
}

pub(crate) async fn each_step_is_told_in_order(store: Arc<dyn Store>) {
    let message = message("1");
    let before = Timestamp::now();
    put(&*store, to(&["a"], message.clone())).await;
    let at = |millis| Timestamp::from_millis(Timestamp::now().as_millis() + 1000 + millis);
    let sent = Step {
        device: Some(device("x")),
        door: Some("http".into()),
        ..Step::of(&user("a"), Stage::Sent, at(0))
    };
    let acknowledged = Step { state: Stage::Acknowledged, at: at(10), ..sent.clone() };
    // They are noted in any order, and several at once.
    store.record(vec![(message.id, vec![acknowledged.clone()])]).await.unwrap();
    store.record(vec![(message.id, vec![sent.clone(), sent.clone()])]).await.unwrap();
    store.record(vec![(message.id, vec![sent.clone()])]).await.unwrap();
    let receipt = store.receipt(message.id).await.unwrap().unwrap();
    assert_eq!((receipt.id, receipt.state), (message.id, Stage::Acknowledged));
    assert_eq!(receipt.steps[0].state, Stage::Accepted);
    assert!(before <= receipt.steps[0].at && receipt.steps[0].at <= Timestamp::now());
    assert_eq!(receipt.steps[1..], [sent.clone(), sent.clone(), sent, acknowledged]);
}

pub(crate) async fn what_is_not_known_has_no_receipt(store: Arc<dyn Store>) {
    let id = MessageId::generate();
    assert_eq!(store.receipt(id).await.unwrap(), None);
    store.record(vec![(id, vec![Step::new(Stage::Sent, Timestamp::now())])]).await.unwrap();
    store.record(Vec::new()).await.unwrap();
    assert_eq!(store.receipt(id).await.unwrap(), None);
}

pub(crate) async fn a_receipt_is_forgotten_in_time(store: Arc<dyn Store>) {
    let message = message("1");
    put(&*store, to(&["a"], message.clone())).await;
    store.record(vec![(message.id, vec![Step::new(Stage::Sent, Timestamp::now())])]).await.unwrap();
    assert_eq!(sweep(&*store, Timestamp::now().saturating_add(DAY - HOUR)).await.receipts, 0);
    assert_eq!(steps(&*store, message.id).await, ["accepted", "sent"]);
    assert_eq!(sweep(&*store, Timestamp::now().saturating_add(DAY + HOUR)).await.receipts, 1);
    assert_eq!(store.receipt(message.id).await.unwrap(), None);
    assert_eq!(all(&*store, "a").await, ["1:1"], "the message itself waits on");
    // It came again, and nothing of before is told.
    put(&*store, to(&["a"], message.clone())).await;
    assert_eq!(steps(&*store, message.id).await, ["accepted"]);
}

/// A listener that keeps what it is told, and what it has been told.
fn listener(store: &dyn Store) -> Arc<std::sync::Mutex<Vec<StepMade>>> {
    let told = Arc::<std::sync::Mutex<Vec<_>>>::default();
    let tells = Arc::clone(&told);
    store.listen(Arc::new(move |steps| tells.lock().unwrap().extend(steps)));
    told
}

pub(crate) async fn each_step_that_the_store_makes_is_told_as_its_receipt_has_it(store: Arc<dyn Store>) {
    let store = &*store;
    let told = listener(store);
    let key = Some(CollapseKey::new("k").unwrap());
    let collapsed = Message { collapse_key: key.clone(), ..message("collapsed") };
    let newer = Message { collapse_key: key, ..message("newer") };
    let (taken_back, scheduled, released) =
        (message("taken back"), message("scheduled"), message("released"));
    let expired = Message { expires_at: Some(in_an_hour()), ..message("expired") };
    let (soon, later) = (Timestamp::now().saturating_add(HOUR / 2), in_an_hour());
    put(store, to(&["a", "b"], collapsed.clone())).await;
    put(store, to(&["a"], newer.clone())).await;
    put(store, to(&["a", "b"], taken_back.clone())).await;
    put(store, named(&["b"], expired.clone())).await;
    try_append(store, named(&["b"], expired.clone())).await.unwrap();
    try_append(store, Append { deliver_at: Some(later), ..to(&["a"], scheduled.clone()) }).await.unwrap();
    try_append(store, Append { deliver_at: Some(soon), ..to(&["c"], released.clone()) }).await.unwrap();
    assert_eq!(store.cancel(taken_back.id).await.unwrap(), Cancelled::TakenBack(2));
    assert_eq!(store.cancel(scheduled.id).await.unwrap(), Cancelled::TakenBack(1));
    assert_eq!(store.release_due(soon, 10).await.unwrap().released.len(), 1);
    assert_eq!(sweep(store, in_an_hour().saturating_add(HOUR)).await.expired, 1);
    // What others have done is for them to tell, and what is refused does not happen.
    let sent = Step::of(&user("c"), Stage::Sent, in_an_hour());
    store.record(vec![(released.id, vec![sent])]).await.unwrap();
    let conflict = Append { check_id: true, ..to(&["a"], Message { id: expired.id, ..message("other") }) };
    assert!(try_append(store, conflict).await.is_err());

    let told = std::mem::take(&mut *told.lock().unwrap());
    let mut count = 0;
    for (message, expected) in [
        (&collapsed, &["accepted", "cancelled a collapsed"][..]),
        (&newer, &["accepted"]),
        (&taken_back, &["accepted", "cancelled a", "cancelled b"]),
        (&scheduled, &["scheduled", "cancelled"]),
        (&released, &["scheduled", "accepted"]),
        (&expired, &["accepted", "expired b"]),
    ] {
        let of_it: Vec<_> = told.iter().filter(|made| made.id == message.id).collect();
        let texts: Vec<_> = of_it.iter().map(|made| text(&made.step)).collect();
        assert_eq!(texts, expected);
        assert!(matches!(&of_it[0].recipients, Some(Recipients::Users(users)) if !users.is_empty()));
        let receipt = store.receipt(message.id).await.unwrap().unwrap().steps;
        let of_it: Vec<_> = of_it.into_iter().map(|made| made.step.clone()).collect();
        let noted: Vec<_> = receipt.into_iter().filter(|step| step.state != Stage::Sent).collect();
        assert_eq!(of_it, noted);
        count += expected.len();
    }
    assert_eq!(told.len(), count, "{told:?}");
}
