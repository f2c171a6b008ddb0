//! Signatures: known attacks as rules in Suricata's language.
//!
//! ```
//! use gwlb_geneve::inspectors::signatures::{Loader, Variables};
//!
//! let mut variables = Variables::default();
//! variables.set_addresses("HOME_NET", "[10.0.0.0/16]".parse()?)?;
//! let mut loader = Loader::new(variables);
//! loader.add("local.rules", br#"
//! drop http $EXTERNAL_NET any -> $HOME_NET any (msg:"Secrets asked for"; flow:established,to_server; \
//!     http.uri; content:"/.env"; endswith; nocase; sid:9000001; rev:1;)
//! "#);
//! let rules = loader.finish();
//! assert_eq!(rules.report().loaded(), 1);
//! println!("{}", rules.rules()[0]);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! [`Rule`] is one rule, with every keyword in the form that a matcher wants: see its fields. They may be set in code as well.
//!
//! | file | holds |
//! |---|---|
//! | `loader` | [`Loader`], [`RuleSet`]: files of rules, and a [`Report`] of what was not loaded |
//! | `lifecycle` | [`Lifecycle`]: which of them are loaded, and how they are changed before |
//! | `variables`, `tables`, `suppression` | [`Variables`], [`Classes`], [`ReferenceSystems`], [`AlertFilters`]: what is said beside rules |
//! | `rule` | [`Rule`]: what all the rest hangs from, and what an alert says |
//! | `header` | [`Header`]: protocol, addresses, ports and direction; `address`, `port`: sets of them |
//! | `condition` | [`Condition`]: what is asked of a packet's own fields; [`FlowCondition`]: of its flow |
//! | `state` | [`FlowBit`], [`CrossBit`], [`Threshold`], [`DetectionFilter`]: what is remembered between packets |
//! | `buffer` | [`Buffer`]: the bytes that are looked at; [`Transform`]: what is done to them before |
//! | `detection` | [`MatchGroup`] and [`Detection`]: what is asked of these bytes, in order; `pcre`: [`Pcre`] |
//! | `line`, `parser`, `print` | from text to rules, and back |
//! | `compiled` | [`Signatures`]: rules made ready to be looked for, all at once |
//! | `inspector` | [`SignatureInspector`]: looks for them in flows, and says what becomes of these |
//! | `buffers` | what messages have for each [`Buffer`] |
//! | `matching` | patterns of all rules looked for at once, and what a rule asks of bytes |
//! | `interpreter` | [`Interpreter`]: the same asked the plain way, to compare with and to explain |
//!
//! # How they are looked for
//!
//! Of each rule one pattern is chosen that has to be there whenever it holds: the one that it names (`fast_pattern`), else the one that is
//! likely the rarest. For each buffer, side and transform, these patterns are up to three automata (Aho-Corasick): one for those that may
//! be anywhere, one for those that have to be near the first byte, and one for those of rules that are for few ports, which has nothing to
//! do between others. Where all patterns of an automaton have four bytes or more, and are not too many, a table of what they begin with
//! says where it has to look; otherwise it looks at each byte once. A rule is asked only where its pattern was found, and one without any
//! wherever there is something to look at, unless it is about packets and the first of its conditions does not hold for this one: its
//! conditions, ends and protocol first, the bytes last.
//!
//! # What is read otherwise than by Suricata
//!
//! * What nobody can bound the time of is refused in regular expressions: look-around, back-references, atomic groups, possessive
//!   quantifiers. A `$` before a line's end at the very end takes that with it.
//! * In the payload, what is relative to nothing before it is refused. In a buffer that a rule turns to, it counts from its begin.
//! * A variable of `byte_extract` or `byte_math` is there for the buffer alone that it is taken from.
//! * Old keywords become those of today: `urilen` is [`Detection::Size`] of the URI, `tls.fingerprint` a pattern of
//!   [`Buffer::TlsCertificateFingerprint`].
//! * `prefilter` is taken and means nothing, and so does `expire` of `xbits` where a bit is asked for.
//! * A compressed body of a request is looked at as it is sent.
//! * A body of a response in several content codings is looked at inflated by the first that is known, and as it is sent; a rule with
//!   what must not be there may hold for the latter. One in `br` is looked at as it is sent.
//! * A `;` ends an option, also between quotes, unless there is a backslash before it; so it is with Suricata.

mod address;
mod buffer;
mod buffers;
mod compiled;
mod condition;
#[cfg(feature = "config")]
pub(crate) mod config;
mod detection;
mod expression;
mod header;
mod inspector;
mod interpreter;
mod lifecycle;
mod line;
mod loader;
mod matching;
mod number;
mod parser;
mod pcre;
mod port;
mod print;
mod problem;
mod ranges;
mod rule;
mod state;
mod suppression;
mod tables;
mod variables;

pub use address::{AddressExpression, AddressSet};
pub use buffer::{Buffer, Transform};
pub use compiled::{RuleCost, SignatureCounters, SignatureLimits, SignatureSettings, Signatures};
pub use condition::{
    Condition, FlowBytes, FlowCondition, FlowState, Fragments, TcpFlags, TcpFlagsMode,
};
pub use detection::{
    Alignment, Base64Decode, ByteExtract, ByteField, ByteJump, ByteMath, ByteOrder, ByteTest,
    Content, DataAt, Detection, FastPattern, JumpFrom, MatchGroup, MathOperator, Number, Radix,
    TestOperator, VariableIndex,
};
pub use expression::ExpressionError;
pub use header::{ApplicationProtocol, Direction, Endpoint, Header, Protocol};
pub use inspector::{RuleTrace, SignatureFlow, SignatureInspector};
pub use interpreter::{Interpretation, Interpreter, Step};
pub use lifecycle::Lifecycle;
pub use loader::{Loader, Report, RuleSet};
pub use matching::SignatureError;
pub use number::Comparison;
pub use pcre::{Pcre, PcreError, PcreFlags};
pub use port::{PortExpression, PortSet};
pub use problem::{Place, RuleError, RuleProblem};
pub use rule::{Reference, Rule, RuleAction, RuleId, Target};
pub use state::{
    BitAction, CrossBit, DetectionFilter, FlowBit, Threshold, ThresholdKind, Track, TrackBits,
};
pub use suppression::AlertFilters;
pub use tables::{Classes, ReferenceSystems};
pub use variables::{VariableError, Variables};
