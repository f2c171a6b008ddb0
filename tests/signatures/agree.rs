//! What the matcher finds is what the plain interpreter finds, over rules and bytes that are made up, cut anywhere.

use proptest::prelude::*;

use crate::support::signatures::{check, from_seed};

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_matcher_and_the_interpreter_agree(bytes in prop::collection::vec(any::<u8>(), 20..260)) {
        check(&bytes);
    }
}

/// Of the scripts with long patterns enough load, and hold, to say something: nothing is asked of them otherwise where grams do not
/// say that there is anything.
#[test]
fn long_patterns_are_found_and_not_found() {
    let outcomes = (0..500).map(|seed| check(&from_seed(seed))).filter(|it| it.is_long);
    let (asked, held) = outcomes
        .fold((0, 0), |(asked, held), outcome| (asked + outcome.asked, held + outcome.held));
    assert!(asked > 250 && held > 50 && held < asked, "{asked} asked, {held} held");
}

/// By hand: `SIGNATURE_PAIRS=1000000 cargo test --release --all-features --test signatures -- --ignored agree`
#[test]
#[ignore = "takes minutes"]
fn over_as_many_as_asked_for() {
    let pairs: u64 = std::env::var("SIGNATURE_PAIRS").map_or(100_000, |it| it.parse().unwrap());
    let (mut held, mut asked) = (0_u64, 0_u64);
    for seed in 0..pairs {
        let outcome = check(&from_seed(seed));
        (held, asked) = (held + outcome.held, asked + outcome.asked);
    }
    println!("{pairs} scripts, {asked} pairs of rule and bytes, {held} of them held");
}
