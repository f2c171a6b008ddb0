use super::Observer;
use crate::engine::{Datagram, Output, Settings};
use crate::observe::eve::EventRecorder;

impl Observer for EventRecorder {
    fn judged(&mut self, datagrams: &[Datagram<'_>], output: &Output, settings: &Settings) {
        self.judged(datagrams, output, settings);
    }
}
