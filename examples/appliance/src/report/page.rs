//! The page itself. It asks nobody for anything and runs no script.

use std::fmt::{self, Display, Write};
use std::time::Duration;

use gwlb_geneve::gwlb::EndpointId;
use gwlb_geneve::runtime::{EndpointCounters, Report};

use super::About;
use super::chart::{Bars, Meter, Seconds};
use super::evidence::{Evidence, MOST_ALERTS, MOST_BEFORE, MOST_BYTES, ShownAlert, ShownPacket};
use super::html::{Bytes, Grouped, Text};
use super::tally::{FATES, MOST, SEVERITIES, Tally, Volume, severity};
use crate::decode::time;
use crate::flows::{Flow, Flows};

/// Rows of a table: those with the most in them.
const MOST_ROWS: usize = 20;

pub(super) fn page(
    about: &About<'_>,
    report: &Report,
    flows: &Flows,
    tally: &Tally,
    evidence: &Evidence,
) -> String {
    let page = Page { about, report, flows, tally, evidence };
    let mut text = String::new();
    // Into a string: there is nothing that could fail.
    let _ = page.write(&mut text);
    text
}

struct Page<'a> {
    about: &'a About<'a>,
    report: &'a Report,
    flows: &'a Flows,
    tally: &'a Tally,
    evidence: &'a Evidence,
}

