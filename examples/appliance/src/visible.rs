//! Text of others, such that all of it can be seen.

/// The same text with its hidden characters written out.
pub(crate) fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|character| {
            let hidden = is_hidden(character);
            let escaped = character.escape_default().filter(move |_| hidden);
            escaped.chain(std::iter::once(character).filter(move |_| !hidden))
        })
        .collect()
}

/// At most so many bytes of a text, and a sign where there are more.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.into();
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

/// What cannot be seen, or turns around what stands beside it.
pub(crate) fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(shortened("aé", 3), "aé");
        assert_eq!(shortened("aéb", 3), "aé…");
        assert_eq!(shortened("aéb", 2), "a…");
        assert_eq!(shortened("é", 0), "…");
    }

    #[test]
    fn what_is_hidden_is_written_out() {
        assert_eq!(
            visible("a\n\u{1b}[31m \u{202e}é\u{200b}"),
            "a\\n\\u{1b}[31m \\u{202e}é\\u{200b}"
        );
    }
}
