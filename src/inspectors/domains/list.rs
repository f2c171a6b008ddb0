use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::table::Table;
use super::{DomainPattern, Over};
use crate::Timestamp;

/// Lists of names, and what becomes of what they take. The first list that takes a name counts.
///
/// ```
/// use gwlb_geneve::inspectors::domains::{Action, DomainLists, Over};
///
/// let lists = DomainLists::new(Action::Reject)
///     .list("partners", Action::Allow, &Over::ALL, ["*.example.org".parse()?])
///     .quic(Action::Drop);
/// assert!(lists.is_allow_list());
/// assert_eq!(lists.decide("www.example.org", Over::Tls).action, Action::Allow);
/// assert_eq!(lists.decide("example.com", Over::Dns).action, Action::Reject);
/// # Ok::<(), gwlb_geneve::inspectors::domains::PatternError>(())
/// ```
#[derive(Clone, Debug)]
pub struct DomainLists {
    default: Action,
    lists: Vec<List>,
    table: Table,
    quic: Action,
    ech: Action,
    nameless: Action,
    discover_until: Option<Timestamp>,
    except_ports: Vec<u16>,
    remembered: usize,
}

#[derive(Clone, Debug)]
struct List {
    name: String,
    action: Action,
}

impl DomainLists {
    /// How many names that DNS answered are remembered, unless one says otherwise.
    pub const REMEMBERED: usize = 16_384;

    /// No list yet; `default` is what becomes of names that no list takes. Where that is a refusal, only what is listed is
    /// allowed, and so is nothing that has no name: QUIC, ECH, TLS and HTTP without a name, and what is not understood.
    pub const fn new(default: Action) -> Self {
        Self {
            default,
            lists: Vec::new(),
            table: Table::EMPTY,
            quic: default,
            ech: default,
            nameless: default,
            discover_until: None,
            except_ports: Vec::new(),
            remembered: Self::REMEMBERED,
        }
    }

    /// Adds a list behind the others, for names in some of TLS, HTTP and DNS.
    #[must_use]
    pub fn list(
        mut self,
        name: impl Into<String>,
        action: Action,
        over: &[Over],
        names: impl IntoIterator<Item = DomainPattern>,
    ) -> Self {
        let number = u32::try_from(self.lists.len()).unwrap_or(u32::MAX);
        self.lists.push(List { name: name.into(), action });
        for pattern in names {
            self.table.add(&pattern, over, number);
        }
        self
    }

    /// What becomes of QUIC, which hides its name: UDP to or from port 443. By default as of names that no list takes.
    #[must_use]
    pub fn quic(self, action: Action) -> Self {
        Self { quic: action, ..self }
    }

    /// What becomes of TLS that has an encrypted hello, or pretends to have one, as some browsers always do. By default as of names
    /// that no list takes. Where it passes, the outer name is judged.
    #[must_use]
    pub fn ech(self, action: Action) -> Self {
        Self { ech: action, ..self }
    }

    /// What becomes of TLS, HTTP and DNS without a name, or of which it is not clear what the name is. By default as of names
    /// that no list takes.
    #[must_use]
    pub fn nameless(self, action: Action) -> Self {
        Self { nameless: action, ..self }
    }

    /// Until this time nothing is refused, and alerts say what would have been.
    #[must_use]
    pub fn discover_until(self, until: Timestamp) -> Self {
        Self { discover_until: Some(until), ..self }
    }

    /// Flows to these ports of TCP and UDP are not looked at.
    #[must_use]
    pub fn except_ports(self, ports: impl IntoIterator<Item = u16>) -> Self {
        Self { except_ports: ports.into_iter().collect(), ..self }
    }

    /// How many names that DNS answered are remembered with their addresses, to compare them with those that are called; with 0
    /// nothing is compared. The oldest are forgotten first. One takes less than 1 KiB.
    #[must_use]
    pub fn remember(self, names: usize) -> Self {
        Self { remembered: names, ..self }
    }

    /// Whether what is not listed is refused.
    pub const fn is_allow_list(&self) -> bool {
        self.default.is_refusal()
    }

    /// What becomes of a name, in whatever case.
    pub fn decide(&self, name: &str, over: Over) -> Decision<'_> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.decide_lower(name.to_ascii_lowercase().as_bytes(), over);
        }
        self.decide_lower(name.as_bytes(), over)
    }

    /// The same for a name in lower case without a dot at its end.
    pub(super) fn decide_lower(&self, name: &[u8], over: Over) -> Decision<'_> {
        let place = self.table.find(name, over).and_then(|place| usize::try_from(place).ok());
        match place.and_then(|place| self.lists.get(place)) {
            Some(list) => Decision { action: list.action, list: Some(&list.name) },
            None => Decision { action: self.default, list: None },
        }
    }

    /// All actions that something may come to.
    #[cfg(feature = "config")]
    pub(crate) fn actions(&self) -> impl Iterator<Item = Action> + '_ {
        let others = [self.default, self.quic, self.ech, self.nameless];
        self.lists.iter().map(|list| list.action).chain(others)
    }

    /// How many different names there are in all lists.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) const fn hidden(&self, hidden: super::inspector::Hidden) -> Action {
        use super::inspector::Hidden;
        match hidden {
            Hidden::Quic => self.quic,
            Hidden::Ech => self.ech,
            Hidden::Nameless => self.nameless,
            Hidden::Unknown => match self.default {
                // Nothing is said by it that was not seen.
                Action::Alert => Action::Allow,
                default => default,
            },
        }
    }

    pub(crate) fn discovers(&self, now: Timestamp) -> bool {
        self.discover_until.is_some_and(|until| now < until)
    }

    pub(super) fn is_excepted(&self, port: u16) -> bool {
        self.except_ports.contains(&port)
    }

    pub(super) const fn remembered(&self) -> usize {
        self.remembered
    }
}

/// What becomes of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision<'a> {
    /// What.
    pub action: Action,
    /// The list that says so; `None` where no list takes the name.
    pub list: Option<&'a str>,
}

/// What becomes of a flow in which a name is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It passes.
    Allow,
    /// It passes, and an alert says so.
    Alert,
    /// It is dropped.
    Drop,
    /// It is dropped, and both ends are told.
    Reject,
}

impl Action {
    /// Each with its name.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("allow", Self::Allow),
        ("alert", Self::Alert),
        ("drop", Self::Drop),
        ("reject", Self::Reject),
    ];

    /// Whether it does not pass.
    pub const fn is_refusal(self) -> bool {
        matches!(self, Self::Drop | Self::Reject)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Allow => "allow",
            Self::Alert => "alert",
            Self::Drop => "drop",
            Self::Reject => "reject",
        })
    }
}
