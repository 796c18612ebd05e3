//! Headless Chromium, as a process.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

use super::{Http, PATIENCE, until};

pub struct Browser {
    child: Child,
    profile: PathBuf,
}

impl Browser {
    /// Shows a page, with what pages have stored in this profile before.
    pub fn show(profile: &Path, page: &str) -> Self {
        // Of the browser before, which is not there any more.
        let _ = std::fs::remove_file(profile.join("DevToolsActivePort"));
        let browser = Command::new("chromium")
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-extensions", "--disable-background-networking"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("--remote-debugging-port=0")
            .arg(page)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = browser.expect("chromium has to be installed; scripts/test does it");
        Self { child, profile: profile.to_owned() }
    }

    /// The console of the page at an address, once it is shown.
    pub fn console(&self, page: &str) -> Console {
        let port = until(|| {
            let text = std::fs::read_to_string(self.profile.join("DevToolsActivePort")).ok()?;
            text.lines().next()?.parse::<u16>().ok()
        });
        let url = until(|| {
            let address = format!("127.0.0.1:{port}");
            let mut http = Http::connect(&address).ok()?;
            // It answers nobody who has come by the name of another host.
            http.send(format!("GET /json HTTP/1.1\r\nHost: {address}\r\n\r\n")).ok()?;
            let pages: Value = serde_json::from_str(&http.answer("GET").ok()?.body).ok()?;
            let shown = pages.as_array()?.iter().find(|shown| shown["url"] == page)?;
            Some(shown["webSocketDebuggerUrl"].as_str()?.to_owned())
        });
        let (socket, _) = tungstenite::connect(url).unwrap();
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        let mut console = Console { socket, asked: 0, logged: VecDeque::new() };
        console.ask("Runtime.enable", json!({}));
        // The tab is there before the page is in it.
        let shown = format!("{page} complete");
        until(|| (console.enter("`${location.href} ${document.readyState}`") == shown).then_some(()));
        console
    }

    /// Ends as a person ends it, so that it writes down what pages have stored.
    pub fn close(mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        self.child.wait().unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A page's console: what is typed there is run as a person's, and what the page logs is read.
pub struct Console {
    socket: WebSocket<MaybeTlsStream<std::net::TcpStream>>,
    asked: u64,
    /// What the page has logged and nobody has read.
    logged: VecDeque<Value>,
}

impl Console {
    /// Reads what comes until it is the answer to a question, or until something was logged.
    fn read(&mut self, answers: Option<u64>) -> Value {
        loop {
            if let (None, Some(logged)) = (answers, self.logged.pop_front()) {
                return logged;
            }
            let Message::Text(text) = self.socket.read().unwrap() else { continue };
            let told: Value = serde_json::from_str(&text).unwrap();
            if told["method"] == "Runtime.consoleAPICalled" && told["params"]["type"] == "log" {
                self.logged.push_back(told["params"]["args"][0]["value"].clone());
            } else if answers.is_some_and(|id| told["id"] == id) {
                return told;
            }
        }
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let request = json!({"id": self.asked, "method": method, "params": params});
        self.socket.send(Message::text(request.to_string())).unwrap();
        let answer = self.read(Some(self.asked));
        let faults = [&answer["error"], &answer["result"]["exceptionDetails"]];
        assert!(faults.iter().all(|fault| fault.is_null()), "{answer}");
        answer["result"].clone()
    }

    /// Types something, and Enter; gives what it is, once it is known.
    pub fn enter(&mut self, text: &str) -> Value {
        let params = json!({"expression": text, "replMode": true, "awaitPromise": true});
        self.ask("Runtime.evaluate", params)["result"]["value"].clone()
    }

    /// The first argument of the next call of `console.log`.
    pub fn logged(&mut self) -> Value {
        self.read(None)
    }
}
