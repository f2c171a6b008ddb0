//! Rules as text, in the form that is read again: a keyword of today for each buffer, one option behind another.

use alloc::string::String;
use core::fmt::{self, Display, Formatter, Write};

use super::parser::buffers::{STICKY, TRANSFORMS};
use super::{
    Alignment, ApplicationProtocol, BitAction, Buffer, ByteField, ByteOrder, Comparison, Condition,
    Content, Detection, Direction, Endpoint, FastPattern, FlowBit, FlowBytes, FlowCondition,
    FlowState, Fragments, Header, JumpFrom, MatchGroup, MathOperator, Number, Pcre, Protocol,
    Radix, Rule, RuleAction, Target, TcpFlags, TcpFlagsMode, TestOperator, ThresholdKind, Track,
    TrackBits, Transform, VariableIndex,
};
use crate::Side;

impl Display for Rule {
    /// On one line, as it is read.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} (", self.action, self.header)?;
        if !self.message.is_empty() {
            write!(f, "msg:\"{}\"; ", Escaped(&self.message))?;
        }
        if self.flow != FlowCondition::default() {
            write!(f, "flow:{}; ", self.flow)?;
        }
        for bit in &self.flow_bits {
            write!(f, "{bit}; ")?;
        }
        for bit in &self.cross_bits {
            write!(f, "xbits:{},{},track {}", bit.action, bit.name, bit.track)?;
            match bit.expire {
                Some(seconds) => write!(f, ",expire {seconds}; ")?,
                None => f.write_str("; ")?,
            }
        }
        for condition in &self.conditions {
            write!(f, "{condition}; ")?;
        }
        for (number, group) in self.groups.iter().enumerate() {
            self.group(f, group, number == 0)?;
        }
        if let Some(it) = self.detection_filter {
            let (track, count, seconds) = (it.track, it.count, it.seconds);
            write!(f, "detection_filter:track {track},count {count},seconds {seconds}; ")?;
        }
        if let Some(it) = self.threshold {
            let (kind, track, count, seconds) = (it.kind, it.track, it.count, it.seconds);
            write!(f, "threshold:type {kind},track {track},count {count},seconds {seconds}; ")?;
        }
        if self.is_silent {
            f.write_str("noalert; ")?;
        }
        for reference in &self.references {
            write!(f, "reference:{},{}; ", Escaped(&reference.system), Escaped(&reference.id))?;
        }
        if let Some(class) = &self.class {
            write!(f, "classtype:{class}; ")?;
        }
        if let Some(priority) = self.priority {
            write!(f, "priority:{priority}; ")?;
        }
        match self.target {
            Some(Target::Source) => f.write_str("target:src_ip; ")?,
            Some(Target::Destination) => f.write_str("target:dest_ip; ")?,
            None => {}
        }
        if self.id.gid != 1 {
            write!(f, "gid:{}; ", self.id.gid)?;
        }
        write!(f, "sid:{};", self.id.sid)?;
        if self.id.rev != 0 {
            write!(f, " rev:{};", self.id.rev)?;
        }
        for (number, (key, value)) in self.metadata.iter().enumerate() {
            let before = if number == 0 { " metadata:" } else { ", " };
            write!(f, "{before}{}", Escaped(key))?;
            if !value.is_empty() {
                write!(f, " {}", Escaped(value))?;
            }
        }
        f.write_str(if self.metadata.is_empty() { ")" } else { ";)" })
    }
}

