//! Two network namespaces with a cable between them: the load balancer's and the appliance's.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gwlb_geneve::geneve::UDP_PORT;
use serde_json::{Map, Value};

use crate::args::Target;
use crate::namespace::{Namespace, Program, ip, to_stderr};
use crate::offload::enable_gro;

/// The load balancer and the appliance, in a private network as in a VPC, and somebody from without.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 66, 0, 1);
pub(crate) const STRANGER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);
pub(crate) const APPLIANCE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 66, 0, 2), UDP_PORT);

const HEALTH: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(*APPLIANCE.ip()), 8_080);
const MANAGEMENT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9_090);
/// As an AWS network interface with jumbo frames has it.
const MTU: u32 = 9_001;

/// Both namespaces, and the appliance at work in its own.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Ended first.
    pub(crate) appliance: Program,
    pub(crate) gateway: Namespace,
    pub(crate) inside: Namespace,
}

impl Stage {
    /// Lays the cable and starts the appliance.
    pub(crate) fn new(target: &Target) -> Result<Self> {
        let gateway = Namespace::new()?;
        let inside = Namespace::new()?;
        let other = inside.path();
        gateway.run(|| {
            ip(&format!(
                "link add gwlb mtu {MTU} type veth peer name eth0 mtu {MTU} netns {other}"
            ))?;
            ip(&format!("address add {GATEWAY}/24 dev gwlb"))?;
            ip(&format!("address add {STRANGER}/24 dev gwlb"))?;
            ip("link set gwlb up")
        })?;
        inside.run(|| {
            ip(&format!("address add {}/24 dev eth0", APPLIANCE.ip()))?;
            if let Err(error) = enable_gro("eth0") {
                eprintln!("gwlb_sim: no GRO at the appliance's end: {error:#}");
            }
            ip("link set eth0 up")?;
            // What is answered to a stranger would get there, and be seen.
            ip(&format!("route add {STRANGER}/32 dev eth0"))
        })?;
        let (what, mut command) = appliance(target)?;
        command.stdout(to_stderr());
        let appliance = inside.start(&what, command)?;
        Ok(Self { appliance, gateway, inside })
    }
}

/// Whether the appliance's health check succeeds, asked from the load balancer's side, in whose namespace this
/// thread must be.
pub(crate) fn is_healthy() -> bool {
    let answer = http(HEALTH, "/healthz", Duration::from_millis(200));
    answer.is_ok_and(|answer| answer.split(' ').nth(1) == Some("200"))
}

/// The numbers that the appliance's management port tells, where it has one.
pub(crate) fn stats(inside: &Namespace) -> Option<Map<String, Value>> {
    let answer = inside.run(|| http(MANAGEMENT, "/stats", Duration::from_millis(500)));
    let answer = answer.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    if head.split(' ').nth(1) != Some("200") {
        return None;
    }
    let stats = serde_json::from_str(body).ok()?;
    let mut numbers = Map::new();
    flatten("", &stats, &mut numbers);
    Some(numbers)
}

/// What has changed between two readings of the numbers: what is counted, by how much; what is measured, to what.
pub(crate) fn difference(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) -> Map<String, Value> {
    let mut changed = Map::new();
    for (name, value) in after {
        let was = before.get(name).and_then(Value::as_f64).unwrap_or(0.0);
        let is = value.as_f64().unwrap_or(0.0);
        if is != was {
            let is_measured = name.contains("latency");
            let difference = if is_measured { (is * 1e7).round() / 1e7 } else { is - was };
            let whole = difference.fract() == 0.0 && difference.abs() < 9e15;
            let value =
                if whole { Value::from(difference as i64) } else { Value::from(difference) };
            changed.insert(name.clone(), value);
        }
    }
    changed
}

/// All numbers in a JSON value, by their paths.
fn flatten(path: &str, value: &Value, numbers: &mut Map<String, Value>) {
    let below =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Number(_) => {
            numbers.insert(path.to_owned(), value.clone());
        }
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| flatten(&below(name), value, numbers));
        }
        Value::Array(members) => members
            .iter()
            .enumerate()
            .for_each(|(number, value)| flatten(&below(&number.to_string()), value, numbers)),
        _ => {}
    }
}

/// The program to start, and what it is called.
fn appliance(target: &Target) -> Result<(String, Command)> {
    if let [program, arguments @ ..] = &target.command[..] {
        let mut command = Command::new(program);
        command.args(arguments);
        return Ok((program.clone(), command));
    }
    let own = std::env::current_exe().context("where is this program?")?;
    let sibling: PathBuf = own.with_file_name("appliance");
    ensure!(
        sibling.is_file(),
        "expected the example appliance at {}: build it (cargo build --release --example \
         appliance), or name a command behind --",
        sibling.display()
    );
    let mut command = Command::new(&sibling);
    command.arg("run");
    Ok(("appliance run".into(), command))
}

/// The answer to a GET, head and body.
fn http(at: SocketAddr, path: &str, patience: Duration) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&at, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(16 << 20).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
