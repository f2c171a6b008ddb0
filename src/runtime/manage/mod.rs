//! Health checks and numbers over HTTP.
//!
//! Two doors, each with a thread of its own, so that whatever happens at one is nothing to the other: one for the load
//! balancer's health checks, `/healthz` and `/readyz`, and one for those who look after the appliance, with `/metrics`
//! and `/stats` as well.

mod answer;
mod door;
mod families;
mod metrics;
mod overview;
mod stats;
#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use thiserror::Error;

use door::Door;
pub use overview::Overview;

/// What is asked over HTTP. An [`Overview`] is one.
///
/// Each is called on a thread of the [`Management`], for one request at a time; those of health and readiness must not
/// wait.
pub trait Subject: Send + Sync + 'static {
    /// Whether load balancers should go on sending: `/healthz`.
    ///
    /// # Errors
    ///
    /// Why not, in words.
    fn health(&self) -> Result<(), Vec<String>>;

    /// Whether it is at work, all of it: `/readyz`.
    ///
    /// # Errors
    ///
    /// Why not, in words.
    fn readiness(&self) -> Result<(), Vec<String>>;

    /// Everything that is counted, in the text form of `OpenMetrics`: `/metrics`. `None`: not now.
    fn metrics(&self) -> Option<String>;

    /// The same as JSON: `/stats`.
    fn stats(&self) -> Option<String>;
}

/// Where there is an answer over HTTP, and to how many at a time. By default nowhere.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
/// use gwlb_geneve::runtime::{ManagementSettings, Subject};
///
/// struct Fine;
///
/// impl Subject for Fine {
///     fn health(&self) -> Result<(), Vec<String>> {
///         Ok(())
///     }
///     fn readiness(&self) -> Result<(), Vec<String>> {
///         Err(vec!["draining".into()])
///     }
///     fn metrics(&self) -> Option<String> {
///         None
///     }
///     fn stats(&self) -> Option<String> {
///         None
///     }
/// }
///
/// let anywhere = Some(([127, 0, 0, 1], 0).into());
/// let management = ManagementSettings { health: anywhere, ..Default::default() }.open()?.serve(Fine)?;
/// let mut checker = TcpStream::connect(management.health().unwrap())?;
/// checker.write_all(b"GET /healthz HTTP/1.1\r\nHost: appliance\r\n\r\n")?;
/// let mut answer = String::new();
/// checker.read_to_string(&mut answer)?;
/// assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ManagementSettings {
    /// For health checks.
    pub health: Option<SocketAddr>,
    /// For metrics and statistics, and health, too.
    pub manage: Option<SocketAddr>,
    /// Connections at a time, at each of the two. When there are so many, the oldest makes room for the next: whoever
    /// asks at once is answered at once, and keeps nobody waiting. By default 64.
    pub connections: usize,
    /// How long a connection may last, from its beginning to the end of the answer. By default 10 s.
    pub patience: Duration,
}

impl Default for ManagementSettings {
    fn default() -> Self {
        Self { health: None, manage: None, connections: 64, patience: Duration::from_secs(10) }
    }
}

impl ManagementSettings {
    /// Takes the ports, so that it is known whether they are free before anything begins. Nobody is answered yet.
    ///
    /// # Errors
    ///
    /// See [`ManagementError`].
    pub fn open(&self) -> Result<OpenManagement, ManagementError> {
        let listen = |at: Option<SocketAddr>, what| {
            at.map(|at| listen(at).map_err(|cause| ManagementError { what, at, cause })).transpose()
        };
        Ok(OpenManagement {
            health: listen(self.health, "health checks")?,
            manage: listen(self.manage, "management")?,
            settings: self.clone(),
        })
    }
}

fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Ports that are taken, and not yet served.
#[derive(Debug)]
pub struct OpenManagement {
    health: Option<TcpListener>,
    manage: Option<TcpListener>,
    settings: ManagementSettings,
}

impl OpenManagement {
    /// Answers from now on, until what is returned is dropped.
    ///
    /// # Errors
    ///
    /// Where the system refuses a thread or what belongs to it.
    pub fn serve(self, subject: impl Subject) -> io::Result<Management> {
        let subject: Arc<dyn Subject> = Arc::new(subject);
        let Self { health, manage, settings } = self;
        let open = |listener: Option<TcpListener>, name, answers: answer::Answers| {
            listener
                .map(|listener| {
                    Door::open(listener, name, &settings, answers, Arc::clone(&subject))
                })
                .transpose()
        };
        Ok(Management {
            health: open(health, "health", answer::health)?,
            manage: open(manage, "manage", answer::everything)?,
        })
    }
}

/// Answers as long as it lives.
pub struct Management {
    health: Option<Door>,
    manage: Option<Door>,
}

impl Management {
    /// Where health checks are answered.
    pub fn health(&self) -> Option<SocketAddr> {
        self.health.as_ref().map(Door::address)
    }

    /// Where everything is answered.
    pub fn manage(&self) -> Option<SocketAddr> {
        self.manage.as_ref().map(Door::address)
    }
}

impl fmt::Debug for Management {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Management")
            .field("health", &self.health())
            .field("manage", &self.manage())
            .finish()
    }
}

/// Why nobody can be answered at a port.
#[derive(Debug, Error)]
#[error(
    "{what}: expected to listen at TCP {at}, found: {cause}; choose another address or port, or stop whoever has it \
     (`ss -ltnp` names it)"
)]
pub struct ManagementError {
    /// What for.
    pub what: &'static str,
    /// Where.
    pub at: SocketAddr,
    /// What the system says.
    pub cause: io::Error,
}
