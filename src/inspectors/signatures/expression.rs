//! What addresses and ports have in common as expressions: `!`, `[…]` and commas.

use alloc::borrow::ToOwned;
use alloc::string::String;

use thiserror::Error;

/// Groups in groups in groups.
const DEEPEST: usize = 16;

/// Takes an expression apart. `make` gets each part with whether it stands after a `!`.
///
/// A part is what stands alone, or a list where brackets were.
pub(super) fn parse<E>(
    text: &str,
    leaf: &impl Fn(&str) -> Result<E, ExpressionError>,
    not: &impl Fn(E) -> E,
    group: &impl Fn(alloc::vec::Vec<E>) -> E,
) -> Result<E, ExpressionError> {
    let mut rest = text.trim();
    let found = one(&mut rest, leaf, not, group, 0)?;
    match rest.trim_start() {
        "" => Ok(found),
        rest => Err(ExpressionError::After { found: shortened(rest) }),
    }
}

fn one<E>(
    rest: &mut &str,
    leaf: &impl Fn(&str) -> Result<E, ExpressionError>,
    not: &impl Fn(E) -> E,
    group: &impl Fn(alloc::vec::Vec<E>) -> E,
    depth: usize,
) -> Result<E, ExpressionError> {
    if depth > DEEPEST {
        return Err(ExpressionError::Depth { most: DEEPEST });
    }
    let deeper = depth.saturating_add(1);
    *rest = rest.trim_start();
    if let Some(after) = rest.strip_prefix('!') {
        *rest = after;
        return Ok(not(one(rest, leaf, not, group, deeper)?));
    }
    let Some(after) = rest.strip_prefix('[') else {
        let end = rest.find([',', ']', '[', '!']).unwrap_or(rest.len());
        let (part, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        *rest = after;
        return leaf(part.trim());
    };
    *rest = after;
    let mut members = alloc::vec::Vec::new();
    loop {
        members.push(one(rest, leaf, not, group, deeper)?);
        *rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix(',') {
            *rest = after;
        } else if let Some(after) = rest.strip_prefix(']') {
            *rest = after;
            return Ok(group(members));
        } else {
            return Err(ExpressionError::Bracket { found: shortened(rest) });
        }
    }
}

/// The begin of what would make a long message.
pub(super) fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => {
            let mut short = text.split_at_checked(end).unwrap_or_default().0.to_owned();
            short.push('…');
            short
        }
        None => text.to_owned(),
    }
}

/// Why a text is no addresses, or no ports.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExpressionError {
    /// Something that is no address.
    #[error(
        "expected any, an address, a network, a range such as 192.0.2.1-192.0.2.9 or a $VARIABLE, found `{found}`"
    )]
    Address {
        /// What was found.
        found: String,
    },
    /// A range with ends of different IP versions, or the higher one first.
    #[error("expected two addresses of one IP version, the lower first, found `{found}`")]
    AddressRange {
        /// What was found.
        found: String,
    },
    /// Something that is no port.
    #[error("expected any, a port, a range such as 1024:2048 or a $VARIABLE, found `{found}`")]
    Port {
        /// What was found.
        found: String,
    },
    /// A range with the higher port first.
    #[error("expected the lower port first, found `{found}`")]
    PortRange {
        /// What was found.
        found: String,
    },
    /// `!any`, which nothing is.
    #[error("expected something that there is, found `!any`")]
    Nothing,
    /// A list that is not closed, or without commas.
    #[error("expected `,` or `]`, found {}", Found(.found))]
    Bracket {
        /// What was found.
        found: String,
    },
    /// Something behind the end.
    #[error("expected nothing more, found `{found}`")]
    After {
        /// What was found.
        found: String,
    },
    /// Lists in lists.
    #[error("expected at most {most} lists or `!` in each other, found more")]
    Depth {
        /// How many there may be.
        most: usize,
    },
}

struct Found<'a>(&'a str);

impl core::fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            "" => f.write_str("the end"),
            found => write!(f, "`{found}`"),
        }
    }
}
