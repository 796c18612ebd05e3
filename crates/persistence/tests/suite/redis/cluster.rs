use super::*;

/// A node refuses a script that needs two slots, and knows only its own keys.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_keeps_what_a_server_keeps() {
    let nodes = Server::start_cluster().await;
    let store = nodes[1].store().await;
    keys::use_everything(&store).await;
    assert_eq!(store.stored().await.unwrap(), 5);
    let other = nodes[2].store().await;
    other.ready().await.unwrap();
    assert!(other.devices(&user("a")).await.unwrap()[0].connected);
    assert!(sweep(&store, in_an_hour().saturating_add(DAY)).await.expired > 0);

    let users: Vec<String> = (0..100).map(|n| format!("user {n}")).collect();
    let names: Vec<&str> = users.iter().map(String::as_str).collect();
    let batch: Vec<_> = (0..20).map(|n| named(&names, message(&n.to_string()))).collect();
    assert!(store.append(batch.clone()).await.iter().all(|done| matches!(done, Ok(Appended::New(_)))));
    assert!(other.append(batch).await.iter().all(|done| matches!(done, Ok(Appended::Duplicate))));
    let right: Vec<_> = (0..20).map(|n| format!("{}:{n}", n + 1)).collect();
    for name in names {
        assert_eq!(all(&other, name).await, right);
    }

    let to_all = Append { recipients: Recipients::Known, ..named(&[], message("all")) };
    assert_eq!(put(&store, to_all.clone()).await.len(), 1);
    assert_eq!(store.cancel(to_all.message.id).await.unwrap(), Cancelled::TakenBack(1));
    assert_eq!(store.take_over().await.unwrap().messages, 0);
}
