//! Access tokens at the doors of the real binary: made by a library of somebody else's, checked, rotated, ended, taken
//! back.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::authority::Authority;
use support::tokens::{KeyPair, api_key, claims, confused, opened, seconds_from_now, sign_hs256, unsigned};
use support::*;

const SECRET: &str = "a secret of thirty-two bytes or more";

/// A server that takes tokens of [`SECRET`], and further flags.
fn start(directory: &Path, flags: &[&str]) -> Server {
    Server::start(directory, &[&["--tokens-secret", SECRET], flags].concat())
}

/// A token of [`SECRET`].
fn token(directory: &Path, claims: &Value) -> String {
    let path = directory.join("secret");
    std::fs::write(&path, SECRET).unwrap();
    sign_hs256(&path, claims)
}

/// Says hello; gives the connection and the first frame that is answered.
fn greet(server: &Server, hello: &Value) -> (TcpStream, Value) {
    let mut socket = server.connect("frame");
    let mut frame = json!({"type": "hello"});
    frame.as_object_mut().unwrap().extend(hello.as_object().unwrap().clone());
    write_frame(&mut socket, &frame);
    let answer = read_frame(&mut socket);
    (socket, answer)
}

/// What the answer to a token is: the user, or the code of `bye`.
fn answer(server: &Server, token: &str) -> String {
    let (_, frame) = greet(server, &json!({"token": token}));
    let field = if frame["type"] == "welcome" { "user" } else { "code" };
    frame[field].as_str().unwrap().to_owned()
}

fn publish(socket: &mut TcpStream, to: &Value) -> Value {
    let message = json!({"to": to, "content": "hello"});
    write_frame(socket, &json!({"type": "publish", "ref": 1, "message": message}));
    read_frame(socket)
}

/// Posts with a token or a key; gives the status and the body.
fn post(server: &Server, bearer: &str, path: &str, body: &Value) -> (u16, Value) {
    let (status, body) = server.request("POST", path, Some(bearer), Some(body.to_string()));
    (status, serde_json::from_str(&body).unwrap_or_default())
}

#[test]
fn tokens_of_each_algorithm_open_every_door_and_forged_ones_none() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let pairs = ["RS256", "ES256", "EdDSA"].map(|algorithm| KeyPair::make(at, algorithm, algorithm));
    let keys = pairs.each_ref().map(|pair| std::fs::read_to_string(&pair.public).unwrap()).concat();
    std::fs::write(at.join("keys"), keys).unwrap();
    let server = start(at, &["--tokens-key-file", at.join("keys").to_str().unwrap()]);
    let ada = claims("ada");
    let mut tokens: Vec<String> = pairs.iter().map(|pair| pair.sign(&ada)).collect();
    tokens.push(token(at, &ada));
    for token in &tokens {
        let (_, welcome) = greet(&server, &json!({"token": token}));
        assert_eq!((&welcome["user"], &welcome["device"]), (&json!("ada"), &json!("default")), "{token}");
        let (_, welcome) = greet(&server, &json!({"user": "ada", "device": "phone", "token": token}));
        assert_eq!(welcome["device"], "phone");
        let (_, bye) = greet(&server, &json!({"user": "bob", "token": token}));
        assert_eq!((&bye["type"], &bye["code"]), (&json!("bye"), &json!("unauthorized")));
        // The old protocol, with the user before the token and without.
        for text in [format!("ada;{token}|"), format!("{token}|")] {
            let mut old = server.connect("listen");
            old.write_all(text.as_bytes()).unwrap();
            let publisher = crate::token(at, &json!({"publish": ["to/+"], "exp": seconds_from_now(60)}));
            let (status, _) = post(
                &server,
                &publisher,
                "/v1/messages",
                &json!({"to": {"user": "ada"}, "content": "hello"}),
            );
            assert_eq!(status, 202);
            assert_eq!(bar(&mut BufReader::new(&old)), r#""hello""#);
        }
    }
    let mut old = server.connect("listen");
    old.write_all(format!("bob;{}|", tokens[0]).as_bytes()).unwrap();
    let mut said = String::new();
    old.read_to_string(&mut said).unwrap();
    assert!(said.contains("for the user \"ada\""), "{said}");

    let expired = json!({"sub": "ada", "exp": seconds_from_now(-3600)});
    let unborn = json!({"sub": "ada", "nbf": seconds_from_now(3000), "exp": seconds_from_now(3600)});
    let forged = [
        String::new(),
        "nonsense".to_owned(),
        unsigned(&ada),
        // The public key as if it were a secret.
        confused(&pairs[0].public, &ada),
        KeyPair::make(at, "other", "RS256").sign(&ada),
        pairs[1].sign(&expired),
        pairs[2].sign(&unborn),
        token(at, &json!({"sub": "ada"})),
        token(at, &json!({"sub": "", "exp": seconds_from_now(60)})),
        token(at, &json!({"sub": "ada", "aud": "another", "exp": seconds_from_now(60)})),
        format!("{}x", tokens[3]),
    ];
    for forged in &forged {
        assert_eq!(answer(&server, forged), "unauthorized", "{forged}");
        assert_eq!(post(&server, forged, "/v1/messages", &json!({})).0, 401, "{forged}");
    }
    let (_, bye) = greet(&server, &json!({"user": "ada"}));
    assert_eq!(bye["code"], "unauthorized");
}

