use alloc::string::String;
use alloc::vec::Vec;

/// The word that is most like what was written, if one is like it.
pub(crate) fn suggestion<W: AsRef<str>>(
    written: &str,
    words: impl IntoIterator<Item = W>,
) -> Option<W> {
    let written = written.to_lowercase();
    let tolerated = if written.chars().count() < 4 { 1 } else { 2 };
    words
        .into_iter()
        .map(|word| (distance(&written, &word.as_ref().to_lowercase()), word))
        .filter(|(distance, _)| *distance <= tolerated)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// `` `a`, `b` or `c` ``.
pub(crate) fn alternatives(words: &[&str]) -> String {
    let mut text = String::new();
    for (number, word) in words.iter().enumerate() {
        let separator = match words.len().saturating_sub(number) {
            _ if number == 0 => "",
            1 => " or ",
            _ => ", ",
        };
        text.extend([separator, "`", word, "`"]);
    }
    text
}

/// How many characters have to be put in, taken out or replaced (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (number, a) in a.chars().enumerate() {
        let mut before = number;
        let mut left = number.saturating_add(1);
        let (first, rest) =
            row.split_first_mut().map_or((None, &mut [][..]), |(f, r)| (Some(f), r));
        first.into_iter().for_each(|first| *first = left);
        for (b, above) in b.chars().zip(rest) {
            let replaced = before.saturating_add(usize::from(a != b));
            before = *above;
            left = replaced.min(above.saturating_add(1)).min(left.saturating_add(1));
            *above = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn only_what_is_alike_is_suggested() {
        assert_eq!(suggestion("Protcol", ["ports", "protocol"]), Some("protocol"));
        assert_eq!(suggestion("ot", ["to", "from"]), None);
        assert_eq!(suggestion("xyz", ["to", "from"]), None);
    }
}
