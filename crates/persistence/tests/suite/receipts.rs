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
