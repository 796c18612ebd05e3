//! What a killed Redis has half written.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Takes away the beginning of a script's writes after which a Redis in this directory was killed. By itself it takes
/// away the last command of it alone, and does the rest at the start after the next.
pub(super) fn mend(directory: &Path) {
    let written = directory.join("appendonlydir/appendonly.aof.manifest");
    if !written.exists() {
        return;
    }
    let mut check = Command::new("redis-check-aof")
        .arg("--fix")
        .arg(written)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-check-aof comes with redis-server");
    // It asks before it takes something away, and may have ended when nothing is to be.
    let _ = check.stdin.take().unwrap().write_all(b"y\n");
    assert!(check.wait().unwrap().success(), "what Redis has written cannot be mended");
}
