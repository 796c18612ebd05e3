//! MQTT packets: however their bytes are cut, what is heard is the same, and none is longer than allowed.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use msgserver_mqtt::{Connect, Packet, Version};

const LIMIT: usize = 4096;

/// What is heard up to the first fault, and the fault.
fn heard(bytes: &[u8], step: usize) -> (Option<Connect>, Vec<Packet>, Option<String>) {
    let (mut came, mut connect, mut packets) = (BytesMut::new(), None::<Connect>, Vec::new());
    for part in bytes.chunks(step) {
        came.extend_from_slice(part);
        loop {
            match &connect {
                None => match Connect::next(&mut came, LIMIT) {
                    Ok(Some(first)) => connect = Some(first),
                    Ok(None) => break,
                    Err(refused) => return (connect, packets, Some(format!("{refused:?}"))),
                },
                Some(Connect { version, .. }) => match Packet::next(&mut came, *version, LIMIT) {
                    Ok(Some(packet)) => {
                        if let Packet::Publish(publish) = &packet {
                            assert!(publish.topic.len() + publish.payload.len() < LIMIT);
                            assert!(!publish.topic.contains(['+', '#', '\0']));
                        }
                        packets.push(packet);
                    }
                    Ok(None) => break,
                    Err(fault) => return (connect, packets, Some(format!("{fault:?}"))),
                },
            }
        }
    }
    (connect, packets, None)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (step, bytes) = input;
    assert_eq!(heard(bytes, bytes.len().max(1)), heard(bytes, usize::from(step).max(1)));

    // Behind a CONNECT, without which hardly any input would get further.
    for (version, connect) in [
        (Version::V311, &b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01a"[..]),
        (Version::V5, b"\x10\x0e\0\x04MQTT\x05\x02\0\0\0\0\x01a"),
    ] {
        let all = [connect, bytes].concat();
        let whole = heard(&all, all.len());
        assert_eq!(whole.0.as_ref().map(|connect| connect.version), Some(version));
        assert_eq!(whole, heard(&all, usize::from(step).max(1)));
    }
});
