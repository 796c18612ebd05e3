//! Nchan, a module of nginx: its clients come by WebSocket, and it is published over HTTP.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use super::super::line::{Frames, Heard, Line};
use super::super::publisher::{Answers, read_http};
use super::super::stamp::Stamp;
use super::Dialect;
use crate::cli::descriptors;

/// Where Debian and others have the module, if nginx is not built with it.
const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/// The most connections that it is prepared for.
const MOST: u64 = 100_000;

pub(super) struct Nchan;

impl Dialect for Nchan {
    fn program(&self) -> &'static str {
        "nginx"
    }

    fn arguments(&self, address: SocketAddr, directory: &Path) -> io::Result<Vec<String>> {
        let at = directory.display();
        let module =
            if Path::new(MODULE).is_file() { format!("load_module {MODULE};\n") } else { String::new() };
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = temporary.map(|name| format!("  {name}_temp_path {at}/{name};\n")).concat();
        // It makes room for each of them at the start.
        let connections = descriptors::raise().unwrap_or(MOST).min(MOST);
        // One process: what it uses is then all that Nchan uses.
        let configuration = format!(
            "{module}master_process off;\ndaemon off;\npid {at}/pid;\nerror_log {at}/log;\n\
             events {{ worker_connections {connections}; }}\n\
             http {{\n{temporary}  access_log off;\n  nchan_max_reserved_memory 512M;\n\
             \x20 server {{\n    listen {address};\n    keepalive_requests 1000000000;\n\
             \x20   location ~ ^/pub/(.+)$ {{ nchan_publisher; nchan_channel_id $1; nchan_message_buffer_length 100; }}\n\
             \x20   location ~ ^/sub/(.+)$ {{ nchan_subscriber; nchan_channel_id $1; }}\n  }}\n}}\n"
        );
        let file = directory.join("nginx.conf");
        std::fs::write(&file, configuration)?;
        Ok(vec!["-c".to_owned(), file.display().to_string()])
    }

    fn line(&self, _: &str, channel: &str) -> Box<dyn Line> {
        Box::new(Subscriber { channel: channel.to_owned(), frames: Frames::default() })
    }

    fn greeting(&self) -> Vec<u8> {
        Vec::new()
    }

    fn write(&self, channel: &str, content: &[u8], out: &mut Vec<u8>) {
        let length = content.len();
        let head = format!("POST /pub/{channel} HTTP/1.1\r\nHost: bench\r\nContent-Length: {length}\r\n\r\n");
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(content);
    }

    fn answers(&self) -> bool {
        true
    }

    fn read(&self, bytes: &[u8], answers: &mut Answers) -> Result<usize, String> {
        read_http(bytes, |status, body| match status {
            201 | 202 => answers.accept(1),
            _ => answers.refuse(1, body),
        })
    }
}

struct Subscriber {
    channel: String,
    frames: Frames,
}

impl Line for Subscriber {
    fn greet(&mut self) -> Vec<u8> {
        let channel = std::mem::take(&mut self.channel);
        Frames::request(&format!("/sub/{channel}"), None).into_bytes()
    }

    fn take(&mut self, bytes: &[u8], heard: &mut Heard) -> Result<usize, String> {
        let taken = self.frames.take(bytes, heard, |payload, heard| {
            heard.stamps.extend(Stamp::find(payload).map(|(stamp, _)| (stamp, false)));
            Ok(())
        });
        heard.online = self.frames.is_open();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{content, heard, written};
    use super::*;

    #[test]
    fn messages_are_heard_and_publications_counted() {
        let mut bytes = b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec();
        for number in 0..2 {
            bytes.extend_from_slice(b"\x81\x28");
            bytes.extend_from_slice(&content(number, 40));
        }
        let (numbers, said) = heard(&Nchan, &bytes);
        assert_eq!(numbers, [0, 1]);
        assert!(said.starts_with(b"GET /sub/all HTTP/1.1\r\n"));
        assert!(written(&Nchan, b"hello").ends_with(b"Content-Length: 5\r\n\r\nhello"));
        let mut answers = Answers::default();
        let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(Nchan.read(answer, &mut answers), Ok(answer.len()));
        assert_eq!(answers.counts(), (1, 0));
    }
}