#[test]
fn what_the_program_s_own_token_command_makes_is_taken_and_its_claims_hold() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let pair = KeyPair::make(at, "server", "EdDSA");
    let file = at.join("msgserver.toml");
    let text = format!(
        "[tokens]\nkey_file = {:?}\nissuer = \"me\"\naudience = [\"push\"]\n",
        pair.private.to_str().unwrap()
    );
    std::fs::write(&file, text).unwrap();
    let mint = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_msgserver"));
        let output = command.arg("token").args(arguments).arg("--config").arg(&file).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let good = |arguments: &[&str]| {
        let (code, token, fault) = mint(arguments);
        assert_eq!((code, token.lines().count()), (Some(0), 1), "{fault}");
        token.trim_end().to_owned()
    };
    let server = Server::start(at, &["--config", file.to_str().unwrap()]);
    assert_eq!(answer(&server, &good(&["--user", "ada"])), "ada");
    let phone = good(&["--user", "ada", "--device", "phone", "--publish", "to/bob", "--publish", "all"]);
    let (mut socket, welcome) = greet(&server, &json!({"token": phone}));
    assert_eq!(welcome["device"], "phone");
    assert_eq!(publish(&mut socket, &json!({"user": "bob"}))["type"], "published");
    for to in [json!({"user": "eve"}), json!({"users": ["bob", "eve"]}), json!({"topic": "t"})] {
        let refused = publish(&mut socket, &to);
        assert_eq!((&refused["code"], &refused["ref"]), (&json!("forbidden"), &json!(1)), "{refused}");
    }
    write_frame(
        &mut socket,
        &json!({"type": "publish", "ref": 2, "message": {"to": {"all": true}, "content": 1}}),
    );
    let frames = [read_frame(&mut socket), read_frame(&mut socket)];
    assert!(frames.iter().any(|frame| frame["type"] == "published"), "{frames:?}");
    let (_, bye) = greet(&server, &json!({"token": phone, "device": "laptop"}));
    assert!(bye["detail"].as_str().unwrap().contains("phone"), "{bye}");

    // A publisher's token is nobody's.
    let publisher = good(&["--publish", "to/+"]);
    assert!(answer(&server, &publisher).starts_with("conn"));
    let (_, bye) = greet(&server, &json!({"user": "ada", "token": publisher}));
    assert_eq!(bye["code"], "unauthorized");
    let batch = json!([{"to": {"user": "ada"}, "content": 1}, {"to": {"all": true}, "content": 2}]);
    let (status, results) = post(&server, &publisher, "/v1/messages/batch", &batch);
    assert_eq!((status, &results[0]["state"], &results[1]["status"]), (202, &json!("accepted"), &json!(403)));
    assert_eq!(post(&server, &publisher, "/msg/sender", &json!({"Content": "to all"})).0, 403);
    assert_eq!(
        post(&server, &publisher, "/msg/sender", &json!({"To": "ada", "Content": "x"})),
        (200, json!(1))
    );
    assert_eq!(post(&server, &phone, "/v1/revocations", &json!({"user": "bob"})).0, 403);
    assert_eq!(server.request("GET", "/v1/users/ada", Some(&phone), None).0, 403);
    let receipt = "/v1/messages/01ARZ3NDEKTSV4RRFFQ69G5FAV";
    assert_eq!(server.request("GET", receipt, Some(&publisher), None).0, 403);
    assert_eq!(server.request("GET", receipt, Some(&good(&["--publish", "everything"])), None).0, 404);

    assert_eq!(answer(&server, &good(&["--user", "ada", "--audience", "another"])), "unauthorized");
    assert_eq!(answer(&server, &good(&["--user", "ada", "--issuer", "another"])), "unauthorized");
    let path = pair.public.to_str().unwrap();
    for (arguments, word) in [
        (&["--user", "ada", "--key", path][..], "public"),
        (&["--user", "ada", "--secret", "short"], "32"),
        (&["--user", "ada", "--alg", "rs256"], "EdDSA"),
        (&["--user", "ada", "--alg", "none"], "EdDSA"),
        (&["--user", "ada", "--publish", "whatever"], "to/USER"),
        (&["--ttl", "1h"], "--user"),
        (&["--api-key", "a b"], "letters"),
    ] {
        let (code, _, fault) = mint(arguments);
        assert!(code == Some(2) && fault.contains(word), "{arguments:?}: {fault}");
    }
}

