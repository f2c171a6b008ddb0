//! Counting instructions.

use std::process::{Command, Stdio};

/// Instructions of one round of a case, which this program runs when it is called with `--case NAME ROUNDS`. `None`
/// where there is no valgrind.
#[allow(dead_code, reason = "each benchmark has its own number of rounds, or this one")]
pub(crate) fn count(case: &str) -> Option<u64> {
    count_between(case, [1_000, 11_000])
}

/// The same from two numbers of rounds, the lower one first.
pub(crate) fn count_between(case: &str, numbers: [u64; 2]) -> Option<u64> {
    let [few, many] = numbers.map(|rounds| {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().ok()?)
            .args(["--case", case, &rounds.to_string()])
            .stdout(Stdio::null())
            .output()
            .ok()?;
        let report = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{case}: {report}");
        let collected = report.lines().find_map(|line| line.split("Collected :").nth(1))?;
        collected.trim().parse::<u64>().ok()
    });
    Some((many? - few?) / (numbers[1] - numbers[0]))
}
