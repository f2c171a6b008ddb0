use alloc::collections::VecDeque;
use alloc::format;
use core::convert::Infallible;
use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::answer::{Answers, answer};
use super::{ManagementSettings, Subject};

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
        answers: Answers,
        subject: Arc<dyn Subject>,
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
            answers,
            subject,
            connections: settings.connections.max(1),
            patience: settings.patience,
        };
        let serve = move || {
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
    answers: Answers,
    subject: Arc<dyn Subject>,
    connections: usize,
    patience: Duration,
}

/// How long nobody is let in when the system has nothing left for one more connection.
const PAUSE: Duration = Duration::from_millis(100);

impl Hall {
    async fn serve(self) {
        let mut inside: VecDeque<AbortHandle> = VecDeque::new();
        let mut is_short = false;
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    is_short = false;
                    inside.retain(|connection| !connection.is_finished());
                    if inside.len() >= self.connections {
                        if let Some(oldest) = inside.pop_front() {
                            oldest.abort();
                        }
                    }
                    inside.push_back(self.admit(stream));
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
    fn admit(&self, stream: TcpStream) -> AbortHandle {
        let (subject, answers) = (Arc::clone(&self.subject), self.answers);
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let answer = answer(&*subject, answers, request.method(), request.uri().path());
            core::future::ready(Ok::<_, Infallible>(answer))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.patience.checked_div(2).unwrap_or_default())
            .keep_alive(false)
            .max_buf_size(SMALLEST_BUFFER)
            .max_headers(MOST_HEADERS)
            .serve_connection(TokioIo::new(stream), service);
        let patience = self.patience;
        let task = tokio::spawn(async move {
            // Whoever goes away or talks nonsense is nobody's business.
            let _ = tokio::time::timeout(patience, connection).await;
        });
        task.abort_handle()
    }
}

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
