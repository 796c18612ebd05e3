//! The second message of the handshake, as it comes and, so that inputs get past the encryption, from inside it.
#![no_main]

use std::sync::LazyLock;

use base64::prelude::{BASE64_STANDARD, Engine};
use libfuzzer_sys::fuzz_target;
use msgserver_handshake::{HandshakeError, Progress, ServerHandshake, ServerKey};
use rsa::PublicKey;
use rsa::pkcs8::DecodePublicKey;

static KEY: LazyLock<(ServerKey, PublicKey)> = LazyLock::new(|| {
    let vectors = include_str!("../../crates/handshake/tests/vectors/handshake.json");
    let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
    let key = ServerKey::decode(vectors["servers"][0]["pkcs8_pem"].as_str().unwrap().as_bytes()).unwrap();
    let public = PublicKey::from_public_key_der(&BASE64_STANDARD.decode(key.hello()).unwrap()).unwrap();
    (key, public)
});

fn outcome(bytes: &[u8], step: usize) -> Result<bool, HandshakeError> {
    let mut handshake = ServerHandshake::new(&KEY.0);
    for part in bytes.chunks(step) {
        if let Progress::Done { reply, .. } = handshake.feed(part)? {
            assert!(!reply.is_empty());
            return Ok(true);
        }
    }
    Ok(false)
}

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (inside, step, bytes) = input;
    let step = usize::from(step).max(1);
    if !inside {
        // Cut otherwise, a fault may be found earlier and be another; but what is done is done either way.
        assert_eq!(
            outcome(bytes, bytes.len().max(1)).is_ok_and(|done| done),
            outcome(bytes, step).is_ok_and(|done| done)
        );
        return;
    }
    let bytes = &bytes[..bytes.len().min(800)];
    for plain in [bytes, BASE64_STANDARD.encode(bytes).as_bytes()] {
        let blocks: Vec<u8> =
            plain.chunks(117).flat_map(|part| KEY.1.pkcs1v15_encrypt(part).unwrap()).collect();
        let _ = outcome(BASE64_STANDARD.encode(blocks).as_bytes(), step);
    }
});