impl Page<'_> {
    fn write(&self, out: &mut String) -> fmt::Result {
        let capture = self.about.capture.display().to_string();
        // The policy is a second lock: should anything get past the escapes, nothing runs and nobody is asked.
        write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n",
            Text(&capture),
            include_str!("page.css"),
        )?;
        self.head(out, &capture)?;
        self.over_time(out)?;
        self.reasons(out)?;
        self.volumes(out)?;
        self.endpoints(out)?;
        self.talkers(out)?;
        self.alerts(out)?;
        writeln!(
            out,
            "<p>gwlb-geneve appliance {}</p>\n</body>\n</html>",
            env!("CARGO_PKG_VERSION")
        )
    }

    fn head(&self, out: &mut String, capture: &str) -> fmt::Result {
        let Self { report, tally, .. } = self;
        write!(out, "<h1>{}</h1>\n<p>", Text(capture))?;
        match self.about.config {
            Some(config) => write!(out, "judged by {}", Text(config.display()))?,
            None => write!(out, "judged without a configuration: nothing is inspected")?,
        }
        if let Some(start) = tally.start {
            let length = tally.end.saturating_since(start);
            write!(out, "; from {} for {}", time(start), Seconds(length))?;
        }
        let frames = &report.frames;
        writeln!(
            out,
            "</p>\n<p>{} packets in the file: {} GENEVE, {} other, {} unreadable</p>",
            Grouped(frames.all()),
            Grouped(frames.geneve),
            Grouped(frames.other),
            Grouped(frames.unreadable)
        )?;
        out.push_str("<div class=\"cards\">");
        for (name, class, count) in [
            ("received", "", report.received),
            ("forwarded", "forward", report.forwarded),
            ("would not have been", "would", report.would),
            ("dropped", "drop", report.dropped().saturating_sub(report.rejected)),
            ("rejected", "reject", report.rejected),
            ("injected", "", report.injected),
            ("flows", "", report.flows),
            ("alerts", "warning", report.alerts),
        ] {
            if count > 0 || class != "would" {
                write!(out, "<div class=\"card {class}\"><b>{}</b>{name}</div>", Grouped(count))?;
            }
        }
        out.push_str("</div>\n");
        Ok(())
    }

    fn over_time(&self, out: &mut String) -> fmt::Result {
        let fates = &self.tally.fates;
        let (steps, step, kinds) = (&fates.steps[..], fates.step, &FATES);
        let bars = Bars { title: "Packets", steps, step, kinds };
        writeln!(out, "<h2>Verdicts over time</h2>\n{bars}<p>{} a bar</p>", Seconds(step))
    }

    fn reasons(&self, out: &mut String) -> fmt::Result {
        let report = self.report;
        let mut rows: Vec<(String, &str, u64)> = Vec::new();
        rows.extend(report.dropped.iter().map(|(why, n)| (why.to_string(), "not sent back", *n)));
        rows.extend(
            report.exceptions.iter().map(|(class, n)| (class.to_string(), "exception", *n)),
        );
        if rows.is_empty() {
            return Ok(());
        }
        rows.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.cmp(b)));
        let most = rows.first().map_or(0, |row| row.2);
        let rows = rows.iter().map(|(reason, kind, count)| {
            let class = if *kind == "exception" { "would" } else { "drop" };
            Row {
                cells: vec![Cell::name(reason), Cell::name(kind), Cell::count(*count)],
                meter: Meter { parts: vec![(*count, class)], whole: most },
            }
        });
        out.push_str("<h2>Reasons</h2>\n");
        table(out, &["reason", "kind", "packets"], rows)
    }

    fn volumes(&self, out: &mut String) -> fmt::Result {
        let tally = self.tally;
        if tally.protocols.is_empty() {
            return Ok(());
        }
        out.push_str("<h2>Protocols</h2>\n");
        let protocols = tally.protocols.iter().map(|(protocol, it)| (protocol.to_string(), *it));
        ranked(out, &["protocol", "packets", "bytes"], protocols.collect())?;
        if !tally.services.is_empty() {
            out.push_str("<h3>Ports called</h3>\n");
            let services = tally.services.iter();
            let services =
                services.map(|((protocol, port), it)| (format!("{protocol} {port}"), *it));
            ranked(out, &["service", "packets", "bytes"], services.collect())?;
        }
        Ok(())
    }

    fn endpoints(&self, out: &mut String) -> fmt::Result {
        let report = self.report;
        if report.endpoints.is_empty() {
            return Ok(());
        }
        let name = |id: &EndpointId| id.to_string();
        let mut all: Vec<(String, EndpointCounters)> =
            report.endpoints.iter().map(|(id, it)| (name(id), *it)).collect();
        if report.further_endpoints.received > 0 {
            all.push(("further endpoints".into(), report.further_endpoints));
        }
        all.sort_by(|a, b| b.1.received.cmp(&a.1.received).then_with(|| a.0.cmp(&b.0)));
        let most = all.first().map_or(0, |(_, it)| it.received);
        let rows = all.iter().take(MOST_ROWS).map(|(name, it)| Row {
            cells: vec![
                Cell::name(name),
                Cell::count(it.received),
                Cell::count(it.dropped()),
                Cell::bytes(it.bytes),
            ],
            meter: Meter {
                parts: vec![(it.forwarded, "forward"), (it.dropped(), "drop")],
                whole: most,
            },
        });
        out.push_str("<h2>Endpoints</h2>\n");
        table(out, &["endpoint", "packets", "not sent back", "bytes"], rows)?;
        left_out(out, all.len())
    }

    fn talkers(&self, out: &mut String) -> fmt::Result {
        let tally = self.tally;
        if !tally.talkers.is_empty() {
            out.push_str("<h2>Top talkers</h2>\n");
            let talkers = tally.talkers.iter();
            let talkers =
                talkers.map(|((endpoint, address), it)| (format!("{address} ({endpoint})"), *it));
            ranked(out, &["source", "packets", "bytes"], talkers.collect())?;
        }
        let mut flows: Vec<&Flow> = self.flows.all().iter().collect();
        if flows.is_empty() {
            return Ok(());
        }
        flows.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.number.cmp(&b.number)));
        let most = flows.first().map_or(0, |flow| flow.packets).max(1);
        let most = flows.iter().map(|flow| flow.packets).max().unwrap_or(most);
        let rows = flows.iter().take(MOST_ROWS).map(|flow| {
            let outcome = match &flow.refused {
                None => "forwarded".into(),
                Some((outcome, packet)) => format!("{outcome} at packet {packet}"),
            };
            Row {
                cells: vec![
                    Cell::name(flow.tuple),
                    Cell::count(flow.number as u64),
                    Cell::name(flow.endpoint),
                    Cell::name(&outcome),
                    Cell::count(flow.packets),
                    Cell::bytes(flow.bytes),
                ],
                meter: Meter {
                    parts: vec![
                        (flow.forwarded, "forward"),
                        (flow.packets - flow.forwarded, "drop"),
                    ],
                    whole: most,
                },
            }
        });
        out.push_str("<h2>Top flows</h2>\n");
        table(out, &["flow", "no.", "endpoint", "outcome", "packets", "bytes"], rows)?;
        left_out(out, flows.len())?;
        if tally.untold > 0 || self.flows.is_full() {
            writeln!(
                out,
                "<p>No more than {} sources, ports and names, and {} flows, were told apart: {} packets are in none of these tables.</p>",
                Grouped(MOST as u64),
                Grouped(crate::flows::MOST as u64),
                Grouped(tally.untold)
            )?;
        }
        Ok(())
    }

    fn alerts(&self, out: &mut String) -> fmt::Result {
        let Self { report, tally, evidence, .. } = self;
        out.push_str("<h2>Alerts</h2>\n");
        if report.alerts == 0 {
            out.push_str("<p>None.</p>\n");
            return Ok(());
        }
        let fates = &tally.fates;
        let steps = tally.severities.stretched(fates.step, fates.steps.len());
        let (step, kinds) = (fates.step, &SEVERITIES);
        writeln!(out, "{}", Bars { title: "Alerts", steps: &steps, step, kinds })?;
        let names = tally.alerts.iter();
        let names = names.map(|(name, count)| (name.clone(), Volume { packets: *count, bytes: 0 }));
        let mut names: Vec<_> = names.collect();
        names.sort_by(|a, b| b.1.packets.cmp(&a.1.packets).then_with(|| a.0.cmp(&b.0)));
        let most = names.first().map_or(0, |(_, it)| it.packets);
        let rows = names.iter().take(MOST_ROWS).map(|(name, it)| Row {
            cells: vec![Cell::name(name), Cell::count(it.packets)],
            meter: Meter { parts: vec![(it.packets, "warning")], whole: most },
        });
        table(out, &["alert", "times"], rows)?;
        left_out(out, names.len())?;
        writeln!(
            out,
            "<p>Shown are {} of {} alerts: the first {MOST_ALERTS}, each with the packet that it came with and up to {MOST_BEFORE} of \
             its flow before it, of each packet the first {MOST_BYTES} bytes.</p>",
            Grouped(evidence.alerts.len() as u64),
            Grouped(report.alerts)
        )?;
        let without = report.alerts.saturating_sub(evidence.all);
        if without > 0 {
            writeln!(out, "<p>{} came with no packet: a flow had ended.</p>", Grouped(without))?;
        }
        evidence.alerts.iter().try_for_each(|alert| shown_alert(out, alert))
    }
}

