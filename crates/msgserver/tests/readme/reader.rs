//! Somebody who does what a README says, on addresses of their own.

use std::path::Path;
use std::process::Command;

use crate::document::Readme;
use crate::support::{Client, Server};

const PROGRAM: &str = "cargo run --release --";

pub struct Reader {
    pub readme: Readme,
    pub server: Server,
    serve: &'static str,
    // Last, since the server has its data there until it ends.
    pub directory: tempfile::TempDir,
}

impl Reader {
    /// Starts the server with a command of a README, at free ports.
    pub fn of(readme: &'static str, serve: &'static str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let readme = Readme::of(readme);
        let server = start(&readme.command(serve), directory.path());
        Self { readme, server, serve, directory }
    }

    /// Kills the server with `kill -9`, and types the same command again.
    pub fn kill_and_serve_again(&mut self) {
        self.server.signal("-KILL");
        self.server.child.wait().unwrap();
        self.server = start(&self.readme.command(self.serve), self.directory.path());
    }

    /// A command of the README, with the addresses of this server.
    fn here(&self, command: &str) -> String {
        let door = |name: &str| self.server.doors[name].as_str().unwrap_or_default().to_owned();
        let port = |name: &str| door(name).rsplit(':').next().unwrap().to_owned();
        let mut command = built(command);
        for (said, here) in [
            ("127.0.0.1:3365", door("http")),
            (" listen ", format!(" listen --url tcp://{} ", door("frame"))),
            (" send ", format!(" send --url http://{} ", door("http"))),
            ("nc 127.0.0.1 3366", format!("nc 127.0.0.1 {}", port("listen"))),
            ("mosquitto_sub ", format!("mosquitto_sub -p {} ", port("mqtt"))),
            ("mosquitto_pub ", format!("mosquitto_pub -p {} ", port("mqtt"))),
        ] {
            command = command.replace(said, &here);
        }
        command
    }

    fn shell(&self, command: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec {}", self.here(command))]).current_dir(self.directory.path());
        shell
    }

    /// Starts a command that goes on until it is ended.
    pub fn start(&self, command: &str) -> Client {
        Client::start(&mut self.shell(command))
    }

    /// Runs a command to its end; gives what it prints.
    pub fn run(&self, command: &str) -> String {
        let output = self.shell(command).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {said}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }
}

fn start(command: &str, directory: &Path) -> Server {
    // The port of MQTT is the only one that the command names.
    let command = built(command).replace(":1883", ":0");
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec {command} \"$@\""), "sh"]);
    shell.args(["--listen", "--frame", "--http"].into_iter().flat_map(|door| [door, "127.0.0.1:0"]));
    Server::run(shell, directory)
}

/// A command with the program that is built already.
fn built(command: &str) -> String {
    command.replace(PROGRAM, env!("CARGO_BIN_EXE_msgserver"))
}
