//! Chromium without a head, told what to do through its remote debugging protocol over a pipe.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use super::appliance::PATIENCE;

/// A tab of a browser of its own.
pub(crate) struct Browser {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<Value>,
    session: Option<String>,
    number: u64,
    /// Everything that it told without being asked.
    events: VecDeque<Value>,
    profile: std::path::PathBuf,
}

/// The browser's program, if this machine has one.
pub(crate) fn program() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let is_there = |name: &&str| {
        let version = Command::new(name).arg("--version").stderr(Stdio::null()).output();
        version.is_ok_and(|output| output.status.success())
    };
    names.into_iter().find(is_there)
}

impl Browser {
    /// Opens a page.
    pub(crate) fn open(program: &str, url: &str) -> Self {
        let name = format!("browser-{}", std::process::id());
        let profile = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        // It reads orders from descriptor 3 and writes answers to 4.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 >/dev/null 2>&1", program]);
        command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic"]);
        command.args(["--no-first-run", "--disable-background-networking", "--disable-sync"]);
        command.args(["--disable-component-update", "--disable-dev-shm-usage"]);
        command.args(["--remote-debugging-pipe", "--window-size=1280,1000"]);
        command.arg(format!("--user-data-dir={}", profile.display())).arg("about:blank");
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.expect("a browser");
        let orders = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, answers) = channel();
        thread::spawn(move || {
            for message in output.split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("JSON from the browser");
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let (number, events) = (0, VecDeque::new());
        let mut browser = Self { child, orders, answers, session: None, number, events, profile };
        let target = browser.tell("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.tell("Target.attachToTarget", attach)["sessionId"].clone();
        browser.session = Some(session.as_str().unwrap().to_string());
        for domain in ["Runtime", "Log", "Page", "Network"] {
            browser.tell(&format!("{domain}.enable"), json!({}));
        }
        browser.tell("Page.navigate", json!({"url": url}));
        browser
    }

    /// Gives an order, and its result.
    pub(crate) fn tell(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut order = json!({"id": self.number, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            order["sessionId"] = session.clone().into();
        }
        self.orders.write_all(&[order.to_string().as_bytes(), b"\0"].concat()).unwrap();
        let began = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(began.elapsed());
            let mut message = self.answers.recv_timeout(left).expect("an answer of the browser");
            if message["id"] == self.number {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
            self.events.push_back(message);
        }
    }

    /// What an expression comes to in the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let ask = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut said = self.tell("Runtime.evaluate", ask);
        assert!(said["exceptionDetails"].is_null(), "{expression}: {said}");
        said["result"]["value"].take()
    }

    /// The words in an element.
    pub(crate) fn text(&mut self, id: &str) -> String {
        let text = self.value(&format!("document.getElementById({id:?}).textContent"));
        text.as_str().unwrap_or_default().to_string()
    }

    /// Waits until an expression is true in the page.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, expression: &str) {
        let began = Instant::now();
        while self.value(expression) != Value::Bool(true) {
            let body = self.value("document.body.innerText");
            assert!(
                began.elapsed() < PATIENCE,
                "not {expression}: {body}\n{:?}",
                self.complaints()
            );
            thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    pub(crate) fn click(&mut self, id: &str) {
        self.value(&format!("document.getElementById({id:?}).click()"));
    }

    /// Everything that was requested so far.
    pub(crate) fn requests(&self) -> Vec<&str> {
        let is_request = |event: &&Value| event["method"] == "Network.requestWillBeSent";
        let requests = self.events.iter().filter(is_request);
        requests.filter_map(|event| event["params"]["request"]["url"].as_str()).collect()
    }

    /// All complaints so far: exceptions, errors and warnings.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        // What is under way is told before this is answered.
        self.value("0");
        let is_bad = |event: &Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => {
                event["params"]["type"] == "error" || event["params"]["type"] == "warning"
            }
            Some("Log.entryAdded") => {
                let level = &event["params"]["entry"]["level"];
                level == "error" || level == "warning"
            }
            _ => false,
        };
        let complaints = self.events.iter().filter(|event| is_bad(event));
        let complaints = complaints.map(|event| event["params"].to_string()).collect();
        self.events.retain(|event| !is_bad(event));
        complaints
    }

    /// Shows the page as on such a screen.
    pub(crate) fn screen(&mut self, width: u32, height: u32, is_dark: bool) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600
        });
        self.tell("Emulation.setDeviceMetricsOverride", size);
        let scheme = if is_dark { "dark" } else { "light" };
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.tell("Emulation.setEmulatedMedia", json!({"features": [feature]}));
    }

    /// Keeps a picture of the whole page beside the test programs, for people.
    pub(crate) fn picture(&mut self, name: &str) {
        let all = json!({"format": "png", "captureBeyondViewport": true});
        let picture = self.tell("Page.captureScreenshot", all);
        let picture = base64(picture["data"].as_str().unwrap());
        assert!(picture.starts_with(b"\x89PNG"));
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(file, picture).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let close = json!({"id": self.number + 1, "method": "Browser.close"});
        let _ = self.orders.write_all(&[close.to_string().as_bytes(), b"\0"].concat());
        let began = Instant::now();
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if began.elapsed() > PATIENCE {
                let _ = self.child.kill();
            }
            thread::sleep(std::time::Duration::from_millis(20));
        }
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// RFC 4648 §4.
fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0, 0_u32);
    for digit in text.bytes().filter_map(|byte| DIGITS.bytes().position(|it| it == byte)) {
        held = held << 6 | digit as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    bytes
}
