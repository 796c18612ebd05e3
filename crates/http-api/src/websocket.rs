//! From a request to a WebSocket session.

use headers::{Connection, HeaderMapExt, SecWebsocketAccept, SecWebsocketKey, SecWebsocketVersion, Upgrade};
use hyper_util::rt::TokioIo;
use msgserver_listener::Peer;
use msgserver_scheduler::Scheduler;
use warp::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use warp::hyper::upgrade::OnUpgrade;

use crate::answer::Answer;
use crate::lingering::Lingering;
use crate::problem::Problem;
use crate::said::Said;

/// The subprotocols, and the serializer that each stands for.
const SUBPROTOCOLS: [(&str, &str); 2] = [("msgserver.v1.json", "json"), ("msgserver.v1.msgpack", "msgpack")];

/// Agrees to speak WebSocket, and has the connection become a session when HTTP has said so.
pub(crate) fn upgrade(
    scheduler: &Scheduler,
    headers: &HeaderMap,
    said: Said,
    peer: Peer,
    upgrade: Option<OnUpgrade>,
) -> Answer {
    let key = key(headers)?;
    let upgrade = upgrade.ok_or_else(|| expected("HTTP/1.1"))?;
    let (subprotocol, serializer) = agreed(headers)?;
    let door = scheduler.door("websocket", serializer);
    let door = door.ok_or_else(|| Problem::new(StatusCode::NOT_IMPLEMENTED, "there is no WebSocket door"))?;
    let visitor = scheduler.visit(peer, door)?;
    tokio::spawn(async move {
        // A client that goes away now gives its place back.
        let Ok(upgraded) = upgrade.await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<Lingering>>() else { return };
        let Some(socket) = parts.io.into_inner().into_socket() else { return };
        visitor.greet(socket, said.hello, parts.read_buf.into()).await;
    });
    let mut response = Response::new(Vec::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.typed_insert(Connection::upgrade());
    answer.typed_insert(Upgrade::websocket());
    answer.typed_insert(SecWebsocketAccept::from(key));
    if let Some(name) = subprotocol {
        answer.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
    }
    Ok(response)
}

fn expected(what: &str) -> Problem {
    let detail = format!("this is a WebSocket: {what} is missing (RFC 6455, section 4.1)");
    Problem::new(StatusCode::UPGRADE_REQUIRED, detail)
}

/// The key of a client that asks as RFC 6455 says.
fn key(headers: &HeaderMap) -> Result<SecWebsocketKey, Problem> {
    let connection = headers.typed_get::<Connection>();
    if !connection.is_some_and(|connection| connection.contains("upgrade")) {
        return Err(expected("Connection: Upgrade"));
    }
    let wanted = headers.get(header::UPGRADE).and_then(|wanted| wanted.to_str().ok()).unwrap_or_default();
    if !wanted.split(',').any(|wanted| wanted.trim().eq_ignore_ascii_case("websocket")) {
        return Err(expected("Upgrade: websocket"));
    }
    if headers.typed_get::<SecWebsocketVersion>() != Some(SecWebsocketVersion::V13) {
        return Err(expected("Sec-WebSocket-Version: 13"));
    }
    // 16 bytes in base64.
    let is_key = |key: &HeaderValue| key.len() == 24 && key.as_bytes().ends_with(b"==");
    if !headers.get(header::SEC_WEBSOCKET_KEY).is_some_and(is_key) {
        return Err(Problem::bad("Sec-WebSocket-Key has to be 16 bytes in base64"));
    }
    headers.typed_get().ok_or_else(|| Problem::bad("Sec-WebSocket-Key comes once"))
}

/// The client's first subprotocol that is spoken here, and its serializer. A client that names none gets JSON.
fn agreed(headers: &HeaderMap) -> Result<(Option<&'static str>, &'static str), Problem> {
    let lines = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offered = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).peekable();
    if offered.peek().is_none() {
        return Ok((None, "json"));
    }
    let known = |name: &str| SUBPROTOCOLS.into_iter().find(|(known, _)| *known == name.trim());
    let (name, serializer) = offered
        .find_map(known)
        .ok_or_else(|| Problem::bad("the subprotocols are msgserver.v1.json and msgserver.v1.msgpack"))?;
    Ok((Some(name), serializer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offers(lines: &[&'static str]) -> Option<(Option<&'static str>, &'static str)> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(line));
        }
        agreed(&headers).ok()
    }

    #[test]
    fn the_first_subprotocol_that_is_known_is_spoken() {
        let json = (Some("msgserver.v1.json"), "json");
        let msgpack = (Some("msgserver.v1.msgpack"), "msgpack");
        assert_eq!(offers(&[]), Some((None, "json")));
        assert_eq!(offers(&["mqtt, msgserver.v1.msgpack ,msgserver.v1.json"]), Some(msgpack));
        assert_eq!(offers(&["mqtt", "msgserver.v1.json"]), Some(json));
        assert_eq!(offers(&["mqtt"]), None);
    }
}
