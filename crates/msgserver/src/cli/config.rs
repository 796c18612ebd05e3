//! `msgserver config`.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::configuration::{Flags, InForce};
use super::{Fault, tls};

#[derive(Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Say "ok", or what `serve` would refuse
    Check {
        /// A TOML file, in place of `--config`
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        path: Option<PathBuf>,
        #[command(flatten)]
        flags: Flags,
    },
    /// Print what is in force and where each value came from, as a file; secrets are hidden
    Print {
        #[command(flatten)]
        flags: Flags,
    },
}

impl Config {
    pub(crate) fn run(self) -> Result<(), Fault> {
        let text = match self.action {
            Action::Check { path, mut flags } => {
                flags.config = path.or(flags.config);
                let mut in_force = InForce::read(&flags).map_err(Fault::Usage)?;
                for line in in_force.hidden() {
                    eprintln!("msgserver: before serving, {line}");
                }
                tls::open(&in_force.configuration())?;
                "ok\n".to_owned()
            }
            Action::Print { flags } => InForce::read(&flags).map_err(Fault::Usage)?.print(),
        };
        std::io::stdout().write_all(text.as_bytes()).map_err(Fault::failed)
    }
}
