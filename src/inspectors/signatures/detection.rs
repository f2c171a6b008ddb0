use alloc::vec::Vec;

use super::{Buffer, Comparison, Pcre, Transform};

/// What is asked of one buffer, in order.
///
/// All of [`items`](Self::items) have to hold. Those that are relative begin where the last item that was found ended; where one does not
/// hold from there, the ones before are looked for further on, until there is no more. A group of a rule is independent of its others but
/// for [variables](VariableIndex).
///
/// In a rule there is one group for each buffer with the same transforms, however often a rule turns to it; but see
/// [`Buffer::is_multiple`].
#[derive(Clone, Debug, PartialEq)]
pub struct MatchGroup {
    /// The bytes.
    pub buffer: Buffer,
    /// What is done to them before, in order.
    pub transforms: Vec<Transform>,
    /// What is asked, in the order in which it is written. At least one.
    pub items: Vec<Detection>,
}

impl MatchGroup {
    /// What is asked of a buffer as it is.
    pub fn new(buffer: Buffer, items: impl IntoIterator<Item = Detection>) -> Self {
        Self { buffer, transforms: Vec::new(), items: items.into_iter().collect() }
    }
}

/// One thing that is asked of bytes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Detection {
    /// `content`: a pattern is there.
    Content(Content),
    /// `pcre`: a regular expression finds something.
    Pcre(Pcre),
    /// `isdataat`: there is a byte at a place.
    DataAt(DataAt),
    /// `byte_test`: a number is like this.
    ByteTest(ByteTest),
    /// `byte_jump`: a number says where to go on.
    ByteJump(ByteJump),
    /// `byte_extract`: a number is remembered.
    ByteExtract(ByteExtract),
    /// `byte_math`: a number is reckoned with, and the result remembered.
    ByteMath(ByteMath),
    /// `bsize`, and `urilen` of the URI: how many bytes the whole buffer has.
    Size(Comparison<u64>),
    /// `base64_decode`, and what `base64_data` asks of what comes out.
    Base64Decode(Base64Decode),
}

/// A number that is written in the rule, or one that was taken from bytes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Number {
    /// Written.
    Literal(i64),
    /// Taken from bytes. It is always an earlier item of the rule that takes it, in the order of the rule's text.
    Variable(VariableIndex),
}

/// A place in [`Rule::variables`](super::Rule::variables): a number that an item takes from bytes and others use. Where it was not taken,
/// as its group did not hold, what uses it does not hold either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VariableIndex(pub u8);

/// A pattern, and where it is to be.
///
/// Counted from the buffer's begin: [`offset`](Self::offset), [`depth`](Self::depth). From where the item before ended:
/// [`distance`](Self::distance), [`within`](Self::within). Never both kinds in one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Content {
    /// The bytes, at least one.
    pub pattern: Vec<u8>,
    /// `!`: it is not there. Nothing is found then, so the next relative item begins where this one would have.
    pub is_negated: bool,
    /// `nocase`: ASCII letters in either case.
    pub ignores_case: bool,
    /// `offset`: it begins at this byte or later.
    pub offset: Option<Number>,
    /// `depth`: it ends at most so many bytes after its offset.
    pub depth: Option<Number>,
    /// `distance`: it begins so many bytes after the last match's end, or later. May be negative.
    pub distance: Option<Number>,
    /// `within`: it ends at most so many bytes after the last match's end plus `distance`.
    pub within: Option<Number>,
    /// `startswith`: the buffer begins with it.
    pub starts_with: bool,
    /// `endswith`: the buffer ends with it.
    pub ends_with: bool,
    /// `fast_pattern`: look for this one first. What matches does not depend on it.
    pub fast_pattern: Option<FastPattern>,
    /// `rawbytes`: taken, and means nothing more than without.
    pub is_raw: bool,
}

impl Content {
    /// A pattern, anywhere, as it is written.
    pub const fn new(pattern: Vec<u8>) -> Self {
        Self {
            pattern,
            is_negated: false,
            ignores_case: false,
            offset: None,
            depth: None,
            distance: None,
            within: None,
            starts_with: false,
            ends_with: false,
            fast_pattern: None,
            is_raw: false,
        }
    }

    /// Whether its place depends on the item before.
    pub const fn is_relative(&self) -> bool {
        self.distance.is_some() || self.within.is_some()
    }
}

/// How a pattern is used to find out which rules are worth a closer look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FastPattern {
    /// The whole pattern.
    Whole,
    /// `only`: there need be no closer look at this item.
    Only,
    /// A part of the pattern: `offset,length`, which lies in the pattern and is not empty.
    Part {
        /// The part's first byte.
        offset: u16,
        /// Its bytes.
        length: u16,
    },
}

/// `isdataat`: the byte at a place is in the buffer; negated, it is not.
///
/// Absolute: byte number `at`, counted from 0, is there: `at < length`. Relative: so many bytes are there behind the last match's end:
/// `at <= rest`. So `isdataat:!1,relative` says that the last match ends at the buffer's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DataAt {
    /// Which byte.
    pub at: Number,
    /// Counted from the last match's end.
    pub is_relative: bool,
    /// It is not there.
    pub is_negated: bool,
    /// `rawbytes`: taken, and means nothing more than without.
    pub is_raw: bool,
}

