use alloc::collections::VecDeque;
use alloc::format;
use core::convert::Infallible;
use core::net::SocketAddr;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::ManagementSettings;
use super::desk::Desk;

/// A port at which a thread of its own answers.
pub(super) struct Door {
    address: SocketAddr,
    /// Whoever drops it, closes the door.
    close: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    pub(super) fn open(
        listener: std::net::TcpListener,
        name: &str,
        settings: &ManagementSettings,
        desk: Desk,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let listener = {
            let _runtime = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let (close, closed) = oneshot::channel();
        let hall = Hall {
            listener,
            desk: Arc::new(desk),
            connections: settings.connections.max(1),
            patience: settings.patience,
        };
        let serve = move || {
            let desk = Arc::clone(&hall.desk);
            let its = Arc::clone(&desk);
            runtime.spawn(async move { desk.serve_watchers().await });
            runtime.spawn(async move { its.keep_history().await });
            runtime.spawn(hall.serve());
            // It is never told anything: that its other end is gone is enough.
            let _ = runtime.block_on(closed);
        };
        let thread = std::thread::Builder::new().name(format!("gwlb-{name}")).spawn(serve)?;
        Ok(Self { address, close: Some(close), thread: Some(thread) })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        drop(self.close.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was reported where it happened.
            let _ = thread.join();
        }
    }
}

struct Hall {
    listener: TcpListener,
    desk: Arc<Desk>,
    connections: usize,
    patience: Duration,
}

/// How long nobody is let in when the system has nothing left for one more connection.
const PAUSE: Duration = Duration::from_millis(100);

impl Hall {
    async fn serve(self) {
        let mut inside: VecDeque<Arc<Guest>> = VecDeque::new();
        let mut is_short = false;
        loop {
            match self.listener.accept().await {
                Ok((stream, from)) => {
                    is_short = false;
                    // Those inside say what they have to say first: of many who come at once, nobody is shown out unheard, and
                    // whoever was shown out has gone.
                    tokio::task::yield_now().await;
                    // Those who watch are counted for themselves.
                    inside.retain(|guest| !guest.has_left() && !guest.is_watching());
                    if inside.len() >= self.connections {
                        if let Some(oldest) = inside.pop_front() {
                            oldest.show_out();
                        }
                    }
                    inside.push_back(self.admit(stream, from));
                }
                Err(error) if is_of_one(&error) => {}
                Err(error) => {
                    if !is_short {
                        tracing::warn!(%error, "no connection can be accepted at the moment");
                    }
                    is_short = true;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Answers one request.
    fn admit(&self, stream: TcpStream, from: SocketAddr) -> Arc<Guest> {
        // By itself the system keeps megabytes for whoever does not read, and goes on so where it refuses this size.
        let _ = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
        let guest = Arc::new(Guest::default());
        let (desk, its) = (Arc::clone(&self.desk), Arc::clone(&guest));
        let service = service_fn(move |request| {
            let (desk, guest) = (Arc::clone(&desk), Arc::clone(&its));
            async move { Ok::<_, Infallible>(desk.answer(request, from, &guest).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.patience.checked_div(2).unwrap_or_default())
            .keep_alive(false)
            .max_buf_size(SMALLEST_BUFFER)
            .max_headers(MOST_HEADERS)
            .serve_connection(TokioIo::new(stream), service);
        let (patience, its) = (self.patience, Arc::clone(&guest));
        let task = tokio::spawn(async move {
            let mut connection = pin!(connection);
            // Whoever goes away or talks nonsense is nobody's business.
            let ended = tokio::time::timeout(patience, &mut connection).await;
            if ended.is_err() && its.is_watching() {
                let _ = connection.await;
            }
        });
        // The task has not begun: this thread is the one that runs it.
        let _ = guest.task.set(task.abort_handle());
        guest
    }
}

/// A connection.
#[derive(Debug, Default)]
pub(super) struct Guest {
    task: OnceLock<AbortHandle>,
    is_watching: AtomicBool,
}

impl Guest {
    /// May stay for as long as he likes.
    pub(super) fn watch(&self) {
        self.is_watching.store(true, Ordering::Relaxed);
    }

    fn is_watching(&self) -> bool {
        self.is_watching.load(Ordering::Relaxed)
    }

    pub(super) fn show_out(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    fn has_left(&self) -> bool {
        self.task.get().is_some_and(AbortHandle::is_finished)
    }
}

/// So much waits in the system for whoever does not read, or twice that (socket(7)): who watches and is deaf is found out soon.
const SEND_BUFFER: usize = 32 << 10;

/// The least that hyper takes.
const SMALLEST_BUFFER: usize = 8_192;
const MOST_HEADERS: usize = 32;

/// Whether an error of `accept` is that of the connection, not of the listener (accept(2)).
fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted,
        NetworkDown, NetworkUnreachable, PermissionDenied, TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | PermissionDenied
            | TimedOut
    )
}
