use alloc::string::String;
use alloc::vec::Vec;

use super::{
    Condition, CrossBit, DetectionFilter, FlowBit, FlowCondition, Header, MatchGroup, Threshold,
};

/// One rule. All that it asks for has to hold at once.
///
/// What a matcher asks, in the order of cost: [`header`](Self::header), [`flow`](Self::flow), [`conditions`](Self::conditions),
/// the bits that have to be set ([`flow_bits`](Self::flow_bits), [`cross_bits`](Self::cross_bits)), [`groups`](Self::groups). Then, once
/// all of it holds, [`detection_filter`](Self::detection_filter) counts, the bits that are to change change, and, unless
/// [`is_silent`](Self::is_silent), an alert is due that [`threshold`](Self::threshold) may hold back. A drop is not held back by a threshold.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rule {
    /// What becomes of a packet for which the rule holds.
    pub action: RuleAction,
    /// Protocol, addresses, ports, direction.
    pub header: Header,
    /// `sid`, `gid` and `rev`.
    pub id: RuleId,
    /// `msg`: what an alert says.
    pub message: String,
    /// `classtype`: the short name of a class; what it means stands in a `classification.config`.
    pub class: Option<String>,
    /// `priority`: 1 is the most severe. `None` is that of the class, or 3.
    pub priority: Option<u8>,
    /// `reference`: where one can read about it.
    pub references: Vec<Reference>,
    /// `metadata`: keys and values in their order; a key may come again, a value may be empty.
    pub metadata: Vec<(String, String)>,
    /// `target`: which end is the victim.
    pub target: Option<Target>,
    /// `flow`: what is asked of the flow.
    pub flow: FlowCondition,
    /// What is asked of the packet's own fields: `dsize`, `itype`, `flags`, and so on.
    pub conditions: Vec<Condition>,
    /// `flowbits`: bits of the flow.
    pub flow_bits: Vec<FlowBit>,
    /// `xbits`: bits of addresses.
    pub cross_bits: Vec<CrossBit>,
    /// `threshold`: which of the alerts are told.
    pub threshold: Option<Threshold>,
    /// `detection_filter`: from how many matches on the rule counts.
    pub detection_filter: Option<DetectionFilter>,
    /// `noalert`, also that of `flowbits`: the action holds and bits change, but nothing is told.
    pub is_silent: bool,
    /// What is asked of bytes, by buffer, in the order in which the buffers first come up. Empty for rules about headers alone.
    pub groups: Vec<MatchGroup>,
    /// The names of the numbers that `byte_extract` and `byte_math` take from bytes; a
    /// [`VariableIndex`](super::VariableIndex) points in here.
    pub variables: Vec<String>,
}

impl Rule {
    /// A rule that asks for nothing but its header. More is asked by setting its fields.
    ///
    /// ```
    /// use gwlb_geneve::inspectors::signatures::{
    ///     Buffer, Content, Detection, MatchGroup, Rule, RuleAction, RuleId,
    /// };
    ///
    /// let header = "http $EXTERNAL_NET any -> $HTTP_SERVERS any".parse()?;
    /// let mut rule = Rule::new(RuleAction::Drop, header, RuleId { gid: 1, sid: 9_000_001, rev: 1 });
    /// rule.message = "Asked for a secret".into();
    /// let mut content = Content::new(b"/.env".to_vec());
    /// content.ends_with = true;
    /// rule.groups.push(MatchGroup::new(Buffer::HttpUri, [Detection::Content(content)]));
    /// assert_eq!(
    ///     rule.to_string(),
    ///     "drop http $EXTERNAL_NET any -> $HTTP_SERVERS any (msg:\"Asked for a secret\"; \
    ///      http.uri; content:\"/.env\"; endswith; sid:9000001; rev:1;)"
    /// );
    /// assert_eq!(rule.to_string().parse(), Ok(rule));
    /// # Ok::<(), gwlb_geneve::inspectors::signatures::RuleError>(())
    /// ```
    pub const fn new(action: RuleAction, header: Header, id: RuleId) -> Self {
        Self {
            action,
            header,
            id,
            message: String::new(),
            class: None,
            priority: None,
            references: Vec::new(),
            metadata: Vec::new(),
            target: None,
            flow: FlowCondition { state: None, sender: None, bytes: None, fragments: None },
            conditions: Vec::new(),
            flow_bits: Vec::new(),
            cross_bits: Vec::new(),
            threshold: None,
            detection_filter: None,
            is_silent: false,
            groups: Vec::new(),
            variables: Vec::new(),
        }
    }
}

/// What becomes of a packet for which a rule holds.
///
/// The order is that in which they count: of all rules that hold for a packet, a pass goes before drops, drops before rejects,
/// rejects before alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RuleAction {
    /// `pass`: no rule judges it further, and nothing is told.
    Pass,
    /// `drop`: it is dropped, and so is the rest of its flow.
    Drop,
    /// `reject` or `rejectsrc`: the same, and its sender is told.
    Reject,
    /// `rejectdst`: the same, and its receiver is told.
    RejectDestination,
    /// `rejectboth`: the same, and both are told.
    RejectBoth,
    /// `alert`: it passes, and an alert is told.
    Alert,
}

impl RuleAction {
    /// Each with its name in rules.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("pass", Self::Pass),
        ("drop", Self::Drop),
        ("reject", Self::Reject),
        ("rejectdst", Self::RejectDestination),
        ("rejectboth", Self::RejectBoth),
        ("alert", Self::Alert),
    ];

    /// Whether the packet does not pass.
    pub const fn is_refusal(self) -> bool {
        !matches!(self, Self::Pass | Self::Alert)
    }
}

/// Which rule. There is one of each `gid` and `sid` in a rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId {
    /// `gid`: who makes the alert; 1 unless the rule says otherwise.
    pub gid: u32,
    /// `sid`: the number of the rule, never 0.
    pub sid: u32,
    /// `rev`: its revision; 0 where the rule has none.
    pub rev: u32,
}

/// Where one can read about what a rule finds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// The system: `url`, `cve`, `bugtraq`, …
    pub system: String,
    /// What to look for there.
    pub id: String,
}

/// Which end of the packet is the victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// `src_ip`.
    Source,
    /// `dest_ip`.
    Destination,
}
