/// What a number has to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison<T> {
    /// `7`
    Equal(T),
    /// `!7`
    NotEqual(T),
    /// `<7`
    Less(T),
    /// `<=7`
    LessOrEqual(T),
    /// `>7`
    Greater(T),
    /// `>=7`
    GreaterOrEqual(T),
    /// `7<>9`: more than the first and less than the second, so only 8.
    Between(T, T),
}

impl<T: PartialOrd + Copy> Comparison<T> {
    /// Whether a number is like this.
    pub fn holds(&self, found: T) -> bool {
        match *self {
            Self::Equal(it) => found == it,
            Self::NotEqual(it) => found != it,
            Self::Less(it) => found < it,
            Self::LessOrEqual(it) => found <= it,
            Self::Greater(it) => found > it,
            Self::GreaterOrEqual(it) => found >= it,
            Self::Between(above, below) => above < found && found < below,
        }
    }

    /// No number that is like this is greater; `None` where there is no such bound.
    pub(super) const fn most(&self) -> Option<T> {
        match *self {
            Self::Equal(most)
            | Self::Less(most)
            | Self::LessOrEqual(most)
            | Self::Between(_, most) => Some(most),
            Self::NotEqual(_) | Self::Greater(_) | Self::GreaterOrEqual(_) => None,
        }
    }
}
