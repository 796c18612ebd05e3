//! Requests and answers of the HTTP API, written out: a client library would cost more than what is measured.

use std::io::{self, Read, Write};

use memchr::memmem;

use super::plan::Message;
use super::way::Answers;
use crate::cli::bench::place::Place;

fn head(method: &str, path: &str, host: &str, key: Option<&str>, length: usize) -> String {
    let authorization = key.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{authorization}Content-Length: {length}\r\n\r\n")
}

/// A message as `POST /v1/messages` takes it.
pub(super) fn write_message(message: &Message<'_>, out: &mut Vec<u8>) {
    match message.to {
        // The prefix of a user is letters, digits and dashes.
        Some((prefix, number)) => {
            out.extend_from_slice(b"{\"to\":{\"user\":\"");
            out.extend_from_slice(prefix.as_bytes());
            out.extend_from_slice(number.to_string().as_bytes());
            out.extend_from_slice(b"\"},\"content\":");
        }
        None => out.extend_from_slice(b"{\"to\":{\"all\":true},\"content\":"),
    }
    message.stamp.write(message.size, out);
    out.extend_from_slice(if message.unkept { b",\"store\":false}" } else { b"}" });
}

/// A request a message.
pub(super) fn write<'a>(
    messages: impl Iterator<Item = Message<'a>>,
    host: &str,
    key: Option<&str>,
    out: &mut Vec<u8>,
) {
    let mut body = Vec::new();
    for message in messages {
        body.clear();
        write_message(&message, &mut body);
        out.extend_from_slice(head("POST", "/v1/messages", host, key, body.len()).as_bytes());
        out.extend_from_slice(&body);
    }
}

/// One request for all messages, a line each.
pub(super) fn write_batch<'a>(
    messages: impl Iterator<Item = Message<'a>>,
    host: &str,
    key: Option<&str>,
    out: &mut Vec<u8>,
) {
    let mut body = Vec::new();
    for message in messages {
        write_message(&message, &mut body);
        body.push(b'\n');
    }
    out.extend_from_slice(head("POST", "/v1/messages/batch", host, key, body.len()).as_bytes());
    out.extend_from_slice(&body);
}

/// Takes the answers that are whole; gives how many bytes those are.
pub(in crate::cli::bench) fn read(bytes: &[u8], mut each: impl FnMut(u16, &[u8])) -> Result<usize, String> {
    let mut rest = bytes;
    while let Some(end) = memmem::find(rest, b"\r\n\r\n") {
        let not_http = || format!("no answer in HTTP: {:?}", String::from_utf8_lossy(&rest[..end]));
        let head = std::str::from_utf8(&rest[..end]).map_err(|_| not_http())?;
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|line| line.get(..3)?.parse().ok());
        let status = status.ok_or_else(not_http)?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let length: usize = length.ok_or_else(|| format!("an answer without its length: {head:?}"))?;
        let Some(body) = rest.get(end + 4..end + 4 + length) else { break };
        each(status, body);
        rest = &rest[end + 4 + length..];
    }
    Ok(bytes.len() - rest.len())
}

/// What a GET over a connection of its own is answered with 200.
///
/// # Errors
/// What the system says, or the server.
pub(in crate::cli::bench) fn get(
    place: &Place,
    host: &str,
    path: &str,
    key: Option<&str>,
) -> io::Result<String> {
    let mut stream = place.connect()?;
    stream.write_all(head("GET", path, host, key, 0).as_bytes())?;
    let (mut came, mut buffer, mut answer) = (Vec::new(), [0; 16 * 1024], None);
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        came.extend_from_slice(&buffer[..count]);
        let note = |status, body: &[u8]| answer = Some((status, String::from_utf8_lossy(body).into_owned()));
        read(&came, note).map_err(io::Error::other)?;
        match answer {
            Some((200, body)) => return Ok(body),
            Some((status, body)) => return Err(io::Error::other(format!("{status}: {body}"))),
            None => {}
        }
    }
}

/// The results of a batch, a line each.
pub(super) fn read_results(body: &[u8], answers: &mut Answers) {
    for line in body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        // A problem has a status, what was accepted an id and a state.
        if memmem::find(line, b"\"status\":").is_some() {
            answers.refuse(1, line);
        } else {
            answers.accepted += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_however_they_are_cut() {
        let bytes = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 503 No\r\ncontent-length: 3\r\n\r\nnow";
        for piece in 1..bytes.len() {
            let (mut tail, mut came) = (Vec::new(), Vec::new());
            for piece in bytes.chunks(piece) {
                tail.extend_from_slice(piece);
                let taken = read(&tail, |status, body| came.push((status, body.to_vec()))).unwrap();
                tail.drain(..taken);
            }
            assert_eq!(came, [(202, b"{}".to_vec()), (503, b"now".to_vec())]);
        }
        assert!(read(b"SSH-2.0\r\n\r\n", |_, _| {}).is_err());
        assert!(read(b"HTTP/1.1 200 OK\r\n\r\n", |_, _| {}).is_err());
    }

    #[test]
    fn each_line_of_a_batch_is_an_answer() {
        let mut answers = Answers::default();
        read_results(
            b"{\"id\":\"1\",\"state\":\"queued\"}\n{\"status\":429}\n{\"id\":\"2\"}\n",
            &mut answers,
        );
        let refusal = Some("{\"status\":429}".to_owned());
        assert_eq!(answers, Answers { accepted: 2, refused: 1, refusal });
    }
}
