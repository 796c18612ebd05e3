//! The authentication text: however its bytes are cut, it is the same text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use msgserver_protocol::FirstText;

fn read<'a>(
    mut first: FirstText,
    parts: impl Iterator<Item = &'a [u8]>,
) -> Result<(bool, Option<Vec<u8>>), ()> {
    for part in parts {
        if let Some(text) = first.feed(part).map_err(|_| ())? {
            return Ok((true, Some(text)));
        }
    }
    Ok((false, first.paused()))
}

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (sealed, step, bytes) = input;
    let fresh = || if sealed { FirstText::sealed(100) } else { FirstText::new(100) };
    let whole = read(fresh(), std::iter::once(bytes));
    assert_eq!(whole, read(fresh(), bytes.chunks(usize::from(step).max(1))));
    if let Ok((_, Some(text))) = whole {
        assert!(!text.contains(&b'|') && text.len() <= 200);
    }
});
