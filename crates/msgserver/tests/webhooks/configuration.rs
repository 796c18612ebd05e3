//! Webhooks in the configuration.

use std::path::Path;
use std::process::Command;

use crate::OTHER_SECRET;
use crate::receiver::SECRET;

/// What a command says of a configuration: its exit code, its output and its faults.
fn said(words: &[&str], config: &Path) -> (Option<i32>, String, Vec<String>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_msgserver"));
    let output = command.args(words).arg("--config").arg(config).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let faults = text(output.stderr).lines().map(str::to_owned).collect();
    (output.status.code(), text(output.stdout), faults)
}

#[test]
fn a_webhook_that_cannot_be_is_refused_with_what_would_be_right() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.toml");
    let file = format!(
        "webhook_secrets = [\"{SECRET}\"]\n\
         [[webhook]]\nurl = \"https://ada:s3cret@app.example/\"\nsecret = \"{OTHER_SECRET}\"\n\
         [[webhook]]\nurl = \"ftp://app.example/\"\nsecrets = [\"whsec_c2hvcnQ=\"]\nsteps = [\"read\"]\n\
         targets = [\"ada\"]\ntimeout = 5\nbatch = 0\n\
         [[webhook]]\nurl = \"https://app.example/\"\nsecrets = []\n"
    );
    std::fs::write(&config, file).unwrap();
    let (code, _, faults) = said(&["config", "check"], &config);
    assert_eq!(code, Some(2));
    let expected = [
        ("webhook[1].url = \"https://***@app.example/\"", "without a user"),
        ("webhook[1].secret = ***", "did you mean secrets?"),
        ("webhook[1].secrets", "missing"),
        ("webhook[2].url = \"ftp://app.example/\"", "https://app.example/hooks"),
        ("webhook[2].secrets = ***", "24 to 64 random bytes"),
        ("webhook[2].steps = [\"read\"]", "\"acknowledged\""),
        ("webhook[2].targets = [\"ada\"]", "user/NAME"),
        ("webhook[2].timeout = 5", "a time with its unit"),
        ("webhook[2].batch = 0", "a whole number from 1"),
        ("webhook_secrets", "--webhook-url"),
        ("webhook[3].url", "give webhook[3].secrets"),
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (what, right) in expected {
        assert!(faults.iter().any(|line| line.contains(what) && line.contains(right)), "{what}: {faults:#?}");
    }
    let all = faults.concat();
    assert!(["s3cret", "whsec_M", "whsec_A", "c2hvcnQ"].iter().all(|secret| !all.contains(secret)), "{all}");
}

#[test]
fn secrets_of_webhooks_are_not_printed_and_what_stands_for_them_is_not_served() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.toml");
    let file = format!(
        "webhook_url = \"https://app.example/\"\nwebhook_secrets = [\"{SECRET}\", \"{OTHER_SECRET}\"]\n\
         [[webhook]]\nurl = \"https://app.example/more\"\nsecrets = [\"{SECRET}\"]\ntargets = [\"user/a*\", \"all\"]\n"
    );
    std::fs::write(&config, file).unwrap();
    let (code, printed, faults) = said(&["config", "print"], &config);
    assert_eq!((code, &faults[..]), (Some(0), &[][..]));
    assert!(!printed.contains("whsec_"), "{printed}");
    assert!(printed.contains("targets = [\"user/a*\", \"all\"]"), "{printed}");
    std::fs::write(&config, printed).unwrap();
    assert_eq!(said(&["config", "check"], &config).0, Some(0));
    let (code, _, faults) = said(&["serve", "--http", "off", "--listen", "off", "--frame", "off"], &config);
    assert_eq!(code, Some(2));
    for key in ["webhook_secrets = ", "webhook[1].secrets = "] {
        assert!(
            faults.iter().any(|line| line.contains(key) && line.contains("stands for a secret")),
            "{faults:?}"
        );
    }
}
