//! Network namespaces, and what runs in them.
//!
//! They have no names: namespaces, cables and devices go with the last descriptor and process that use them, however
//! the simulator ends.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// A network namespace.
#[derive(Debug)]
pub(crate) struct Namespace(File);

impl Namespace {
    pub(crate) fn new() -> Result<Self> {
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)
                .context("cannot make a network namespace, which takes root (CAP_SYS_ADMIN)")?;
            ip("link set lo up")?;
            Ok(Self(File::open("/proc/thread-self/ns/net")?))
        });
        made.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Does something there.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET).context("cannot enter a namespace")?;
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Starts a program there.
    pub(crate) fn start(&self, what: &str, mut command: Command) -> Result<Program> {
        // Its own group: Ctrl-C is for the simulator, which ends its programs one after the other.
        command.process_group(0).stdin(Stdio::null());
        let child = self.run(|| command.spawn().with_context(|| format!("cannot start {what}")))?;
        Ok(Program { what: what.to_owned(), child, status: None })
    }

    /// A path that names it as long as this process lives.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}

/// A program in a namespace. It is ended with the value.
#[derive(Debug)]
pub(crate) struct Program {
    what: String,
    child: Child,
    status: Option<ExitStatus>,
}

impl Program {
    /// Its status where it has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.child.try_wait()?;
        }
        Ok(self.status)
    }

    /// An error where it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.ended()? {
            Some(status) => bail!("{} has ended: {status}", self.what),
            None => Ok(()),
        }
    }

    /// Asks it to end, a second time after half a second (an appliance that drains ends at once then), and makes it after a
    /// while. Says so then.
    pub(crate) fn stop(&mut self, grace: Duration) -> Result<Stopped> {
        let begin = Instant::now();
        let group = Pid::from_raw(self.child.id() as i32);
        let mut killed = false;
        let mut asked = [Duration::ZERO, AGAIN].into_iter().peekable();
        loop {
            if let Some(status) = self.ended()? {
                // What it started itself, if it has left anything.
                let _ = killpg(group, Signal::SIGKILL);
                return Ok(Stopped { status, killed, after: begin.elapsed() });
            }
            if asked.next_if(|after| begin.elapsed() >= *after).is_some() {
                let _ = killpg(group, Signal::SIGTERM);
            }
            if begin.elapsed() > grace && !killed {
                killed = true;
                let _ = killpg(group, Signal::SIGKILL);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// So long a program has to end by itself before it is asked again.
const AGAIN: Duration = Duration::from_millis(500);

impl Drop for Program {
    fn drop(&mut self) {
        if self.status.is_none() {
            let _ = self.stop(Duration::from_secs(1));
        }
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopped {
    pub(crate) status: ExitStatus,
    /// Whether it did not end when it was asked to.
    pub(crate) killed: bool,
    pub(crate) after: Duration,
}

/// `ip` in the namespace of the thread that calls.
pub(crate) fn ip(arguments: &str) -> Result<()> {
    let output = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .context("cannot run the command ip (package iproute2)")?;
    if output.status.success() {
        return Ok(());
    }
    bail!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim())
}

/// Standard error once more, for the output of programs: standard output is the report's.
pub(crate) fn to_stderr() -> Stdio {
    let stderr = io::stderr().as_fd().try_clone_to_owned();
    stderr.map_or_else(|_| Stdio::null(), Stdio::from)
}
