//! Rules and what is said in a flow, made of arbitrary bytes, and told to the matcher and to the plain interpreter.

use std::collections::BTreeSet;
use std::sync::Arc;

use gwlb_geneve::inspect::{
    Beginning, Context, Effects, Inspector, Packet, ParsedPacket, StreamChunk, Verdict,
};
use gwlb_geneve::inspectors::signatures::{
    Buffer, Interpreter, Rule, RuleSet, SignatureInspector, SignatureSettings, Signatures,
    Variables,
};
use gwlb_geneve::protocol::{Limits, Room, Session};
use gwlb_geneve::{Side, Timestamp};

use super::traffic::{ACK, pair};

/// What came out of a script.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Rules that were asked.
    pub asked: u64,
    /// Those that have held.
    pub held: u64,
    /// Whether all patterns were so long that what they begin with says where to look for them.
    pub is_long: bool,
}

/// Bytes that choices are made by.
struct Choices<'a> {
    bytes: &'a [u8],
    /// Whether patterns are long. Each is kept then: by chance alone none would be found.
    is_long: bool,
    patterns: Vec<String>,
}

impl Choices<'_> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    fn below(&mut self, most: u8) -> u8 {
        self.next() % most
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[usize::from(self.below(of.len() as u8))]
    }

    fn often(&mut self, of: u8) -> bool {
        self.below(of) == 0
    }
}

/// Bytes for a script of this number.
pub fn from_seed(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = state;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    };
    (0..32).flat_map(|_| next().to_le_bytes()).collect()
}

/// Makes rules and bytes, and compares what is found of them.
pub fn check(bytes: &[u8]) -> Outcome {
    let mut choices = Choices { bytes, is_long: false, patterns: Vec::new() };
    choices.is_long = choices.often(2);
    let of_messages = choices.often(2);
    let rules: Vec<String> = (1..=1 + u32::from(choices.below(4)))
        .map(|sid| rule(&mut choices, of_messages, sid))
        .collect();
    let text = rules.join("\n");
    let signatures = RuleSet::parse(text.as_bytes(), &Variables::default());
    let mut settings = SignatureSettings::default();
    settings.limits.stream_window = [3, 8, 1_000][usize::from(choices.below(3))];
    settings.limits.request_body = [5, 1_000][usize::from(choices.below(2))];
    settings.limits.steps = u64::MAX;
    let set = Arc::new(Signatures::new(signatures.rules(), &settings));
    let rules: Vec<&Rule> = signatures
        .rules()
        .iter()
        .filter(|rule| set.problems().iter().all(|(id, _)| *id != rule.id))
        .collect();
    let said = match of_messages {
        true => request(&mut choices),
        false => words(&mut choices, 40).into_bytes(),
    };
    let mut cuts: Vec<usize> = Vec::new();
    let mut at = 0;
    while at < said.len() {
        at += 1 + usize::from(choices.below(if of_messages { 60 } else { 9 }));
        cuts.push(at.min(said.len()));
    }
    let found = match of_messages {
        true => by_matcher(&set, &said, &cuts),
        false => by_matcher(&set, &said, &cuts),
    };
    let window = settings.limits.stream_window;
    let expected = match of_messages {
        true => in_request(&rules, &said, &cuts, settings.limits.request_body),
        false => in_stream(&rules, &said, &cuts, window),
    };
    assert_eq!(
        found,
        expected,
        "matcher and interpreter differ (sid, by which byte) over {} cut at {cuts:?}, window {window}, body {}:\n{text}",
        said.escape_ascii(),
        settings.limits.request_body,
    );
    Outcome { asked: rules.len() as u64, held: found.len() as u64, is_long: choices.is_long }
}

/// A few letters, so that there is often something to be found, and of long patterns some as they are, or the first part of them.
fn words(choices: &mut Choices<'_>, most: u8) -> String {
    let len = usize::from(choices.below(most));
    let mut words = String::new();
    while words.len() < len {
        let of_patterns = !choices.patterns.is_empty() && choices.often(3);
        if of_patterns {
            let which = usize::from(choices.next()) % choices.patterns.len();
            let part =
                if choices.often(3) { 1 + usize::from(choices.below(8)) } else { usize::MAX };
            words.extend(choices.patterns[which].chars().take(part));
        } else {
            words += choices.one(&["a", "b", "c", "A", "B", "1", "2", "0"]);
        }
    }
    words.truncate(len);
    words
}

/// Short ones have no grams, long ones have such of three bytes or four: all of a script are of one kind, since one that is short
/// leaves those beside it without.
fn pattern(choices: &mut Choices<'_>) -> String {
    let len = if choices.is_long { 4 + choices.below(6) } else { 1 + choices.below(3) };
    let pattern: String = (0..len).map(|_| choices.one(&["a", "b", "c", "A", "1", "2"])).collect();
    if choices.is_long {
        choices.patterns.push(pattern.clone());
    }
    pattern
}

