//! TCP streams as a receiver gets them.

#![cfg(feature = "alloc")]

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use support::streams::check;

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::with_cases(3_000)
    })]

    /// Would catch: a byte that reaches a receiver unjudged, by any overlap, at any edge of a window, of any kind of
    /// receiver; an edit too many or too few; memory that is not given back.
    #[test]
    fn nobody_fools_a_receiver(setup in any::<[u8; 4]>(), script in vec(any::<[u8; 5]>(), 0..120)) {
        let opening = [[0, 0, 0, 1, 1], [2, 0, 0, 0, 1]];
        let script: Vec<u8> = opening.into_iter().chain(script).flatten().collect();
        check(&[&setup[..], &script].concat());
    }

    /// The same without a handshake in good order before.
    #[test]
    fn nobody_fools_a_receiver_from_the_start(
        setup in any::<[u8; 4]>(),
        script in vec((0_u8..6, any::<[u8; 4]>()), 0..60),
    ) {
        let script = script.into_iter().flat_map(|(what, [a, b, c, d])| [what, a, b, c, d]);
        check(&setup.into_iter().chain(script).collect::<Vec<_>>());
    }
}

#[test]
fn found_by_fuzzing() {
    check(&[
        34, 246, 0, 4, 1, 9, 36, 9, 40, 0, 102, 0, 0, 1, 1, 0, 246, 0, 4, 1, 9, 36, 9, 40, 0, 36,
        0, 0, 59, 34, 40, 17, 1, 2, 0, 96, 13, 35, 1, 0, 12, 5,
    ]);
}
