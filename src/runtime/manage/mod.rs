//! Health checks and numbers over HTTP.
//!
//! Two doors, each with a thread of its own, so that whatever happens at one is nothing to the other: one for the load
//! balancer's health checks, `/healthz` and `/readyz`, and one for those who look after the appliance: it has these as well,
//! `/metrics`, `/stats`, `/history` of the last minutes, `/events` as they happen, the page `/` that shows all that, and takes the orders
//! `/drain` and `/bypass`.

mod answer;
mod desk;
mod door;
mod families;
mod gate;
mod history;
mod metrics;
mod overview;
mod page;
mod recent;
mod stats;
#[cfg(test)]
mod tests;
mod watchers;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use thiserror::Error;

use crate::token::Token;
use desk::Desk;
use door::Door;
use gate::Gate;
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

    /// Notes the numbers as they are, for the [history](Self::history). Called once a second on the thread of the management port, as
    /// long as that is served. By default nothing is noted.
    fn sample(&self) {}

    /// The numbers of the last ten minutes as JSON, `/history`: `interval_seconds`, `limit`, and `samples`, the oldest first: `time` (seconds
    /// since 1970), `seconds` since the sample before, what was counted in these (`received`, `forwarded`, `bypassed`, `would`,
    /// `received_bytes`, `sent_bytes`, `alerts`, `dropped` by reason), `open_flows` and `recent_latency_seconds`. Fields are added, never
    /// renamed. By default `None`: they are not kept.
    fn history(&self) -> Option<String> {
        None
    }

    /// The latest alerts whose numbers are beyond `after`, each as a line of JSON: `/events`. Numbers begin with 1 and rise.
    /// By default there are none.
    fn alerts(&self, after: u64) -> Vec<(u64, String)> {
        let _ = after;
        Vec::new()
    }

    /// Goes down when nothing is left to do: `/drain`. Says whether it was not so already; `None`, the default: this cannot
    /// be told to it.
    fn drain(&self) -> Option<bool> {
        None
    }

    /// Lets everything pass, or no longer: `/bypass`, with `on` or `off` in the body. Says whether it was not so already; `None`, the
    /// default: this cannot be told to it.
    fn bypass(&self, on: bool) -> Option<bool> {
        let _ = on;
        None
    }
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
    /// How long a connection may last, from its beginning to the end of the answer; but for those who watch. By default
    /// 10 s.
    pub patience: Duration,
    /// Who may watch `/events` at a time, beside these connections. Who does not keep up is shown out. By default 16.
    pub watchers: usize,
    /// What must be known for everything but health: `Authorization: Bearer TOKEN`. By default nothing, so that whoever is
    /// on this machine can look; but nobody can give orders. At any other address than that of this machine a token is
    /// needed.
    pub token: Option<Token>,
    /// Names by which this machine may be called at the management port, beside addresses and `localhost`. Under another name a
    /// browser is refused: a page elsewhere may have led it here (DNS rebinding). By default none.
    pub hosts: Vec<String>,
}

impl Default for ManagementSettings {
    fn default() -> Self {
        Self {
            health: None,
            manage: None,
            connections: 64,
            patience: Duration::from_secs(10),
            watchers: 16,
            token: None,
            hosts: Vec::new(),
        }
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
            let listener = at
                .map(|at| listen(at).map_err(|cause| ManagementError::Listen { what, at, cause }));
            listener.transpose()
        };
        self.check()?;
        Ok(OpenManagement {
            health: listen(self.health, "health checks")?,
            manage: listen(self.manage, "management")?,
            settings: self.clone(),
        })
    }
}

impl ManagementSettings {
    /// Whether others than this machine could look in and give orders.
    ///
    /// # Errors
    ///
    /// [`ManagementError::Exposed`].
    pub fn check(&self) -> Result<(), ManagementError> {
        match (self.manage, &self.token) {
            (Some(at), None) if !at.ip().to_canonical().is_loopback() => {
                Err(ManagementError::Exposed { at })
            }
            _ => Ok(()),
        }
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
        let open = |listener: Option<TcpListener>, name, desk| {
            listener.map(|listener| Door::open(listener, name, &settings, desk)).transpose()
        };
        let gate = Gate::new(settings.token.clone(), settings.hosts.clone());
        let management = Desk::of_management(Arc::clone(&subject), gate, settings.watchers);
        Ok(Management {
            health: open(health, "health", Desk::of_health(subject))?,
            manage: open(manage, "manage", management)?,
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
#[non_exhaustive]
pub enum ManagementError {
    /// The port cannot be had.
    #[error(
        "{what}: expected to listen at TCP {at}, found: {cause}; choose another address or port, or stop whoever has it \
         (`ss -ltnp` names it)"
    )]
    Listen {
        /// What for.
        what: &'static str,
        /// Where.
        at: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// Others than this machine could look in, and nothing would stop them.
    #[error(
        "management: expected a token, since {at} is open to other machines, found none; set one, or choose 127.0.0.1"
    )]
    Exposed {
        /// Where.
        at: SocketAddr,
    },
}
