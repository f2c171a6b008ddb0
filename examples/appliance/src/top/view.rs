//! What is seen of an appliance.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ratatui::backend::TestBackend;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Sparkline, Table};
use ratatui::{Frame, Terminal};

use super::poll::News;
use super::stats::{Latency, Looks, Stats};
use crate::visible::visible;

/// Looks that are remembered for the curve.
const HISTORY: usize = 512;
/// From here on, tables stand beside each other.
const WIDE: u16 = 90;

/// The screen: what was last told of the appliance.
pub(crate) struct Screen {
    address: SocketAddr,
    looks: Option<Looks>,
    /// Packets a second, the latest last.
    history: VecDeque<u64>,
    /// Since when there is no answer, and why.
    lost: Option<(Instant, String)>,
    /// Whether anybody can press a key.
    is_live: bool,
}

impl Screen {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, looks: None, history: VecDeque::new(), lost: None, is_live: true }
    }

    /// One that is printed.
    pub(crate) fn picture(address: SocketAddr) -> Self {
        Self { is_live: false, ..Self::new(address) }
    }

    /// Takes in what there is to tell.
    pub(crate) fn tell(&mut self, news: News, now: Instant) {
        match news {
            Ok(stats) => {
                self.lost = None;
                let looks = Looks::next(self.looks.take(), stats);
                if let Some(rate) = looks.rate(|stats| stats.total.received) {
                    self.history.push_back(rate.round() as u64);
                    if self.history.len() > HISTORY {
                        self.history.pop_front();
                    }
                }
                self.looks = Some(looks);
            }
            Err(why) => {
                let since = self.lost.take().map_or(now, |(since, _)| since);
                self.lost = Some((since, why));
            }
        }
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>, now: Instant) {
        let curve = if frame.area().height >= 20 { 5 } else { 0 };
        let [head, numbers, curve_at, rest] = Layout::vertical([
            Constraint::Length(2),
            Constraint::Length(4),
            Constraint::Length(curve),
            Constraint::Min(0),
        ])
        .areas(frame.area());
        frame.render_widget(Paragraph::new(self.head(now)), head);
        let Some(looks) = &self.looks else { return };
        frame.render_widget(Paragraph::new(totals(looks)), numbers);
        self.draw_curve(frame, curve_at);
        let workers = u16::try_from(looks.now.workers.len()).unwrap_or(u16::MAX);
        let most = (rest.height / 3).max(4);
        let [workers_at, rest] = Layout::vertical([
            Constraint::Length(workers.saturating_add(3).min(most)),
            Constraint::Min(0),
        ])
        .areas(rest);
        frame.render_widget(workers_table(looks), workers_at);
        let halves = [Constraint::Percentage(45), Constraint::Percentage(55)];
        let [reasons_at, endpoints_at] = match rest.width >= WIDE {
            true => Layout::horizontal(halves).areas(rest),
            false => Layout::vertical(halves).areas(rest),
        };
        frame.render_widget(reasons_table(looks), reasons_at);
        frame.render_widget(endpoints_table(looks), endpoints_at);
    }

    /// The same as lines of text.
    pub(crate) fn lines(&self, width: u16, height: u16) -> std::io::Result<Vec<String>> {
        let mut terminal = Terminal::new(TestBackend::new(width, height))?;
        let drawn = terminal.draw(|frame| self.draw(frame, Instant::now()))?;
        let rows = drawn.buffer.content().chunks(usize::from(width).max(1));
        let line = |row: &[ratatui::buffer::Cell]| -> String {
            row.iter().map(ratatui::buffer::Cell::symbol).collect()
        };
        Ok(rows.map(|row| line(row).trim_end().to_string()).collect())
    }

    /// Who it is, and how it is.
    fn head(&self, now: Instant) -> Vec<Line<'static>> {
        let mut who = vec![bold(format!("appliance at {}", self.address))];
        let mut how = Vec::new();
        if let Some(Looks { now: stats, .. }) = &self.looks {
            let version = visible(&stats.version);
            let uptime = Duration::try_from_secs_f64(stats.uptime_seconds).unwrap_or_default();
            who.push(Span::raw(format!("  {version}, up {}", lasting(uptime))));
            how = health(stats);
        }
        if self.is_live {
            who.push(dim("  q ends this"));
        }
        if let Some((since, why)) = &self.lost {
            let lasts = lasting(now.saturating_duration_since(*since));
            let numbers = if self.looks.is_some() { "; these numbers are from before" } else { "" };
            how = vec![Span::styled(
                format!("no answer for {lasts}: {}{numbers}", visible(why)),
                Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
            )];
        } else if self.looks.is_none() {
            how = vec![Span::raw("waiting for an answer")];
        }
        vec![Line::from(who), Line::from(how)]
    }

    fn draw_curve(&self, frame: &mut Frame<'_>, at: Rect) {
        let block = Block::bordered().title(" packets a second ");
        let width = usize::from(block.inner(at).width);
        let from = self.history.len().saturating_sub(width);
        let shown: Vec<u64> = self.history.iter().skip(from).copied().collect();
        let curve = Sparkline::default().block(block).data(&shown);
        frame.render_widget(curve.style(Style::new().fg(Color::Cyan)), at);
    }
}

