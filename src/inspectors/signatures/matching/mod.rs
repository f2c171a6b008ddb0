//! Rules made ready, and how they are found.

mod builder;
mod choice;
mod conditions;
mod grams;
mod header;
mod needle;
mod prefilter;
mod program;
mod ready;
mod set;
mod slot;

pub(super) use conditions::{holds, is_spoken_as};
pub(super) use prefilter::Places;
pub(super) use program::{Budget, Program, View};
pub(super) use ready::{NumberedBits, Ready, ReadyGroup};
pub use set::SignatureError;
pub(super) use set::{Beside, BySide, Set, has_to_wait};
pub(super) use slot::{Sight, Slot};