#[test]
fn a_private_jwk_signs_as_a_key_in_pem_does_and_what_is_damaged_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let file = at.join("key.json");
    let write = |json: &Value| std::fs::write(&file, json.to_string()).unwrap();
    let mint = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_msgserver"));
        command.args(["token", "--user", "ada", "--jti", "17", "--key"]).arg(&file);
        let output = command.output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), said.trim_end().to_owned())
    };
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let pair = KeyPair::make(at, algorithm, algorithm);
        let jwk = pair.private_jwk("the-key");
        // A set has other keys as well: the first that can sign does.
        let public = KeyPair::make(at, "public", "RS256").jwk("public");
        for json in [jwk.clone(), json!({"keys": [{"kty": "new"}, public, jwk]})] {
            write(&json);
            let (code, token) = mint();
            assert_eq!(code, Some(0), "{algorithm}: {token}");
            write(&jwk);
            let (header, claims) = opened(algorithm, &file, &token);
            assert_eq!((&header["alg"], &header["kid"]), (&json!(algorithm), &json!("the-key")));
            assert_eq!((&claims["sub"], &claims["jti"]), (&json!("ada"), &json!("17")));
        }
        // And a server that has the public half takes it.
        let (_, token) = mint();
        let key = pair.public.to_str().unwrap();
        let server = Server::start(at, &["--store", "memory", "--tokens-key-file", key]);
        assert_eq!(answer(&server, &token), "ada");

        let other = KeyPair::make(at, "other", algorithm).private_jwk("other");
        let with = |name: &str, value: &Value| {
            let mut changed = jwk.clone();
            changed[name] = value.clone();
            changed
        };
        let mut damaged = vec![with("d", &other["d"]), with("d", &json!("AAAA")), with("d", &json!("%"))];
        if algorithm == "RS256" {
            damaged.extend([with("q", &other["q"]), with("qi", &Value::Null), with("oth", &json!([]))]);
        }
        for jwk in damaged {
            write(&jwk);
            let (code, said) = mint();
            assert!(code == Some(2) && said.contains("damaged"), "{jwk}: {said}");
        }
    }
}

