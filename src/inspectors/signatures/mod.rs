//! Signatures: known attacks as rules in Suricata's language.
//!
//! What is here reads the language. [`Rule`] is one rule, with every keyword in the form that a matcher wants: see its fields.
//!
//! | file | holds |
//! |---|---|
//! | `rule` | [`Rule`]: what all the rest hangs from, and what an alert says |
//! | `header` | [`Header`]: action's protocol, addresses, ports and direction; `address`, `port`: sets of them |
//! | `condition` | [`Condition`]: what is asked of a packet's own fields; [`FlowCondition`]: of its flow |
//! | `state` | [`FlowBit`], [`CrossBit`], [`Threshold`], [`DetectionFilter`]: what is remembered between packets |
//! | `buffer` | [`Buffer`]: the bytes that are looked at; [`Transform`]: what is done to them before |
//! | `detection` | [`MatchGroup`] and [`Detection`]: what is asked of these bytes, in order |

mod address;
mod buffer;
mod buffers;
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
mod signatures;
mod state;
mod suppression;
mod tables;
mod variables;

pub use address::{AddressExpression, AddressSet};
pub use buffer::{Buffer, Transform};
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
pub use signatures::{RuleCost, SignatureCounters, SignatureLimits, SignatureSettings, Signatures};
pub use state::{
    BitAction, CrossBit, DetectionFilter, FlowBit, Threshold, ThresholdKind, Track, TrackBits,
};
pub use suppression::AlertFilters;
pub use tables::{Classes, ReferenceSystems};
pub use variables::{VariableError, Variables};
