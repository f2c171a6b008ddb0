//! Charts as inline SVG. Everything is placed in percent, so that text and dots keep their shape at any width.

use std::fmt::{self, Display, Write};
use std::time::Duration;

use super::html::{Grouped, Text};

/// What is counted, step by step, in bars that stand on each other.
pub(super) struct Bars<'a, const N: usize> {
    pub(super) title: &'a str,
    pub(super) steps: &'a [[u64; N]],
    pub(super) step: Duration,
    /// The names of what is counted, and the classes of their colours.
    pub(super) kinds: &'a [(&'static str, &'static str); N],
}

impl<const N: usize> Display for Bars<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sums = self.steps.iter().map(|step| step.iter().sum::<u64>());
        let most = sums.max().unwrap_or(0).max(1);
        let width = 100.0 / self.steps.len().max(1) as f64;
        write!(f, "<figure><figcaption>{}", Text(self.title))?;
        for (kind, (name, class)) in self.kinds.iter().enumerate() {
            let total: u64 = self.steps.iter().map(|step| step[kind]).sum();
            if total > 0 {
                write!(f, " <span class=\"key {class}\">{} {name}</span>", Grouped(total))?;
            }
        }
        write!(f, "</figcaption><div class=\"most\">{}</div>", Grouped(most))?;
        write!(
            f,
            "<svg class=\"bars\" role=\"img\" aria-label=\"{}\">\
             <line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"0\" y2=\"0\"/>\
             <line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"50%\" y2=\"50%\"/>",
            Text(self.title)
        )?;
        for (place, step) in
            self.steps.iter().enumerate().filter(|(_, step)| step.iter().any(|n| *n > 0))
        {
            let from = self.step * u32::try_from(place).unwrap_or(u32::MAX);
            write!(f, "<g><title>{}", Seconds(from))?;
            for (count, (name, _)) in step.iter().zip(self.kinds).filter(|(count, _)| **count > 0) {
                write!(f, ", {count} {name}")?;
            }
            f.write_str("</title>")?;
            let mut below = 0;
            for (count, (_, class)) in step.iter().zip(self.kinds).filter(|(count, _)| **count > 0)
            {
                below += count;
                let share = |count: u64| count as f64 / most as f64 * 100.0;
                write!(
                    f,
                    "<rect class=\"{class}\" x=\"{:.3}%\" y=\"{:.3}%\" width=\"{:.3}%\" height=\"{:.3}%\"/>",
                    place as f64 * width,
                    100.0 - share(below),
                    width * 0.86,
                    share(*count),
                )?;
            }
            f.write_str("</g>")?;
        }
        let length = self.step * u32::try_from(self.steps.len()).unwrap_or(u32::MAX);
        write!(
            f,
            "<line class=\"axis\" x1=\"0\" x2=\"100%\" y1=\"100%\" y2=\"100%\"/></svg>\
             <div class=\"ticks\"><span>0</span><span>{}</span><span>{}</span></div></figure>",
            Seconds(length / 2),
            Seconds(length)
        )
    }
}

/// A row of a table whose number is drawn, too.
pub(super) struct Meter {
    /// Parts of the whole, with the classes of their colours.
    pub(super) parts: Vec<(u64, &'static str)>,
    pub(super) whole: u64,
}

impl Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<svg class=\"meter\" aria-hidden=\"true\">")?;
        let mut from = 0.0;
        for (count, class) in &self.parts {
            let width = *count as f64 / self.whole.max(1) as f64 * 100.0;
            if width > 0.0 {
                write!(
                    f,
                    "<rect class=\"{class}\" x=\"{from:.3}%\" width=\"{width:.3}%\" height=\"100%\"/>"
                )?;
            }
            from += width;
        }
        f.write_str("</svg>")
    }
}

/// A time since the beginning, as short as it can be.
pub(super) struct Seconds(pub(super) Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        match seconds {
            _ if self.0.is_zero() => f.write_str("0 s"),
            ..1.0 => write!(f, "{} ms", trimmed(seconds * 1e3)),
            1.0..120.0 => write!(f, "{} s", trimmed(seconds)),
            120.0..7_200.0 => write!(f, "{} min", trimmed(seconds / 60.0)),
            7_200.0..172_800.0 => write!(f, "{} h", trimmed(seconds / 3_600.0)),
            _ => write!(f, "{} days", trimmed(seconds / 86_400.0)),
        }
    }
}

fn trimmed(number: f64) -> String {
    let mut text = String::new();
    let _ = write!(text, "{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_for_people() {
        let times = [0, 100, 1_500, 119_000, 120_000, 7_200_000, 172_800_000]
            .map(|millis| Seconds(Duration::from_millis(millis)).to_string());
        assert_eq!(times, ["0 s", "100 ms", "1.5 s", "119 s", "2 min", "2 h", "2 days"]);
    }

    #[test]
    fn bars_stand_on_each_other_and_fill_the_height() {
        let kinds = [("kept", "forward"), ("lost", "drop")];
        let (steps, step) = (&[[1, 1], [0, 0], [4, 0]], Duration::from_secs(1));
        let bars = Bars { title: "a < b", steps, step, kinds: &kinds }.to_string();
        assert!(bars.contains("aria-label=\"a &lt; b\""), "{bars}");
        assert_eq!(bars.matches("<rect").count(), 3);
        for rect in [
            "class=\"forward\" x=\"0.000%\" y=\"75.000%\" width=\"28.667%\" height=\"25.000%\"",
            "class=\"drop\" x=\"0.000%\" y=\"50.000%\" width=\"28.667%\" height=\"25.000%\"",
            "class=\"forward\" x=\"66.667%\" y=\"0.000%\" width=\"28.667%\" height=\"100.000%\"",
        ] {
            assert!(bars.contains(rect), "{rect} in {bars}");
        }
        let empty = Bars { title: "", steps: &[], step, kinds: &kinds }.to_string();
        assert!(!empty.contains("NaN") && !empty.contains("inf"), "{empty}");
    }
}
