//! The page in a browser: what a person would look at and do.

use std::io::Write;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::appliance::{Appliance, MANAGE, PATIENCE, TOKEN, alone, ask, metric};
use super::browser::{self, Browser};
use super::gateway::{APPLIANCE, Gateway, datagram};
use super::{REFUSE_53, file};

const OTHER_GATEWAY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// Sends some hundred packets a second, until it is dropped.
struct Load {
    is_over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Load {
    fn begin() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let its = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let socket = UdpSocket::bind((OTHER_GATEWAY, 40_001)).unwrap();
            let _takes_what_comes_back = UdpSocket::bind((OTHER_GATEWAY, 6_081)).unwrap();
            let mut number = 0_u16;
            while !its.load(Ordering::Relaxed) {
                for _ in 0..10 {
                    number = number.wrapping_add(1);
                    // A flow in ten moves most of it; one in a hundred is refused.
                    let flow = if number % 10 == 0 { number % 40 } else { number % 4 };
                    let to = if number % 100 == 0 { 53 } else { 8_000 + flow };
                    socket.send_to(&datagram(2_000 + flow, to), APPLIANCE).unwrap();
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[test]
fn in_a_browser() {
    let Some(program) = browser::program() else {
        let required = std::env::var("KERNEL_TESTS").is_ok_and(|value| value == "required");
        assert!(!required, "there is no Chromium (Debian: apt-get install chromium)");
        let skipped =
            "SKIPPED: the test of the page needs Chromium (Debian: apt-get install chromium)";
        writeln!(std::io::stderr(), "{skipped}").unwrap();
        return;
    };
    alone(move || {
        let config = file("page.toml", REFUSE_53);
        let secret = file("page.token", TOKEN);
        let gateway = Gateway::new();
        let mut appliance = Appliance::start(&[
            "--config",
            config.to_str().unwrap(),
            "--manage-token-file",
            secret.to_str().unwrap(),
        ]);
        something_happens(&appliance);
        let mut browser = Browser::open(program, "http://127.0.0.1:9090/");
        enter(&mut browser);
        the_past_is_drawn(&mut browser);
        let load = Load::begin();
        figures_move(&mut browser);
        alerts_come(&mut browser, &gateway);
        looks(&mut browser);
        drop(load);
        numbers_are_those_of_stats(&mut browser);
        bypass(&mut browser, &gateway, &appliance);

        assert_eq!(browser.complaints(), [""; 0]);
        let requests = browser.requests();
        assert!(requests.len() >= 3, "{requests:?}");
        let is_ours =
            |url: &&str| url.starts_with("http://127.0.0.1:9090/") || url.starts_with("data:");
        assert!(requests.iter().all(is_ours), "{requests:?}");

        browser.click("drain");
        browser.wait_until("document.getElementById('drain').textContent === 'Really go down?'");
        browser.click("drain");
        browser.wait_until("document.getElementById('health').textContent === 'draining'");
        appliance.signal(nix::sys::signal::Signal::SIGTERM);
        let (status, _) = appliance.end();
        assert_eq!(status.code(), Some(0), "{}", appliance.log());
        assert!(appliance.log().contains("order=\"drain\""), "{}", appliance.log());
        browser.wait_until("document.getElementById('health').textContent === 'no answer'");
    });
}

/// Nothing is told before the token is.
fn enter(browser: &mut Browser) {
    browser.wait_until("document.readyState === 'complete'");
    let is_asked = "!document.getElementById('login').hidden";
    browser.wait_until(is_asked);
    browser.picture("page-login.png");
    assert_eq!(browser.complaints(), [""; 0]);
    let say = |browser: &mut Browser, token: &str| {
        browser.value(&format!("document.getElementById('token').value = {token:?}"));
        browser.value("document.querySelector('#login button').click()");
    };
    say(browser, "something-else-0");
    browser.wait_until("document.getElementById('refusal').textContent !== ''");
    assert_eq!(browser.value("document.getElementById('content').hidden"), true);
    let complaints = browser.complaints();
    assert!(complaints.iter().all(|complaint| complaint.contains("401")), "{complaints:?}");
    say(browser, TOKEN);
    browser.wait_until("!document.getElementById('content').hidden");
    browser.wait_until("document.getElementById('health').textContent === 'healthy'");
    assert_eq!(browser.value("document.getElementById('login').hidden"), true);
}

/// Before anybody looks; and it is over then.
fn something_happens(appliance: &Appliance) {
    let samples = || {
        let answer = ask(MANAGE, "GET", "/history", Some(TOKEN), "").unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut history: serde_json::Value = serde_json::from_str(body).unwrap();
        let samples = serde_json::from_value::<Vec<serde_json::Value>>(history["samples"].take());
        samples.unwrap()
    };
    let is_busy = |sample: &serde_json::Value| sample["received"] != 0;
    let load = Load::begin();
    let has_refused = |sample: &&serde_json::Value| sample["dropped"]["access-list"].is_u64();
    appliance.wait_for("samples", || samples().iter().filter(has_refused).count() >= 3);
    drop(load);
    appliance.wait_for("quiet", || samples().iter().rev().take(2).all(|sample| !is_busy(sample)));
}

/// At once, and not only what happens from now on: now nothing does.
fn the_past_is_drawn(browser: &mut Browser) {
    let heights = |chart: &str| {
        format!(
            "(() => {{ const shape = document.querySelector('#chart-{chart} svg :is(polyline, polygon)'); \
             return shape ? new Set(shape.getAttribute('points').trim().split(' ').map((at) => at.split(',')[1])).size : 0; }})()"
        )
    };
    for chart in ["packets", "bits", "verdicts"] {
        browser.wait_until(&format!("{} > 1", heights(chart)));
    }
    browser.wait_until(
        "document.querySelector('#chart-verdicts').textContent.includes('access-list')",
    );
    browser.wait_until("document.getElementById('packets').textContent === '0'");
    browser.picture("page-history.png");
}

fn figures_move(browser: &mut Browser) {
    browser.wait_until("parseFloat(document.getElementById('packets').textContent) > 0");
    let received = "parseInt(document.getElementById('footer').textContent.match(/([0-9,]+) received/)[1].replace(/,/g, ''))";
    let before = browser.value(received).as_u64().unwrap();
    browser.wait_until(&format!("{received} > {before}"));
    assert!(browser.text("bits").contains("bit"));
    browser.wait_until("document.getElementById('latency').textContent !== '–'");
    for chart in ["packets", "bits", "verdicts", "latency"] {
        let has_lines = format!(
            "document.querySelectorAll('#chart-{chart} svg :is(polyline, polygon)').length > 0"
        );
        browser.wait_until(&has_lines);
    }
    browser.wait_until(
        "document.querySelector('#endpoints').textContent.includes('vpce-00a1b2c3d4e5f6071')",
    );
    browser.wait_until("document.querySelectorAll('#top-flows tbody tr').length > 4");
    browser.wait_until(
        "document.querySelector('#top-flows tbody').textContent.includes('10.1.0.1:2001')",
    );
    browser.wait_until(
        "document.querySelector('#top-rules tbody').textContent.includes('access-list')",
    );
}

/// On a machine that has something else to do, too, one of ten is in time.
fn alerts_come(browser: &mut Browser, gateway: &Gateway) {
    let mut quickest = Duration::MAX;
    for port in 5_000..5_010 {
        let began = Instant::now();
        gateway.send(&datagram(port, 53));
        let is_there = format!("document.getElementById('alerts').textContent.includes(':{port}')");
        browser.wait_until(&is_there);
        quickest = quickest.min(began.elapsed());
        if quickest < Duration::from_secs(2) {
            break;
        }
    }
    assert!(quickest < Duration::from_secs(2), "{quickest:?}");
}

/// Readable everywhere: nothing wider than the screen, and text that stands out from what is behind it.
fn looks(browser: &mut Browser) {
    // The charts have some length then.
    thread::sleep(Duration::from_secs(2));
    for (name, width, height, is_dark) in [
        ("page-light.png", 1_280, 1_000, false),
        ("page-dark.png", 1_280, 1_000, true),
        ("page-phone.png", 390, 844, false),
        ("page-phone-dark.png", 390, 844, true),
    ] {
        browser.screen(width, height, is_dark);
        browser.wait_until(&format!("document.documentElement.scrollWidth <= {width}"));
        browser
            .wait_until(&format!("matchMedia('(max-width: 46rem)').matches === {}", width < 600));
        let brightness = |property: &str| {
            format!(
                "getComputedStyle(document.body).{property}.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0) / 765"
            )
        };
        let text = browser.value(&brightness("color")).as_f64().unwrap();
        let ground = browser.value(&brightness("backgroundColor")).as_f64().unwrap();
        assert!((text > ground) == is_dark && (text - ground).abs() > 0.6, "{text} on {ground}");
        browser.picture(name);
    }
    browser.screen(1_280, 1_000, false);
}

fn numbers_are_those_of_stats(browser: &mut Browser) {
    let began = Instant::now();
    loop {
        let stats = ask(MANAGE, "GET", "/stats", Some(TOKEN), "").unwrap();
        let (_, stats) = stats.split_once("\r\n\r\n").unwrap();
        let stats: serde_json::Value = serde_json::from_str(stats).unwrap();
        let shown = browser.text("footer").replace(',', "");
        let total = &stats["total"];
        let said = format!(
            "Since the start: {} received {} forwarded {} refused {} sent; accounts balance.",
            total["received"], total["forwarded"], total["dropped"]["access-list"], total["sent"]
        );
        if shown.contains(&said) {
            let alerts = &total["alerts"];
            assert_eq!(browser.text("alerts-total"), alerts["access-list"].to_string(), "{alerts}");
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{shown} is not {said}");
        thread::sleep(Duration::from_millis(200));
    }
}

fn bypass(browser: &mut Browser, gateway: &Gateway, appliance: &Appliance) {
    // What the load has left behind.
    while gateway.receive().is_some() {}
    assert!(!gateway.passes(&datagram(6_000, 53)));
    browser.click("bypass");
    assert!(!gateway.passes(&datagram(6_000, 53)), "one click is none");
    browser.click("bypass");
    browser.wait_until("!document.getElementById('banner').hidden");
    appliance.wait_until_bypassed(2);
    assert!(gateway.passes(&datagram(6_001, 53)));
    browser.wait_until("document.getElementById('banner').textContent.startsWith('Bypass is on')");
    browser.picture("page-bypass.png");
    let page = ask(MANAGE, "GET", "/metrics", Some(TOKEN), "").unwrap();
    assert_eq!(metric(&page, "gwlb_bypass", ""), 1);
    browser.wait_until("document.getElementById('bypass').textContent === 'End bypass'");
    browser.click("bypass");
    browser.click("bypass");
    browser.wait_until("document.getElementById('banner').hidden");
    appliance.wait_until_bypassed(0);
    assert!(!gateway.passes(&datagram(6_002, 53)));
    let log = appliance.log();
    assert!(log.contains("order=\"bypass on\"") && log.contains("order=\"bypass off\""), "{log}");
}