#[test]
fn keys_are_rotated_while_the_server_runs() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let [old, new, file, next] = ["old", "new", "file", "next"].map(|name| KeyPair::make(at, name, "RS256"));
    let set = Arc::new(Mutex::new(Some(json!({"keys": [old.jwk("old")]}))));
    let shown = Arc::clone(&set);
    let application = Application::start(move |_| {
        let set = shown.lock().unwrap();
        Some(match &*set {
            Some(set) => (200, String::new(), set.to_string()),
            None => (500, String::new(), String::new()),
        })
    });
    let keys = at.join("keys.pem");
    std::fs::copy(&file.public, &keys).unwrap();
    let url = application.url("/.well-known/jwks.json");
    let flags =
        ["--tokens-jwks-url", &url, "--tokens-refresh", "1s", "--tokens-key-file", keys.to_str().unwrap()];
    let server = Server::start(at, &flags);
    let ada = claims("ada");
    let (old, new) = (old.sign_as("old", &ada), new.sign_as("new", &ada));
    let (file, next_token) = (file.sign(&ada), next.sign(&ada));
    let becomes = |token: &str, expected: &str| {
        until(|| (answer(&server, token) == expected).then_some(()));
    };
    becomes(&old, "ada");
    becomes(&file, "ada");
    assert_eq!(answer(&server, &new), "unauthorized");

    let jwk =
        KeyPair { private: at.join("new.pem"), public: at.join("new.pub"), algorithm: "RS256" }.jwk("new");
    *set.lock().unwrap() = Some(json!({"keys": [jwk]}));
    becomes(&new, "ada");
    becomes(&old, "unauthorized");
    // Both keys in one file, while tokens of the old one are about.
    let both =
        [&at.join("file.pub"), &next.public].map(|path| std::fs::read_to_string(path).unwrap()).concat();
    std::fs::write(at.join("both"), both).unwrap();
    std::fs::rename(at.join("both"), &keys).unwrap();
    becomes(&next_token, "ada");
    assert_eq!(answer(&server, &file), "ada");
    std::fs::copy(&next.public, &keys).unwrap();
    becomes(&file, "unauthorized");

    // What gives nothing, or nonsense, leaves in force what was.
    *set.lock().unwrap() = None;
    std::fs::write(&keys, "nonsense").unwrap();
    until(|| (server.log().matches("cannot be read").count() >= 2).then_some(()));
    assert_eq!([answer(&server, &new), answer(&server, &next_token)], ["ada", "ada"]);
    *set.lock().unwrap() = Some(json!({"keys": [{"kty": "oct", "kid": "x", "k": "A".repeat(43)}]}));
    until(|| server.log().contains("only public keys").then_some(()));
    assert_eq!(answer(&server, &new), "ada");
}

#[test]
fn keys_that_were_never_fetched_let_nobody_in_for_now() {
    let directory = tempfile::tempdir().unwrap();
    let pair = KeyPair::make(directory.path(), "key", "RS256");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::start(directory.path(), &["--tokens-jwks-url", &format!("http://{closed}/")]);
    let token = pair.sign(&claims("ada"));
    assert_eq!(answer(&server, &token), "unavailable");
    let (status, body) = server.request("POST", "/v1/messages", Some(&token), Some("{}".to_owned()));
    assert_eq!(status, 503, "{body}");
}

