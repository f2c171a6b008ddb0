//! `appliance top`: a running appliance in a terminal, live.

mod poll;
mod stats;
mod view;

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::{arguments, token};
use poll::Source;
use view::Screen;

#[derive(Args)]
pub(crate) struct Options {
    /// The management port of the appliance.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9090", value_parser = arguments::address)]
    manage: SocketAddr,
    /// A file with the token of the management port, if it has one; else the environment has it as `GWLB_MANAGE_TOKEN`.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Seconds between two looks at the appliance.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = arguments::pause)]
    every: u64,
    /// Print one picture, without colours, and end.
    #[arg(long)]
    once: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let token = token::read(options.token_file.as_deref())?.map(|(_, token)| token);
    let source = Source { address: options.manage, token };
    let every = Duration::from_secs(options.every);
    if options.once {
        return picture(&source, every);
    }
    let screen = Screen::new(options.manage);
    if !io::stdout().is_terminal() {
        bail!("expected a terminal to draw on, found none; `--once` prints a picture");
    }
    let end = Arc::new(AtomicBool::new(false));
    #[cfg(target_os = "linux")]
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&end))?;
    }
    let mut terminal = ratatui::try_init().context("cannot draw on the terminal")?;
    let shown = show(&mut terminal, screen, source, every, &end);
    ratatui::restore();
    shown
}

/// How long a key, and what there is to show, waits at most.
const TICK: Duration = Duration::from_millis(100);

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    mut screen: Screen,
    source: Source,
    every: Duration,
    end: &AtomicBool,
) -> Result<()> {
    let news = source.watch(every)?;
    while !end.load(Ordering::Relaxed) {
        while let Ok(stats) = news.try_recv() {
            screen.tell(stats, Instant::now());
        }
        // It asks the terminal for its size each time: nothing else is to be done about a new one.
        terminal.draw(|frame| screen.draw(frame, Instant::now()))?;
        if event::poll(TICK)? && matches!(event::read()?, Event::Key(key) if is_end(&key)) {
            break;
        }
    }
    Ok(())
}

fn is_end(key: &KeyEvent) -> bool {
    let is_interrupt =
        key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    let is_quit = matches!(key.code, KeyCode::Char('q' | 'Q') | KeyCode::Esc);
    key.kind == KeyEventKind::Press && (is_interrupt || is_quit)
}

/// What is seen at two looks.
fn picture(source: &Source, every: Duration) -> Result<()> {
    let mut screen = Screen::picture(source.address);
    for look in 0..2 {
        if look > 0 {
            std::thread::sleep(every);
        }
        let stats = source.fetch().map_err(|error| anyhow!("{}: {error}", source.address))?;
        screen.tell(Ok(stats), Instant::now());
    }
    let mut out = io::stdout().lock();
    for line in screen.lines(100, 40)? {
        writeln!(out, "{line}")?;
    }
    Ok(())
}