impl Rule {
    /// An item of one of its groups, without what ends an option.
    pub(super) fn item_text(&self, item: &Detection) -> String {
        struct Item<'a>(&'a Rule, &'a Detection);

        impl Display for Item<'_> {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                self.0.item(f, self.1)
            }
        }

        let text = alloc::format!("{}", Item(self, item));
        text.trim_end_matches("; ").into()
    }

    fn group(&self, f: &mut Formatter<'_>, group: &MatchGroup, is_first: bool) -> fmt::Result {
        // Suricata knows it only with a value.
        let is_version = group.buffer == Buffer::TlsVersion
            && group.transforms.is_empty()
            && group
                .items
                .iter()
                .all(|item| matches!(item, Detection::Content(it) if is_whole(it)));
        if is_version {
            return group.items.iter().try_for_each(|item| match item {
                Detection::Content(content) => {
                    let sign = if content.is_negated { "!" } else { "" };
                    write!(f, "tls.version:{sign}{}; ", String::from_utf8_lossy(&content.pattern))
                }
                _ => Ok(()),
            });
        }
        match (group.buffer, is_first) {
            (Buffer::Payload, true) => {}
            (Buffer::Payload, false) => f.write_str("pkt_data; ")?,
            (buffer, _) => write!(f, "{buffer}; ")?,
        }
        for transform in &group.transforms {
            write!(f, "{transform}; ")?;
        }
        for item in &group.items {
            self.item(f, item)?;
        }
        for item in &group.items {
            if let Detection::Base64Decode(decode) = item {
                if !decode.items.is_empty() {
                    f.write_str("base64_data; ")?;
                }
                decode.items.iter().try_for_each(|item| self.item(f, item))?;
            }
        }
        Ok(())
    }

    fn item(&self, f: &mut Formatter<'_>, item: &Detection) -> fmt::Result {
        match item {
            Detection::Content(content) => self.content(f, content),
            Detection::Pcre(pcre) => write!(f, "pcre:{pcre}; "),
            Detection::DataAt(it) => {
                let sign = if it.is_negated { "!" } else { "" };
                write!(f, "isdataat:{sign}{}", self.number(it.at))?;
                f.write_str(if it.is_relative { ",relative" } else { "" })?;
                f.write_str(if it.is_raw { ",rawbytes; " } else { "; " })
            }
            Detection::ByteTest(it) => {
                let sign = if it.is_negated { "!" } else { "" };
                let (bytes, offset) = (self.number(it.field.bytes), self.number(it.field.offset));
                let value = self.number(it.value);
                write!(f, "byte_test:{bytes},{sign}{},{value},{offset}", it.operator)?;
                self.field(f, &it.field)?;
                f.write_str("; ")
            }
            Detection::ByteJump(it) => {
                let (bytes, offset) = (self.number(it.field.bytes), self.number(it.field.offset));
                write!(f, "byte_jump:{bytes},{offset}")?;
                self.field(f, &it.field)?;
                multiplied(f, it.multiplier, it.alignment)?;
                f.write_str(match it.from {
                    JumpFrom::Field => "",
                    JumpFrom::Beginning => ",from_beginning",
                    JumpFrom::End => ",from_end",
                })?;
                if it.post_offset != Number::Literal(0) {
                    write!(f, ",post_offset {}", self.number(it.post_offset))?;
                }
                f.write_str("; ")
            }
            Detection::ByteExtract(it) => {
                let (bytes, offset) = (self.number(it.field.bytes), self.number(it.field.offset));
                let name = self.number(Number::Variable(it.result));
                write!(f, "byte_extract:{bytes},{offset},{name}")?;
                self.field(f, &it.field)?;
                multiplied(f, it.multiplier, it.alignment)?;
                f.write_str("; ")
            }
            Detection::ByteMath(it) => {
                let (bytes, offset) = (self.number(it.field.bytes), self.number(it.field.offset));
                let name = self.number(Number::Variable(it.result));
                let (operator, value) = (it.operator, self.number(it.value));
                write!(
                    f,
                    "byte_math:bytes {bytes},offset {offset},oper {operator},rvalue {value},result {name}"
                )?;
                if it.field.order == ByteOrder::Little {
                    f.write_str(",endian little")?;
                }
                if let Some(radix) = it.field.text {
                    write!(f, ",string {radix}")?;
                }
                self.field(f, &ByteField { order: ByteOrder::Big, text: None, ..it.field })?;
                f.write_str("; ")
            }
            Detection::Size(size) => write!(f, "bsize:{size}; "),
            Detection::Base64Decode(it) => {
                f.write_str("base64_decode")?;
                let mut before = ':';
                if let Some(bytes) = it.bytes {
                    write!(f, "{before}bytes {bytes}")?;
                    before = ',';
                }
                if it.offset != 0 {
                    write!(f, "{before}offset {}", it.offset)?;
                    before = ',';
                }
                if it.is_relative {
                    write!(f, "{before}relative")?;
                }
                f.write_str("; ")
            }
        }
    }

    fn content(&self, f: &mut Formatter<'_>, content: &Content) -> fmt::Result {
        let sign = if content.is_negated { "!" } else { "" };
        write!(f, "content:{sign}\"{}\"; ", Pattern(&content.pattern))?;
        if content.ignores_case {
            f.write_str("nocase; ")?;
        }
        for (name, number) in [
            ("offset", content.offset),
            ("depth", content.depth),
            ("distance", content.distance),
            ("within", content.within),
        ] {
            if let Some(number) = number {
                write!(f, "{name}:{}; ", self.number(number))?;
            }
        }
        for (name, is_set) in [
            ("startswith", content.starts_with),
            ("endswith", content.ends_with),
            ("rawbytes", content.is_raw),
        ] {
            if is_set {
                write!(f, "{name}; ")?;
            }
        }
        match content.fast_pattern {
            None => Ok(()),
            Some(FastPattern::Whole) => f.write_str("fast_pattern; "),
            Some(FastPattern::Only) => f.write_str("fast_pattern:only; "),
            Some(FastPattern::Part { offset, length }) => {
                write!(f, "fast_pattern:{offset},{length}; ")
            }
        }
    }

    fn field(&self, f: &mut Formatter<'_>, field: &ByteField) -> fmt::Result {
        f.write_str(if field.is_relative { ",relative" } else { "" })?;
        f.write_str(match field.order {
            ByteOrder::Big => "",
            ByteOrder::Little => ",little",
        })?;
        if let Some(radix) = field.text {
            write!(f, ",string,{radix}")?;
        }
        match field.bitmask {
            Some(mask) => write!(f, ",bitmask {mask:#x}"),
            None => Ok(()),
        }
    }

    const fn number(&self, number: Number) -> Named<'_> {
        Named { number, rule: self }
    }
}

