//! Ready-made inspectors.
//!
//! | module | judges by |
//! |---|---|
//! | [`access`] | an ordered list of rules about endpoints, addresses, protocols and ports |

pub mod access;
