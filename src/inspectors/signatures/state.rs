use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;

/// `flowbits`: a bit of the flow, or several.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FlowBit {
    /// What is asked of it, or done to it.
    pub action: BitAction,
    /// Its name. Several, written `a|b`, only where something is asked: one of them is enough for that.
    pub names: Vec<String>,
}

/// What is asked of a bit, or done to it once all of a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BitAction {
    /// `isset`: asked.
    IsSet,
    /// `isnotset`: asked.
    IsNotSet,
    /// `set`: done.
    Set,
    /// `unset`: done.
    Unset,
    /// `toggle`: done.
    Toggle,
}

impl BitAction {
    /// Each with its name in rules.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("isset", Self::IsSet),
        ("isnotset", Self::IsNotSet),
        ("set", Self::Set),
        ("unset", Self::Unset),
        ("toggle", Self::Toggle),
    ];

    /// Whether something is asked, nothing done.
    pub const fn is_question(self) -> bool {
        matches!(self, Self::IsSet | Self::IsNotSet)
    }
}

/// `xbits`: a bit of an address or of a pair of them, whatever the flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CrossBit {
    /// What is asked of it, or done to it.
    pub action: BitAction,
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub track: TrackBits,
    /// Seconds after which it is no longer set; only for [`BitAction::Set`] and [`BitAction::Toggle`].
    pub expire: Option<NonZeroU32>,
}

/// Whose a bit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrackBits {
    /// `ip_src`: the packet's source.
    Source,
    /// `ip_dst`: its destination.
    Destination,
    /// `ip_pair`: both, in whichever order.
    Pair,
}

impl TrackBits {
    /// Each with its name in rules.
    pub const NAMES: [(&'static str, Self); 3] =
        [("ip_src", Self::Source), ("ip_dst", Self::Destination), ("ip_pair", Self::Pair)];
}

/// `threshold`: which alerts of a rule are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Threshold {
    /// Which.
    pub kind: ThresholdKind,
    /// What is counted by itself.
    pub track: Track,
    /// How many.
    pub count: NonZeroU32,
    /// In how many seconds.
    pub seconds: NonZeroU32,
}

/// Which alerts are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThresholdKind {
    /// `limit`: the first so many in the time.
    Limit,
    /// `threshold`: each that is the so-manieth in the time, after which counting begins again.
    Every,
    /// `both`: once in the time, when there were so many.
    Once,
}

impl ThresholdKind {
    /// Each with its name in rules.
    pub const NAMES: [(&'static str, Self); 3] =
        [("limit", Self::Limit), ("threshold", Self::Every), ("both", Self::Once)];
}

/// `detection_filter`: the rule holds only from the match on that comes after so many in the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DetectionFilter {
    /// What is counted by itself.
    pub track: Track,
    /// How many matches are let by.
    pub count: NonZeroU32,
    /// In how many seconds.
    pub seconds: NonZeroU32,
}

/// What is counted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Track {
    /// `by_src`: each source.
    Source,
    /// `by_dst`: each destination.
    Destination,
    /// `by_both`: each pair.
    Both,
    /// `by_rule`: nothing, all is counted together.
    Rule,
    /// `by_flow`: each flow.
    Flow,
}

impl Track {
    /// Each with its name in rules.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("by_src", Self::Source),
        ("by_dst", Self::Destination),
        ("by_both", Self::Both),
        ("by_rule", Self::Rule),
        ("by_flow", Self::Flow),
    ];
}
