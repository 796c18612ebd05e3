//! Authentication: from the text that a client sends to its user, or to a refusal, which the client gets.
//!
//! `cargo run -p msgserver-examples --bin authentication -- 127.0.0.1:3366 function`: a function.
//! `… async ACCOUNTS`: a function that waits; ACCOUNTS is a file with a `user;password` a line.
//! `… type`: a type. Connect with `nc 127.0.0.1 3366`, and say `ada;123456`. Type `@ada hello`.

use std::collections::HashMap;
use std::error::Error;

use async_trait::async_trait;
use msgserver::{Authenticate, MemoryStore, Server, UserId};
use msgserver_examples::{console, open};

/// As the first msgserver's README has it.
fn one_password(text: &str) -> Result<UserId, Box<dyn Error>> {
    match text.split_once(';') {
        Some((user, "123456")) => Ok(UserId::new(user)?),
        _ => Err("password is wrong".into()),
    }
}

struct Accounts(HashMap<&'static str, &'static str>);

#[async_trait]
impl Authenticate for Accounts {
    async fn authenticate(&self, text: &str) -> Result<UserId, String> {
        let (user, password) = text.split_once(';').ok_or("say USER;PASSWORD")?;
        let known = self.0.get(user).ok_or_else(|| format!("nobody is called {user}"))?;
        if *known != password {
            return Err("password is wrong".to_owned());
        }
        UserId::new(user).map_err(|fault| fault.to_string())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let builder = Server::builder().store(MemoryStore::new());
    let builder = match std::env::args().nth(2).as_deref() {
        Some("async") => {
            let accounts = std::env::args().nth(3).ok_or("which file holds the accounts?")?;
            builder.authentication_async(move |text: String| {
                let accounts = accounts.clone();
                async move {
                    let known = tokio::fs::read_to_string(accounts).await;
                    let known = known.map_err(|_| "the accounts cannot be read now".to_owned())?;
                    match text.split_once(';') {
                        Some((user, _)) if known.lines().any(|line| line == text) => {
                            UserId::new(user).map_err(|fault| fault.to_string())
                        }
                        _ => Err("password is wrong".to_owned()),
                    }
                }
            })
        }
        Some("type") => {
            builder.authentication(Accounts(HashMap::from([("ada", "123456"), ("bob", "654321")])))
        }
        _ => builder.authentication(one_password),
    };
    let server = builder.build()?;
    open(&server).await?;
    console(&server).await
}
