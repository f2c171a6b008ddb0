//! The appliance's own modules by themselves. Cargo builds the tests of an example only in place of the example, so they
//! are taken in here, each with its tests.
#![allow(dead_code, unreachable_pub)]

#[path = "../src/demo/mod.rs"]
mod demo;
#[path = "../src/flows.rs"]
mod flows;
#[path = "../src/visible.rs"]
mod visible;

#[path = "../src/report"]
mod report {
    mod chart;
    mod html;
    mod tally;
}

#[path = "../src/top"]
mod top {
    mod poll;
    mod stats;
    #[path = "../../tests/top/mod.rs"]
    mod tests;
    mod view;
}
