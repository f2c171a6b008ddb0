//! Rules of signatures made to order, and the properties that hold of any text.

use gwlb_geneve::Side;
use gwlb_geneve::inspectors::signatures::{
    Alignment, ApplicationProtocol, Base64Decode, BitAction, Buffer, ByteExtract, ByteField,
    ByteJump, ByteMath, ByteOrder, ByteTest, Comparison, Condition, Content, CrossBit, DataAt,
    Detection, DetectionFilter, FastPattern, FlowBit, FlowBytes, FlowCondition, FlowState,
    Fragments, Header, JumpFrom, MatchGroup, MathOperator, Number, Pcre, PcreFlags, Protocol,
    Radix, Reference, Rule, RuleAction, RuleId, RuleSet, Target, TcpFlags, TcpFlagsMode,
    TestOperator, Threshold, ThresholdKind, Track, TrackBits, Transform, VariableIndex, Variables,
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

/// Any bytes as a file of rules: what loads is the same once printed, and there is something to be said about the rest.
pub fn check(bytes: &[u8]) {
    let set = RuleSet::parse(bytes, &Variables::default());
    assert_eq!(set.rules().len(), set.places().len());
    assert_eq!(set.report().loaded(), set.rules().len());
    for rule in set.rules() {
        let text = rule.to_string();
        assert!(!text.contains('\n'), "{text}");
        let again: Rule = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(&again, rule, "{text}");
        assert_eq!(again.to_string(), text);
    }
    let report = set.report().to_string();
    // One line each, however long what is wrong: that it is short is told too.
    assert_eq!(
        report.lines().count(),
        1 + set.report().by_keyword().len() + set.report().errors().len(),
        "{report}"
    );
    assert!(report.lines().all(|line| line.chars().count() < 600), "{report}");
}

/// Rules with a bit of everything.
pub fn rules() -> impl Strategy<Value = Rule> {
    let application = of(select(
        &[ApplicationProtocol::Http, ApplicationProtocol::Tls, ApplicationProtocol::Dns][..],
    ));
    (application, any::<bool>(), any::<bool>())
        .prop_flat_map(|(application, is_client, is_by_name)| {
            let side = if is_client { Side::Client } else { Side::Server };
            let buffers: Vec<_> = BUFFERS
                .into_iter()
                .filter(|buffer| buffer.protocol().is_none_or(|it| Some(it) == application))
                .filter(|buffer| buffer.sender().is_none_or(|sender| sender == side))
                .filter(|buffer| {
                    *buffer != Buffer::FileData || application == Some(ApplicationProtocol::Http)
                })
                .collect();
            let protocol = match application {
                Some(application) if is_by_name => Protocol::Application(application),
                Some(_) => Protocol::Tcp,
                None => Protocol::Ip,
            };
            (headers(protocol), said(), flows(side), asked(), vec(groups(buffers), 0..4))
        })
        .prop_map(|(header, said, flow, asked, groups)| {
            let mut rule = Rule::new(said.0, header, said.1);
            (rule.message, rule.class, rule.priority) = said.2;
            (rule.references, rule.metadata, rule.target) = said.3;
            rule.flow = flow;
            (rule.conditions, rule.flow_bits, rule.cross_bits) = asked.0;
            (rule.threshold, rule.detection_filter, rule.is_silent) = asked.1;
            put_together(&mut rule, groups);
            rule
        })
}

const BUFFERS: [Buffer; 16] = [
    Buffer::Payload,
    Buffer::HttpUri,
    Buffer::HttpUriRaw,
    Buffer::HttpHeader,
    Buffer::HttpCookie,
    Buffer::HttpStatusCode,
    Buffer::HttpRequestBody,
    Buffer::HttpResponseBody,
    Buffer::FileData,
    Buffer::TlsSni,
    Buffer::TlsCertificateSubject,
    Buffer::TlsCertificates,
    Buffer::TlsVersion,
    Buffer::Ja3Hash,
    Buffer::DnsQuery,
    Buffer::HttpHost,
];

fn headers(protocol: Protocol) -> impl Strategy<Value = Header> {
    let one = prop_oneof![
        Just("any".to_owned()),
        Just("$HOME_NET".to_owned()),
        any::<[u8; 4]>().prop_map(|[a, b, c, d]| format!("{a}.{b}.{c}.{d}")),
        any::<[u8; 2]>().prop_map(|[a, b]| format!("10.{a}.{b}.0/24")),
        any::<u16>().prop_map(|it| format!("2001:db8:{it:x}::/48")),
        any::<u8>().prop_map(|it| format!("192.0.2.{it}-192.0.3.7")),
    ];
    let addresses = list(one.prop_map(|it| if it == "any" { "10.0.0.0/8".into() } else { it }));
    let port = prop_oneof![
        any::<u16>().prop_map(|port| port.to_string()),
        (0_u16..9_000, 9_000_u16..).prop_map(|(a, b)| format!("{a}:{b}")),
        any::<u16>().prop_map(|port| format!("{port}:")),
        any::<u16>().prop_map(|port| format!(":{port}")),
        Just("$HTTP_PORTS".to_owned()),
    ];
    let ports = list(port);
    (addresses.clone(), ports.clone(), select(&["->", "<>"][..]), addresses, ports).prop_map(
        move |(source, from, arrow, destination, to)| {
            format!("{protocol} {source} {from} {arrow} {destination} {to}").parse().unwrap()
        },
    )
}

/// One, or a list of them with some that are negated, or any.
fn list(one: impl Strategy<Value = String> + Clone + 'static) -> BoxedStrategy<String> {
    let signed = (any::<bool>(), one.clone()).prop_map(|(is_negated, one)| match is_negated {
        true => format!("!{one}"),
        false => one,
    });
    let nested = vec(signed.clone(), 1..4).prop_map(|members| format!("[{}]", members.join(",")));
    let member = prop_oneof![4 => signed, 1 => nested];
    prop_oneof![
        Just("any".to_owned()),
        one,
        vec(member, 1..5).prop_map(|members| format!("[{}]", members.join(", "))),
    ]
    .boxed()
}

type Texts = (String, Option<String>, Option<u8>);
type Notes = (Vec<Reference>, Vec<(String, String)>, Option<Target>);

fn said() -> impl Strategy<Value = (RuleAction, RuleId, Texts, Notes)> {
    let actions: Vec<_> = RuleAction::NAMES.iter().map(|(_, action)| *action).collect();
    let id = (1..4_u32, 1..u32::MAX, 0..9_u32).prop_map(|(gid, sid, rev)| RuleId { gid, sid, rev });
    let message = "[ -~éα]{0,40}";
    let word = "[!-+.-~é]{1,8}";
    let reference = (word, "[!-~]{1,20}").prop_map(|(system, id)| Reference { system, id });
    let pair = (word, of(word)).prop_map(|(key, value)| (key, value.unwrap_or_default()));
    let target = of(select(&[Target::Source, Target::Destination][..]));
    (
        select(actions),
        id,
        (message, of("[a-z][a-z0-9_-]{0,12}"), of(1..=255_u8)),
        (vec(reference, 0..3), vec(pair, 0..3), target),
    )
}

fn flows(side: Side) -> impl Strategy<Value = FlowCondition> {
    let states = [FlowState::Established, FlowState::NotEstablished, FlowState::Stateless];
    let bytes = [FlowBytes::OnlyStream, FlowBytes::NoStream];
    (of(select(states.to_vec())), any::<bool>(), of(select(bytes.to_vec())), of(any::<bool>()))
        .prop_map(move |(state, is_sided, bytes, fragments)| {
            let mut flow = FlowCondition::default();
            (flow.state, flow.bytes, flow.fragments) = (state, bytes, fragments);
            flow.sender = is_sided.then_some(side);
            flow
        })
}

type Asked = (Vec<Condition>, Vec<FlowBit>, Vec<CrossBit>);
type Counted = (Option<Threshold>, Option<DetectionFilter>, bool);

fn asked() -> impl Strategy<Value = (Asked, Counted)> {
    let condition = prop_oneof![
        comparison(60_000).prop_map(|it| Condition::PayloadSize(it.0)),
        comparison(200).prop_map(|it| Condition::TimeToLive(it.1)),
        comparison(200).prop_map(|it| Condition::IpProtocol(it.1)),
        any::<u16>().prop_map(Condition::IpId),
        (any::<u8>(), any::<bool>())
            .prop_map(|(octet, is_negated)| Condition::TypeOfService { octet, is_negated }),
        Just(Condition::SameAddress),
        (modes(), 1_u8..8).prop_map(|(mode, bits)| Condition::Fragments(Fragments {
            mode,
            more: bits & 1 != 0,
            dont: bits & 2 != 0,
            reserved: bits & 4 != 0,
        })),
        (of(select(ApplicationProtocol::NAMES.to_vec())), any::<bool>()).prop_map(
            |(protocol, is_negated)| Condition::Application {
                protocol: protocol.map(|(_, protocol)| protocol),
                is_negated,
            }
        ),
        (modes(), 1..=255_u8, any::<u8>()).prop_map(|(mode, flags, ignored)| {
            Condition::TcpFlags(TcpFlags { mode, flags, ignored: ignored & !flags })
        }),
        (any::<u16>(), any::<bool>())
            .prop_map(|(window, is_negated)| Condition::TcpWindow { window, is_negated }),
    ];
    let conditions = vec(condition, 0..4).prop_map(|conditions| {
        let mut kinds = Vec::new();
        let is_new = |it: &Condition| {
            let kind = std::mem::discriminant(it);
            !kinds.contains(&kind) && {
                kinds.push(kind);
                true
            }
        };
        conditions.into_iter().filter(is_new).collect::<Vec<_>>()
    });
    let name = "[a-zA-Z][a-zA-Z0-9._-]{0,9}";
    let actions: Vec<_> = BitAction::NAMES.iter().map(|(_, action)| *action).collect();
    let flow_bit = (select(actions.clone()), vec(name, 1..3)).prop_map(|(action, mut names)| {
        names.truncate(if action.is_question() { 2 } else { 1 });
        FlowBit { action, names }
    });
    let tracks: Vec<_> = TrackBits::NAMES.iter().map(|(_, track)| *track).collect();
    let cross_bit = (select(actions), name, select(tracks), of(any::<std::num::NonZeroU32>()))
        .prop_map(|(action, name, track, expire)| {
            let is_set = matches!(action, BitAction::Set | BitAction::Toggle);
            CrossBit { action, name, track, expire: expire.filter(|_| is_set) }
        });
    let tracks: Vec<_> = Track::NAMES.iter().map(|(_, track)| *track).collect();
    let kinds: Vec<_> = ThresholdKind::NAMES.iter().map(|(_, kind)| *kind).collect();
    let number = || any::<std::num::NonZeroU32>();
    let counted =
        (of((any::<bool>(), select(kinds), select(tracks), number(), number())), any::<bool>())
            .prop_map(|(counted, is_silent)| match counted {
                Some((true, kind, track, count, seconds)) => {
                    (Some(Threshold { kind, track, count, seconds }), None, is_silent)
                }
                Some((false, _, track, count, seconds)) => {
                    (None, Some(DetectionFilter { track, count, seconds }), is_silent)
                }
                None => (None, None, is_silent),
            });
    ((conditions, vec(flow_bit, 0..3), vec(cross_bit, 0..2)), counted)
}

fn modes() -> impl Strategy<Value = TcpFlagsMode> {
    use TcpFlagsMode::{All, Any, Exactly, None};
    select(&[All, Any, Exactly, None][..])
}

/// The same for numbers of both sizes. What is least has room for all patterns that are made here.
fn comparison(
    least: u16,
) -> impl Strategy<Value = (Comparison<u16>, Comparison<u8>, Comparison<u64>)> {
    use Comparison::{Between, Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    (0..7, 0..100_u8, 120..=255_u8).prop_map(move |(kind, low, high)| {
        macro_rules! make {
            ($low:expr, $high:expr) => {
                match kind {
                    0 => Equal($high),
                    1 => NotEqual($low),
                    2 => Less($high),
                    3 => LessOrEqual($high),
                    4 => Greater($low),
                    5 => GreaterOrEqual($low),
                    _ => Between($low, $high),
                }
            };
        }
        let wide = least.saturating_add(u16::from(high));
        (make!(u16::from(low), wide), make!(low, high), make!(u64::from(low), u64::from(wide)))
    })
}

/// One thing that is asked of bytes, with what it needs to become part of a rule.
#[derive(Clone, Debug)]
struct Part {
    detection: Detection,
    /// It names a number.
    declares: bool,
    /// It takes a number that was named before, if there is one: the one of this place.
    uses: usize,
}

fn groups(buffers: Vec<Buffer>) -> impl Strategy<Value = (MatchGroup, Vec<Part>)> {
    let transform = prop_oneof![
        select(
            &[
                Transform::DotPrefix,
                Transform::ToLowercase,
                Transform::ToUppercase,
                Transform::StripWhitespace,
                Transform::CompressWhitespace,
                Transform::UrlDecode,
                Transform::ToMd5,
                Transform::ToSha1,
                Transform::ToSha256,
                Transform::HeaderLowercase,
                Transform::StripPseudoHeaders,
            ][..]
        ),
        vec(any::<u8>(), 1..5).prop_map(Transform::Xor),
    ];
    let transforms = prop_oneof![3 => Just(vec![]), 1 => vec(transform, 1..3)];
    (select(buffers), transforms, vec(parts(), 1..6)).prop_map(|(buffer, transforms, parts)| {
        let mut group = MatchGroup::new(buffer, []);
        if buffer != Buffer::Payload {
            group.transforms = transforms;
        }
        (group, parts)
    })
}

fn parts() -> impl Strategy<Value = Part> {
    let detection = prop_oneof![
        4 => contents().prop_map(Detection::Content),
        1 => expressions().prop_map(Detection::Pcre),
        1 => (0..60_000_i64, any::<[bool; 3]>()).prop_map(|(at, flags)| {
            let mut item = DataAt::new(Number::Literal(at));
            [item.is_relative, item.is_negated, item.is_raw] = flags;
            Detection::DataAt(item)
        }),
        1 => (fields(), 0..7_usize, any::<bool>(), 0..1_i64 << 40).prop_map(
            |(field, operator, is_negated, value)| {
                use TestOperator::{And, Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Xor};
                let operators = [Less, LessOrEqual, Equal, Greater, GreaterOrEqual, And, Xor];
                let value = Number::Literal(value);
                let mut item = ByteTest::new(field, operators[operator], value);
                item.is_negated = is_negated;
                Detection::ByteTest(item)
            }
        ),
        1 => (fields(), 1..=9_u16, alignments(), 0..3_usize, -9..9_i64).prop_map(
            |(field, multiplier, alignment, from, post_offset)| {
                let mut item = ByteJump::new(field);
                (item.multiplier, item.alignment) = (multiplier, alignment);
                item.from = [JumpFrom::Field, JumpFrom::Beginning, JumpFrom::End][from];
                item.post_offset = Number::Literal(post_offset);
                Detection::ByteJump(item)
            }
        ),
        1 => (fields(), 1..=9_u16, alignments()).prop_map(|(field, multiplier, alignment)| {
            let mut item = ByteExtract::new(field, VariableIndex(0));
            (item.multiplier, item.alignment) = (multiplier, alignment);
            Detection::ByteExtract(item)
        }),
        1 => (fields(), 0..6_usize, 1..1_i64 << 32).prop_map(|(field, operator, value)| {
            use MathOperator::{Add, Divide, Multiply, ShiftLeft, ShiftRight, Subtract};
            let operators = [Add, Subtract, Multiply, Divide, ShiftLeft, ShiftRight];
            let value = Number::Literal(value);
            Detection::ByteMath(ByteMath::new(field, operators[operator], value, VariableIndex(0)))
        }),
        1 => comparison(1_000).prop_map(|it| Detection::Size(it.2)),
        1 => (of(1..999_u32), 0..9_u32, any::<bool>(), vec(contents(), 0..3)).prop_map(
            |(bytes, offset, is_relative, inside)| {
                let mut item = Base64Decode::default();
                (item.bytes, item.offset, item.is_relative) = (bytes, offset, is_relative);
                item.items = inside.into_iter().map(Detection::Content).collect();
                Detection::Base64Decode(item)
            }
        ),
    ];
    (detection, 0..4_usize).prop_map(|(detection, uses)| {
        let declares = matches!(detection, Detection::ByteExtract(_) | Detection::ByteMath(_));
        Part { detection, declares, uses }
    })
}

fn alignments() -> impl Strategy<Value = Option<Alignment>> {
    of(select(&[Alignment::Two, Alignment::Four][..]))
}

fn fields() -> impl Strategy<Value = ByteField> {
    let text = of(select(&[Radix::Hexadecimal, Radix::Decimal, Radix::Octal][..]));
    (1..=8_i64, -99..99_i64, any::<[bool; 2]>(), text, of(1..=u32::MAX)).prop_map(
        |(bytes, offset, [is_relative, is_little], text, bitmask)| {
            let mut field = ByteField::new(Number::Literal(bytes), Number::Literal(offset));
            (field.is_relative, field.text, field.bitmask) = (is_relative, text, bitmask);
            field.order = if is_little { ByteOrder::Little } else { ByteOrder::Big };
            field
        },
    )
}

fn contents() -> impl Strategy<Value = Content> {
    let pattern = prop_oneof![vec(any::<u8>(), 1..20), "[ -~]{1,20}".prop_map(String::into_bytes)];
    let place = (of(0..40_i64), of(20..90_i64), of(-20..20_i64), of(20..90_i64));
    (pattern, any::<[bool; 4]>(), 0..4, place).prop_map(|(pattern, flags, kind, place)| {
        let mut content = Content::new(pattern);
        [content.is_negated, content.ignores_case, content.ends_with, content.is_raw] = flags;
        let (offset, depth, distance, within) = place;
        match kind {
            0 => {
                content.offset = offset.map(Number::Literal);
                content.depth = depth.map(Number::Literal);
            }
            1 => {
                content.distance = distance.map(Number::Literal);
                content.within = within.map(Number::Literal);
            }
            2 => content.starts_with = true,
            _ => {}
        }
        content
    })
}

fn expressions() -> impl Strategy<Value = Pcre> {
    let atom = prop_oneof![
        "[a-zA-Z0-9 ]{1,6}",
        r"\\[dwsDWSbrnt.;/:]",
        r"\[\^?[a-z0-9]{1,4}\]",
        r"\\x[0-9a-f]{2}",
        r"\(\?:[a-z]\|[0-9]{2}\)",
    ];
    let repeated = (atom, of(select(&["*", "+?", "{2,4}", "?"][..])))
        .prop_map(|(atom, repetition)| format!("(?:{atom}){}", repetition.unwrap_or("")));
    (vec(repeated, 1..5), any::<[bool; 8]>(), any::<bool>()).prop_map(
        |(parts, letters, is_negated)| {
            let mut flags = PcreFlags::default();
            let is_relative;
            [
                flags.ignores_case,
                flags.dot_takes_all,
                flags.is_multi_line,
                flags.is_spaced,
                flags.is_anchored,
                flags.dollar_is_end,
                flags.is_lazy,
                is_relative,
            ] = letters;
            let mut found = Pcre::new(&parts.concat(), flags).unwrap();
            (found.is_relative, found.is_negated) = (is_relative, is_negated);
            found
        },
    )
}

/// Makes one rule of groups that know nothing of each other.
fn put_together(rule: &mut Rule, groups: Vec<(MatchGroup, Vec<Part>)>) {
    let mut has_decoded = false;
    let mut has_fast = false;
    for (mut group, parts) in groups {
        let is_same = |known: &MatchGroup| {
            known.buffer == group.buffer && known.transforms == group.transforms
        };
        if rule.groups.iter().any(is_same) && !group.buffer.is_multiple() {
            continue;
        }
        let mut declared = Vec::new();
        for Part { mut detection, declares, uses } in parts {
            if matches!(detection, Detection::Base64Decode(_)) {
                if has_decoded {
                    continue;
                }
                has_decoded = true;
            }
            if matches!(detection, Detection::Size(_)) && group.buffer == Buffer::Payload {
                continue;
            }
            let variable = declared.get(uses).copied().map(Number::Variable);
            match &mut detection {
                Detection::Content(content) => {
                    let is_free = !content.is_negated && content.offset.is_none();
                    if !has_fast && uses == 0 && is_free {
                        has_fast = true;
                        let is_placed = content.depth.is_some() || content.is_relative();
                        content.fast_pattern = Some(match content.pattern.len() as u16 {
                            1 if !is_placed => FastPattern::Only,
                            1 => FastPattern::Whole,
                            length => FastPattern::Part { offset: 1, length: length - 1 },
                        });
                    }
                    if let (Some(variable), Some(distance)) = (variable, &mut content.distance) {
                        *distance = variable;
                    }
                }
                Detection::DataAt(item) => item.at = variable.unwrap_or(item.at),
                Detection::ByteTest(item) => item.value = variable.unwrap_or(item.value),
                Detection::ByteJump(item) => {
                    item.post_offset = variable.unwrap_or(item.post_offset);
                }
                Detection::ByteMath(item) => item.value = variable.unwrap_or(item.value),
                _ => {}
            }
            // In the payload, something has to come before what is relative to it.
            if group.items.is_empty() && group.buffer == Buffer::Payload {
                group.items.push(Detection::Content(Content::new(b"first".to_vec())));
            }
            if declares {
                let index = VariableIndex(rule.variables.len() as u8);
                rule.variables.push(format!("number_{}", index.0));
                match &mut detection {
                    Detection::ByteExtract(item) => item.result = index,
                    Detection::ByteMath(item) => item.result = index,
                    _ => {}
                }
                declared.push(index);
            }
            group.items.push(detection);
        }
        if !group.items.is_empty() {
            rule.groups.push(group);
        }
    }
}
