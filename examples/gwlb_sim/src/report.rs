//! The report: a table for people, JSON for programs, and the verdict.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::args::Load;
use crate::faults;
use crate::tally::Tally;

/// What a whole run came to.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) tally: Tally,
    /// The rates that a search has tried, and how each went.
    pub(crate) tries: Vec<Try>,
    /// What the appliance's own numbers have changed by.
    pub(crate) metrics: Option<Map<String, Value>>,
    /// How the appliance ended, and whether as it should.
    pub(crate) ending: Option<(String, bool)>,
}

/// One try of a search.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Try {
    pub(crate) rate: u64,
    pub(crate) loss_percent: f64,
    /// Whether the simulator itself was too slow.
    pub(crate) short: bool,
    pub(crate) good: bool,
}

impl Report {
    /// The highest rate of a search that was good.
    pub(crate) fn best(&self) -> Option<u64> {
        self.tries.iter().filter(|one| one.good).map(|one| one.rate).max()
    }

    /// Prints it, and says what the process is to end with.
    pub(crate) fn print(&self, load: &Load) -> Result<ExitCode> {
        let failures = self.failures(load);
        if load.json {
            let mut report = self.tally.json(load.allow_drops);
            report["passed"] = failures.is_empty().into();
            report["failures"] = json!(failures);
            if load.search {
                report["highest_rate"] = json!(self.best());
                report["tries"] = self.tries.iter().map(Try::json).collect();
            }
            report["appliance"] = json!({
                "status": self.ending.as_ref().map(|(text, _)| text),
                "metrics": self.metrics,
            });
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            self.print_table(load);
            match &failures[..] {
                [] => println!("passed"),
                failures => println!("FAILED: {}", failures.join("; ")),
            }
        }
        Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    fn failures(&self, load: &Load) -> Vec<String> {
        let tally = &self.tally;
        let mut failures = Vec::new();
        let mut fail = |count: u64, what: &str| {
            if count > 0 {
                failures.push(format!("{count} {what}"));
            }
        };
        fail(tally.wrong.values().sum(), "wrong answers");
        fail(tally.answered_forbidden.iter().sum(), "answers where none may be");
        fail(tally.duplicates, "duplicates");
        fail(tally.reordered, "out of order");
        if load.search {
            if self.best().is_none() {
                failures.push("no rate without too much loss".into());
            }
        } else if !load.allow_drops {
            let most = load.max_loss.unwrap_or(if load.rate.is_some() { 100.0 } else { 0.0 });
            let loss = tally.loss_percent();
            if loss > most {
                failures.push(format!("{} lost ({loss:.4} %, at most {most} %)", tally.lost));
            }
        }
        if tally.sent == 0 {
            failures.push("nothing was sent".into());
        }
        if let Some((text, false)) = &self.ending {
            failures.push(format!("the appliance ended badly: {text}"));
        }
        failures
    }

    fn print_table(&self, load: &Load) {
        let tally = &self.tally;
        let row = |name: &str, value: String| println!("{name:<26}{value:>16}");
        for one in &self.tries {
            let word = match (one.good, one.short) {
                (true, _) => "good",
                (false, true) => "too fast for the simulator",
                (false, false) => "too much",
            };
            row(
                "tried packets/s",
                format!("{}   loss {:.4} %  {word}", one.rate, one.loss_percent),
            );
        }
        if load.search {
            row(
                "highest rate, packets/s",
                self.best().map_or("none".into(), |best| best.to_string()),
            );
        }
        row("sent", tally.sent.to_string());
        row("answered", tally.answered.to_string());
        if load.allow_drops {
            row("dropped", tally.lost.to_string());
            row("injected", tally.injected.to_string());
        } else {
            row("lost", format!("{}   {:.4} %", tally.lost, tally.loss_percent()));
        }
        if tally.late > 0 {
            row("  of these answered late", tally.late.to_string());
        }
        row("duplicates", tally.duplicates.to_string());
        row("out of order", tally.reordered.to_string());
        row("wrong", tally.wrong.values().sum::<u64>().to_string());
        for (kind, count) in &tally.wrong {
            row(&format!("  {}", kind.name()), count.to_string());
        }
        let counts = tally.forbidden.iter().zip(&tally.answered_forbidden);
        for (name, (sent, answered)) in faults::NAMES.iter().zip(counts) {
            if *sent > 0 {
                row(name, format!("{sent}   answered {answered}"));
            }
        }
        row("packets/s", format!("{:.0}", tally.packets_per_second()));
        row("Mbit/s of inner packets", format!("{:.1}", tally.bits_per_second() / 1e6));
        for (name, quantile) in
            [("latency p50, us", 0.5), ("latency p99, us", 0.99), ("latency p99.9, us", 0.999)]
        {
            row(name, format!("{:.1}", tally.latency.value_at_quantile(quantile) as f64 / 1e3));
        }
        row("latency max, us", format!("{:.1}", tally.latency.max() as f64 / 1e3));
        row("own CPU time, ns/packet", tally.cpu_per_packet().to_string());
        if tally.short {
            println!("The simulator could not keep up with the rate: it sent less.");
        }
        if tally.overflowed > 0 {
            println!("The simulator's own sockets overflowed {} times.", tally.overflowed);
        }
        for example in &tally.examples {
            println!("  {example}");
        }
        for (name, change) in self.metrics.iter().flatten() {
            println!("appliance: {name} {change}");
        }
        if let Some((text, _)) = &self.ending {
            println!("appliance: {text}");
        }
    }
}

impl Try {
    fn json(&self) -> Value {
        json!({ "rate": self.rate, "loss_percent": self.loss_percent, "too_fast_for_the_simulator": self.short, "good": self.good })
    }
}
