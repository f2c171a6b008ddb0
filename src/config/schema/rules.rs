#[cfg(any(feature = "api", feature = "signatures"))]
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::iter;

use super::{Key, Takes};
use crate::inspectors::anomaly::{self, Event};
use crate::inspectors::rate;

fn verdicts() -> Takes {
    Takes::Words(["allow", "drop", "reject"].into())
}

fn directions() -> Takes {
    Takes::Words(["to-server", "both"].into())
}

fn networks() -> Takes {
    Takes::text("10.0.0.0/8").many()
}

/// A port, a range, or several with commas.
fn ports() -> Takes {
    Takes::Either([Takes::text("443,8000-8100"), Takes::Number(0, 65_535)].into()).many()
}

/// Which flows a rule takes.
pub(super) fn flows() -> Vec<Key> {
    let protocol = Takes::Either([Takes::text("tcp"), Takes::Number(0, 255)].into()).many();
    Vec::from([
        Key::new("name", Takes::AnyText, "For people."),
        Key::new("direction", directions(), "Flows that `from` opens, or either side."),
        Key::new(
            "endpoint",
            Takes::text("vpce-0a1b2c3d4e5f60718").many(),
            "Through which it comes.",
        ),
        Key::new("from", networks(), "Where it comes from."),
        Key::new("to", networks(), "Where it goes to."),
        Key::new("ports", ports(), "Ports that it goes to."),
        Key::new("source-ports", ports(), "Ports that it comes from."),
        Key::new("protocol", protocol, "Names or numbers of protocols."),
    ])
}

pub(super) fn access() -> Vec<Key> {
    let mut rule = Vec::from([
        Key::required("action", verdicts(), "What becomes of a flow that it takes."),
        Key::new("log", Takes::Truth, "Each flow that it takes is told."),
    ]);
    rule.extend(flows());
    Vec::from([
        Key::required("default", verdicts(), "What becomes of what no rule takes."),
        Key::new("rule", Takes::Table(rule).list(), "In their order: the first that takes a flow."),
    ])
}

pub(super) fn rate() -> Vec<Key> {
    let count = || Takes::Number(1, rate::RateRule::MOST);
    let rule = Vec::from([
        Key::new("name", Takes::AnyText, "For people."),
        Key::required("per", Takes::words(rate::Per::NAMES), "Who has a limit of its own."),
        Key::required("limit", Takes::words(rate::Of::NAMES), "What is counted."),
        Key::required("rate", count(), "How many a second."),
        Key::new("burst", count(), "How many at once."),
        Key::new("action", Takes::words(rate::Action::NAMES), "What becomes of what is beyond."),
        Key::new("direction", directions(), "Which packets count."),
        Key::new("prefix-v4", Takes::Number(1, 32), "Bits of an address that make one."),
        Key::new("prefix-v6", Takes::Number(1, 128), "Bits of an address that make one."),
    ]);
    let most = u64::try_from(rate::RateLimits::MAX_BUCKETS).unwrap_or(u64::MAX);
    Vec::from([
        Key::new("buckets", Takes::Number(1_024, most), "How many a rule has."),
        Key::required("rule", Takes::Table(rule).list(), "The limits."),
    ])
}

pub(super) fn anomaly() -> Vec<Key> {
    let port = || Takes::Number(1, 65_535).many_or_none();
    let byte = || Takes::Number(0, 255);
    let mut keys = actions(Event::ALL.iter().map(|event| event.name()));
    keys.extend([
        Key::new("http-ports", port(), "Where servers speak HTTP."),
        Key::new("tls-ports", port(), "Where servers speak TLS."),
        Key::new("low-ttl", byte(), "A TTL up to this is low."),
        Key::new("ttl-tolerance", byte(), "A difference of TTL up to this is none."),
    ]);
    #[cfg(feature = "http")]
    {
        let names = crate::protocol::http::Anomaly::ALL.into_iter().map(|it| it.name());
        keys.push(Key::new("http", Takes::Table(actions(names)), "Anomalies of HTTP."));
    }
    #[cfg(feature = "tls")]
    {
        let names = crate::protocol::tls::Anomalies::NAMES.iter().map(|(_, name)| *name);
        keys.push(Key::new("tls", Takes::Table(actions(names)), "Anomalies of TLS."));
    }
    keys
}

fn actions(names: impl Iterator<Item = &'static str>) -> Vec<Key> {
    let action = || Takes::words(anomaly::Action::NAMES);
    let key = |name| Key::new(name, action(), "What becomes of it.");
    iter::once(Key::new("default", action(), "What becomes of all that are not named."))
        .chain(names.map(key))
        .collect()
}

#[cfg(feature = "protocols")]
pub(super) fn domains() -> Vec<Key> {
    use crate::inspectors::domains::{Action, Over};

    let action = || Takes::words(Action::NAMES);
    let over = Takes::Words(Over::ALL.map(Over::name).into());
    let list = Vec::from([
        Key::new("name", Takes::AnyText, "For people."),
        Key::required("action", action(), "What becomes of its names."),
        Key::new("over", over.many(), "Where a name is seen; by default anywhere."),
        Key::required("names", Takes::text("*.example.org").many(), "Names, `*.` with all below."),
    ]);
    Vec::from([
        Key::required("default", action(), "What becomes of names that no list takes."),
        Key::new("list", Takes::Table(list).list(), "In their order: the first that takes a name."),
        Key::new("quic", action(), "What becomes of QUIC."),
        Key::new("ech", action(), "What becomes of TLS with an encrypted hello."),
        Key::new("nameless", action(), "What becomes of what has no name."),
        Key::new("discover-until", Takes::Moment, "Until then it only tells."),
        Key::new("except-ports", Takes::Number(0, 65_535).many_or_none(), "Not looked at."),
        Key::new("remember", Takes::Number(0, 1 << 24), "Names that DNS answered."),
    ])
}