#[test]
fn a_session_ends_with_its_token() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let server = start(at, &["--tokens-leeway", "0s"]);
    let (mut lasting, _) = greet(&server, &json!({"token": token(at, &claims("bob"))}));
    // On a slow machine a token may be over before it is shown; then a longer one is.
    let (short, mut socket) = [2, 4, 8, 16, 32]
        .into_iter()
        .find_map(|seconds| {
            let short = token(at, &json!({"sub": "ada", "exp": seconds_from_now(seconds)}));
            let (socket, answer) = greet(&server, &json!({"token": short}));
            (answer["user"] == "ada").then_some((short, socket))
        })
        .unwrap();
    let bye = read_frame(&mut socket);
    assert_eq!((&bye["type"], &bye["code"]), (&json!("bye"), &json!("token_expired")));
    assert_eq!(answer(&server, &short), "unauthorized");
    assert_no_more(&mut lasting);
}

#[test]
fn what_is_revoked_is_closed_and_stays_out_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let flags = ["--api-key", "operator", "--store", "memory"];
    let server = start(at, &flags);
    let with = |user: &str, jti: &str| {
        let mut claims = claims(user);
        claims["jti"] = json!(jti);
        token(at, &claims)
    };
    let tokens = [("ada", "1"), ("ada", "2"), ("bob", "3"), ("eve", "4")].map(|(user, jti)| with(user, jti));
    let mut sockets: Vec<_> = tokens
        .iter()
        .enumerate()
        .map(|(n, token)| greet(&server, &json!({"token": token, "device": n.to_string()})).0)
        .collect();
    let revoke = |server: &Server, body: Value| post(server, "operator", "/v1/revocations", &body);
    let revoked = |socket: &mut TcpStream| assert_eq!(read_frame(socket)["code"], "revoked");

    assert_eq!(revoke(&server, json!({"jti": "1"})), (200, json!({"closed": 1})));
    revoked(&mut sockets[0]);
    assert_no_more(&mut sockets[1]);
    assert_eq!(revoke(&server, json!({"user": "bob"})), (200, json!({"closed": 1})));
    revoked(&mut sockets[2]);
    assert_no_more(&mut sockets[3]);
    let expected = ["unauthorized", "ada", "unauthorized", "eve"];
    assert_eq!(tokens.each_ref().map(|token| answer(&server, token)), expected);
    // One that is made afterwards counts again.
    let mut fresh = claims("bob");
    fresh["iat"] = json!(seconds_from_now(1));
    assert_eq!(answer(&server, &token(at, &fresh)), "bob");

    for body in
        [json!({}), json!({"jti": "1", "user": "ada"}), json!({"before": "9000-01-01T00:00:00Z"}), json!([])]
    {
        assert_eq!(revoke(&server, body.clone()).0, 400, "{body}");
    }
    assert_eq!(post(&server, &tokens[1], "/v1/revocations", &json!({"jti": "2"})).0, 403);
    assert_eq!(post(&server, "somebody", "/v1/revocations", &json!({"jti": "2"})).0, 401);

    // Killed, so that only what was on disk when it was answered is there.
    drop(server);
    let server = start(at, &flags);
    assert_eq!(tokens.each_ref().map(|token| answer(&server, token)), expected);
    let before = json!({"before": "2100-01-01T00:00:00Z"});
    assert_eq!(revoke(&server, before).0, 400);
    let (_, stats) = server.request("GET", "/healthz", None, None);
    assert_eq!(stats, "ok\n");
    let now = humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string();
    assert_eq!(revoke(&server, json!({"before": now})).0, 200);
    assert_eq!(tokens.each_ref().map(|token| answer(&server, token)), ["unauthorized"; 4]);
}

