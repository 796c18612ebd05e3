//! The cases of the Autobahn test suite for WebSocket, by their numbers. The suite itself is a program for Python 2;
//! its cases are an echo of messages, pongs, and the status with which a connection is closed. Each is run as it
//! comes and, unless it is large, cut into single octets. Groups 12 and 13 are about compression, which is not spoken.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

use std::fmt::Write;

use msgserver_protocol::{ByeCode, CloseCode, Partial, WebSocketEvent};

/// As long as the longest message of the suite. Doors take shorter ones.
const LIMIT: usize = 16 * 1024 * 1024;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A frame as a client sends it; `first` is its first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        length @ 0..=125 => out.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    // Zeros are a mask as well, and large payloads are many.
    let mask = if payload.len() > 1024 { [0; 4] } else { MASK };
    out.extend(mask);
    if mask == MASK {
        out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    } else {
        out.extend_from_slice(payload);
    }
    out
}

/// The last frame of a message, and one that is not the last.
fn fin(opcode: u8, payload: &[u8]) -> Vec<u8> {
    frame(0x80 | opcode, payload)
}

fn part(opcode: u8, payload: &[u8]) -> Vec<u8> {
    frame(opcode, payload)
}

fn message(opcode: u8, parts: &[&[u8]]) -> Vec<u8> {
    let last = parts.len() - 1;
    let opcode = |n| if n == 0 { opcode } else { 0 };
    let mut out = Vec::new();
    for (n, payload) in parts.iter().enumerate() {
        out.extend_from_slice(&frame(if n == last { 0x80 } else { 0 } | opcode(n), payload));
    }
    out
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    fin(CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// What a server answers that echoes every message.
fn answers(sent: &[u8], step: usize) -> String {
    let mut partial = Partial::default();
    let mut said = String::new();
    let note = |said: &mut String, what: &str, payload: &[u8]| {
        if payload.len() > 40 {
            write!(said, "{what}[{}] ", payload.len()).unwrap();
        } else {
            write!(said, "{what}{:?} ", payload.escape_ascii().to_string()).unwrap();
        }
    };
    for chop in sent.chunks(step) {
        partial.extend(chop);
        loop {
            match WebSocketEvent::next(None, &mut partial, LIMIT) {
                Ok(None) => break,
                Ok(Some(WebSocketEvent::Text(payload))) => {
                    assert!(std::str::from_utf8(&payload).is_ok());
                    note(&mut said, "text", &payload);
                }
                Ok(Some(WebSocketEvent::Binary(payload))) => note(&mut said, "binary", &payload),
                Ok(Some(WebSocketEvent::Ping(answer))) => {
                    assert_eq!((answer[0], answer[1] as usize), (0x80 | PONG, answer.len() - 2));
                    note(&mut said, "pong", &answer[2..]);
                }
                Ok(Some(WebSocketEvent::Close(answer))) => {
                    assert_eq!((answer[0], answer[1] as usize), (0x80 | CLOSE, answer.len() - 2));
                    let code = answer.get(2..4).map(|code| u16::from_be_bytes(code.try_into().unwrap()));
                    return said + &code.map_or("closed".to_owned(), |code| format!("closed {code}"));
                }
                Err(fault) => {
                    let code = CloseCode::of(ByeCode::BadFrame, Some(fault.fault())).get();
                    return said + &format!("failed {code}");
                }
            }
        }
    }
    said.trim_end().to_owned()
}

/// Runs the cases of a group: their numbers, what is sent, and what is answered.
fn run(cases: impl IntoIterator<Item = (impl AsRef<str>, Vec<u8>, impl AsRef<str>)>) {
    for (case, sent, expected) in cases {
        // Large ones whole: their octets are no different.
        let octets = (sent.len() < 100_000).then_some(1);
        for step in octets.into_iter().chain([sent.len()]) {
            assert_eq!(answers(&sent, step), expected.as_ref(), "case {} cut every {step}", case.as_ref());
        }
    }
}

#[test]
fn framing() {
    let sizes = [0, 125, 126, 127, 128, 65535, 65536, 65536];
    for (opcode, name, group, byte) in [(TEXT, "text", 1, b'*'), (BINARY, "binary", 2, 0xfe)] {
        run(sizes.iter().enumerate().map(|(n, &size)| {
            let expected = if size == 0 { format!("{name}\"\"") } else { format!("{name}[{size}]") };
            (format!("1.{group}.{}", n + 1), fin(opcode, &vec![byte; size]), expected)
        }));
    }
}

#[test]
fn pings_and_pongs() {
    let ten: Vec<u8> = (0..10).flat_map(|n| fin(PING, format!("payload-{n}").as_bytes())).collect();
    let pongs: Vec<_> = (0..10).map(|n| format!("pong\"payload-{n}\"")).collect();
    let pongs = pongs.join(" ");
    run([
        ("2.1", fin(PING, b""), "pong\"\""),
        ("2.2", fin(PING, b"Hello, world!"), "pong\"Hello, world!\""),
        ("2.3", fin(PING, &[0, 255, 254, 253]), "pong\"\\\\x00\\\\xff\\\\xfe\\\\xfd\""),
        ("2.4 and 2.6", fin(PING, &[0xfe; 125]), "pong[125]"),
        ("2.5", fin(PING, &[0xfe; 126]), "failed 1002"),
        ("2.7", fin(PONG, b""), ""),
        ("2.8", fin(PONG, b"unsolicited"), ""),
        ("2.9", [fin(PONG, b"unsolicited"), fin(PING, b"our ping")].concat(), "pong\"our ping\""),
        ("2.10 and 2.11", ten, &pongs),
    ]);
}

#[test]
fn reserved_bits_and_opcodes() {
    let after = |bad: Vec<u8>| [fin(TEXT, b"Hello"), bad, fin(PING, b"")].concat();
    let reserved = |rsv: u8, opcode: u8| frame(0x80 | rsv << 4 | opcode, b"Hello");
    run([
        ("3.1", reserved(1, TEXT), "failed 1002"),
        ("3.2", after(reserved(2, TEXT)), "text\"Hello\" failed 1002"),
        ("3.3", after(reserved(3, TEXT)), "text\"Hello\" failed 1002"),
        ("3.4", after(reserved(4, TEXT)), "text\"Hello\" failed 1002"),
        ("3.5", reserved(5, BINARY), "failed 1002"),
        ("3.6", reserved(6, PING), "failed 1002"),
        ("3.7", reserved(7, CLOSE), "failed 1002"),
        ("4.1.1", fin(3, b""), "failed 1002"),
        ("4.1.2", fin(4, b"reserved"), "failed 1002"),
        ("4.1.3", after(fin(5, b"")), "text\"Hello\" failed 1002"),
        ("4.1.4", after(fin(6, b"reserved")), "text\"Hello\" failed 1002"),
        ("4.1.5", after(fin(7, b"reserved")), "text\"Hello\" failed 1002"),
        ("4.2.1", fin(11, b""), "failed 1002"),
        ("4.2.2", fin(12, b"reserved"), "failed 1002"),
        ("4.2.3", after(fin(13, b"")), "text\"Hello\" failed 1002"),
        ("4.2.4", after(fin(14, b"reserved")), "text\"Hello\" failed 1002"),
        ("4.2.5", after(fin(15, b"reserved")), "text\"Hello\" failed 1002"),
    ]);
}

#[test]
fn fragmentation() {
    let two = || message(TEXT, &[b"frag1", b"frag2"]);
    let between = [part(TEXT, b"frag1"), fin(PING, b"ping"), fin(0, b"frag2")].concat();
    let nothing_to_continue = |last: bool| frame(if last { 0x80 } else { 0 }, b"lost");
    let many = [
        part(TEXT, b"1"),
        part(0, b"2"),
        fin(PING, b"a"),
        part(0, b"3"),
        part(0, b"4"),
        fin(PING, b"b"),
        fin(0, b"5"),
    ];
    run([
        ("5.1", [part(PING, b"frag1"), fin(0, b"frag2")].concat(), "failed 1002"),
        ("5.2", [part(PONG, b"frag1"), fin(0, b"frag2")].concat(), "failed 1002"),
        ("5.3 to 5.5", two(), "text\"frag1frag2\""),
        ("5.6 to 5.8", between, "pong\"ping\" text\"frag1frag2\""),
        ("5.9 to 5.11", [nothing_to_continue(true), fin(TEXT, b"Hello")].concat(), "failed 1002"),
        ("5.12 to 5.14", [nothing_to_continue(false), fin(TEXT, b"Hello")].concat(), "failed 1002"),
        ("5.15", [two(), nothing_to_continue(false)].concat(), "text\"frag1frag2\" failed 1002"),
        ("5.16", [nothing_to_continue(false), two()].concat(), "failed 1002"),
        ("5.17", [nothing_to_continue(true), two()].concat(), "failed 1002"),
        ("5.18", [part(TEXT, b"frag1"), fin(TEXT, b"frag2")].concat(), "failed 1002"),
        ("5.19 and 5.20", many.concat(), "pong\"a\" pong\"b\" text\"12345\""),
    ]);
}

/// "κόσμε", with which the suite begins its sequences.
const KOSME: &[u8] = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";

#[test]
fn utf8_in_fragments() {
    let beyond = [KOSME, b"\xf4\x90\x80\x80", b"edited"];
    let surrogate = [KOSME, b"\xed\xa0\x80", b"edited"].concat();
    let octets: Vec<&[u8]> = surrogate.chunks(1).collect();
    let cut_at_12 = [&beyond.concat()[..12], &beyond.concat()[12..13], &beyond.concat()[13..]];
    let long = "Hello-\u{b5}@\u{df}\u{f6}\u{e4}\u{fc}\u{e0}\u{e1}-UTF-8!!";
    let letters: Vec<&[u8]> = long.as_bytes().chunks(1).collect();
    let shown = format!("text{:?}", long.as_bytes().escape_ascii().to_string());
    let kosme: Vec<&[u8]> = KOSME.chunks(1).collect();
    let kosme_shown = format!("text{:?}", KOSME.escape_ascii().to_string());
    run([
        ("6.1.1", fin(TEXT, b""), "text\"\""),
        ("6.1.2", message(TEXT, &[b"", b"", b""]), "text\"\""),
        ("6.1.3", message(TEXT, &[b"", b"middle frame payload", b""]), "text\"middle frame payload\""),
        ("6.2.1", fin(TEXT, long.as_bytes()), &shown),
        ("6.2.2", message(TEXT, &[&long.as_bytes()[..10], &long.as_bytes()[10..]]), &shown),
        ("6.2.3", message(TEXT, &letters), &shown),
        ("6.2.4", message(TEXT, &kosme), &kosme_shown),
        ("6.3.1", fin(TEXT, &surrogate), "failed 1007"),
        ("6.3.2", message(TEXT, &octets), "failed 1007"),
        // At the second frame, without waiting for the third.
        ("6.4.1", [part(TEXT, beyond[0]), part(0, beyond[1])].concat(), "failed 1007"),
        ("6.4.2", [part(TEXT, cut_at_12[0]), part(0, cut_at_12[1])].concat(), "failed 1007"),
        // Within one frame at its end, which the suite calls non-strict.
        ("6.4.3", fin(TEXT, &beyond.concat()), "failed 1007"),
        ("6.4.4", fin(TEXT, &cut_at_12.concat()), "failed 1007"),
    ]);
}

#[test]
fn utf8_sequences() {
    // Groups 6.5 to 6.23: Markus Kuhn's stress test. What is right is echoed, what is not is 1007.
    let mut sequences: Vec<(&str, Vec<Vec<u8>>)> = vec![
        (
            "6.5",
            [
                &b"hello\x24world"[..],
                b"hello\xc2\xa2world",
                b"hello\xe2\x82\xacworld",
                b"hello\xf0\xa4\xad\xa2world",
            ]
            .map(Vec::from)
            .into(),
        ),
        ("6.6", (1..=KOSME.len()).map(|n| KOSME[..n].to_vec()).collect()),
        ("6.7", [&b"\x00"[..], b"\xc2\x80", b"\xe0\xa0\x80", b"\xf0\x90\x80\x80"].map(Vec::from).into()),
        ("6.8", [&b"\xf8\x88\x80\x80\x80"[..], b"\xfc\x84\x80\x80\x80\x80"].map(Vec::from).into()),
        ("6.9", [&b"\x7f"[..], b"\xdf\xbf", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf"].map(Vec::from).into()),
        (
            "6.10",
            [&b"\xf7\xbf\xbf\xbf"[..], b"\xfb\xbf\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf\xbf"]
                .map(Vec::from)
                .into(),
        ),
        (
            "6.11",
            [
                &b"\xed\x9f\xbf"[..],
                b"\xee\x80\x80",
                b"\xef\xbf\xbd",
                b"\xf4\x8f\xbf\xbf",
                b"\xf4\x90\x80\x80",
            ]
            .map(Vec::from)
            .into(),
        ),
        ("6.12", (1..=7).map(|n| [0x80, 0xbf].iter().copied().cycle().take(n).collect()).collect()),
        (
            "6.13",
            [0xc0u8..=0xdf, 0xe0..=0xef, 0xf0..=0xf7, 0xf8..=0xfb]
                .map(|starts| starts.flat_map(|start| [start, b' ']).collect())
                .into(),
        ),
        (
            "6.14",
            [
                &b"\xc0"[..],
                b"\xe0\x80",
                b"\xf0\x80\x80",
                b"\xf8\x80\x80\x80",
                b"\xdf",
                b"\xef\xbf",
                b"\xf7\xbf\xbf",
            ]
            .map(Vec::from)
            .into(),
        ),
        ("6.15", vec![b"\xc0\xe0\x80\xf0\x80\x80\xf8\x80\x80\x80\xfc\x80\x80\x80\x80\xdf\xef\xbf".to_vec()]),
        ("6.16", [&b"\xfe"[..], b"\xff", b"\xfe\xfe\xff\xff"].map(Vec::from).into()),
        ("6.17", [&b"\xc0\xaf"[..], b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf"].map(Vec::from).into()),
        ("6.18", [&b"\xc1\xbf"[..], b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf"].map(Vec::from).into()),
        ("6.19", [&b"\xc0\x80"[..], b"\xe0\x80\x80", b"\xf0\x80\x80\x80"].map(Vec::from).into()),
    ];
    // 6.20 and 6.21: surrogates, single and in pairs.
    let surrogates = [0xd800u32, 0xdb7f, 0xdb80, 0xdbff, 0xdc00, 0xdf80, 0xdfff];
    let three = |point: u32| {
        vec![0xe0 | (point >> 12) as u8, 0x80 | (point >> 6 & 0x3f) as u8, 0x80 | (point & 0x3f) as u8]
    };
    sequences.push(("6.20", surrogates.map(three).into()));
    let pairs = surrogates[..4].iter().flat_map(|&high| surrogates[4..].iter().map(move |&low| (high, low)));
    sequences.push(("6.21", pairs.map(|(high, low)| [three(high), three(low)].concat()).collect()));
    // 6.22 and 6.23: what is no character and allowed all the same, and private use.
    let odd = ["\u{fffe}", "\u{ffff}", "\u{1ffff}", "\u{10fffe}", "\u{fdd0}", "\u{e000}", "\u{10ffff}"];
    sequences.push(("6.22 and 6.23", odd.map(|text| text.as_bytes().to_vec()).into()));

    let (mut good, mut bad) = (0, 0);
    for (case, sequences) in sequences {
        for sequence in sequences {
            let expected = match std::str::from_utf8(&sequence) {
                Ok(_) => {
                    good += 1;
                    format!("text{:?}", sequence.escape_ascii().to_string())
                }
                Err(_) => {
                    bad += 1;
                    "failed 1007".to_owned()
                }
            };
            let expected = if sequence.len() > 40 { "failed 1007".to_owned() } else { expected };
            let octets: Vec<&[u8]> = sequence.chunks(1).collect();
            run([(case, fin(TEXT, &sequence), &expected), (case, message(TEXT, &octets), &expected)]);
        }
    }
    // Both kinds are there, and nothing was taken for the other.
    assert_eq!((good, bad), (28, 62));
}

#[test]
fn closing() {
    let long_reason = vec![b'*'; 123];
    run([
        ("7.1.1", [fin(TEXT, b"Hello"), close(1000, b"")].concat(), "text\"Hello\" closed 1000"),
        ("7.1.2", [close(1000, b""), close(1000, b"")].concat(), "closed 1000"),
        ("7.1.3", [close(1000, b""), fin(PING, b"")].concat(), "closed 1000"),
        ("7.1.4", [close(1000, b""), fin(TEXT, b"Hello")].concat(), "closed 1000"),
        ("7.1.5", [part(TEXT, b"frag1"), close(1000, b""), fin(0, b"frag2")].concat(), "closed 1000"),
        (
            "7.1.6",
            [fin(TEXT, &vec![b'*'; 256 * 1024]), close(1000, b""), fin(PING, b"")].concat(),
            "text[262144] closed 1000",
        ),
        ("7.3.1", fin(CLOSE, b""), "closed"),
        ("7.3.2", fin(CLOSE, b"a"), "failed 1002"),
        ("7.3.3", close(1000, b""), "closed 1000"),
        ("7.3.4", close(1000, b"Hello World!"), "closed 1000"),
        ("7.3.5", close(1000, &long_reason), "closed 1000"),
        ("7.3.6", close(1000, &[b'*'; 124]), "failed 1002"),
        ("7.5.1", close(1000, b"\xce\xba\xe1\xed\xa0\x80edited"), "failed 1007"),
    ]);
    let right = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
    run(right
        .iter()
        .enumerate()
        .map(|(n, &code)| (format!("7.7.{}", n + 1), close(code, b""), format!("closed {code}"))));
    let wrong = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999];
    run(wrong
        .iter()
        .enumerate()
        .map(|(n, &code)| (format!("7.9.{}", n + 1), close(code, b""), "failed 1002")));
    run([("7.13.1", close(5000, b""), "failed 1002"), ("7.13.2", close(65535, b""), "failed 1002")]);
}

#[test]
fn limits() {
    const KIB: usize = 1024;
    for (opcode, name, group) in [(TEXT, "text", 1), (BINARY, "binary", 2)] {
        let sizes = [64, 256, 1024, 4096, 8192, 16384].map(|size| size * KIB);
        run(sizes.iter().enumerate().map(|(n, &size)| {
            (format!("9.{group}.{}", n + 1), fin(opcode, &vec![b'*'; size]), format!("{name}[{size}]"))
        }));
        let fragments = [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, 1024 * KIB, 4096 * KIB];
        let whole = vec![b'*'; 4096 * KIB];
        run(fragments.iter().enumerate().map(|(n, &size)| {
            let parts: Vec<&[u8]> = whole.chunks(size).collect();
            (format!("9.{}.{}", group + 2, n + 1), message(opcode, &parts), format!("{name}[4194304]"))
        }));
    }
    for (opcode, name, group) in [(TEXT, "text", 5), (BINARY, "binary", 6)] {
        let sent = fin(opcode, &vec![b'*'; 1024 * KIB]);
        for (n, chop) in [64, 128, 256, 512, KIB, 2 * KIB].into_iter().enumerate() {
            assert_eq!(answers(&sent, chop), format!("{name}[1048576]"), "case 9.{group}.{}", n + 1);
        }
    }
    // The suite measures these; here they are only to be answered.
    for (opcode, name, group) in [(TEXT, "text", 7), (BINARY, "binary", 8)] {
        for (n, size) in [0, 16, 64, 256, KIB, 4 * KIB].into_iter().enumerate() {
            let sent = fin(opcode, &vec![b'*'; size]).repeat(1000);
            let echoed = answers(&sent, 64 * KIB);
            assert_eq!(echoed.split(' ').count(), 1000, "case 9.{group}.{}", n + 1);
            assert!(echoed.split(' ').all(|answer| answer.starts_with(name)));
        }
    }
    run([
        ("10.1.1", fin(TEXT, &[b'*'; 65536]), "text[65536]"),
        ("over the limit", fin(TEXT, &vec![b'*'; LIMIT + 1]), "failed 1009"),
        ("over the limit in parts", message(BINARY, &[&vec![0; LIMIT], &[0]]), "failed 1009"),
        ("not masked", vec![0x81, 1, b'a'], "failed 1002"),
        ("a length with its highest bit", [&[0x82, 0xff, 0xff][..], &[0; 11]].concat(), "failed 1002"),
    ]);
}
