//! Within TLS.

use msgserver_client::{Publisher, Trust};

use super::support::authority::Authority;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_speaks_within_tls_to_whom_it_trusts_and_to_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_within_tls(directory.path(), &["--store", "memory"]);
    let port = |door: &str| server.address(door).rsplit_once(':').unwrap().1.to_owned();
    let (frame, http) = (port("frame"), port("http"));
    let trust = Trust::authorities(server.authority().ca()).unwrap();
    let publisher = Publisher::trusting(&format!("https://localhost:{http}"), &trust).unwrap();
    for (n, url) in (0..).zip([
        format!("tls://127.0.0.1:{frame}"),
        format!("wss://127.0.0.1:{http}"),
        format!("tls://localhost:{frame}"),
        format!("wss://localhost:{http}"),
    ]) {
        let (client, mut messages) = phone_at(&url).trust(trust.clone()).connect().await.unwrap();
        publisher.publish(&to_ada(2 * n)).await.unwrap();
        client.publish(&to_ada(2 * n + 1)).await.unwrap();
        for which in 0..2 {
            let message = next(&mut messages).await;
            assert_eq!(number(&message), 2 * n + which, "{url}");
            message.ack().await.unwrap();
        }
        client.close().await;
    }

    let strange = Trust::authorities(Authority::named(directory.path(), "strange").ca()).unwrap();
    let (builder, states) = States::of(phone_at(&format!("tls://localhost:{frame}")).trust(strange));
    let _client = builder.connect().await.unwrap();
    let distrusts = |state: &State| matches!(state, State::Waiting { detail, .. } if detail.starts_with("TLS: invalid peer certificate"));
    states.wait_for(1, distrusts).await;
    assert!(Trust::authorities(directory.path().join("none")).is_err());
    let key = server.authority().file("server.key");
    assert!(Trust::authorities(key).unwrap_err().to_string().contains("no certificate"));
}