#[test]
fn the_application_decides_about_whom_it_is_asked_and_is_not_asked_twice() {
    let directory = tempfile::tempdir().unwrap();
    let asked = Arc::new(Mutex::new(Vec::<Value>::new()));
    let questions = Arc::clone(&asked);
    let application = Application::start(move |body| {
        let question: Value = serde_json::from_str(body).unwrap();
        questions.lock().unwrap().push(question.clone());
        let ok = |headers: &str, claims: Value| Some((200, headers.to_owned(), claims.to_string()));
        match question["token"].as_str() {
            Some("kept") => {
                ok("Cache-Control: max-age=3600\r\n", json!({"sub": "ada", "publish": ["to/bob"]}))
            }
            Some("once") => ok("", json!({"sub": "ada", "device": "phone"})),
            Some("publisher") => ok("", json!({"publish": ["all"]})),
            Some("over") => ok("", json!({"sub": "ada", "exp": 1})),
            Some("broken") => ok("", json!({"sub": 7})),
            Some("error") => Some((500, String::new(), String::new())),
            Some("moved") => Some((302, "Location: http://127.0.0.1:1/\r\n".to_owned(), String::new())),
            Some("slow") => None,
            Some("bad") => Some((401, String::new(), String::new())),
            _ => Some((403, String::new(), String::new())),
        }
    });
    let url = application.url("/who");
    let flags = ["--tokens-hook-url", &url, "--tokens-hook-deadline", "2s", "--api-key", "operator"];
    let server = Server::start(directory.path(), &flags);
    for (token, expected) in [
        ("kept", "ada"),
        ("once", "ada"),
        ("bad", "unauthorized"),
        ("none", "unauthorized"),
        ("over", "unauthorized"),
        ("broken", "unavailable"),
        ("error", "unavailable"),
        ("moved", "unavailable"),
        ("slow", "unavailable"),
    ] {
        assert_eq!(answer(&server, token), expected, "{token}");
    }
    let question = asked.lock().unwrap()[0].clone();
    assert_eq!((&question["user"], &question["door"]), (&Value::Null, &json!("frame")));
    assert!(question["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{question}");
    let times =
        |token: &str| asked.lock().unwrap().iter().filter(|question| question["token"] == token).count();
    let (mut socket, _) = greet(&server, &json!({"token": "kept"}));
    assert_eq!(answer(&server, "once"), "ada");
    assert_eq!((times("kept"), times("once")), (1, 2), "an answer is kept as long as it says");
    let (_, bye) = greet(&server, &json!({"token": "once", "user": "bob"}));
    assert_eq!(bye["code"], "unauthorized");
    let (_, bye) = greet(&server, &json!({}));
    assert_eq!(bye["code"], "unauthorized", "who shows nothing is asked about as well");

    // What it lets do, and what ends.
    assert_eq!(publish(&mut socket, &json!({"user": "bob"}))["type"], "published");
    assert_eq!(publish(&mut socket, &json!({"user": "eve"}))["code"], "forbidden");
    let notice = json!({"to": {"all": true}, "content": 1});
    assert_eq!(post(&server, "publisher", "/v1/messages", &notice).0, 202);
    assert_eq!(post(&server, "kept", "/v1/messages", &notice).0, 403);
    assert_eq!(post(&server, "bad", "/v1/messages", &notice).0, 401);
    assert_eq!(post(&server, "error", "/v1/messages", &notice).0, 503);
    let before = times("kept");
    assert_eq!(post(&server, "operator", "/v1/revocations", &json!({"user": "ada"})).0, 200);
    let codes: Vec<_> =
        std::iter::from_fn(|| next_frame(&mut socket).ok()).map(|frame| frame["code"].clone()).collect();
    assert_eq!(codes.last(), Some(&json!("revoked")));
    assert_eq!(answer(&server, "kept"), "ada", "the application has been asked anew");
    assert_eq!(times("kept"), before + 1);
}

#[test]
fn api_keys_open_what_their_scopes_say() {
    let directory = tempfile::tempdir().unwrap();
    let (publisher, one) = api_key("publisher", &["publish"]);
    let (reader, two) = api_key("reader", &["read"]);
    let (operator, three) = api_key("operator", &["operate", "read"]);
    let flags = ["--api-keys", &one, "--api-keys", &two, "--api-keys", &three];
    let server = Server::start(directory.path(), &flags);
    let message = json!({"to": {"user": "ada"}, "content": 1}).to_string();
    let calls = [
        ("POST", "/v1/messages", [202, 403, 403]),
        ("GET", "/v1/stats", [403, 200, 200]),
        ("GET", "/v1/users/ada/inbox", [403, 200, 200]),
        ("GET", "/v1/messages/01ARZ3NDEKTSV4RRFFQ69G5FAV", [404, 404, 404]),
        ("GET", "/openapi.json", [200, 200, 200]),
        ("GET", "/nowhere", [404, 404, 404]),
    ];
    for (method, path, statuses) in calls {
        let ask = |key: Option<&str>| server.request(method, path, key, Some(message.clone())).0;
        assert_eq!([&publisher, &reader, &operator].map(|key| ask(Some(key))), statuses, "{method} {path}");
        assert_eq!([ask(None), ask(Some(&one))], [401, 401], "{method} {path}");
    }
    let revocation = json!({"user": "ada"});
    let revoke = |key: &str| post(&server, key, "/v1/revocations", &revocation).0;
    assert_eq!([&publisher, &reader, &operator].map(|key| revoke(key)), [403, 403, 200]);
    // At the frame door: users need nothing and publish nothing; who publishes is no user.
    let (mut socket, welcome) = greet(&server, &json!({"user": "ada"}));
    assert_eq!(welcome["type"], "welcome");
    assert_eq!(next_but_messages(&mut socket, &json!({"user": "bob"}))["code"], "forbidden");
    let (mut socket, _) = greet(&server, &json!({"token": publisher}));
    assert_eq!(publish(&mut socket, &json!({"user": "bob"}))["type"], "published");
    let (_, bye) = greet(&server, &json!({"user": "ada", "token": publisher}));
    assert_eq!(bye["code"], "unauthorized");
}

/// Publishes; gives the first frame that is no message.
fn next_but_messages(socket: &mut TcpStream, to: &Value) -> Value {
    let mut frame = publish(socket, to);
    while frame["type"] == "message" {
        frame = read_frame(socket);
    }
    frame
}

#[test]
fn who_proves_to_be_a_user_by_the_shared_secret_is_no_publisher() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--shared-secret", "s3cret"]);
    let (mut socket, welcome) = greet(&server, &json!({"user": "ada", "token": "s3cret"}));
    assert_eq!(welcome["type"], "welcome");
    assert_eq!(publish(&mut socket, &json!({"user": "bob"}))["code"], "forbidden");
    drop(server);
    // Where nothing is asked of anybody, everybody publishes, as over HTTP.
    let server = Server::start(directory.path(), &[]);
    let (mut socket, _) = greet(&server, &json!({"user": "ada"}));
    assert_eq!(publish(&mut socket, &json!({"user": "bob"}))["type"], "published");
}

