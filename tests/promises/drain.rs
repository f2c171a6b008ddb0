//! Promise 7, as far as the library goes: health fails first, known flows go on until they end or the time is over, and
//! the end is in good order.

use std::time::{Duration, Instant};

use gwlb_geneve::engine::Settings;
use gwlb_geneve::flow::FlowTimeouts;

use crate::live::{
    appliance, censor, datagram, drain, eventually, flow, settled, small, transports,
};

#[test]
fn flows_go_on_until_they_end() {
    let short = Duration::from_millis(600);
    let timeouts = FlowTimeouts { unanswered: short, udp: short, ..FlowTimeouts::default() };
    let (transports, networks) = transports(2);
    let running = appliance(Settings { timeouts, ..small() }, censor).start(transports).unwrap();
    let control = running.control();
    eventually("it is well", || control.health().is_ok());
    let mut sent = 0;
    let mut say = |number: usize, word: &[u8]| {
        let (client, _) = flow(number);
        networks[number % 2].send_all([datagram(&client, &client.udp(word))]);
        sent += 1;
        settled(&control, sent);
        networks.iter().map(|network| drain(network).len()).sum::<usize>()
    };
    assert_eq!(say(0, b"good"), 1);
    control.drain(Duration::from_secs(60));
    assert_eq!(control.health().to_string(), "draining");
    // Known ones, judged as ever, and new ones: the load balancer does not know yet.
    assert_eq!((say(0, b"good"), say(0, b"ugly"), say(1, b"good")), (1, 0, 1));
    let start = Instant::now();
    let statistics = running.wait().unwrap();
    assert!(
        start.elapsed() > Duration::from_millis(300) && start.elapsed() < Duration::from_secs(30)
    );
    assert!(statistics.is_balanced());
    assert_eq!((statistics.total.flows.expired(), statistics.total.flows.drained), (2, 0));
    assert!(!control.health().is_ok());
}

#[test]
fn flows_that_do_not_end_are_ended_when_the_time_is_over() {
    let (transports, networks) = transports(2);
    let running = appliance(small(), censor).start(transports).unwrap();
    let control = running.control();
    let (client, _) = flow(0);
    networks[0].send_all([datagram(&client, &client.udp(b"good"))]);
    settled(&control, 1);
    let start = Instant::now();
    control.drain(Duration::from_millis(400));
    let statistics = running.wait().unwrap();
    assert!(start.elapsed() >= Duration::from_millis(400));
    assert_eq!((statistics.total.flows.drained, statistics.total.counters.sent), (1, 1));
    assert!(statistics.is_balanced());
}
