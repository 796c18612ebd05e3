use msgserver_persistence::DiskStore;

use super::*;

keeps_its_promises!(disk, async |directory: &Path| (DiskStore::open(directory).unwrap(), ()));

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let nested = directory.path().join("made/by/it");
    let kept = message("3");
    {
        let store = DiskStore::open(&nested).unwrap();
        open(&store, "a", "x").await;
        append(&store, "1", &["a"]).await;
        append(&store, "2", &["a", "b"]).await;
        store.keep(given(&kept, &[user("b")])).await.unwrap();
        acknowledge(&store, "a", "x", 1).await;
    }
    {
        let store = DiskStore::open(&nested).unwrap();
        assert_eq!(store.stored().await.unwrap(), 3);
        assert_eq!(read(&store, "a", 0, 10).await, ["2:2"]);
        assert_eq!(read(&store, "b", 0, 10).await, ["1:2", "2:3"]);
        assert_eq!(open(&store, "a", "x").await, (1, true));
        assert_eq!(store.keep(given(&kept, &[user("b")])).await.unwrap(), Appended::Duplicate);
        acknowledge(&store, "a", "x", 2).await;
        store.close().await.unwrap();
        // Closing frees the directory, before the store is dropped.
        let store = DiskStore::open(&nested).unwrap();
        assert_eq!(append(&store, "4", &["a"]).await, [3]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_written_before_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(DiskStore::open(directory.path()).unwrap());
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.keep(Append::new(message("m"), [user("a")])).await })
        })
        .collect();
    store.close().await.unwrap();
    let mut kept = 0;
    for outcome in waiting {
        match outcome.await.unwrap() {
            Ok(_) => kept += 1,
            Err(fault) => assert!(matches!(fault, StoreError::Closed { .. }), "{fault}"),
        }
    }
    let store = DiskStore::open(directory.path()).unwrap();
    assert_eq!(inbox(&store, "a").await, (kept, kept));
}

#[test]
fn a_directory_has_one_server() {
    let directory = tempfile::tempdir().unwrap();
    let first = DiskStore::open(directory.path()).unwrap();
    let fault = DiskStore::open(directory.path()).unwrap_err();
    assert!(matches!(&fault, StoreError::InUse(path) if path == directory.path()), "{fault}");
    let named = format!("data directory {} is in use by another server", directory.path().display());
    assert!(fault.to_string().starts_with(&named), "{fault}");
    drop(first);
    DiskStore::open(directory.path()).unwrap();
}

#[test]
fn a_directory_that_cannot_be_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let fault = DiskStore::open(&file).unwrap_err();
    assert!(matches!(fault, StoreError::Unavailable { store: "disk", .. }), "{fault}");
    assert!(fault.to_string().contains(&*file.to_string_lossy()), "{fault}");
}

keeps_the_rules!(
    rules,
    async |directory: &Path| (DiskStore::open(directory).unwrap(), ()),
    |directory: &Path| { DiskStore::with_limits(directory, few()).unwrap() }
);

#[tokio::test]
async fn who_was_connected_when_the_process_ended_may_have_seen_everything() {
    let directory = tempfile::tempdir().unwrap();
    let (a, x) = (user("a"), device("x"));
    {
        let store = DiskStore::open(directory.path()).unwrap();
        store.open(&a, &x).await.unwrap();
        append(&store, "1", &["a"]).await;
        append(&store, "2", &["a"]).await;
    }
    let store = DiskStore::open(directory.path()).unwrap();
    assert!(!store.devices(&a).await.unwrap()[0].connected);
    // Urgent or not, it must not get a number that the device may have seen.
    store.keep(urgent("3", Priority::High)).await.unwrap();
    assert_eq!(read(&store, "a", 0, 10).await, ["1:1", "2:2", "3:3"]);
    let cursor = store.open(&a, &x).await.unwrap();
    assert_eq!((cursor.sent, cursor.last), (Seq::new(2), Seq::new(3)));
}

#[tokio::test]
async fn what_is_scheduled_outlasts_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let at = Timestamp::now().saturating_add(std::time::Duration::from_secs(60));
    {
        let store = DiskStore::open(directory.path()).unwrap();
        let scheduled = Append { deliver_at: Some(at), ..Append::new(message("later"), [user("a")]) };
        assert_eq!(store.keep(scheduled).await.unwrap(), Appended::Scheduled);
    }
    let store = DiskStore::open(directory.path()).unwrap();
    assert_eq!(store.release_due(Timestamp::now(), 10).await.unwrap().next, Some(at));
    assert_eq!(store.release_due(at, 10).await.unwrap().released.len(), 1);
    assert_eq!(read(&store, "a", 0, 10).await, ["1:later"]);
}