fn health(stats: &Stats) -> Vec<Span<'static>> {
    let bad = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
    let mut spans = Vec::new();
    if stats.bypass.on {
        spans.push(Span::styled("BYPASS: nothing is inspected  ", bad));
    }
    if stats.draining {
        spans.push(Span::styled("draining  ", Style::new().fg(Color::Yellow)));
    }
    if stats.healthy {
        spans.push(Span::styled("healthy", Style::new().fg(Color::Green)));
    } else {
        spans
            .push(Span::styled(format!("unhealthy: {}", visible(&stats.ailments.join("; "))), bad));
    }
    if !stats.silent_workers.is_empty() {
        spans.push(Span::styled(format!("  silent workers: {:?}", stats.silent_workers), bad));
    }
    spans
}

fn totals(looks: &Looks) -> Vec<Line<'static>> {
    let Stats { total, flow_limit, recent_latency_seconds, .. } = &looks.now;
    let rate = |number: fn(&Stats) -> u64| short(looks.rate(number));
    let bits = looks.rate(|stats| stats.total.received_bytes).map(|bytes| bytes * 8.0);
    let latency = recent_latency_seconds.as_ref().unwrap_or(&total.latency_seconds);
    let Latency { median, p99, p999 } = *latency;
    let recent = if recent_latency_seconds.is_some() { "recent latency" } else { "latency" };
    vec![
        Line::from(format!(
            "received {}/s  {}   forwarded {}/s   dropped {}/s   would have been {}/s   sent {}/s",
            rate(|stats| stats.total.received),
            measured(bits, "bit/s"),
            rate(|stats| stats.total.forwarded),
            rate(|stats| stats.total.dropped()),
            rate(|stats| stats.total.would),
            rate(|stats| stats.total.sent),
        )),
        Line::from(format!(
            "flows {} of {}, {} new/s   memory {}",
            total.flows.open,
            flow_limit,
            rate(|stats| stats.total.flows.created),
            measured(Some(total.memory_bytes as f64), "B"),
        )),
        Line::from(format!(
            "{recent}: half below {}, 99 % below {}, 99.9 % below {}",
            took(median),
            took(p99),
            took(p999)
        )),
    ]
}

fn workers_table(looks: &Looks) -> Table<'static> {
    let of = |place: usize, number: fn(&super::stats::Worker) -> u64| {
        short(looks.rate(|stats| stats.workers.get(place).map_or(0, number)))
    };
    let rows = looks.now.workers.iter().enumerate().map(|(place, worker)| {
        let overloaded = if worker.overloaded > 0 { "yes" } else { "" };
        Row::new(vec![
            place.to_string(),
            of(place, |worker| worker.received),
            of(place, super::stats::Worker::dropped),
            worker.flows.open.to_string(),
            took(worker.latency_seconds.p99),
            worker.restarts.to_string(),
            overloaded.to_string(),
        ])
    });
    let widths = [8, 12, 12, 12, 12, 10, 10].map(Constraint::Length);
    Table::new(rows, widths)
        .header(headed([
            "worker",
            "packets/s",
            "dropped/s",
            "flows",
            "p99",
            "restarts",
            "overloaded",
        ]))
        .block(Block::bordered().title(" workers "))
}

