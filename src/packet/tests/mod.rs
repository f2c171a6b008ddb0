//! Tests of the module as a whole; those of one function stand beside it.

pub(super) mod build;
mod mistakes;
mod naive;
mod properties;
