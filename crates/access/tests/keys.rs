//! Keys of every kind and form, made by OpenSSL, and tokens that try to get past them.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use msgserver_access::{
    Access, Algorithm, Audience, Claims, Denied, Key, KeyError, KeyRing, KeySource, TokenRules, Tokens,
};
use msgserver_message::{Timestamp, UserId};

fn openssl(arguments: &str, input: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut child = Command::new("openssl")
        .args(arguments.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments}");
    output.stdout
}

const KINDS: [(&str, Algorithm); 3] = [
    ("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048", Algorithm::Rs256),
    ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256", Algorithm::Es256),
    ("genpkey -algorithm ed25519", Algorithm::EdDsa),
];

fn one(text: &[u8]) -> Key {
    let mut keys = Key::read(text).unwrap();
    assert_eq!(keys.len(), 1);
    keys.remove(0)
}

fn claims(lasts: Duration) -> Claims {
    Claims {
        sub: Some(UserId::new("ada").unwrap()),
        exp: Some(Timestamp::now().saturating_add(lasts)),
        ..Claims::default()
    }
}

const HOUR: Duration = Duration::from_secs(3600);

fn tokens(keys: Vec<Key>, rules: TokenRules) -> Tokens {
    Tokens::new(Arc::new(KeyRing::open(vec![KeySource::Fixed(keys)]).unwrap()), rules)
}

async fn check(keys: &[Key], token: &str) -> Result<Access, Denied> {
    tokens(keys.to_vec(), TokenRules::default()).check(token).await
}

/// A token whose header is what somebody would like it to be.
fn forged(header: &str, claims: &Claims, signature: &[u8]) -> String {
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let claims = serde_json::to_vec(claims).unwrap();
    format!("{}.{}.{}", part(header.as_bytes()), part(&claims), part(signature))
}

#[tokio::test]
async fn a_private_key_signs_what_its_public_key_checks() {
    for (make, algorithm) in KINDS {
        let private = openssl(make, b"");
        let public = openssl("pkey -pubout", &private);
        let (private, public) = (one(&private), one(&public));
        assert_eq!((private.algorithm(), public.algorithm()), (algorithm, algorithm));
        assert!(private.can_sign() && !public.can_sign());
        let token = private.sign(&claims(HOUR)).unwrap();
        for key in [&private, &public] {
            let access = check(std::slice::from_ref(key), &token).await.unwrap();
            assert_eq!(access.user.unwrap().as_str(), "ada", "{algorithm}");
        }
        assert!(matches!(public.sign(&claims(HOUR)), Err(KeyError::CannotSign)));
        let other = one(&openssl(make, b""));
        assert_eq!(check(&[other], &token).await, Err(Denied::Signature), "{algorithm}");
    }
}

