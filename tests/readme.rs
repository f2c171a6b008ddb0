//! The README does not drift from the code.

const README: &str = include_str!("../README.md");
const EXAMPLE: &str = include_str!("../examples/custom_inspector.rs");
const LIB: &str = include_str!("../src/lib.rs");

/// The README's code is the example, and the crate's quick start, which is run and asserted as a doctest.
#[test]
fn its_code_is_the_example_and_the_quick_start() {
    let (_, code) = README.split_once("```rust\n").expect("code in the README");
    let (code, _) = code.split_once("```").expect("an end of the code");
    let (_, example) = EXAMPLE.split_once("\n\n").expect("a line about the example, then code");
    assert_eq!(code, example, "the README's code is the example, line for line");
    let docs: String = LIB
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .filter(|line| !line.starts_with("# ") || line.starts_with("# #"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(docs.contains(code), "the README's code stands in src/lib.rs, line for line");
}

/// Its instruction counts are those of the table beside the benchmarks.
#[test]
fn its_figures_are_those_of_the_benchmarks() {
    let benches = include_str!("../benches/README.md");
    let (_, table) = README.split_once("| from the UDP payload to |").expect("the table");
    let figures: Vec<_> = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| line.rsplit('|').nth(1))
        .collect();
    assert_eq!(figures.len(), 5);
    for figure in figures {
        assert!(benches.contains(&format!("|{figure}|")), "{figure} in benches/README.md");
    }
}
