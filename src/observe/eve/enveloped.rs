use alloc::vec::Vec;

use super::figures::decimal;
use super::json::Json;
use super::sink::{Loss, Sink};
use super::stamp;

/// Wraps each record as AWS Network Firewall does in its logs, so that what reads those reads these.
///
/// A record becomes `{"firewall_name":"…","availability_zone":"…","event_timestamp":"1700000000","event":{…}}`: the time
/// is that of the record, in seconds since 1970.
#[derive(Debug)]
pub struct Enveloped<S> {
    inner: S,
    /// What each begins with.
    start: Vec<u8>,
    wrapped: Vec<u8>,
}

impl<S: Sink> Enveloped<S> {
    /// Wraps what goes to `inner`.
    pub fn new(inner: S, firewall_name: &str, availability_zone: &str) -> Self {
        let mut start = Vec::new();
        let mut json = Json::new(&mut start);
        json.begin();
        json.text("firewall_name", firewall_name);
        json.text("availability_zone", availability_zone);
        start.extend_from_slice(b"\"event_timestamp\":\"");
        Self { inner, start, wrapped: Vec::new() }
    }
}

impl<S: Sink> Sink for Enveloped<S> {
    fn take(&mut self, lines: &[u8]) -> Result<(), Loss> {
        let Self { inner, start, wrapped } = self;
        wrapped.clear();
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let record = line.strip_suffix(b"\n").unwrap_or(line);
            wrapped.extend_from_slice(start);
            let time = record.strip_prefix(b"{\"timestamp\":\"").and_then(stamp::read);
            decimal(time.unwrap_or_default(), wrapped);
            wrapped.extend_from_slice(b"\",\"event\":");
            wrapped.extend_from_slice(record);
            wrapped.extend_from_slice(b"}\n");
        }
        inner.take(wrapped)
    }

    fn reopen(&mut self) {
        self.inner.reopen();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    struct Told(mpsc::Sender<Vec<u8>>);

    impl Sink for Told {
        fn take(&mut self, lines: &[u8]) -> Result<(), Loss> {
            self.0.send(lines.to_vec()).unwrap();
            Ok(())
        }
    }

    #[test]
    fn each_record_in_an_envelope_of_its_own() {
        let (tell, told) = mpsc::channel();
        let mut sink = Enveloped::new(Told(tell), "the \"first\"", "eu-central-1a");
        sink.take(
            b"{\"timestamp\":\"2024-02-29T00:00:01.999999+0000\",\"a\":1}\n\
              {\"timestamp\":\"2100-03-01T00:00:00.000000+0000\"}\n",
        )
        .unwrap();
        let text = String::from_utf8(told.recv().unwrap()).unwrap();
        let start =
            "{\"firewall_name\":\"the \\\"first\\\"\",\"availability_zone\":\"eu-central-1a\",";
        let expected = format!(
            "{start}\"event_timestamp\":\"1709164801\",\"event\":{{\"timestamp\":\"2024-02-29T00:00:01.999999+0000\",\"a\":1}}}}\n\
             {start}\"event_timestamp\":\"4107542400\",\"event\":{{\"timestamp\":\"2100-03-01T00:00:00.000000+0000\"}}}}\n"
        );
        assert_eq!(text, expected);
    }
}
