//! The commands.

mod bench;
mod config;
mod configuration;
mod descriptors;
mod doors;
mod gate;
mod listen;
mod log;
mod ready_file;
mod send;
mod serve;
mod store;
mod tls;
mod token;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// A message push server: accepted is safe, delivered in order.
#[derive(Parser)]
#[command(name = "msgserver", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server in the foreground; SIGTERM and SIGINT drain it, a second one ends it at once
    Serve(serve::Serve),
    /// Publish a message through the HTTP API
    Send(send::Send),
    /// Connect as a client; print what arrives and acknowledge it
    Listen(listen::Listen),
    /// Make an access token for a user or for a publisher, or an API key
    Token(token::Token),
    /// Put a load on a server, and on the floor beside it, and report what both took
    Bench(Box<bench::Bench>),
    /// Check a configuration, or print what is in force
    Config(config::Config),
    /// Check, count, export or import a disk store that no server is using
    Store(store::Store),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Runs the command that the arguments name.
pub(crate) fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(serve) => serve.run(),
        Command::Send(send) => send.run(),
        Command::Listen(listen) => listen.run(),
        Command::Token(token) => token.run(),
        Command::Bench(bench) => bench.run(),
        Command::Config(config) => config.run(),
        Command::Store(store) => store.run(),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "msgserver", &mut std::io::stdout());
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Fault::Usage(lines)) => {
            for line in lines {
                eprintln!("msgserver: {line}");
            }
            ExitCode::from(2)
        }
        Err(Fault::Failed(line)) => {
            eprintln!("msgserver: {line}");
            ExitCode::FAILURE
        }
        Err(Fault::Logged) => ExitCode::FAILURE,
    }
}

/// Why a command failed.
enum Fault {
    /// It was asked for something that cannot be; a line a fault.
    Usage(Vec<String>),
    /// It could not be done.
    Failed(String),
    /// It could not be done, and the log says why.
    Logged,
}

impl Fault {
    fn failed(fault: impl ToString) -> Self {
        Self::Failed(fault.to_string())
    }
}
