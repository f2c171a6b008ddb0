use core::fmt;

use thiserror::Error;

use crate::geneve::{OptionClass, OptionType};

/// How a provider's load balancer writes its three values into GENEVE options.
///
/// All known ones use three options of one class with 8, 8 and 4 bytes of data (wire.md §1, §3).
///
/// ```
/// use gwlb_geneve::geneve::{OptionClass, OptionType};
/// use gwlb_geneve::gwlb::Profile;
///
/// assert_eq!(Profile::default(), Profile::AWS);
/// // Someone else's, in the same manner, with the highest 2 bits of the third option apart.
/// let custom = Profile::custom(OptionClass(0xff00), [1, 2, 3].map(OptionType), 2)?;
/// assert_eq!(custom.class(), OptionClass(0xff00));
/// # Ok::<(), gwlb_geneve::gwlb::ProfileError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Profile {
    class: OptionClass,
    types: [OptionType; 3],
    direction_bits: u8,
    /// The option headers that are expected, as they stand in memory, for the fast path.
    pub(super) words: [u32; 3],
    pub(super) cookie_mask: u32,
}

impl Profile {
    /// AWS Gateway Load Balancer: class 0x0108, types 1, 2, 3.
    pub const AWS: Self =
        Self::checked(OptionClass(0x0108), [OptionType(1), OptionType(2), OptionType(3)], 0);

    /// Tencent Cloud's gateway load balancer: class 0x0167, the same options, with 3 bits of flow direction above 29 bits
    /// of cookie in the third.
    pub const TENCENT: Self =
        Self::checked(OptionClass(0x0167), [OptionType(1), OptionType(2), OptionType(3)], 3);

    /// Another provider of the same manner: its class, its types for endpoint, attachment and cookie,
    /// and how many of the cookie's highest bits are not cookie but direction.
    ///
    /// # Errors
    ///
    /// The three types must differ, and `direction_bits` must leave some cookie: at most 31.
    pub const fn custom(
        class: OptionClass,
        types: [OptionType; 3],
        direction_bits: u8,
    ) -> Result<Self, ProfileError> {
        let [endpoint, attachment, cookie] = types;
        if endpoint.0 == attachment.0 || attachment.0 == cookie.0 || cookie.0 == endpoint.0 {
            return Err(ProfileError::SameType { types });
        }
        if direction_bits > 31 {
            return Err(ProfileError::DirectionBits { found: direction_bits });
        }
        Ok(Self::checked(class, types, direction_bits))
    }

    const fn checked(class: OptionClass, types: [OptionType; 3], direction_bits: u8) -> Self {
        let [endpoint, attachment, cookie] = types;
        Self {
            class,
            types,
            direction_bits,
            words: [word(class, endpoint, 2), word(class, attachment, 2), word(class, cookie, 1)],
            cookie_mask: u32::MAX >> direction_bits,
        }
    }

    /// The class of the three options.
    pub const fn class(&self) -> OptionClass {
        self.class
    }

    /// The type of one of the three options.
    pub const fn option_type(&self, option: ProfileOption) -> OptionType {
        let [endpoint, attachment, cookie] = self.types;
        match option {
            ProfileOption::Endpoint => endpoint,
            ProfileOption::Attachment => attachment,
            ProfileOption::Cookie => cookie,
        }
    }

    /// How many of the highest bits of the third option are direction: 0 for AWS, 3 for Tencent.
    pub const fn direction_bits(&self) -> u8 {
        self.direction_bits
    }

    /// Which of the three an option is by its class and type, whatever its length.
    #[inline]
    pub fn recognize(&self, class: OptionClass, option_type: OptionType) -> Option<ProfileOption> {
        let [endpoint, attachment, cookie] = self.types;
        match option_type {
            _ if class != self.class => None,
            _ if option_type == endpoint => Some(ProfileOption::Endpoint),
            _ if option_type == attachment => Some(ProfileOption::Attachment),
            _ if option_type == cookie => Some(ProfileOption::Cookie),
            _ => None,
        }
    }
}

impl Default for Profile {
    /// [`Profile::AWS`].
    fn default() -> Self {
        Self::AWS
    }
}

/// Why there is no such profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// Two options of one type could not be told apart.
    #[error("profile: expected three different option types, found {types:?}")]
    SameType {
        /// The types that were given.
        types: [OptionType; 3],
    },
    /// Nothing would be left of the cookie.
    #[error("profile: expected at most 31 direction bits, found {found}")]
    DirectionBits {
        /// The number that was given.
        found: u8,
    },
}

/// One of the three options that a provider's load balancer adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProfileOption {
    /// The endpoint that the packet came through: 8 bytes.
    Endpoint,
    /// The transit gateway attachment: 8 bytes.
    Attachment,
    /// The flow cookie: 4 bytes.
    Cookie,
}

impl ProfileOption {
    /// All three, in the order in which AWS sends them.
    pub const ALL: [Self; 3] = [Self::Endpoint, Self::Attachment, Self::Cookie];

    /// Length of its data in bytes.
    pub const fn data_len(self) -> usize {
        match self {
            Self::Endpoint | Self::Attachment => 8,
            Self::Cookie => 4,
        }
    }
}

impl fmt::Display for ProfileOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Endpoint => "endpoint ID",
            Self::Attachment => "attachment ID",
            Self::Cookie => "flow cookie",
        })
    }
}

/// An option header as it stands in memory, its reserved bits zero.
const fn word(class: OptionClass, option_type: OptionType, words: u8) -> u32 {
    let [c0, c1] = class.0.to_be_bytes();
    u32::from_ne_bytes([c0, c1, option_type.0, words])
}