impl DataAt {
    /// Whether there is a byte of this number, counted from 0.
    pub const fn new(at: Number) -> Self {
        Self { at, is_relative: false, is_negated: false, is_raw: false }
    }
}

/// A number in bytes: what `byte_test`, `byte_jump`, `byte_extract` and `byte_math` have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ByteField {
    /// How many bytes: at most 8, and at most 23 digits of text, of which 0 means as many as there are.
    pub bytes: Number,
    /// From the buffer's begin, or from the last match's end where [`is_relative`](Self::is_relative). May be negative.
    pub offset: Number,
    /// Counted from the last match's end.
    pub is_relative: bool,
    /// The order of bytes; without meaning for texts.
    pub order: ByteOrder,
    /// `string`: the number is a text; `None` where it is binary.
    pub text: Option<Radix>,
    /// `bitmask`: only these bits, shifted to the right until the lowest of them is the lowest bit. Never 0.
    pub bitmask: Option<u32>,
}

impl ByteField {
    /// A binary number in the order of the network.
    pub const fn new(bytes: Number, offset: Number) -> Self {
        let order = ByteOrder::Big;
        Self { bytes, offset, is_relative: false, order, text: None, bitmask: None }
    }
}

/// The order of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ByteOrder {
    /// `big`
    #[default]
    Big,
    /// `little`
    Little,
}

/// How a number is written as a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Radix {
    /// `hex`
    Hexadecimal,
    /// `dec`
    Decimal,
    /// `oct`
    Octal,
}

/// `byte_test`. The place where relative items begin does not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ByteTest {
    /// The number.
    pub field: ByteField,
    /// How it is compared.
    pub operator: TestOperator,
    /// The comparison must not hold. The bytes have to be there all the same.
    pub is_negated: bool,
    /// With what.
    pub value: Number,
}

impl ByteTest {
    /// Whether a number is like this.
    pub const fn new(field: ByteField, operator: TestOperator, value: Number) -> Self {
        Self { field, operator, is_negated: false, value }
    }
}

/// How numbers are compared, without sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TestOperator {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `=`
    Equal,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `&`: there are bits that both have.
    And,
    /// `^`: there are bits that only one has.
    Xor,
}

/// `byte_jump`: the next relative item begins where the number says.
///
/// `place + number × multiplier`, aligned, plus `post_offset`, where `place` is the field's end unless [`from`](Self::from) says
/// otherwise. Where that is not in the buffer (its end still is), it does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ByteJump {
    /// The number. Of 0 bytes where only [`post_offset`](Self::post_offset) counts.
    pub field: ByteField,
    /// `multiplier`: 1 unless written.
    pub multiplier: u16,
    /// `align`: up to the next multiple of 4 bytes.
    pub alignment: Option<Alignment>,
    /// From where the jump is.
    pub from: JumpFrom,
    /// `post_offset`: so many bytes further, or less far.
    pub post_offset: Number,
}

impl ByteJump {
    /// From the end of a number's bytes so many bytes on.
    pub const fn new(field: ByteField) -> Self {
        let (from, post_offset) = (JumpFrom::Field, Number::Literal(0));
        Self { field, multiplier: 1, alignment: None, from, post_offset }
    }
}

/// From where a jump is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum JumpFrom {
    /// The end of the number's bytes.
    #[default]
    Field,
    /// `from_beginning`: the buffer's begin.
    Beginning,
    /// `from_end`: the buffer's end.
    End,
}

/// To what a number is rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alignment {
    /// `align 2`
    Two,
    /// `align`, `align 4`
    Four,
}

/// `byte_extract`: a number is remembered. The next relative item begins at the end of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ByteExtract {
    /// The number.
    pub field: ByteField,
    /// `multiplier`: 1 unless written.
    pub multiplier: u16,
    /// `align`
    pub alignment: Option<Alignment>,
    /// Where it is remembered.
    pub result: VariableIndex,
}

impl ByteExtract {
    /// A number is remembered as it is.
    pub const fn new(field: ByteField, result: VariableIndex) -> Self {
        Self { field, multiplier: 1, alignment: None, result }
    }
}

/// `byte_math`: `number operator value` is remembered. The next relative item begins at the end of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ByteMath {
    /// The number.
    pub field: ByteField,
    /// What is done.
    pub operator: MathOperator,
    /// With what. A division by 0 does not hold.
    pub value: Number,
    /// Where the result is remembered.
    pub result: VariableIndex,
}

impl ByteMath {
    /// `number operator value` is remembered.
    pub const fn new(
        field: ByteField,
        operator: MathOperator,
        value: Number,
        result: VariableIndex,
    ) -> Self {
        Self { field, operator, value, result }
    }
}

/// What is done with two numbers, which wrap at 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MathOperator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `<<`
    ShiftLeft,
    /// `>>`
    ShiftRight,
}

/// `base64_decode`: Base64 is decoded, and what comes out is looked at as a buffer of its own.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Base64Decode {
    /// `bytes`: how many encoded bytes at most; `None` for all.
    pub bytes: Option<u32>,
    /// `offset`: from where on.
    pub offset: u32,
    /// `relative`: the offset is counted from the last match's end.
    pub is_relative: bool,
    /// What `base64_data` asks of the decoded bytes. Empty where it is not used: then something has to be decoded, and that is all.
    pub items: Vec<Detection>,
}
