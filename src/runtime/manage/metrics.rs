use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, MetricEncoder, NoLabelSet, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::families::{BYTES, COUNTERS, ENDPOINTS, GAUGES, MEMORY, REFUSED};
use super::overview::Moment;
use crate::gwlb::EndpointId;
use crate::inspect::Exception;
use crate::observe::Histogram;
use crate::runtime::WorkerStatistics;
use crate::transport::SendFailure;

/// The text form of `OpenMetrics`, which Prometheus reads. `None` only where there is something wrong with the names here.
pub(super) fn write(moment: Moment) -> Option<String> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape(moment)));
    let mut page = String::new();
    text::encode(&mut page, &registry).ok().map(|()| page)
}

#[derive(Debug)]
struct Scrape(Moment);

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(moment) = self;
        let workers = &moment.statistics.workers;
        let mut page = Page(encoder);
        for (name, help, value) in COUNTERS {
            page.counters(name, help, None, each(workers).map(|(it, labels)| (labels, value(it))))?;
        }
        for (name, help, value) in BYTES {
            let samples = each(workers).map(|(it, labels)| (labels, value(it)));
            page.counters(name, help, Some(Unit::Bytes), samples)?;
        }
        page.by_name(
            "gwlb_datagrams_dropped",
            "Datagrams judged not to go back",
            "reason",
            each(workers).flat_map(|(it, [worker])| {
                let reasons = it.counters.dropped_by_reason();
                reasons.map(move |(reason, count)| (worker, reason.name(), count))
            }),
        )?;
        page.by_name(
            "gwlb_send_failures",
            "Datagrams that could not be sent",
            "reason",
            each(workers).flat_map(|(it, [worker])| {
                // Those of the transport are always there, so that they can be watched before they happen.
                let others = it.counters.send_failed_by_reason().filter(|(reason, _)| {
                    SendFailure::ALL.iter().all(|known| known.name() != reason.name())
                });
                let others = others.map(move |(reason, count)| (worker, reason.name(), count));
                let known = it.transport.failed.iter();
                known.map(move |(why, count)| (worker, why.name(), count)).chain(others)
            }),
        )?;
        page.by_name(
            "gwlb_exceptions",
            "Traffic that could not be judged in the ordinary way",
            "class",
            each(workers).flat_map(|(it, [worker])| {
                Exception::ALL.map(|class| (worker, class.name(), it.counters.exceptions(class)))
            }),
        )?;
        page.by_name(
            "gwlb_alerts",
            "What inspectors had to say",
            "name",
            each(workers).flat_map(|(it, [worker])| {
                let named = it.alerts.iter().map(move |(name, count)| (worker, &**name, *count));
                named.chain([(worker, "(others)", it.further_alerts)])
            }),
        )?;
        page.by_name(
            "gwlb_flows_refused",
            "New flows for which there was no room",
            "reason",
            each(workers)
                .flat_map(|(it, [worker])| REFUSED.map(|(name, value)| (worker, name, value(it)))),
        )?;
        for (name, help, value) in GAUGES {
            let samples = each(workers).map(|(it, labels)| (labels, count(value(it))));
            page.gauges(name, help, None, samples)?;
        }
        for (name, help, value) in MEMORY {
            let samples = each(workers).map(|(it, labels)| (labels, count(value(it))));
            page.gauges(name, help, Some(Unit::Bytes), samples)?;
        }
        let silent = &moment.statistics.silent;
        let up = (0..workers.len()).map(|it| ([("worker", it)], i64::from(!silent.contains(&it))));
        page.gauges("gwlb_worker_up", "Whether it answers", None, up)?;
        self.endpoints(&mut page)?;
        for (name, help, value) in &moment.further {
            page.counter(name, help, *value)?;
        }
        self.latency(&mut page)?;
        let healthy = i64::from(moment.ailments.is_empty());
        page.gauge("gwlb_healthy", "Whether health checks are answered well", None, healthy)?;
        let is_bypassed = i64::from(moment.bypassed_for.is_some());
        page.gauge("gwlb_bypass", "Whether everything is to pass", None, is_bypassed)?;
        page.gauge("gwlb_flows_limit", "The most flows", None, count(moment.flow_limit))?;
        for writer in &moment.writers {
            for (name, help, value) in &writer.counters {
                let name = alloc::format!("gwlb_{}_{name}", writer.what);
                let mut family =
                    page.0.encode_descriptor(&name, help, None, MetricType::Counter)?;
                family.encode_counter::<NoLabelSet, _, u64>(value, None)?;
            }
        }
        self.process(&mut page)
    }
}

impl Scrape {
    fn endpoints(&self, page: &mut Page<'_>) -> fmt::Result {
        let (named, others) = self.0.endpoints();
        for ((name, help, value), unit) in
            ENDPOINTS.into_iter().zip([None, None, Some(Unit::Bytes)])
        {
            let named = named.iter().map(|(endpoint, it)| {
                let name = self.0.endpoint_names.get(endpoint);
                let name = name.map(|name| ("name", name.to_string()));
                let labels = core::iter::once(("endpoint", endpoint.to_string())).chain(name);
                (labels.collect::<Vec<_>>(), value(it))
            });
            let others = [(Vec::from([("endpoint", "other".into())]), value(&others))];
            let samples = named.chain(others);
            page.counters(name, help, unit, samples)?;
        }
        Ok(())
    }