#[cfg(feature = "api")]
pub(super) fn api() -> Vec<Key> {
    let token = Vec::from([
        #[cfg(feature = "jwt-keys")]
        Key::new(
            "public-keys",
            Takes::Keys.many(),
            "Files of public keys for RS256 and ES256: PEM, or a JWK Set.",
        ),
        Key::new("issuer", Takes::AnyText.many(), "Who has issued it."),
        Key::new("audience", Takes::AnyText.many(), "Whom it is for."),
        Key::new("leeway", Takes::Number(0, 86_400), "Seconds that clocks may differ."),
        Key::new(
            "secret",
            Takes::text("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
            "The key for HS256 in base64url.",
        ),
    ]);
    let header = Takes::Named {
        pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
        example: "X-Tenant",
        takes: Box::new(Takes::Either([Takes::AnyText, Takes::Truth].into())),
    };
    let rule = Vec::from([
        Key::new("action", verdicts(), "What becomes of a request that it takes."),
        Key::new("from", networks(), "The clients' networks."),
        Key::new("headers", header, "Their values, `true` for any, `false` for none."),
        Key::new("hosts", Takes::text("*.example.org").many(), "Hosts."),
        Key::new("methods", Takes::text("GET").many(), "Methods."),
        Key::new("name", Takes::AnyText, "For people."),
        Key::new("paths", Takes::text("/v1/*/items/**").many(), "Paths."),
        Key::new(
            "token",
            Takes::Either([Takes::Truth, Takes::Table(token)].into()),
            "The token that there has to be.",
        ),
    ]);
    Vec::from([
        Key::new("default", Takes::Words(["reject", "drop"].into()), "What no rule takes."),
        Key::new("misleading", Takes::Words(["refuse", "judge"].into()), "Misleading requests."),
        Key::new("ports", ports(), "The servers' ports."),
        Key::required("rule", Takes::Table(rule).list(), "In their order."),
        Key::new("to", networks(), "The servers' networks."),
    ])
}

#[cfg(feature = "signatures")]
pub(super) fn signatures() -> Vec<Key> {
    const MEGABYTES: u64 = 64 << 20;

    let file = || Takes::File.many_or_none();
    let variables = |example, value| Takes::Named {
        pattern: "^[A-Za-z0-9_]+$",
        example,
        takes: Box::new(Takes::text(value)),
    };
    let addresses = || variables("HOME_NET", "[10.0.0.0/8,!10.1.0.0/16]");
    let ports = || variables("HTTP_PORTS", "[80,8080]");
    let endpoint = Takes::Named {
        pattern: "^vpce-([0-9a-fA-F]{8}|[0-9a-fA-F]{17})$",
        example: "vpce-0a1b2c3d4e5f60718",
        takes: Box::new(Takes::Table(Vec::from([
            Key::new("addresses", addresses(), "Its own addresses of that name."),
            Key::new("ports", ports(), "Its own ports of that name."),
        ]))),
    };
    Vec::from([
        Key::new("files", file(), "Rules in Suricata's language."),
        Key::new("rules", Takes::AnyText, "Such rules."),
        Key::new("addresses", addresses(), "What `$NAME` stands for among addresses."),
        Key::new("ports", ports(), "What `$NAME` stands for among ports."),
        Key::new("endpoints", endpoint, "Endpoints for which that is otherwise."),
        Key::new("enable", file(), "Rules that are loaded all the same."),
        Key::new("disable", file(), "Rules that are not loaded."),
        Key::new("drop", file(), "Rules that drop what they alert of."),
        Key::new("modify", file(), "Rules that are changed."),
        Key::new("classes", file(), "A `classification.config`."),
        Key::new("thresholds", file(), "A `threshold.config`."),
        Key::new(
            "stream-depth",
            Takes::Number(0, 1 << 40),
            "Bytes of each side that are looked at.",
        ),
        Key::new(
            "stream-window",
            Takes::Number(0, 1 << 20),
            "Bytes looked at again with the next.",
        ),
        Key::new("request-body", Takes::Number(0, MEGABYTES), "Bytes of a body looked at."),
        Key::new("response-body", Takes::Number(0, MEGABYTES), "Bytes of a body looked at."),
        Key::new(
            "bytes",
            Takes::Number(0, 1 << 36),
            "Bytes that the flows of a worker hold for that.",
        ),
        Key::new(
            "bytes-per-endpoint",
            Takes::Number(0, 1 << 36),
            "Of these, those of one endpoint; three quarters where only `bytes` is given.",
        ),
        Key::new("steps", Takes::Number(1, 1 << 40), "Steps for one packet or message."),
        Key::new(
            "unanswered",
            Takes::Words(["pass", "drop"].into()),
            "What becomes of a flow for which a rule that refuses was not asked for all of it: no steps left, too many rules waiting, no room, or a compressed body that is not inflated: a broken one, that of a request, or one in an unknown coding such as `br`.",
        ),
        Key::new(
            "remembered",
            Takes::Number(0, 1 << 24),
            "Counts of thresholds, and as many bits of addresses.",
        ),
        Key::new(
            "remembered-per-endpoint",
            Takes::Number(0, 1 << 24),
            "Of these, those of one endpoint; three quarters where only `remembered` is given.",
        ),
        Key::new("costs", Takes::Truth, "What each rule costs is counted."),
    ])
}