#[test]
fn rsa_in_its_older_form_is_read_and_what_is_not_is_named() {
    let rsa = openssl(KINDS[0].0, b"");
    assert_eq!(one(&openssl("rsa -traditional", &rsa)).algorithm(), Algorithm::Rs256);
    assert_eq!(one(&openssl("rsa -RSAPublicKey_out", &rsa)).algorithm(), Algorithm::Rs256);
    let refused = |text: &[u8]| Key::read(text).unwrap_err().to_string();
    let ec = openssl("ecparam -name prime256v1 -genkey -noout", b"");
    assert!(refused(&ec).contains("pkcs8"), "{}", refused(&ec));
    assert!(Key::read(&openssl("pkcs8 -topk8 -nocrypt", &ec)).is_ok());
    for make in [
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1",
        "genpkey -algorithm x25519",
        "genpkey -algorithm ed448",
    ] {
        let private = openssl(make, b"");
        refused(&private);
        refused(&openssl("pkey -pubout", &private));
    }
    let short = openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024", b"");
    assert!(refused(&openssl("pkey -pubout", &short)).contains("2048"));
    refused(&short);
    assert!(refused(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----").contains("CERTIFICATE"));
    assert!(refused(b"31 bytes are not enough for it.").contains("32"));
    assert!(refused(b"").contains("32"));
}

#[tokio::test]
async fn no_token_chooses_how_it_is_checked() {
    let private = openssl(KINDS[0].0, b"");
    let public_pem = openssl("pkey -pubout", &private);
    let (private, public) = (one(&private), one(&public_pem));
    let secret = Key::secret(&[7; 32]).unwrap();
    let all = [public.clone(), secret.clone()];
    let hour = claims(HOUR);
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#);
        assert_eq!(check(&all, &forged(&header, &hour, b"")).await, Err(Denied::Algorithm(alg.to_owned())));
    }
    // The public key as the secret of an HMAC: in PEM as it is published, and without its last line end.
    for bytes in [&public_pem[..], public_pem.trim_ascii_end()] {
        let token = Key::secret(bytes).unwrap().sign(&hour).unwrap();
        assert_eq!(
            check(std::slice::from_ref(&public), &token).await,
            Err(Denied::Algorithm("HS256".to_owned()))
        );
        assert_eq!(check(&all, &token).await, Err(Denied::Signature));
    }
    // Signed by one key, said to be signed in the way of another.
    let signed = private.sign(&hour).unwrap();
    let (body, signature) = signed.rsplit_once('.').unwrap();
    let (_, body) = body.split_once('.').unwrap();
    for alg in ["HS256", "RS512", "PS256", "ES256", "EdDSA"] {
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}"}}"#));
        assert!(check(&all, &format!("{header}.{body}.{signature}")).await.is_err(), "{alg}");
    }
    // A key that the token brings along.
    let header =
        format!(r#"{{"alg":"HS256","jwk":{{"kty":"oct","k":"{}"}}}}"#, URL_SAFE_NO_PAD.encode([1; 32]));
    assert_eq!(check(&all, &forged(&header, &hour, &[0; 32])).await, Err(Denied::Signature));
    let header = r#"{"alg":"RS256","jku":"https://evil.example/keys","x5u":"https://evil.example/cert"}"#;
    assert_eq!(check(&all, &forged(header, &hour, &[0; 256])).await, Err(Denied::Signature));
    let header = r#"{"alg":"HS256","crit":["b64"],"b64":false}"#;
    assert_eq!(check(&all, &forged(header, &hour, &[0; 32])).await, Err(Denied::Critical));
    for text in ["", ".", "..", "a.b", "a.b.c", "e30.e30.", "e30.e30.e30.e30", "….….…"] {
        assert_eq!(check(&all, text).await, Err(Denied::NotAToken), "{text}");
    }
}

#[tokio::test]
async fn a_changed_or_cut_token_is_refused() {
    let secret = Key::secret(&[7; 32]).unwrap();
    let token = secret.sign(&claims(HOUR)).unwrap();
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        // The last character of a part has bits that mean nothing; a strict reader does not take others there.
        assert!(check(std::slice::from_ref(&secret), &changed).await.is_err(), "at {at} of {token}");
        assert!(check(std::slice::from_ref(&secret), &token[..at]).await.is_err());
    }
}

#[tokio::test]
async fn times_are_kept_with_a_leeway() {
    let key = Key::secret(&[7; 32]).unwrap();
    let rules = TokenRules { leeway: Duration::from_secs(100), ..TokenRules::default() };
    let tokens = tokens(vec![key.clone()], rules);
    let now = Timestamp::now().as_millis() / 1000;
    let at = |seconds: u64| Some(Timestamp::from_millis(seconds * 1000));
    let check = |claims: Claims| {
        let (tokens, token) = (&tokens, key.sign(&claims).unwrap());
        async move { tokens.check(&token).await }
    };
    let good = |exp, nbf| Claims { exp, nbf, ..claims(HOUR) };
    let access = check(good(at(now - 50), at(now + 50))).await.unwrap();
    assert_eq!(access.expires_at, at(now + 50), "it ends as much later");
    assert_eq!(check(good(at(now - 200), None)).await, Err(Denied::Expired));
    assert_eq!(check(good(at(now + 500), at(now + 300))).await, Err(Denied::NotYet));
    assert_eq!(check(good(None, None)).await, Err(Denied::Claims("exp is missing".to_owned())));
}

