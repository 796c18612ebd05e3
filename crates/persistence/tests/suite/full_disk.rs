//! A disk that is full refuses what is new and loses nothing that is old, and all is well again once there is room.

use std::fs;
use std::process::Command;
use std::time::Instant;

use msgserver_persistence::DiskStore;

use super::*;

/// A small file system, until it is dropped.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn of(mebibytes: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(directory.path()).output();
        let mounted = mount.is_ok_and(|output| output.status.success());
        assert!(mounted, "this test has to be allowed to mount a small tmpfs");
        Self(directory)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

/// Appends until it is refused; how many were kept.
async fn fill(store: &DiskStore, text: &str) -> u64 {
    for n in 0..10_000 {
        match try_append(store, to(&["a"], message(text))).await {
            Ok(_) => {}
            Err(StoreError::Unavailable { detail, .. }) => {
                assert!(detail.contains("No space left"), "{detail}");
                return n;
            }
            Err(fault) => panic!("{fault}"),
        }
    }
    panic!("it is never full")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_recovers() {
    // Room for the journal alone, and room for the sorted files only once the ballast is gone.
    for (size, ballast) in [(16, 4), (110, 50)] {
        let disk = Mounted::of(size);
        let directory = disk.0.path().join("store");
        let weight = disk.0.path().join("ballast");
        let limits = Limits { messages: u64::MAX, bytes: usize::MAX, ..Limits::default() };
        fs::write(&weight, vec![1; ballast << 20]).unwrap();
        let store = DiskStore::with_limits(&directory, limits).unwrap();
        let text = "x".repeat(100_000);
        assert!(fill(&store, &text).await > 20);
        assert!(store.ready().await.is_err());
        assert_eq!(store.read(&user("a"), Seq::ZERO, 5).await.unwrap().len(), 5, "what is kept is delivered");
        let (kept, _) = inbox(&store, "a").await;

        fs::remove_file(&weight).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Err(fault) = store.ready().await {
            assert!(Instant::now() < deadline, "{fault}");
            tokio::task::yield_now().await;
        }
        assert_eq!(append(&store, "again", &["a"]).await, [kept + 1]);
        drop(store);
        let store = DiskStore::with_limits(&directory, limits).unwrap();
        assert_eq!(store.check().unwrap().faults, Vec::<String>::new());
        assert_eq!(inbox(&store, "a").await, (kept + 1, kept + 1));
    }
}
