//! The program in Rust of the README, which is compared with what stands here.

use std::path::Path;

use msgserver_client::{Client, DeviceId, FilePosition, UserId};

/// Prints and acknowledges what comes to Ada's phone, for as long as it is let.
pub async fn run(address: &str, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let (ada, phone) = (UserId::new("ada")?, DeviceId::new("phone")?);
    // The README, but for the address and the file.
    let (client, mut messages) = Client::builder(address)?
        .position(FilePosition::open(file, &ada, &phone)?)
        .user(ada)
        .device(phone)
        .connect()
        .await?;
    while let Some(message) = messages.next().await {
        let message = message?;
        println!("{}", message.content);
        message.ack().await?;
    }
    // To here.
    client.close().await;
    Ok(())
}

/// The text between the two comments, as the README has it.
pub fn text() -> String {
    let text = include_str!("program.rs").split("the file.\n").nth(1).unwrap();
    let lines = text.lines().take_while(|line| !line.ends_with("// To here."));
    let text: String = lines.map(|line| line.strip_prefix("    ").unwrap().to_owned() + "\n").collect();
    text.replace("builder(address)", r#"builder("tcp://127.0.0.1:3367")"#)
        .replace("(file,", r#"("position","#)
}
