//! The OpenAPI document against a server that answers.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use msgserver_http_api::HttpApi;
use serde_json::{Value, json};
use support::scheduler;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A server's answer: its status, its kind and its body.
struct Answer {
    status: String,
    kind: String,
    body: String,
}

async fn ask(address: std::net::SocketAddr, method: &str, path: &str, body: &Value) -> Answer {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let body = body.to_string();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut said = String::new();
    socket.read_to_string(&mut said).await.unwrap();
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
    Answer {
        status: head[9..12].to_owned(),
        kind: kind.split(';').next().unwrap().to_owned(),
        body: body.to_owned(),
    }
}

/// What a `$ref` stands for, if it is one.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(place) => resolved(document, document.pointer(place.trim_start_matches('#')).expect(place)),
        None => value,
    }
}

/// As much of JSON Schema as the document needs; says where a value is not what it is said to be.
fn check(document: &Value, schema: &Value, value: &Value, at: &str) {
    let schema = resolved(document, schema);
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    match &schema["type"] {
        Value::String(said) => assert_eq!(said, kind, "{at}: {value}"),
        Value::Array(said) => assert!(said.contains(&json!(kind)), "{at}: {value}"),
        _ => {}
    }
    if let Some(allowed) = schema["enum"].as_array() {
        assert!(allowed.contains(value), "{at}: {value}");
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(value.get(name.as_str().unwrap()).is_some(), "{at}: {name} is missing in {value}");
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        match (&schema["properties"][name], &schema["additionalProperties"]) {
            (Value::Null, Value::Null) => {
                assert!(!schema["properties"].is_object(), "{at}: {name} is not named")
            }
            (Value::Null, more) => check(document, more, field, &format!("{at}.{name}")),
            (named, _) => check(document, named, field, &format!("{at}.{name}")),
        }
    }
    for item in value.as_array().into_iter().flatten() {
        check(document, &schema["items"], item, &format!("{at}[]"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_that_the_document_names_is_answered_as_it_says() {
    let scheduler = scheduler();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(HttpApi::new(scheduler).serve(listener, std::future::pending()));
    let document: Value =
        serde_json::from_str(&ask(address, "GET", "/openapi.json", &Value::Null).await.body).unwrap();
    assert_eq!(document["openapi"], "3.1.0");

    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let message = json!({"to": {"user": "ada"}, "content": {"n": 1}, "id": id, "priority": "high", "collapse_key": "k"});
    assert_eq!(ask(address, "POST", "/v1/messages", &message).await.status, "202");
    let news = json!({"to": {"topic": "news"}, "content": 1});
    assert_eq!(ask(address, "POST", "/v1/messages", &news).await.status, "202");
    let mut calls: Vec<_> = document["paths"].as_object().unwrap().iter().collect();
    // What takes back comes last.
    calls.sort_by_key(|(_, methods)| methods.get("delete").is_some());
    for (path, methods) in calls {
        for method in ["get", "post", "delete"] {
            let Some(call) = methods.get(method) else { continue };
            let body = match path.as_str() {
                "/v1/messages" => message.clone(),
                "/v1/messages/batch" => json!([message, {"to": {"user": "ada"}}]),
                "/v1/ack" => json!({"user": "bob", "device": "tab", "seq": 0}),
                "/v1/revocations" => json!({"user": "ada"}),
                _ => json!({"To": "ada", "Content": "hello"}),
            };
            let query = match path.as_str() {
                "/v1/poll" => "?user=bob&device=tab&wait=1",
                // One that is opened does not end before the server does.
                "/v1/sse" => "?after=x",
                _ => "",
            };
            let place = path.replace("{id}", id).replace("{user}", "ada").replace("{topic}", "news") + query;
            let answer = ask(address, &method.to_uppercase(), &place, &body).await;
            let at = format!("{method} {path}");
            let expected = match path.as_str() {
                "/v1/ws" => "426",
                "/v1/sse" => "400",
                _ => "2",
            };
            assert!(answer.status.starts_with(expected), "{at}: {} {}", answer.status, answer.body);
            let said = resolved(&document, &call["responses"][&answer.status]);
            let schema = &said["content"][&answer.kind]["schema"];
            assert!(schema.is_object(), "{at}: {} {} is not named", answer.status, answer.kind);
            if matches!(answer.kind.as_str(), "application/json" | "application/problem+json") {
                check(&document, schema, &serde_json::from_str(&answer.body).unwrap(), &at);
            }
            // Errors as well are where the document says.
            for (status, response) in call["responses"].as_object().unwrap() {
                assert!(resolved(&document, response)["description"].is_string(), "{at}: {status}");
            }
        }
    }
    let gone = ask(address, "DELETE", &format!("/v1/messages/{id}"), &Value::Null).await;
    let said = &document["paths"]["/v1/messages/{id}"]["delete"]["responses"][&gone.status];
    let schema = &resolved(&document, said)["content"]["application/problem+json"]["schema"];
    assert!(schema.is_object(), "{} is not named", gone.status);
    check(&document, schema, &serde_json::from_str(&gone.body).unwrap(), "taking back twice");
}
