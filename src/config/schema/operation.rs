use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Key, Takes, rules};
#[cfg(feature = "eve")]
use crate::config::EveKind;
use crate::config::run::RELOADS;
use crate::config::{LogFormat, TransportKind, Way};
use crate::inspect::Exception;
#[cfg(feature = "eve")]
use crate::observe::eve::EveTypes;

/// All keys.
pub(super) fn keys() -> Vec<Key> {
    let endpoint = Takes::Named {
        pattern: "^vpce-([0-9a-fA-F]{8}|[0-9a-fA-F]{17})$",
        example: "vpce-0a1b2c3d4e5f60718",
        takes: Box::new(Takes::Table(endpoint())),
    };
    let mut keys = Vec::from([
        Key::new("monitor", Takes::Truth, "Judge, say what would be done, and forward everything."),
        Key::new(
            "policy",
            Takes::Table(policy()),
            "What becomes of traffic that cannot be judged in the ordinary way.",
        ),
        Key::new(
            "endpoints",
            endpoint,
            "The endpoints, if they are listed: others are unknown then.",
        ),
        Key::new("access", Takes::Table(rules::access()), "Which flows there may be."),
        Key::new("rate", Takes::Table(rules::rate()), "What one may have a second."),
        Key::new(
            "anomaly",
            Takes::Table(rules::anomaly()),
            "What becomes of what is odd about packets and messages.",
        ),
    ]);
    #[cfg(feature = "protocols")]
    keys.push(Key::new("domains", Takes::Table(rules::domains()), "Which names may be called."));
    #[cfg(feature = "api")]
    keys.push(Key::new("api", Takes::Table(rules::api()), "Which HTTP requests there may be."));
    #[cfg(feature = "signatures")]
    keys.push(Key::new("signatures", Takes::Table(rules::signatures()), "Known attacks."));
    #[cfg(feature = "eve")]
    keys.push(Key::new("eve", Takes::Table(eve()), "What is recorded, and where."));
    #[cfg(feature = "capture")]
    keys.push(Key::new("tap", Takes::Table(tap()), "Which flows are kept as evidence, and where."));
    keys.extend([
        Key::new("run", Takes::Table(run()), "Where it stands and how it works."),
        Key::new("limits", Takes::Table(limits()), "How much it may hold."),
        Key::new("timeouts", Takes::Table(timeouts()), "Seconds that a flow may be idle."),
    ]);
    keys
}

fn policy() -> Vec<Key> {
    let profile = Takes::Words(["available", "strict"].into());
    let mut keys = Vec::from([Key::new("profile", profile, "What it begins with.")]);
    keys.extend(Exception::ALL.map(|class| {
        let words = class.treatments().iter().map(|treatment| treatment.name()).collect();
        Key::new(class.name(), Takes::Words(words), "How this class is treated.")
    }));
    keys
}

fn endpoint() -> Vec<Key> {
    Vec::from([
        Key::new("name", Takes::AnyText, "What people call it."),
        Key::new("flows", Takes::Number(1, 1 << 28), "The most flows that it may have."),
        Key::new("monitor", Takes::Truth, "Only watch its traffic."),
        Key::new("policy", Takes::Table(policy()), "Its own policy."),
    ])
}

fn run() -> Vec<Key> {
    let network = Takes::text("10.0.0.0/16").many_or_none();
    Vec::from([
        Key::new("transport", Takes::words(TransportKind::NAMES), "How datagrams come and go."),
        Key::new("way", Takes::words(Way::NAMES), "The way out of the machine."),
        Key::new("bind", Takes::text("0.0.0.0"), "The IPv4 address that load balancers send to."),
        Key::new("port", Takes::Number(1, 65_535), "The UDP port that they send to."),
        Key::new("workers", Takes::Number(1, 1_024), "Threads; by default one for each processor."),
        Key::new("pin", Takes::Truth, "Each worker stays on its processor."),
        Key::new("allow-origin", network, "The load balancers' IPv4 networks."),
        Key::new(
            "receive-buffer",
            Takes::Number(4_096, 1 << 30),
            "Bytes that the system holds for a worker that is busy.",
        ),
        Key::new(
            "busy-poll",
            Takes::Number(0, 1_000_000),
            "Microseconds that a worker looks for datagrams before it sleeps.",
        ),
        Key::new("health", Takes::text("0.0.0.0:8080"), "Where health is told, or `off`."),
        Key::new("manage", Takes::text("127.0.0.1:9090"), "Where metrics are told, or `off`."),
        Key::new("manage-token", Takes::text("0123456789abcdef"), "Who has it may give orders."),
        Key::new("manage-token-file", Takes::AnyText, "A file with that token."),
        Key::new(
            "manage-hosts",
            Takes::text("appliance.example").many_or_none(),
            "Names that it may be called.",
        ),
        Key::new("drain", Takes::Seconds(WEEK), "Seconds for known flows after the order to stop."),
        Key::new("log", Takes::words(LogFormat::NAMES), "The form of the log."),
        Key::new("shadow", Takes::AnyText, "A configuration that is evaluated without effect."),
        Key::new("reload", Takes::words(RELOADS), "Flows that a new configuration is for."),
    ])
}

const WEEK: u64 = 604_800;

