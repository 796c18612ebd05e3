//! A process that the bench starts and ends.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::process::Process;
use crate::cli::Fault;

/// A child, and the directory in which its files are.
pub(super) struct OwnProcess {
    pub(super) child: Child,
    name: &'static str,
    directory: tempfile::TempDir,
}

impl Drop for OwnProcess {
    fn drop(&mut self) {
        // Nobody needs what it has stored.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl OwnProcess {
    /// Starts this program anew, or another one. It does not outlive this process, and a Ctrl-C is not for it.
    pub(super) fn start(
        name: &'static str,
        program: Option<&Path>,
        arguments: &[String],
        directory: tempfile::TempDir,
        stdout: Stdio,
    ) -> Result<Self, Fault> {
        let own = std::env::current_exe().map_err(Fault::failed)?;
        let log = std::fs::File::create(directory.path().join("log")).map_err(Fault::failed)?;
        let mut command = Command::new(own);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MSGSERVER_") {
                command.env_remove(name);
            }
        }
        command.args(["bench", "child"]);
        if let Some(program) = program {
            command.arg("--program").arg(program);
        }
        let child = command.args(arguments).process_group(0).stdin(Stdio::null());
        let child = child.stdout(stdout).stderr(log).spawn().map_err(Fault::failed)?;
        Ok(Self { child, name, directory })
    }

    pub(super) fn process(&self) -> Process {
        Process::new(self.child.id())
    }

    /// What it has said, if it has ended.
    pub(super) fn ended(&mut self) -> Option<Fault> {
        let status = self.child.try_wait().ok()??;
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        Some(Fault::Failed(format!("{} has ended with {status}: {}", self.name, log.trim())))
    }
}
