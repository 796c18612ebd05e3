//! HTTP written out by hand: what a client library would not send, and many requests on one connection.

use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};

use super::{Stream, Way};

/// One connection.
pub struct Http {
    socket: BufReader<Stream>,
    authorization: String,
}

/// An answer to a request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (header, value) = line.split_once(':')?;
            header.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// Whether it is a problem as RFC 9457 has them, with everything that the contract asks for.
    pub fn assert_problem(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["status"], status);
        for field in ["type", "title", "detail"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {problem}");
        }
        assert_eq!(self.header("retry-after").is_some(), matches!(status, 429 | 503), "{self:?}");
    }
}

impl Http {
    /// To an address where there is no TLS.
    pub fn connect(address: impl ToString) -> io::Result<Self> {
        Self::by(&Way { address: address.to_string(), tls: None })
    }

    pub fn by(way: &Way) -> io::Result<Self> {
        Ok(Self { socket: BufReader::new(way.connect()?), authorization: String::new() })
    }

    /// Sends an API key with each request, if there is one.
    #[must_use]
    pub fn with_key(mut self, key: Option<&str>) -> Self {
        self.authorization = key.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
        self
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.socket.get_mut().write_all(bytes.as_ref())
    }

    /// From now on a write that the server does not take fails.
    pub fn stop_waiting(&mut self) {
        self.socket.get_ref().socket().set_nonblocking(true).unwrap();
    }

    /// Sends a request with a body of known length.
    pub fn request(&mut self, method: &str, path: &str, body: &str) -> io::Result<Answer> {
        let (length, authorization) = (body.len(), &self.authorization);
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{authorization}Content-Length: {length}\r\n\r\n");
        self.send(head + body)?;
        self.answer(method)
    }

    pub fn post(&mut self, path: &str, body: &Value) -> io::Result<Answer> {
        self.request("POST", path, &body.to_string())
    }

    /// What a call gives that is to succeed.
    pub fn call(&mut self, method: &str, path: &str, body: &str) -> Value {
        let answer = self.request(method, path, body).unwrap();
        assert!(matches!(answer.status, 200 | 202), "{method} {path} {body}: {answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    pub fn get(&mut self, path: &str) -> Value {
        self.call("GET", path, "")
    }

    /// Publishes a message that is to be taken; gives its id and its state.
    pub fn publish(&mut self, message: &Value) -> (String, String) {
        let answer = self.call("POST", "/v1/messages", &message.to_string());
        let field = |name: &str| answer[name].as_str().unwrap().to_owned();
        (field("id"), field("state"))
    }

    /// Publishes many messages that are to be taken; gives their ids.
    pub fn publish_all(&mut self, messages: impl IntoIterator<Item = Value>) -> Vec<String> {
        let messages: Value = messages.into_iter().collect();
        let results = self.call("POST", "/v1/messages/batch", &messages.to_string());
        let id = |result: &Value| result["id"].as_str().unwrap_or_else(|| panic!("{result}")).to_owned();
        results.as_array().unwrap().iter().map(id).collect()
    }

    /// The status line and headers of the next answer, which may be an interim one.
    pub fn head(&mut self) -> io::Result<(u16, String)> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if self.socket.read_until(b'\n', &mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok((status.ok_or_else(|| io::Error::other(head.clone()))?, head))
    }

    /// The next answer, to a request of this method.
    pub fn answer(&mut self, method: &str) -> io::Result<Answer> {
        let (status, head) = self.head()?;
        let mut answer = Answer { status, head, body: String::new() };
        if method != "HEAD" {
            let length = answer.header("content-length").expect("every answer says how long it is");
            let mut body = vec![0; length.parse().unwrap()];
            self.socket.read_exact(&mut body)?;
            answer.body = String::from_utf8(body).unwrap();
        }
        Ok(answer)
    }

    /// Whether the server has closed the connection, having sent nothing more.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.socket.fill_buf(), Ok([])) || self.socket.fill_buf().is_err()
    }
}