/// A number, or the name of a variable.
struct Named<'a> {
    number: Number,
    rule: &'a Rule,
}

impl Display for Named<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.number {
            Number::Literal(number) => number.fmt(f),
            Number::Variable(VariableIndex(place)) => {
                match self.rule.variables.get(usize::from(place)) {
                    Some(name) => f.write_str(name),
                    None => write!(f, "variable_{place}"),
                }
            }
        }
    }
}

/// Whether a pattern is to be all there is.
const fn is_whole(content: &Content) -> bool {
    content.starts_with
        && content.ends_with
        && !content.ignores_case
        && !content.is_raw
        && content.fast_pattern.is_none()
}

fn multiplied(f: &mut Formatter<'_>, multiplier: u16, alignment: Option<Alignment>) -> fmt::Result {
    if multiplier != 1 {
        write!(f, ",multiplier {multiplier}")?;
    }
    f.write_str(match alignment {
        None => "",
        Some(Alignment::Two) => ",align 2",
        Some(Alignment::Four) => ",align 4",
    })
}

/// A text with a backslash before what would end it. What would end the line becomes a space.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' | '"' | ';' => write!(f, "\\{c}"),
            '\n' | '\r' => f.write_char(' '),
            c => f.write_char(c),
        })
    }
}

/// A pattern with `|hex|` for what is no letter, digit or harmless sign.
struct Pattern<'a>(&'a [u8]);

impl Display for Pattern<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut is_hexadecimal = false;
        for byte in self.0 {
            let is_plain = (byte.is_ascii_graphic() || *byte == b' ') && !b"\";:\\|".contains(byte);
            if is_plain == is_hexadecimal {
                f.write_char('|')?;
            } else if !is_plain {
                f.write_char(' ')?;
            }
            is_hexadecimal = !is_plain;
            match is_plain {
                true => f.write_char(char::from(*byte))?,
                false => write!(f, "{byte:02x}")?,
            }
        }
        f.write_str(if is_hexadecimal { "|" } else { "" })
    }
}

impl Display for Pcre {
    /// With `!`, quotes, slashes and flags, as behind the keyword.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_negated { "!\"/" } else { "\"/" })?;
        let mut is_escaped = false;
        for c in self.expression().chars() {
            match c {
                ';' if !is_escaped => f.write_str("\\x3b")?,
                c => f.write_char(c)?,
            }
            is_escaped = c == '\\' && !is_escaped;
        }
        f.write_char('/')?;
        let flags = self.flags();
        for (letter, is_set) in [
            ('i', flags.ignores_case),
            ('s', flags.dot_takes_all),
            ('m', flags.is_multi_line),
            ('x', flags.is_spaced),
            ('A', flags.is_anchored),
            ('E', flags.dollar_is_end),
            ('G', flags.is_lazy),
            ('R', self.is_relative),
        ] {
            if is_set {
                f.write_char(letter)?;
            }
        }
        f.write_char('"')
    }
}

impl Display for Header {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let arrow = match self.direction {
            Direction::Forward => "->",
            Direction::Both => "<>",
        };
        write!(f, "{} {} {arrow} {}", self.protocol, self.source, self.destination)
    }
}

impl Display for Endpoint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.addresses, self.ports)
    }
}

impl Display for Protocol {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application(protocol) => protocol.fmt(f),
            protocol => f.pad(name(&Self::NAMES, protocol)),
        }
    }
}

/// Each of these is printed by its name.
macro_rules! named {
    ($($type:ty)*) => {$(
        impl Display for $type {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.pad(name(&Self::NAMES, self))
            }
        }
    )*};
}

named!(ApplicationProtocol BitAction RuleAction ThresholdKind Track TrackBits);

fn name<T: PartialEq>(names: &[(&'static str, T)], of: &T) -> &'static str {
    names.iter().find(|(_, it)| it == of).map_or("", |(name, _)| name)
}

impl Display for Buffer {
    /// The keyword that turns a rule to it.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Payload => "pkt_data",
            buffer => name(&STICKY, buffer),
        })
    }
}