fn rule(choices: &mut Choices<'_>, of_messages: bool, sid: u32) -> String {
    let mut options = String::new();
    let protocol = if of_messages { "http" } else { "tcp" };
    let mut groups = 1;
    if of_messages {
        groups += choices.below(3);
    } else {
        options += "flow:only_stream; ";
    }
    for _ in 0..groups {
        if of_messages {
            options += choices.one(&[
                "http.uri; ",
                "http.request_body; ",
                "http.header; ",
                "http.method; ",
                "file.data; flow:to_server; ",
                "http.request_body; to_lowercase; ",
            ]);
        }
        for _ in 0..1 + choices.below(4) {
            options += &item(choices);
        }
    }
    if of_messages {
        // Rules about responses are not asked here.
        options = options.replace("flow:to_server; ", "");
        options.insert_str(0, "flow:to_server; ");
    }
    format!("alert {protocol} any any -> any any ({options}sid:{sid};)")
}

fn item(choices: &mut Choices<'_>) -> String {
    match choices.below(16) {
        0..=8 => content(choices),
        9 => {
            let number = choices.below(6);
            let relative = if choices.often(2) { ",relative" } else { "" };
            let negated = if choices.often(2) { "!" } else { "" };
            format!("isdataat:{negated}{number}{relative}; ")
        }
        10 => {
            let expression = choices.one(&["a+b", "^a", "b$", "[ab]c", "1.?2", "(a|bc)", "\\bA"]);
            let negated = if choices.often(5) { "!" } else { "" };
            let flags = choices.one(&["", "R", "i", "Ri"]);
            format!("pcre:{negated}\"/{expression}/{flags}\"; ")
        }
        11 => {
            let operator = choices.one(&["<", ">", "=", "!=", "<=", "&"]);
            let value = choices.below(3);
            let offset = choices.below(6);
            let relative = choices.one(&["", ",relative"]);
            format!("byte_test:1,{operator},{value},{offset}{relative},string,dec; ")
        }
        12 => {
            let relative = choices.one(&["", ",relative"]);
            let more =
                choices.one(&["", ",multiplier 2", ",align", ",from_beginning", ",post_offset -2"]);
            format!("byte_jump:1,{}{relative}{more},string,dec; ", choices.below(4))
        }
        13 => format!(
            "byte_extract:1,{},n,relative,string,dec; content:\"{}\"; distance:n; ",
            choices.below(3),
            pattern(choices)
        ),
        14 => {
            let size = choices.one(&[">2", "<9", "3<>7", "5"]);
            format!("bsize:{size}; ")
        }
        _ => "byte_test:2,>,0x6162,0,relative; ".into(),
    }
}

fn content(choices: &mut Choices<'_>) -> String {
    let negated = if choices.often(6) { "!" } else { "" };
    let pattern = pattern(choices);
    // What a pattern does not fit into does not load.
    let least = pattern.len().max(3) as u8;
    let mut text = format!("content:{negated}\"{pattern}\"; ");
    if choices.often(3) {
        text += "nocase; ";
    }
    match choices.below(8) {
        0 => text += &format!("offset:{}; ", choices.below(5)),
        1 => text += &format!("depth:{}; ", least + choices.below(8)),
        2 => text += &format!("offset:{}; depth:{}; ", choices.below(4), least + choices.below(6)),
        3 => text += &format!("distance:{}; ", i16::from(choices.below(8)) - 3),
        4 => text += &format!("within:{}; ", least + choices.below(6)),
        5 => {
            text += &format!(
                "distance:{}; within:{}; ",
                i16::from(choices.below(8)) - 3,
                least + choices.below(6)
            );
        }
        6 => text += choices.one(&["startswith; ", "endswith; "]),
        _ => {}
    }
    if negated.is_empty() && choices.often(7) {
        text += "fast_pattern; ";
    }
    text
}