fn limits() -> Vec<Key> {
    const BYTES: u64 = 1 << 48;
    let per_second = || Takes::Number(0, u32::MAX.into());
    Vec::from([
        Key::new("flows", Takes::Number(1, 1 << 28), "Flows."),
        Key::new("flow-bytes", Takes::Number(1, BYTES), "Bytes for them."),
        Key::new("flows-per-endpoint", Takes::Number(1, BYTES), "Flows of each endpoint."),
        Key::new("endpoints", Takes::Number(1, 1 << 26), "Endpoints that have flows."),
        Key::new("header-bytes", Takes::Number(0, BYTES), "Bytes for unusual GENEVE headers."),
        Key::new("fragments", Takes::Number(1, 1 << 24), "Datagrams in fragments."),
        Key::new("fragments-per-endpoint", Takes::Number(1, BYTES), "The same, of each endpoint."),
        Key::new("streams", Takes::Number(1, 1 << 28), "TCP connections put in order."),
        Key::new("streams-per-endpoint", Takes::Number(1, BYTES), "The same, of each endpoint."),
        Key::new("stream-bytes", Takes::Number(1, BYTES), "Bytes remembered for that."),
        Key::new(
            "stream-bytes-per-endpoint",
            Takes::Number(1, BYTES),
            "The same, of each endpoint.",
        ),
        Key::new("stream-window", Takes::Number(1, 1 << 30), "Bytes ahead of a missing one."),
        Key::new("message-size", Takes::Number(1, 1 << 24), "Bytes of a message."),
        Key::new("message-bytes", Takes::Number(1, BYTES), "Bytes of messages under way."),
        Key::new(
            "message-bytes-per-endpoint",
            Takes::Number(1, BYTES),
            "The same, of each endpoint.",
        ),
        Key::new("defrag-datagrams", Takes::Number(1, 1 << 16), "Datagrams put together."),
        Key::new(
            "defrag-datagrams-per-endpoint",
            Takes::Number(1, 1 << 16),
            "The same, of each endpoint.",
        ),
        Key::new("defrag-bytes", Takes::Number(1, BYTES), "Bytes of their fragments."),
        Key::new(
            "defrag-bytes-per-endpoint",
            Takes::Number(1, BYTES),
            "The same, of each endpoint.",
        ),
        Key::new("answers-per-second", per_second(), "Packets of one's own."),
        Key::new("icmp-errors-per-second", per_second(), "ICMP errors about unknown flows."),
        Key::new("unhealthy-after", Takes::Number(1, BYTES), "Failures of inspectors."),
    ])
}

fn timeouts() -> Vec<Key> {
    [
        ("tcp", "TCP with both sides open."),
        ("half-open", "TCP before its handshake is complete."),
        ("closing", "TCP of which one side has closed."),
        ("closed", "TCP of which both sides have closed."),
        ("udp", "UDP seen in both directions."),
        ("icmp", "ICMP seen in both directions."),
        ("other", "Other protocols seen in both directions."),
        ("unanswered", "What was seen in one direction, but for TCP."),
        ("defrag", "A datagram in fragments that is put together."),
    ]
    .into_iter()
    .map(|(name, about)| Key::new(name, Takes::Seconds(WEEK), about))
    .collect()
}

#[cfg(feature = "eve")]
fn eve() -> Vec<Key> {
    let envelope = Vec::from([
        Key::required("firewall-name", Takes::AnyText, "`firewall_name`."),
        Key::required("availability-zone", Takes::AnyText, "`availability_zone`."),
    ]);
    Vec::from([
        Key::required("file", Takes::AnyText, "Where records go; `-` is standard output."),
        Key::new("kind", Takes::words(EveKind::NAMES), "What `file` is."),
        Key::new("rotate-bytes", Takes::Number(4_096, 1 << 48), "Then another file begins."),
        Key::new("rotate-seconds", Takes::Number(1, 366 * 86_400), "Then another file begins."),
        Key::new("keep", Takes::Number(0, 10_000), "Files that are kept besides."),
        Key::new("envelope", Takes::Table(envelope), "As AWS Network Firewall wraps records."),
        Key::new(
            "types",
            Takes::words(EveTypes::NAMES).many_or_none(),
            "Kinds of records; by default all.",
        ),
        Key::new("ja3", Takes::Truth, "TLS records have this fingerprint."),
        Key::new("ja4", Takes::Truth, "TLS records have this fingerprint."),
        Key::new("community-id", Takes::Truth, "Records have a Community ID."),
        Key::new("queue", Takes::Number(64 << 10, 1 << 30), "Bytes that may wait for the disk."),
        Key::new("stats", Takes::Seconds(WEEK), "Seconds between records of counters."),
    ])
}

#[cfg(feature = "capture")]
fn tap() -> Vec<Key> {
    use crate::observe::evidence::EvidenceSettings;

    let least = EvidenceSettings::LEAST_FILE_SIZE;
    let alerts = ["none", "info", "notice", "warning", "critical"];
    Vec::from([
        Key::required("directory", Takes::AnyText, "Where files of evidence are."),
        Key::new("file-size", Takes::Number(least, 1 << 40), "Bytes, then another file begins."),
        Key::new("files", Takes::Number(1, 1_000_000), "Files that are kept."),
        Key::new("queue", Takes::Number(256 << 10, 1 << 30), "Bytes that may wait for the disk."),
        Key::new(
            "alerts",
            Takes::Words(alerts.into()),
            "Alerts whose flows are kept: these and worse.",
        ),
        Key::new("rule", Takes::Table(rules::flows()).list(), "Flows that are kept whole."),
    ])
}
