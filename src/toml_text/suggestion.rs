use alloc::string::String;
use alloc::vec::Vec;

/// The word that is most like what was written, if one is like it.
pub(crate) fn suggestion<W: AsRef<str>>(
    written: &str,
    words: impl IntoIterator<Item = W>,
) -> Option<W> {
    let tolerated = if written.chars().count() < 4 { 1 } else { 2 };
    nearest(written, tolerated, words)
}

/// The same, with at most so many characters that are different.
pub(crate) fn nearest<W: AsRef<str>>(
    written: &str,
    tolerated: usize,
    words: impl IntoIterator<Item = W>,
) -> Option<W> {
    let written = written.to_lowercase();
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

/// How many characters have to be put in, taken out or replaced, or change places with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    // The rows of the table for what is read of `a`, and for one and two characters less.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut above: Vec<usize> = Vec::new();
    let mut before = None;
    for (number, a) in a.chars().enumerate() {
        let two_above = core::mem::replace(&mut above, row);
        row = Vec::from([number.saturating_add(1)]);
        for (at, b_at) in b.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX);
            let next = at.saturating_add(1);
            let replaced = cell(&above, at).saturating_add(usize::from(a != *b_at));
            let taken_out = cell(&above, next).saturating_add(1);
            let put_in = cell(&row, at).saturating_add(1);
            let swapped = match at.checked_sub(1) {
                Some(left) if before == Some(*b_at) && b.get(left) == Some(&a) => {
                    cell(&two_above, left).saturating_add(1)
                }
                _ => usize::MAX,
            };
            row.push(replaced.min(taken_out).min(put_in).min(swapped));
        }
        before = Some(a);
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
            ("gte", "get", 1),
            ("ab", "ba", 1),
            ("aab", "aba", 1),
            ("ca", "abc", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn only_what_is_alike_is_suggested() {
        assert_eq!(suggestion("Protcol", ["ports", "protocol"]), Some("protocol"));
        assert_eq!(suggestion("GTE", ["PUT", "GET"]), Some("GET"));
        assert_eq!(suggestion("ot", ["from", "port"]), None);
        assert_eq!(suggestion("xyz", ["to", "from"]), None);
    }
}