fn shown_alert(out: &mut String, alert: &ShownAlert) -> fmt::Result {
    let (severity, class) = SEVERITIES[severity(alert.severity)];
    let since = Seconds(Duration::try_from_secs_f64(alert.since_start).unwrap_or_default());
    write!(
        out,
        "<details><summary><span class=\"badge {class}\">{severity}</span> {since} <b>{}</b> {}",
        Text(&alert.name),
        Text(&alert.message)
    )?;
    if let Some(flow) = alert.flow {
        write!(out, " <span class=\"note\">flow {flow}</span>")?;
    }
    out.push_str("</summary>\n");
    let last = alert.packets.len().saturating_sub(1);
    for (place, packet) in alert.packets.iter().enumerate() {
        shown_packet(out, packet, place == last)?;
    }
    out.push_str("</details>\n");
    Ok(())
}

fn shown_packet(out: &mut String, packet: &ShownPacket, is_open: bool) -> fmt::Result {
    let open = if is_open { " open" } else { "" };
    write!(
        out,
        "<details{open}><summary>packet {} <span class=\"badge {}\">{}</span> <span class=\"note\">{}</span></summary>",
        packet.number,
        FATES[packet.fate()].1,
        Text(packet.outcome),
        time(packet.time)
    )?;
    for layer in &packet.layers {
        write!(out, "<h4>{}</h4><dl>", Text(&layer.name))?;
        for (name, value) in &layer.fields {
            match *name {
                "text" => write!(out, "<dt>{name}</dt><dd><pre>{}</pre></dd>", Text(value))?,
                name => write!(out, "<dt>{name}</dt><dd>{}</dd>", Text(value))?,
            }
        }
        out.push_str("</dl>");
    }
    out.push_str("<h4>Bytes</h4><pre>");
    for (line, bytes) in packet.bytes.chunks(16).enumerate() {
        write!(out, "{:04x} ", line * 16)?;
        for byte in bytes {
            write!(out, " {byte:02x}")?;
        }
        let text: String = bytes
            .iter()
            .map(|byte| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' })
            .collect();
        writeln!(out, "{:width$}  {}", "", Text(text), width = (16 - bytes.len()) * 3)?;
    }
    let rest = packet.len - packet.bytes.len();
    if rest > 0 {
        writeln!(out, "and {rest} more bytes")?;
    }
    out.push_str("</pre></details>\n");
    Ok(())
}

/// Those with the most bytes, in a table.
fn ranked(out: &mut String, head: &[&str], mut rows: Vec<(String, Volume)>) -> fmt::Result {
    rows.sort_by(|a, b| b.1.bytes.cmp(&a.1.bytes).then_with(|| a.0.cmp(&b.0)));
    let most = rows.first().map_or(0, |(_, volume)| volume.bytes);
    let shown = rows.iter().take(MOST_ROWS).map(|(name, volume)| Row {
        cells: vec![Cell::name(name), Cell::count(volume.packets), Cell::bytes(volume.bytes)],
        meter: Meter { parts: vec![(volume.bytes, "forward")], whole: most },
    });
    table(out, head, shown)?;
    left_out(out, rows.len())
}

fn left_out(out: &mut String, all: usize) -> fmt::Result {
    match all.saturating_sub(MOST_ROWS) {
        0 => Ok(()),
        more => writeln!(out, "<p>and {} more</p>", Grouped(more as u64)),
    }
}

struct Row {
    cells: Vec<Cell>,
    meter: Meter,
}

struct Cell {
    /// As it may stand in the page.
    text: String,
    class: &'static str,
}

impl Cell {
    fn name(name: impl Display) -> Self {
        Self { text: Text(name).to_string(), class: "name" }
    }

    fn count(count: u64) -> Self {
        Self { text: Grouped(count).to_string(), class: "n" }
    }

    fn bytes(bytes: u64) -> Self {
        Self { text: Bytes(bytes).to_string(), class: "n" }
    }
}

fn table(out: &mut String, head: &[&str], rows: impl Iterator<Item = Row>) -> fmt::Result {
    let mut rows = rows.peekable();
    out.push_str("<div class=\"scroll\"><table><thead><tr>");
    let classes = rows.peek().map(|row| row.cells.iter().map(|cell| cell.class).collect());
    let classes: Vec<&str> = classes.unwrap_or_default();
    for (name, class) in head.iter().zip(classes) {
        write!(out, "<th class=\"{class}\">{name}</th>")?;
    }
    out.push_str("</tr></thead><tbody>\n");
    for Row { cells, meter } in rows {
        out.push_str("<tr>");
        for (place, Cell { text, class }) in cells.iter().enumerate() {
            write!(out, "<td class=\"{class}\">{text}")?;
            if place == 0 {
                write!(out, "{meter}")?;
            }
            out.push_str("</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    Ok(())
}