#[test]
fn a_shared_secret_and_tokens_stand_side_by_side() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let server = start(at, &["--shared-secret", "s3cret"]);
    let (_, welcome) = greet(&server, &json!({"user": "eve", "token": "s3cret"}));
    assert_eq!(welcome["user"], "eve");
    assert_eq!(answer(&server, &token(at, &claims("ada"))), "ada");
    let (_, bye) = greet(&server, &json!({"user": "eve", "token": "wrong"}));
    assert_eq!(bye["code"], "unauthorized");
}

#[test]
fn a_door_to_the_network_counts_as_guarded_where_tokens_are_asked_for() {
    let check = |flags: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_msgserver"));
        command.args(["config", "check", "--frame", "0.0.0.0:0", "--http", "0.0.0.0:0"]).args(flags);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(check(&[]).0, Some(2));
    assert_eq!(check(&["--tokens-secret", SECRET]), (Some(0), String::new()));
    assert_eq!(check(&["--tokens-hook-url", "https://app.example/who"]).0, Some(0));
    let (code, faults) = check(&["--tokens-secret", "sh0rt"]);
    assert!(code == Some(2) && faults.contains("32") && !faults.contains("sh0rt"), "{faults}");
    let (code, faults) =
        check(&["--tokens-jwks-url", "https://ada:s3cret@id.example/", "--api-keys", "s3cret"]);
    assert!(code == Some(2) && faults.lines().count() >= 2 && !faults.contains("s3cret"), "{faults}");
}

