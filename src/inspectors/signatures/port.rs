use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use super::address::is_name;
use super::expression::{self, shortened};
use super::ranges::Ranges;
use super::{ExpressionError, VariableError, Variables};

/// Ports as a rule writes them: `any`, one, a range, a `$VARIABLE`, `!` of one of these, `[…]` of several.
///
/// ```
/// use gwlb_geneve::inspectors::signatures::{PortExpression, Variables};
///
/// let some: PortExpression = "[80, 8000:8100, !8080]".parse()?;
/// let set = some.resolve(&Variables::default())?;
/// assert!(set.contains(80) && set.contains(8100) && !set.contains(8080));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PortExpression {
    /// `any`
    Any,
    /// From the first to the last, both included: `80`, `1024:2048`, `1024:`, `:1023`.
    Range(u16, u16),
    /// `$HTTP_PORTS`, without the `$`.
    Variable(String),
    /// `!…`
    Not(Box<PortExpression>),
    /// `[…]`: all that are not negated, or any where there are only such, without those that are.
    Group(Vec<PortExpression>),
}

impl PortExpression {
    /// The ports that are meant where the variables are these.
    ///
    /// # Errors
    ///
    /// [`VariableError::Unknown`] where a variable is none of these, [`VariableError::Empty`] where no port is left.
    pub fn resolve(&self, variables: &Variables) -> Result<PortSet, VariableError> {
        let set = self.evaluate(variables)?;
        if set.0.is_none() {
            return Err(VariableError::Empty { expression: self.to_string() });
        }
        Ok(set)
    }

    pub(super) fn evaluate(&self, variables: &Variables) -> Result<PortSet, VariableError> {
        Ok(PortSet(match self {
            Self::Any => Ranges::all(),
            Self::Range(first, last) => Ranges::new([(*first, *last)].into()),
            Self::Variable(name) => variables.ports(name)?.0.clone(),
            Self::Not(inner) => inner.evaluate(variables)?.0.complement(),
            Self::Group(members) => {
                let mut meant = None;
                let mut excepted = Ranges::none();
                for member in members {
                    if let Self::Not(member) = member {
                        excepted = excepted.union(member.evaluate(variables)?.0);
                    } else {
                        let member = member.evaluate(variables)?.0;
                        meant = Some(match meant {
                            None => member,
                            Some(meant) => member.union(meant),
                        });
                    }
                }
                meant.unwrap_or_else(Ranges::all).without(&excepted)
            }
        }))
    }
}

impl FromStr for PortExpression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        expression::parse(text, &leaf, &|inner| Self::Not(Box::new(inner)), &Self::Group)
    }
}

/// What is neither negated nor a list.
fn leaf(text: &str) -> Result<PortExpression, ExpressionError> {
    let error = || ExpressionError::Port { found: shortened(text) };
    if text.eq_ignore_ascii_case("any") {
        return Ok(PortExpression::Any);
    }
    if let Some(name) = text.strip_prefix('$') {
        return is_name(name).then(|| PortExpression::Variable(name.into())).ok_or_else(error);
    }
    let port = |digits: &str| -> Result<u16, ExpressionError> {
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(error());
        }
        digits.parse().map_err(|_| error())
    };
    let (first, last) = match text.split_once(':').map(|(a, b)| (a.trim(), b.trim())) {
        None => (port(text)?, port(text)?),
        Some(("", "")) => return Err(error()),
        Some(("", last)) => (0, port(last)?),
        Some((first, "")) => (port(first)?, u16::MAX),
        Some((first, last)) => (port(first)?, port(last)?),
    };
    if first > last {
        return Err(ExpressionError::PortRange { found: shortened(text) });
    }
    Ok(PortExpression::Range(first, last))
}

impl fmt::Display for PortExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Range(first, last) if first == last => first.fmt(f),
            Self::Range(0, last) if *last < u16::MAX => write!(f, ":{last}"),
            Self::Range(first, u16::MAX) => write!(f, "{first}:"),
            Self::Range(first, last) => write!(f, "{first}:{last}"),
            Self::Variable(name) => write!(f, "${name}"),
            Self::Not(inner) => write!(f, "!{inner}"),
            Self::Group(members) => {
                f.write_str("[")?;
                for (number, member) in members.iter().enumerate() {
                    let separator = if number == 0 { "" } else { "," };
                    write!(f, "{separator}{member}")?;
                }
                f.write_str("]")
            }
        }
    }
}

/// Ports. One is looked up by binary search.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PortSet(Ranges<u16>);

impl PortSet {
    /// All there are.
    pub fn any() -> Self {
        Self(Ranges::all())
    }

    /// From the first to the last of each row, in whatever order, overlapping or not.
    pub(super) fn of(ranges: Vec<(u16, u16)>) -> Self {
        Self(Ranges::new(ranges))
    }

    /// Whether a port is one of these.
    pub fn contains(&self, port: u16) -> bool {
        self.0.contains(port)
    }

    /// Whether it has all there are, so that none need be compared.
    pub fn is_any(&self) -> bool {
        self.0.is_all()
    }

    /// From the first to the last of each row, in order, with a gap between rows.
    pub fn ranges(&self) -> &[(u16, u16)] {
        self.0.as_slice()
    }
}
