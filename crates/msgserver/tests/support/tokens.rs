//! Keys by OpenSSL and tokens by PyJWT.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

static PYTHON: LazyLock<&str> = LazyLock::new(|| {
    let has_it = |python: &&str| {
        let output = Command::new(python).args(["-c", "import jwt, cryptography"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has_it);
    found.expect("python3 and its packages `jwt` and `cryptography` are needed; scripts/test installs them")
});

/// A Python with PyJWT.
pub fn python() -> &'static str {
    *PYTHON
}

fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn make_token(arguments: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/make_token.py");
    printed(Command::new(*PYTHON).arg(script).args(arguments))
}

/// A key that OpenSSL makes, and its public half, in files.
pub struct KeyPair {
    pub private: PathBuf,
    pub public: PathBuf,
    pub algorithm: &'static str,
}

impl KeyPair {
    pub fn make(directory: &Path, name: &str, algorithm: &'static str) -> Self {
        let kind: &[&str] = match algorithm {
            "RS256" => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            "ES256" => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            _ => &["-algorithm", "ed25519"],
        };
        let [private, public] = ["pem", "pub"].map(|kind| directory.join(format!("{name}.{kind}")));
        printed(Command::new("openssl").arg("genpkey").args(kind).arg("-out").arg(&private));
        printed(
            Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(&private).arg("-out").arg(&public),
        );
        Self { private, public, algorithm }
    }

    pub fn sign(&self, claims: &Value) -> String {
        make_token(&["sign", self.algorithm, self.private.to_str().unwrap(), &claims.to_string()])
    }

    pub fn sign_as(&self, kid: &str, claims: &Value) -> String {
        make_token(&["sign", self.algorithm, self.private.to_str().unwrap(), &claims.to_string(), kid])
    }

    pub fn jwk(&self, kid: &str) -> Value {
        serde_json::from_str(&make_token(&["jwk", self.private.to_str().unwrap(), kid])).unwrap()
    }

    /// Both halves as a JWK.
    pub fn private_jwk(&self, kid: &str) -> Value {
        let text = make_token(&["private-jwk", self.algorithm, self.private.to_str().unwrap(), kid]);
        serde_json::from_str(&text).unwrap()
    }
}

/// Header and claims of a token, for who trusts the key of a JWK in a file.
pub fn opened(algorithm: &str, jwk: &Path, token: &str) -> (Value, Value) {
    serde_json::from_str(&make_token(&["open", algorithm, jwk.to_str().unwrap(), token])).unwrap()
}

/// A token of a secret that lies in a file.
pub fn sign_hs256(secret: &Path, claims: &Value) -> String {
    make_token(&["sign", "HS256", secret.to_str().unwrap(), &claims.to_string()])
}

/// A token for which a public key was taken for a secret. Libraries refuse to make one.
pub fn confused(public: &Path, claims: &Value) -> String {
    make_token(&["confuse", public.to_str().unwrap(), &claims.to_string()])
}

/// A token that nobody has signed.
pub fn unsigned(claims: &Value) -> String {
    make_token(&["sign", "none", "", &claims.to_string()])
}

/// A fresh API key, and what the server is told of it.
pub fn api_key(name: &str, scopes: &[&str]) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_msgserver"));
    command.args(["token", "--api-key", name]).args(scopes.iter().flat_map(|scope| ["--scope", scope]));
    let printed = printed(&mut command);
    let (key, kept) = printed.split_once('\n').unwrap();
    assert!(!kept.contains(key));
    (key.to_owned(), kept.to_owned())
}

/// So many seconds from now, or before it.
pub fn seconds_from_now(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap() + seconds
}

/// Claims that count for an hour.
pub fn claims(user: &str) -> Value {
    json!({"sub": user, "iat": seconds_from_now(-10), "exp": seconds_from_now(3600)})
}