fn reasons_table(looks: &Looks) -> Table<'static> {
    let total = &looks.now.total;
    let mut reasons: Vec<(&str, u64, Option<f64>)> = total
        .dropped
        .iter()
        .map(|(reason, count)| {
            let of = |stats: &Stats| stats.total.dropped.get(reason).copied().unwrap_or(0);
            (reason.as_str(), *count, looks.rate(of))
        })
        .collect();
    reasons.sort_by(|a, b| {
        b.2.unwrap_or(0.0).total_cmp(&a.2.unwrap_or(0.0)).then(b.1.cmp(&a.1)).then(a.0.cmp(b.0))
    });
    let forwarded = ("forwarded", total.forwarded, looks.rate(|stats| stats.total.forwarded));
    let rows = std::iter::once(forwarded).chain(reasons);
    let rows = rows.map(|(reason, count, rate)| {
        Row::new(vec![visible(reason), short(rate), count.to_string()])
    });
    let widths = [Constraint::Fill(1), Constraint::Length(10), Constraint::Length(14)];
    Table::new(rows, widths)
        .header(headed(["verdict or reason", "a second", "since start"]))
        .block(Block::bordered().title(" verdicts "))
}

fn endpoints_table(looks: &Looks) -> Table<'static> {
    let mut endpoints: Vec<_> = looks
        .now
        .endpoints
        .iter()
        .map(|(name, endpoint)| {
            let of = |number: fn(&super::stats::Endpoint) -> u64| {
                looks.rate(|stats| stats.endpoints.get(name).map_or(0, number))
            };
            let rates = [
                of(|endpoint| endpoint.received),
                of(super::stats::Endpoint::dropped),
                of(|endpoint| endpoint.bytes).map(|bytes| bytes * 8.0),
            ];
            (name, endpoint.received, rates)
        })
        .collect();
    endpoints.sort_by(|(a, a_all, a_rates), (b, b_all, b_rates)| {
        let [a_rate, b_rate] = [a_rates, b_rates].map(|rates| rates[0].unwrap_or(0.0));
        b_rate.total_cmp(&a_rate).then(b_all.cmp(a_all)).then(a.cmp(b))
    });
    let rows = endpoints.into_iter().map(|(name, _, rates)| {
        let cells = std::iter::once(visible(name)).chain(rates.map(short));
        Row::new(cells.map(Cell::from))
    });
    let widths = [
        Constraint::Min(22),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(8),
    ];
    Table::new(rows, widths)
        .header(headed(["endpoint", "packets/s", "dropped/s", "bit/s"]))
        .block(Block::bordered().title(" endpoints "))
}

fn headed<const N: usize>(names: [&'static str; N]) -> Row<'static> {
    Row::new(names).style(Style::new().add_modifier(Modifier::BOLD))
}

fn bold(text: String) -> Span<'static> {
    Span::styled(text, Style::new().add_modifier(Modifier::BOLD))
}

fn dim(text: &'static str) -> Span<'static> {
    Span::styled(text, Style::new().add_modifier(Modifier::DIM))
}

/// `1.23 M`; a dash for what is not known yet.
fn short(number: Option<f64>) -> String {
    measured(number, "").trim_end().to_string()
}

/// The same of a unit: `1.23 Mbit/s`.
fn measured(number: Option<f64>, unit: &str) -> String {
    let Some(number) = number else { return format!("- {unit}") };
    let (mut number, mut prefix) = (number, "");
    for larger in ["k", "M", "G", "T"] {
        if number >= 999.5 {
            (number, prefix) = (number / 1_000.0, larger);
        }
    }
    match number {
        _ if prefix.is_empty() => format!("{number:.0} {unit}"),
        ..9.995 => format!("{number:.2} {prefix}{unit}"),
        9.995..99.95 => format!("{number:.1} {prefix}{unit}"),
        _ => format!("{number:.0} {prefix}{unit}"),
    }
}

/// A latency.
fn took(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".into(),
        Some(seconds) if seconds < 1e-3 => format!("{:.1} us", seconds * 1e6),
        Some(seconds) if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        Some(seconds) => format!("{seconds:.1} s"),
    }
}

fn lasting(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} days {hours} h"),
    }
}