impl Display for Transform {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Xor(key) => {
                f.write_str("xor:\"")?;
                key.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("\"")
            }
            transform => f.pad(name(&TRANSFORMS, transform)),
        }
    }
}

impl<T: Display> Display for Comparison<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal(it) => write!(f, "{it}"),
            Self::NotEqual(it) => write!(f, "!{it}"),
            Self::Less(it) => write!(f, "<{it}"),
            Self::LessOrEqual(it) => write!(f, "<={it}"),
            Self::Greater(it) => write!(f, ">{it}"),
            Self::GreaterOrEqual(it) => write!(f, ">={it}"),
            Self::Between(above, below) => write!(f, "{above}<>{below}"),
        }
    }
}

impl Display for FlowBit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "flowbits:{},{}", self.action, self.names.join("|"))
    }
}

impl Display for FlowCondition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let words = [
            self.state.map(|state| match state {
                FlowState::Established => "established",
                FlowState::NotEstablished => "not_established",
                FlowState::Stateless => "stateless",
            }),
            self.sender.map(|sender| match sender {
                Side::Client => "to_server",
                Side::Server => "to_client",
            }),
            self.bytes.map(|bytes| match bytes {
                FlowBytes::OnlyStream => "only_stream",
                FlowBytes::NoStream => "no_stream",
            }),
            self.fragments.map(|only| if only { "only_frag" } else { "no_frag" }),
        ];
        for (number, word) in words.into_iter().flatten().enumerate() {
            f.write_str(if number == 0 { "" } else { "," })?;
            f.write_str(word)?;
        }
        Ok(())
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sign = |is_negated: bool| if is_negated { "!" } else { "" };
        match *self {
            Self::PayloadSize(it) => write!(f, "dsize:{it}"),
            Self::IcmpType(it) => write!(f, "itype:{it}"),
            Self::IcmpCode(it) => write!(f, "icode:{it}"),
            Self::IcmpId(it) => write!(f, "icmp_id:{it}"),
            Self::IcmpSequence(it) => write!(f, "icmp_seq:{it}"),
            Self::TcpFlags(it) => write!(f, "flags:{it}"),
            Self::TcpSequence(it) => write!(f, "seq:{it}"),
            Self::TcpAcknowledgement(it) => write!(f, "ack:{it}"),
            Self::TcpWindow { window, is_negated } => {
                write!(f, "window:{}{window}", sign(is_negated))
            }
            Self::TimeToLive(it) => write!(f, "ttl:{it}"),
            Self::TypeOfService { octet, is_negated } => {
                write!(f, "tos:{}{octet}", sign(is_negated))
            }
            Self::IpId(it) => write!(f, "id:{it}"),
            Self::IpProtocol(it) => write!(f, "ip_proto:{it}"),
            Self::SameAddress => f.write_str("sameip"),
            Self::Fragments(it) => write!(f, "fragbits:{it}"),
            Self::FragmentOffset(it) => write!(f, "fragoffset:{it}"),
            Self::Application { protocol, is_negated } => {
                write!(f, "app-layer-protocol:{}", sign(is_negated))?;
                match protocol {
                    Some(protocol) => protocol.fmt(f),
                    None => f.write_str("failed"),
                }
            }
        }
    }
}

impl Display for TcpFlags {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let letters = |f: &mut Formatter<'_>, flags: u8| {
            let set = "FSRPAUEC".chars().enumerate().filter(|(bit, _)| flags >> bit & 1 == 1);
            set.map(|(_, letter)| letter).try_for_each(|letter| f.write_char(letter))
        };
        self.mode.fmt(f)?;
        match self.flags {
            0 => f.write_char('0')?,
            flags => letters(f, flags)?,
        }
        if self.ignored != 0 {
            f.write_char(',')?;
            letters(f, self.ignored)?;
        }
        Ok(())
    }
}

impl Display for TcpFlagsMode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exactly => "",
            Self::All => "+",
            Self::Any => "*",
            Self::None => "!",
        })
    }
}

impl Display for Fragments {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.mode.fmt(f)?;
        for (letter, is_set) in [('M', self.more), ('D', self.dont), ('R', self.reserved)] {
            if is_set {
                f.write_char(letter)?;
            }
        }
        Ok(())
    }
}

impl Display for TestOperator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::And => "&",
            Self::Xor => "^",
        })
    }
}

impl Display for MathOperator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::ShiftLeft => "<<",
            Self::ShiftRight => ">>",
        })
    }
}

impl Display for Radix {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hexadecimal => "hex",
            Self::Decimal => "dec",
            Self::Octal => "oct",
        })
    }
}
