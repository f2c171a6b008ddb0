//! The example appliance.

fn main() {}
