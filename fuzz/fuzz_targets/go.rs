//! What a Go deployment left in Redis.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    msgserver_persistence::fuzz::go_message(bytes);
});
