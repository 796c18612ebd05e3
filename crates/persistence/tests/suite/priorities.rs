use crate::*;

pub(crate) fn limits() -> Limits {
    Limits::default()
}

async fn publish(store: &dyn Store, name: &str, priority: Priority, text: &str) -> u64 {
    put(store, to(&[name], Message { priority, ..message(text) })).await[0]
}

pub(crate) async fn the_urgent_go_first_while_nobody_is_connected(store: Arc<dyn Store>) {
    let store = &*store;
    assert_eq!(publish(store, "a", Priority::Normal, "n1").await, 1);
    assert_eq!(publish(store, "a", Priority::Low, "l1").await, 2);
    assert_eq!(publish(store, "a", Priority::High, "h1").await, 1);
    assert_eq!(publish(store, "a", Priority::Normal, "n2").await, 3);
    assert_eq!(publish(store, "a", Priority::High, "h2").await, 2);
    assert_eq!(publish(store, "a", Priority::Low, "l2").await, 6);
    assert_eq!(all(store, "a").await, ["1:h1", "2:h2", "3:n1", "4:n2", "5:l1", "6:l2"]);
    assert_eq!((inbox(store, "a").await, store.stored().await.unwrap()), ((6, 6), 6));
    // Another user's messages stay where they are.
    publish(store, "A", Priority::Low, "l").await;
    publish(store, "b", Priority::Low, "l").await;
    publish(store, "a", Priority::High, "h3").await;
    assert_eq!(all(store, "b").await, ["1:l"]);
    assert_eq!(all(store, "A").await, ["1:l"]);
}

pub(crate) async fn while_a_device_is_connected_it_goes_to_the_end(store: Arc<dyn Store>) {
    let store = &*store;
    open(store, "a", "x").await;
    open(store, "a", "y").await;
    publish(store, "a", Priority::Low, "l1").await;
    assert_eq!(publish(store, "a", Priority::High, "h1").await, 2);
    leave(store, "a", "x", 0).await;
    assert_eq!(publish(store, "a", Priority::High, "h2").await, 3, "y is still there");
    publish(store, "a", Priority::Low, "l2").await;
    leave(store, "a", "y", 0).await;
    assert_eq!(publish(store, "a", Priority::High, "h3").await, 4);
    assert_eq!(all(store, "a").await, ["1:l1", "2:h1", "3:h2", "4:h3", "5:l2"]);
}

pub(crate) async fn what_was_sent_before_keeps_its_number(store: Arc<dyn Store>) {
    let store = &*store;
    for text in ["l1", "l2", "l3"] {
        publish(store, "a", Priority::Low, text).await;
    }
    open(store, "a", "x").await;
    leave(store, "a", "x", 2).await;
    assert_eq!(publish(store, "a", Priority::High, "h1").await, 3);
    assert_eq!(all(store, "a").await, ["1:l1", "2:l2", "3:h1", "4:l3"]);
    // A device that comes now has seen nothing, and the inbox is in order nevertheless.
    acknowledge(store, "a", "x", 3).await;
    assert_eq!(all(store, "a").await, ["4:l3"]);
}

pub(crate) async fn messages_of_one_priority_keep_their_order(store: Arc<dyn Store>) {
    let store = &*store;
    // While it is connected, they come in no order of urgency; then it leaves, and has been sent none.
    open(store, "a", "x").await;
    publish(store, "a", Priority::Low, "l1").await;
    publish(store, "a", Priority::Normal, "n1").await;
    publish(store, "a", Priority::High, "h1").await;
    publish(store, "a", Priority::Normal, "n2").await;
    publish(store, "a", Priority::Low, "l2").await;
    leave(store, "a", "x", 0).await;
    publish(store, "a", Priority::Normal, "n3").await;
    assert_eq!(all(store, "a").await, ["1:l1", "2:n1", "3:h1", "4:n2", "5:n3", "6:l2"]);
    publish(store, "a", Priority::High, "h2").await;
    assert_eq!(all(store, "a").await, ["1:l1", "2:n1", "3:h1", "4:h2", "5:n2", "6:n3", "7:l2"]);
}