fn request(choices: &mut Choices<'_>) -> Vec<u8> {
    let method = choices.one(&["POST", "a", "ab", "PUT"]);
    let path = words(choices, 8);
    let header = words(choices, 8);
    let body = words(choices, 24);
    let len = body.len();
    format!(
        "{method} /{path} HTTP/1.1\r\nHost: h\r\nX: {header}\r\nContent-Length: {len}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The rules that the matcher finds, each with the number of bytes that were said when it did.
fn by_matcher(set: &Arc<Signatures>, said: &[u8], cuts: &[usize]) -> BTreeSet<(u32, usize)> {
    let mut inspector = SignatureInspector::new(Arc::clone(set));
    let (client, _) = pair();
    let payload = client.envelope(&client.tcp(ACK, 1, 1, b"-"));
    let envelope =
        gwlb_geneve::gwlb::Envelope::parse(&payload, &gwlb_geneve::gwlb::Profile::AWS).unwrap();
    let parsed = ParsedPacket::of(envelope, &gwlb_geneve::flow::EndpointGroups::default()).unwrap();
    let opener = parsed.flow().direction;
    let packet = Packet::new(&parsed, opener, Beginning::Seen);
    let mut effects = Effects::default();
    let now = Timestamp::from_nanos(1);
    let mut found = BTreeSet::new();
    let Some(mut flow) = inspector.open(&packet, &mut Context::new(now, &mut effects)) else {
        return found;
    };
    let mut room = Room::new(1 << 20);
    let mut session = Session::tcp(None, Limits::default());
    let mut start = 0;
    let mut is_first = true;
    for end in cuts.iter().copied() {
        let piece = &said[start..end];
        let chunk = StreamChunk::new(&packet, Side::Client, start as u64, piece);
        inspector.packet(&mut flow, &packet, &mut Context::new(now, &mut effects));
        let mut verdict = Verdict::PASS;
        if inspector.wants(&flow).contains(gwlb_geneve::inspect::Interest::STREAM) {
            verdict = inspector.stream(&mut flow, &chunk, &mut Context::new(now, &mut effects));
        }
        assert!(verdict.is_pass());
        session.feed(Side::Client, piece, &mut room, &mut |side, message| {
            let message = gwlb_geneve::inspect::Message::new(&packet, side, &message, is_first);
            is_first = false;
            if message.is_for(inspector.wants(&flow)) {
                let cx = &mut Context::new(now, &mut effects);
                assert!(inspector.message(&mut flow, &message, cx).is_pass());
            }
            core::ops::ControlFlow::Continue(())
        });
        for alert in effects.alerts.drain(..) {
            let sid = alert.rule.unwrap().number;
            assert!(found.insert((sid, end)), "sid {sid} twice for one piece");
        }
        start = end;
    }
    session.close(&mut room);
    drop(flow);
    assert_eq!(inspector.held_bytes(), 0);
    found
}

/// The same by the interpreter: each rule is asked of the last bytes and the new ones, but for those that it held for before.
fn in_stream(
    rules: &[&Rule],
    said: &[u8],
    cuts: &[usize],
    window: usize,
) -> BTreeSet<(u32, usize)> {
    let mut found = BTreeSet::new();
    for rule in rules {
        let (mut start, mut used) = (0_usize, 0);
        for end in cuts.iter().copied() {
            let from = start.saturating_sub(window).max(used);
            let bytes = &said[from..end];
            let mut interpreter = Interpreter::new();
            if rule.groups.iter().all(|it| interpreter.ask_from(it, bytes, from as u64).holds) {
                found.insert((rule.id.sid, end));
                used = end;
            }
            start = end;
        }
    }
    found
}

/// The same for a request: what is in it is taken out of it the plain way.
fn in_request(rules: &[&Rule], said: &[u8], cuts: &[usize], most: usize) -> BTreeSet<(u32, usize)> {
    let text = core::str::from_utf8(said).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let head_len = head.len() + 4;
    let line = head.lines().next().unwrap();
    let mut words = line.split(' ');
    let (method, uri) = (words.next().unwrap(), words.next().unwrap());
    let headers = format!("{}\r\n", &head[line.len() + 2..]);
    let mut found = BTreeSet::new();
    for rule in rules {
        for end in cuts.iter().copied().filter(|end| *end >= head_len) {
            let come = (end - head_len).min(most);
            let is_whole = end == said.len() || come == most;
            let mut interpreter = Interpreter::new();
            let holds = rule.groups.iter().all(|group| {
                let (bytes, is_there) = match group.buffer {
                    Buffer::HttpMethod => (method, true),
                    Buffer::HttpUri => (uri, true),
                    Buffer::HttpHeader => (headers.as_str(), true),
                    // Asked for the first time when there is some of it.
                    _ => (&body[..come], come > 0 || is_whole && !body.is_empty()),
                };
                let waits = waits(group)
                    && group.buffer != Buffer::HttpMethod
                    && group.buffer != Buffer::HttpUri
                    && group.buffer != Buffer::HttpHeader;
                is_there && (is_whole || !waits) && interpreter.ask(group, bytes.as_bytes()).holds
            });
            if holds {
                found.insert((rule.id.sid, end));
                break;
            }
        }
    }
    found
}

/// Whether what a group asks of a body may be undone by more of it.
fn waits(group: &gwlb_geneve::inspectors::signatures::MatchGroup) -> bool {
    use gwlb_geneve::inspectors::signatures::Detection;

    !group.transforms.is_empty()
        || group.items.iter().any(|item| match item {
            Detection::Content(content) => content.is_negated || content.ends_with,
            Detection::DataAt(at) => at.is_negated,
            Detection::Pcre(pcre) => {
                let text = pcre.expression();
                pcre.is_negated || text.contains('$') || text.contains("\\b")
            }
            Detection::Size(_) => true,
            _ => false,
        })
}
