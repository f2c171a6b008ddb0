use std::thread;

use super::{Appliance, Running, StartError};
use crate::inspect::{Inspector, Rewriter};
use crate::transport::udp::{UdpSettings, UdpTransport};

impl<I: Inspector, R: Rewriter> Appliance<I, R> {
    /// Serves a load balancer over UDP: a worker for each processor, unless [told](Self::workers) otherwise.
    ///
    /// With a rewriter, datagrams are not [merged](UdpSettings::merge), so that there is room for what it adds.
    ///
    /// ```no_run
    #[doc = include_str!("../../examples/live_inspector.rs")]
    /// ```
    ///
    /// # Errors
    ///
    /// See [`StartError`]; then nothing runs, and no port is taken.
    pub fn serve(self, settings: &UdpSettings) -> Result<Running<I>, StartError> {
        let workers = match self.workers {
            Some(workers) => workers.max(1),
            None => thread::available_parallelism().map_or(1, usize::from),
        };
        let settings = UdpSettings { merge: settings.merge && !R::ACTIVE, ..settings.clone() };
        let transports = UdpTransport::open_group(&settings, workers)?;
        self.workers(workers).start(transports)
    }
}
