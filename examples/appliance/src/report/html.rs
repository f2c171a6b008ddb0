//! Text that may stand in a page, whatever it is.

use std::fmt::{self, Display, Write};

use crate::visible::is_hidden;

/// Something as text: nothing in it is markup, and nothing of it is hidden.
///
/// It may stand between tags and in quoted attributes.
pub(super) struct Text<T>(pub(super) T);

impl<T: Display> Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| match character {
            '&' => self.0.write_str("&amp;"),
            '<' => self.0.write_str("&lt;"),
            '>' => self.0.write_str("&gt;"),
            '"' => self.0.write_str("&quot;"),
            '\'' => self.0.write_str("&#39;"),
            '\n' => self.0.write_char('\n'),
            hidden if is_hidden(hidden) => write!(self.0, "{}", hidden.escape_unicode()),
            plain => self.0.write_char(plain),
        })
    }
}

/// `1 234 567`, with spaces that do not break.
pub(super) struct Grouped(pub(super) u64);

impl Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place) % 3 == 0 {
                f.write_char('\u{202f}')?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

/// `1.4 MiB`.
pub(super) struct Bytes(pub(super) u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut size, mut unit) = (self.0 as f64, "B");
        for larger in ["KiB", "MiB", "GiB", "TiB"] {
            if size >= 1_024.0 {
                (size, unit) = (size / 1_024.0, larger);
            }
        }
        if unit == "B" { write!(f, "{size} B") } else { write!(f, "{size:.1} {unit}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_markup_and_nothing_is_hidden() {
        let hostile = "<script>\"&'\u{202e}\u{0}\t\r\u{7f}\u{200b}\u{fffd}é</script>";
        assert_eq!(
            Text(hostile).to_string(),
            "&lt;script&gt;&quot;&amp;&#39;\\u{202e}\\u{0}\\u{9}\\u{d}\\u{7f}\\u{200b}\u{fffd}é&lt;/script&gt;"
        );
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(Grouped(0).to_string(), "0");
        assert_eq!(Grouped(1_234_567).to_string(), "1\u{202f}234\u{202f}567");
        let sizes = [0, 1_023, 1_024, 1_572_864].map(|size| Bytes(size).to_string());
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 MiB"]);
    }
}
