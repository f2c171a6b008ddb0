//! Rules made ready, and how they are found.

mod choice;
mod conditions;
mod header;
mod needle;
mod prefilter;
mod program;
mod ready;
mod set;

pub(super) use program::{Budget, Program, View};
pub(super) use conditions::holds;
pub(super) use ready::{NumberedBits, Ready, ReadyGroup};
pub(super) use set::{BySide, Classes, Set, Slot, has_to_wait};
pub use set::SignatureError;
