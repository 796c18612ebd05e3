use msgserver_persistence::DiskStore;
use proptest::prelude::*;

use super::promises::model::{self, Model};
use super::*;

mod crashes;
mod damage;
mod full_disk;
mod transfer;

keeps_its_promises!(disk, async |directory: &Path, limits: Limits| {
    (DiskStore::with_limits(directory, limits).unwrap(), ())
});

#[test]
fn a_store_on_disk_does_what_the_model_does_through_restarts() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(lives in prop::collection::vec(model::actions(), 1..4))| {
        let directory = tempfile::tempdir().unwrap();
        let mut model = Model::new();
        for actions in &lives {
            let store = DiskStore::with_limits(directory.path(), model::limits()).unwrap();
            runtime.block_on(async {
                model.compare(&store).await;
                for action in actions {
                    model.take(&store, action).await;
                }
                model.compare(&store).await;
            });
            drop(store);
            model.crash();
        }
    });
}

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
        put(&store, named(&["b"], kept.clone())).await;
        acknowledge(&store, "a", "x", 1).await;
    }
    {
        let store = DiskStore::open(&nested).unwrap();
        assert_eq!(store.stored().await.unwrap(), 3);
        assert_eq!(read(&store, "a", 0, 10).await, ["2:2"]);
        assert_eq!(read(&store, "b", 0, 10).await, ["1:2", "2:3"]);
        assert_eq!(open(&store, "a", "x").await, (1, true));
        assert_eq!(try_append(&store, named(&["b"], kept)).await.unwrap(), Appended::Duplicate);
        acknowledge(&store, "a", "x", 2).await;
        store.close().await.unwrap();
        // Closing frees the directory, before the store is dropped.
        let store = DiskStore::open(&nested).unwrap();
        assert_eq!(append(&store, "4", &["a"]).await, [3]);
    }
}

#[tokio::test]
async fn a_device_that_was_connected_at_a_crash_may_have_been_sent_everything() {
    let directory = tempfile::tempdir().unwrap();
    let low = || Message { priority: Priority::Low, ..message("low") };
    {
        let store = DiskStore::open(directory.path()).unwrap();
        put(&store, to(&["a"], low())).await;
        open(&store, "a", "x").await;
    }
    let store = DiskStore::open(directory.path()).unwrap();
    assert!(!store.devices(&user("a")).await.unwrap()[0].connected);
    assert_eq!(put(&store, to(&["a"], Message { priority: Priority::High, ..message("high") })).await, [2]);
    let cursor = store.open(&user("a"), &device("x")).await.unwrap();
    assert_eq!((cursor.acknowledged.get(), cursor.sent.get(), cursor.last.get()), (0, 1, 2));
    leave(&store, "a", "x", 1).await;
    put(&store, to(&["a"], low())).await;
    assert_eq!(put(&store, to(&["a"], message("normal"))).await, [3], "it is known again what was sent");
}

#[tokio::test]
async fn a_schedule_survives_a_restart_and_fires_once() {
    let directory = tempfile::tempdir().unwrap();
    let time = in_an_hour();
    let later = Append { deliver_at: Some(time), ..to(&["a"], message("later")) };
    try_append(&DiskStore::open(directory.path()).unwrap(), later).await.unwrap();
    let store = DiskStore::open(directory.path()).unwrap();
    assert_eq!(store.release_due(Timestamp::now(), 10).await.unwrap().next, Some(time));
    assert_eq!(store.release_due(time, 10).await.unwrap().released.len(), 1);
    drop(store);
    let store = DiskStore::open(directory.path()).unwrap();
    assert_eq!(store.release_due(time, 10).await.unwrap(), Due::default());
    assert_eq!(all(&store, "a").await, ["1:later"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_written_before_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(DiskStore::open(directory.path()).unwrap());
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { try_append(&*store, to(&["a"], message("m"))).await })
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

/// More than is kept in memory goes into the sorted files, and is read from there, before and after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_that_memory_does_not_hold_is_read_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits { messages: u64::MAX, bytes: usize::MAX, ..Limits::default() };
    let text = |n: u64| format!("{n:08}{}", "x".repeat(20_000));
    let read_all = async |store: &DiskStore, from: u64, upto: u64| {
        let mut after = Seq::new(from);
        while after.get() < upto {
            let page = store.read(&user("a"), after, 100).await.unwrap();
            assert!(!page.is_empty(), "nothing behind {after}");
            for entry in page {
                assert_eq!(entry.seq, after.next());
                after = entry.seq;
                assert!(
                    entry
                        .message
                        .content
                        .as_json()
                        .starts_with(&format!("\"{after:08}x", after = after.get()))
                );
            }
        }
    };
    {
        let store = DiskStore::with_limits(directory.path(), limits).unwrap();
        open(&store, "a", "x").await;
        for batch in 0..75 {
            let appends =
                (batch * 100 + 1..=batch * 100 + 100).map(|n| to(&["a"], message(&text(n)))).collect();
            assert!(store.append(appends).await.iter().all(Result::is_ok));
        }
        read_all(&store, 0, 7500).await;
        acknowledge(&store, "a", "x", 5000).await;
    }
    let store = DiskStore::with_limits(directory.path(), limits).unwrap();
    assert_eq!((inbox(&store, "a").await, store.stored().await.unwrap()), ((2500, 7500), 2500));
    assert_eq!(read(&store, "a", 0, 1).await[0][..5], *"5001:");
    read_all(&store, 5000, 7500).await;
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

#[test]
fn a_directory_of_a_later_format_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(DiskStore::open(directory.path()).unwrap());
    let format = directory.path().join("format");
    assert_eq!(std::fs::read_to_string(&format).unwrap(), "msgserver store 1\n");
    // A version that changes the format removes the copy first: else the format counts as damaged.
    std::fs::remove_file(directory.path().join("copies/format")).unwrap();
    std::fs::write(&format, "msgserver store 2\n").unwrap();
    let fault = DiskStore::open(directory.path()).unwrap_err();
    assert!(fault.to_string().contains("msgserver store 2"), "{fault}");
}

#[test]
fn a_directory_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let made = directory.path().join("data");
    drop(DiskStore::open(&made).unwrap());
    assert_eq!(std::fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o700);
}
