//! Results as `JUnit` XML, which build servers read.

use std::fmt::Write;
use std::path::Path;

use super::{CaseResult, Outcome};

pub(super) fn xml(folder: &Path, results: &[CaseResult], ignored: &[String]) -> String {
    let count = |is: fn(&Outcome) -> bool| results.iter().filter(|it| is(&it.outcome)).count();
    let failures = count(|it| matches!(it, Outcome::Failed(_)));
    let errors = count(|it| matches!(it, Outcome::Broken(_)));
    let seconds: f64 = results.iter().map(|it| it.took.as_secs_f64()).sum();
    let suite = escaped(&folder.display().to_string());
    let tests = results.len() + ignored.len();
    let counts = format!(
        "tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{}\" time=\"{seconds:.6}\"",
        ignored.len()
    );
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n<testsuite name=\"{suite}\" {counts}>\n"
    );
    for CaseResult { name, outcome, took } in results {
        let (name, seconds) = (escaped(name), took.as_secs_f64());
        let open = format!("<testcase classname=\"{suite}\" name=\"{name}\" time=\"{seconds:.6}\"");
        let (element, lines) = match outcome {
            Outcome::Passed => {
                let _ = writeln!(xml, "{open}/>");
                continue;
            }
            Outcome::Failed(lines) => ("failure", lines),
            Outcome::Broken(lines) => ("error", lines),
        };
        let message = escaped(lines.first().map_or("", String::as_str));
        let text = escaped(&lines.join("\n"));
        let _ = writeln!(
            xml,
            "{open}>\n<{element} message=\"{message}\">{text}</{element}>\n</testcase>"
        );
    }
    for name in ignored {
        let name = escaped(name);
        let _ = writeln!(
            xml,
            "<testcase classname=\"{suite}\" name=\"{name}\" time=\"0\">\n<skipped/>\n</testcase>"
        );
    }
    xml.push_str("</testsuite>\n</testsuites>\n");
    xml
}

/// Text between tags and in attributes. What XML cannot hold at all is written out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push('\n'),
            '\u{fffe}' | '\u{ffff}' => escaped.extend(character.escape_unicode()),
            control if control.is_control() => escaped.extend(control.escape_unicode()),
            plain => escaped.push(plain),
        }
    }
    escaped
}
