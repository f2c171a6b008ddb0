//! More of something than there is room for.

use std::thread;
use std::time::Duration;

use crate::stage::{GATEWAY, MANAGE, OTHER_GATEWAY, Stage, get};

#[test]
fn a_hundred_thousand_endpoints_take_no_more_memory_than_is_allowed() {
    let Some(mut stage) = Stage::with_appliance("endpoints", "") else { return };
    stage.load("--packets 5000 --profile flows-100k").assert_clean();
    let before = stage.settled();
    let memory = stage.appliance().memory();
    let report = stage.load("--packets 105000 --profile flows-100k --endpoints 100000");
    report.assert_clean();
    let after = stage.settled();
    let named = after.0["endpoints"].as_object().unwrap().len();
    assert!(named <= 1_000, "{named} by name");
    let told = after.0["other_endpoints"]["received"].as_u64().unwrap();
    assert!(told > 90_000, "{:#}", after.0);
    assert!(after.0["total"]["flows"]["refused"].as_u64() > Some(0), "{:#}", after.0);
    let (was, is) = (before.number("memory_bytes"), after.number("memory_bytes"));
    // Flows 256 MiB, streams 128, datagrams in fragments 16, and what is known of connections.
    let cap = 448 << 20;
    assert!(is <= cap, "{was} {is}");
    let grown = stage.appliance().memory().saturating_sub(memory);
    assert!(grown < cap, "it has grown by {grown} bytes");
    let page = stage.inside.run(|| Ok(get(MANAGE, "/metrics"))).unwrap().expect("metrics");
    assert!(page.len() < 1 << 20, "metrics have {} bytes", page.len());
    stage.has_survived();
}

#[test]
fn an_elephant_tramples_no_small_flow() {
    let Some(mut stage) = Stage::with_appliance("elephant", "") else { return };
    let elephant =
        stage.begin(OTHER_GATEWAY, "--seconds 600 --profile elephant --ip 6 --window 512");
    thread::sleep(Duration::from_millis(500));
    stage.load("--packets 4000 --profile imix --ip 4 --window 32").assert_clean();
    let elephant = elephant.stop();
    elephant.assert_nothing_lost();
    stage.has_survived();
}

/// New flows by the thousand, of UDP and of TCP, beside some that are known.
#[track_caller]
fn flood(policy: &str) {
    let config = format!("[policy]\nprofile = \"{policy}\"\n[limits]\nflows = 2048\n");
    let Some(mut stage) = Stage::with_appliance(&format!("flood-{policy}"), &config) else {
        return;
    };
    let known = stage.begin(GATEWAY, "--seconds 600 --profile imix --ip 4 --window 32");
    stage.wait_for("known flows", |stage| stage.stats().number("forwarded") > 2_000);
    for profile in ["udp-flood", "syn-flood"] {
        let flood =
            format!("--packets 12000 --profile {profile} --ip 6 --allow-drops --patience 500");
        let mut flood = stage.begin(OTHER_GATEWAY, &flood);
        while !flood.is_over() {
            let open = stage.stats().0["total"]["flows"]["open"].as_u64().unwrap();
            assert!(open <= 2_048, "{open} flows");
            thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(flood.end().number("/sent"), 12_000);
    }
    known.stop().assert_nothing_lost();
    let stats = stage.settled();
    let flows = &stats.0["total"]["flows"];
    let made_room = flows["evicted"].as_u64().unwrap() + flows["refused"].as_u64().unwrap();
    assert!(made_room > 10_000, "{flows:#}");
    stage.has_survived();
}

#[test]
fn known_flows_lose_nothing_in_a_flood() {
    flood("available");
}

#[test]
fn known_flows_lose_nothing_in_a_flood_under_the_strict_policy() {
    flood("strict");
}
