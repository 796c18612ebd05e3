//! The key file of an operator.
#![no_main]

use libfuzzer_sys::fuzz_target;
use msgserver_handshake::{KEY_BITS, ServerKey};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(key) = ServerKey::decode(bytes) {
        assert!(KEY_BITS.contains(&key.bits()));
    }
});
