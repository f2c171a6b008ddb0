use super::Observer;
use crate::engine::{Datagram, Output, Settings};
#[cfg(feature = "eve")]
use crate::observe::eve::EventRecorder;
#[cfg(feature = "capture")]
use crate::observe::evidence::EvidenceRecorder;

#[cfg(feature = "eve")]
impl Observer for EventRecorder {
    fn judged(&mut self, datagrams: &[Datagram<'_>], output: &Output, settings: &Settings) {
        self.judged(datagrams, output, settings);
    }
}

#[cfg(feature = "capture")]
impl Observer for EvidenceRecorder {
    fn judged(&mut self, datagrams: &[Datagram<'_>], output: &Output, _settings: &Settings) {
        self.judged(datagrams, output);
    }
}
