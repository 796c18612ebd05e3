//! Times: what is read can be written, and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use msgserver_message::Timestamp;

fuzz_target!(|text: &str| {
    if let Ok(time) = text.parse::<Timestamp>() {
        assert_eq!(time.to_string().parse(), Ok(time));
    }
});
