//! The language of signatures: what is printed is read again as the same, and nothing that is read makes it stumble.
#![cfg(feature = "signatures")]

mod support;

use gwlb_geneve::inspectors::signatures::{Rule, RuleSet, Variables};
use proptest::prelude::*;
use support::rules;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_printed_rule_is_read_as_the_same(rule in rules::rules()) {
        let text = rule.to_string();
        match text.parse::<Rule>() {
            Ok(again) => prop_assert_eq!(&again, &rule, "{}", text),
            Err(error) => prop_assert!(false, "{error}\n{text}"),
        }
        rules::check(text.as_bytes());
    }

    #[test]
    fn a_rule_with_a_mistake_is_one_error_at_most(
        rule in rules::rules(),
        place: prop::sample::Index,
        with in prop::sample::select(&b"\";:\\|,!()[]#\n \xe9x0"[..]),
    ) {
        let mut text = rule.to_string().into_bytes();
        let place = place.index(text.len());
        text[place] = with;
        rules::check(&text);
        let set = RuleSet::parse(&text, &Variables::default());
        prop_assert!(set.rules().len() + set.report().errors().len() <= 2);
    }

    #[test]
    fn no_text_makes_it_stumble(text in prop::collection::vec(any::<u8>(), 0..400)) {
        rules::check(&text);
    }
}