/// The blocks of a language in docs/tokens.md.
fn examples(language: &str) -> Vec<String> {
    blocks("docs/tokens.md", language)
}

#[test]
fn the_examples_of_the_document_make_tokens_that_count() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let run = |program: &str, name: &str, text: &str| {
        std::fs::write(at.join(name), text).unwrap();
        let mut command = Command::new(program);
        let output = command.arg(name).current_dir(at).env("MSGSERVER_TOKENS__SECRET", SECRET).output();
        let output = output.unwrap_or_else(|fault| panic!("{program}: {fault}; scripts/test installs it"));
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    };
    let python = examples("python");
    let tokens = [
        run("bash", "sign.sh", &examples("bash")[0]),
        run(support::tokens::python(), "sign.py", &python[0]),
        run("node", "sign.js", &examples("js")[0]),
    ];
    let server = start(at, &["--tokens-key-file", at.join("public.pem").to_str().unwrap()]);
    assert_eq!(tokens.each_ref().map(|token| answer(&server, token)), ["ada"; 3], "{tokens:?}");
}

#[test]
fn the_application_of_the_document_lets_in_whom_it_knows() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("who.py");
    std::fs::write(&script, &examples("python")[1]).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new(support::tokens::python());
    let child = command.arg(&script).arg(free.port().to_string()).stderr(std::process::Stdio::null()).spawn();
    let child = Mutex::new(child.unwrap());
    let _end = AtEnd(|| {
        let mut child = child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    });
    let server = Server::start(directory.path(), &["--tokens-hook-url", &format!("http://{free}/who")]);
    until(|| (answer(&server, "a-session-of-ada") == "ada").then_some(()));
    assert_eq!(answer(&server, "a-session-of-eve"), "unauthorized");
}

#[test]
fn keys_come_over_https_from_who_has_a_certificate_that_the_system_trusts() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let authority = Authority::new(at);
    let [certificate, key] = authority.server();
    let pair = KeyPair::make(at, "key", "RS256");
    std::fs::create_dir(at.join("www")).unwrap();
    std::fs::write(at.join("www/keys"), json!({"keys": [pair.jwk("1")]}).to_string()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/https_server.py");
    let mut command = Command::new(support::tokens::python());
    command.args([script, "www", &certificate, &key]).current_dir(at);
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut port = String::new();
    std::io::BufRead::read_line(&mut BufReader::new(child.stdout.take().unwrap()), &mut port).unwrap();
    let child = Mutex::new(child);
    let _end = AtEnd(|| {
        let mut child = child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    });
    let url = format!("https://127.0.0.1:{}/keys", port.trim());
    let token = pair.sign_as("1", &claims("ada"));
    // Somebody else's authority, under the same name.
    let strangers = Authority::new(&at.join("strangers"));
    for (roots, expected) in [(authority.ca(), "ada"), (strangers.ca(), "unavailable")] {
        let other = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_msgserver"));
        command.env("SSL_CERT_FILE", &roots).args(["serve", "--tokens-jwks-url", &url]);
        command.args(["--listen", "off", "--frame", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        let server = Server::run(command, other.path());
        if expected == "ada" {
            until(|| (answer(&server, &token) == expected).then_some(()));
        } else {
            until(|| server.log().contains("cannot be read").then_some(()));
            assert_eq!(answer(&server, &token), expected);
            assert!(server.log().contains("certificate"), "{}", server.log());
        }
    }
}