#[tokio::test]
async fn a_token_is_for_whom_and_by_whom_it_has_to_be() {
    let key = Key::secret(&[7; 32]).unwrap();
    let audience = |names: &[&str]| Some(Audience::Several(names.iter().map(|&name| name.into()).collect()));
    let strict = TokenRules {
        audience: vec!["push".to_owned(), "chat".to_owned()],
        issuer: Some("id".to_owned()),
        ..TokenRules::default()
    };
    let (strict, open) =
        (tokens(vec![key.clone()], strict), tokens(vec![key.clone()], TokenRules::default()));
    let token = |aud: Option<Audience>, iss: Option<&str>| {
        key.sign(&Claims { aud, iss: iss.map(Into::into), ..claims(HOUR) }).unwrap()
    };
    let one = || Some(Audience::One("push".to_owned()));
    for aud in [one(), audience(&["other", "chat"])] {
        assert!(strict.check(&token(aud, Some("id"))).await.is_ok());
    }
    for aud in [None, audience(&[]), audience(&["other"]), Some(Audience::One("pus".to_owned()))] {
        assert_eq!(strict.check(&token(aud, Some("id"))).await, Err(Denied::Audience));
    }
    for iss in [None, Some("other")] {
        assert_eq!(strict.check(&token(one(), iss)).await, Err(Denied::Issuer));
    }
    assert!(open.check(&token(None, Some("anybody"))).await.is_ok());
    assert_eq!(
        open.check(&token(one(), None)).await,
        Err(Denied::Audience),
        "it is for somebody, and not for us"
    );
}

#[tokio::test]
async fn a_token_s_kid_chooses_among_the_keys_of_a_set() {
    let oct = |kid: &str, byte: u8| {
        format!(r#"{{"kty":"oct","kid":"{kid}","k":"{}"}}"#, URL_SAFE_NO_PAD.encode([byte; 32]))
    };
    let set = format!(
        r#"{{"keys":[{},{},{{"kty":"novel"}},{{"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"}}]}}"#,
        oct("old", 1),
        oct("new", 2)
    );
    let keys = Key::read(set.as_bytes()).unwrap();
    assert_eq!(keys.iter().map(|key| key.kid().unwrap()).collect::<Vec<_>>(), ["old", "new"]);
    for key in &keys {
        assert!(check(&keys, &key.sign(&claims(HOUR)).unwrap()).await.is_ok());
    }
    let bare = Key::secret(&[2; 32]).unwrap().sign(&claims(HOUR)).unwrap();
    assert!(check(&keys, &bare).await.is_ok(), "one without a kid is checked with each");
    let unknown = &Key::read(oct("other", 2).as_bytes()).unwrap()[0];
    let unknown = unknown.sign(&claims(HOUR)).unwrap();
    assert_eq!(check(&keys, &unknown).await, Err(Denied::UnknownKey("other".to_owned())));
    let swapped = &Key::read(oct("old", 2).as_bytes()).unwrap()[0];
    assert_eq!(check(&keys, &swapped.sign(&claims(HOUR)).unwrap()).await, Err(Denied::Signature));
    assert!(matches!(Key::read(br#"{"keys":[{"kty":"novel"}]}"#), Err(KeyError::None)));
    assert!(matches!(
        Key::read(br#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#),
        Err(KeyError::ShortSecret { .. })
    ));
    assert!(matches!(Key::read(b"{"), Err(KeyError::Json(_))));
}
