use thiserror::Error;

use super::RuleIndex;

/// Why rules do not make an access list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AccessListError {
    /// A rule takes no flow, as its sources and its destinations are of different IP versions.
    #[error("{rule}: expected sources and destinations of one IP version, found none in common")]
    IpVersions {
        /// The rule.
        rule: RuleIndex,
    },
    /// A rule takes no flow, as it names ports and only protocols that have none.
    #[error("{rule}: expected a protocol that has ports, as the rule names ports, found none")]
    NoPorts {
        /// The rule.
        rule: RuleIndex,
    },
    /// The rules would take more memory than they may.
    #[error("expected rules that fit into {limit} bytes; they would take more")]
    TooLarge {
        /// How many bytes they may take, for each IP version.
        limit: usize,
    },
}