    fn latency(&self, page: &mut Page<'_>) -> fmt::Result {
        let mut family = page.0.encode_descriptor(
            "gwlb_latency",
            "From the receipt of a datagram to the end of its sending",
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        for (it, labels) in each(&self.0.statistics.workers) {
            let histogram = &it.latency;
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                histogram.sum().as_secs_f64(),
                histogram.count(),
                &buckets(histogram),
                None,
            )?;
        }
        Ok(())
    }

    fn process(&self, page: &mut Page<'_>) -> fmt::Result {
        let Moment { started, uptime, .. } = &self.0;
        let seconds = Some(Unit::Seconds);
        let (started, uptime) = (started.as_secs_f64(), uptime.as_secs_f64());
        page.gauge("process_start_time", "Since 1970", seconds.clone(), started)?;
        page.gauge("gwlb_uptime", "Since the start", seconds, uptime)?;
        page.0
            .encode_descriptor("gwlb_build", "What is running", None, MetricType::Info)?
            .encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
    }
}

/// Each worker with its label.
fn each(
    workers: &[WorkerStatistics],
) -> impl Iterator<Item = (&WorkerStatistics, [(&'static str, usize); 1])> {
    workers.iter().enumerate().map(|(number, it)| (it, [("worker", number)]))
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Writes families of samples.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        samples: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let family = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
        write_each(family, samples, |sample, value| {
            sample.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn by_name<'n>(
        &mut self,
        name: &str,
        help: &str,
        key: &'static str,
        samples: impl IntoIterator<Item = ((&'static str, usize), &'n str, u64)>,
    ) -> fmt::Result {
        let labelled = samples.into_iter().map(|((worker, number), name, value)| {
            ([(worker, number.to_string()), (key, name.to_string())], value)
        });
        self.counters(name, help, None, labelled)
    }

    fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        samples: impl IntoIterator<Item = (L, i64)>,
    ) -> fmt::Result {
        let family = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        write_each(family, samples, |sample, value| sample.encode_gauge(&value))
    }

    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        value: impl EncodeGaugeValue,
    ) -> fmt::Result {
        let unit = unit.as_ref();
        self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?.encode_gauge(&value)
    }
}

fn write_each<L: EncodeLabelSet, V>(
    mut family: MetricEncoder<'_>,
    samples: impl IntoIterator<Item = (L, V)>,
    write: impl Fn(&mut MetricEncoder<'_>, V) -> fmt::Result,
) -> fmt::Result {
    samples
        .into_iter()
        .try_for_each(|(labels, value)| write(&mut family.encode_family(&labels)?, value))
}

/// Upper bounds in nanoseconds: 10 µs to 1 s.
const BOUNDS: [u64; 16] = [
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
];

/// Upper bounds in seconds and how many are below each and above the one before. A class of the histogram that a bound
/// cuts through belongs above it, so that no bound is flattered.
fn buckets(histogram: &Histogram) -> Vec<(f64, u64)> {
    let mut classes = histogram.classes().peekable();
    let mut buckets = Vec::new();
    for bound in BOUNDS {
        let mut count = 0_u64;
        while let Some((_, more)) = classes.next_if(|(end, _)| end.as_nanos() <= bound.into()) {
            count = count.wrapping_add(more);
        }
        buckets.push((core::time::Duration::from_nanos(bound).as_secs_f64(), count));
    }
    let rest = classes.fold(0_u64, |sum, (_, more)| sum.wrapping_add(more));
    buckets.push((f64::INFINITY, rest));
    buckets
}

/// The endpoints that are told by name: the first that were seen, and no more than so many ever, so that a number does not
/// move from one name to another.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<EndpointId>);

impl Names {
    pub(super) const MOST: usize = 1_000;

    pub(super) fn admit<'e>(
        &mut self,
        seen: impl Iterator<Item = &'e EndpointId>,
    ) -> BTreeSet<EndpointId> {
        for endpoint in seen {
            if self.0.len() >= Self::MOST {
                break;
            }
            self.0.insert(*endpoint);
        }
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_holds_what_is_surely_below_its_bound() {
        let mut histogram = Histogram::new();
        for nanos in [1, 9_000, 10_000, 10_001, 999_999_999, 2_000_000_000] {
            histogram.record(Duration::from_nanos(nanos));
        }
        let buckets = buckets(&histogram);
        assert_eq!(buckets.iter().map(|(_, count)| count).sum::<u64>(), 6);
        assert_eq!(buckets[0].1, 2);
        assert_eq!(buckets[1].1, 2);
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, 2)));
        assert!(buckets.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn names_are_given_once() {
        let mut names = Names::default();
        let many: Vec<_> = (0..2_000).map(EndpointId).collect();
        assert_eq!(names.admit(many[1_500..].iter()).len(), 500);
        assert_eq!(names.admit(many.iter()).len(), Names::MOST);
        let last = names.admit(many.iter());
        assert!(last.contains(&EndpointId(1_999)) && last.contains(&EndpointId(499)));
        assert!(!last.contains(&EndpointId(500)));
    }
}
