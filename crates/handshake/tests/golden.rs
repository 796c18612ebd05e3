//! What an independent implementation sends and expects; `vectors/generate.py` made the data.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

use base64::prelude::{BASE64_STANDARD, Engine};
use msgserver_handshake::{
    ClientHandshake, ClientKey, HandshakeError, Progress, ServerHandshake, ServerKey, SessionCipher,
};
use msgserver_protocol::Cipher;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    servers: Vec<Server>,
    handshakes: Vec<Handshake>,
    refused: std::collections::BTreeMap<String, String>,
    aes_key: String,
    sealed: Vec<Sealed>,
}

#[derive(Deserialize)]
struct Server {
    bits: usize,
    pkcs8_pem: String,
    pkcs1_pem: String,
    pkcs8_der: String,
    pkcs1_der: String,
    step1: String,
}

#[derive(Deserialize)]
struct Handshake {
    server: usize,
    client_bits: usize,
    client_pkcs8_pem: String,
    step2: String,
    aes_key: String,
    step3: String,
    text: String,
    sealed: String,
}

#[derive(Deserialize)]
struct Sealed {
    text: String,
    sealed: String,
}

impl Vectors {
    fn read() -> Self {
        serde_json::from_str(include_str!("vectors/handshake.json")).unwrap()
    }

    fn server(&self, number: usize) -> ServerKey {
        ServerKey::decode(self.servers[number].pkcs8_pem.as_bytes()).unwrap()
    }
}

fn aes_key(hex: &str) -> [u8; 16] {
    u128::from_str_radix(hex, 16).unwrap().to_be_bytes()
}

fn seal(cipher: &SessionCipher, text: &str) -> String {
    let mut sealed = Vec::new();
    cipher.seal(text.as_bytes(), &mut sealed);
    String::from_utf8(sealed).unwrap()
}

/// Feeds `message` in pieces of `step` bytes; what is left of the last piece is in `rest`.
fn feed(key: &ServerKey, message: &str, step: usize) -> Result<Progress, HandshakeError> {
    let mut server = ServerHandshake::new(key);
    for part in message.as_bytes().chunks(step) {
        match server.feed(part)? {
            Progress::Incomplete => {}
            done => return Ok(done),
        }
    }
    Ok(Progress::Incomplete)
}

#[test]
fn a_kept_key_gives_the_first_message_in_every_form_that_it_is_kept_in() {
    for server in Vectors::read().servers {
        let der = [&server.pkcs8_der, &server.pkcs1_der].map(|text| BASE64_STANDARD.decode(text).unwrap());
        let with_crlf = server.pkcs8_pem.replace('\n', "\r\n");
        let forms = [
            server.pkcs8_pem.as_bytes(),
            server.pkcs1_pem.as_bytes(),
            with_crlf.as_bytes(),
            &der[0],
            &der[1],
        ];
        for form in forms {
            let key = ServerKey::decode(form).unwrap();
            assert_eq!(key.hello(), server.step1.as_bytes());
            assert_eq!(key.bits(), server.bits);
            assert!(ServerKey::decode(&form[..form.len() - 40]).is_err(), "a key that is cut short");
        }
    }
}

#[test]
fn the_second_message_is_understood_however_it_is_cut_and_the_third_opens_at_the_client() {
    let vectors = Vectors::read();
    for vector in &vectors.handshakes {
        let server = vectors.server(vector.server);
        for step in [1, 7, 64, 4096] {
            let Progress::Done { reply, cipher, .. } = feed(&server, &vector.step2, step).unwrap() else {
                panic!("{} bits in steps of {step} are not whole", vector.client_bits)
            };
            let key = ClientKey::decode(vector.client_pkcs8_pem.as_bytes()).unwrap();
            assert_eq!(key.bits(), vector.client_bits);
            let (client, _) = ClientHandshake::answer_with(server.hello(), key).unwrap();
            assert_eq!(client.finish(&reply).unwrap().open(seal(&cipher, "a").as_bytes()).unwrap(), b"a");
        }
    }
}

#[test]
fn every_part_of_a_second_message_is_a_wait() {
    let vectors = Vectors::read();
    let vector = &vectors.handshakes[0];
    let server = vectors.server(vector.server);
    for end in 0..vector.step2.len() {
        let progress = feed(&server, &vector.step2[..end], 4096);
        assert!(matches!(progress, Ok(Progress::Incomplete)), "{end} characters: {progress:?}");
    }
}

#[test]
fn another_servers_third_message_is_understood() {
    let vectors = Vectors::read();
    for vector in &vectors.handshakes {
        let key = ClientKey::decode(vector.client_pkcs8_pem.as_bytes()).unwrap();
        let (client, _) = ClientHandshake::answer_with(vectors.server(vector.server).hello(), key).unwrap();
        let cipher = client.finish(vector.step3.as_bytes()).unwrap();
        assert_eq!(seal(&cipher, &vector.text), vector.sealed);
        assert_eq!(seal(&SessionCipher::from_key(aes_key(&vector.aes_key)), &vector.text), vector.sealed);
    }
}

#[test]
fn a_key_that_is_weak_or_a_burden_is_refused_once_it_is_whole() {
    let vectors = Vectors::read();
    let server = vectors.server(0);
    for (what, step2) in &vectors.refused {
        let refused = feed(&server, step2, 4096).expect_err(what);
        let expected = match what.as_str() {
            "512 bits" => HandshakeError::KeySize(512),
            "1023 bits" => HandshakeError::KeySize(1023),
            "4097 bits" => HandshakeError::KeySize(4097),
            "8192 bits" => HandshakeError::KeySize(8192),
            "modulus 0" => HandshakeError::KeySize(0),
            "no key" => HandshakeError::NotAPublicKey,
            "no base64 inside" | "another server's key" => HandshakeError::BadBlock,
            _ => HandshakeError::UnusableKey,
        };
        assert_eq!(refused, expected, "{what}");
    }
}

#[test]
fn texts_of_every_length_are_sealed_and_opened_as_others_do() {
    let vectors = Vectors::read();
    let cipher = SessionCipher::from_key(aes_key(&vectors.aes_key));
    for vector in &vectors.sealed {
        assert_eq!(seal(&cipher, &vector.text), vector.sealed);
        assert_eq!(cipher.open(vector.sealed.as_bytes()).unwrap(), vector.text.as_bytes());
        assert!(!cipher.is_part(vector.sealed.as_bytes()));
    }
}
