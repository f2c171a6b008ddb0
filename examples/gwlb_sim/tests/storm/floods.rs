//! More of something than there is room for.

use std::thread;
use std::time::Duration;

use crate::stage::{GATEWAY, MANAGE, OTHER_GATEWAY, Stage, get};

#[test]
fn a_hundred_thousand_endpoints_take_no_more_memory_than_is_allowed() {
    let Some(mut stage) = Stage::with_appliance("endpoints", "") else { return };
    stage.load("--packets 20000 --profile flows-100k").assert_clean();
    let before = stage.settled();
    let memory = stage.appliance().memory();
    let report = stage.load("--packets 200000 --profile flows-100k --endpoints 100000");
    report.assert_clean();
    let after = stage.settled();
    let named = after.0["endpoints"].as_object().unwrap().len();
    assert!(named < 1_000, "{named} by name");
    let told = after.0["other_endpoints"]["received"].as_u64().unwrap();
    assert!(told > 190_000, "{:#}", after.0);
    assert!(after.0["total"]["flows"]["refused"].as_u64() > Some(0), "{:#}", after.0);
    let (was, is) = (before.number("memory_bytes"), after.number("memory_bytes"));
    let cap = 256 << 20;
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
    let elephant = stage
        .begin(OTHER_GATEWAY, "--seconds 4 --profile elephant --ip 6 --window 512 --max-loss 100");
    thread::sleep(Duration::from_millis(500));
    let small = stage.load("--seconds 2 --profile imix --ip 4 --window 32");
    small.assert_clean();
    let elephant = elephant.end();
    assert_eq!(elephant.number("/errors"), 0, "{:#}", elephant.json);
    assert!(elephant.number("/answered") > 1_000, "{:#}", elephant.json);
    stage.has_survived();
}

/// New flows by the thousand, of UDP and of TCP, beside some that are known.
#[track_caller]
fn flood(policy: &str) {
    let config = format!("[policy]\nprofile = \"{policy}\"\n[limits]\nflows = 4096\n");
    let Some(mut stage) = Stage::with_appliance(&format!("flood-{policy}"), &config) else {
        return;
    };
    let known = stage.begin(GATEWAY, "--seconds 6 --profile imix --ip 4 --window 32");
    stage.wait_for("known flows", |stage| stage.stats().number("forwarded") > 2_000);
    let mut flooded = 0;
    for profile in ["udp-flood", "syn-flood"] {
        let flood = stage.begin(
            OTHER_GATEWAY,
            &format!(
                "--seconds 1.5 --rate 15000 --profile {profile} --ip 6 --patience 200 --allow-drops"
            ),
        );
        for _ in 0..10 {
            let open = stage.stats().0["total"]["flows"]["open"].as_u64().unwrap();
            // Each of the two workers has its share, rounded up.
            assert!(open <= 4_098, "{open} flows");
            thread::sleep(Duration::from_millis(100));
        }
        let flood = flood.end();
        assert_eq!(flood.number("/errors"), 0, "{:#}", flood.json);
        flooded += flood.number("/sent");
    }
    known.end().assert_clean();
    let stats = stage.settled();
    assert!(flooded > 10_000, "{flooded} are no flood");
    let flows = &stats.0["total"]["flows"];
    let made_room = flows["evicted"].as_u64().unwrap() + flows["refused"].as_u64().unwrap();
    assert!(made_room > 1_000, "{flows:#}");
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
