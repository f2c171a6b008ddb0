#!/bin/sh
# Seeds and runs each fuzz target for a number of seconds: fuzz/run.sh [SECONDS] [TARGET...]
#
# Wants cargo-fuzz (cargo install cargo-fuzz). With a nightly toolchain the address sanitizer watches too;
# without one the stable compiler does, by RUSTC_BOOTSTRAP and without sanitizer, which this crate, having
# no unsafe code, can do without.
set -eu
cd "$(dirname "$0")"
seconds=${1:-60}
[ $# -eq 0 ] || shift

if [ -z "${FUZZ_STABLE:-}" ] && cargo +nightly --version >/dev/null 2>&1; then
    fuzz() { cargo +nightly fuzz "$@"; }
else
    export RUSTC_BOOTSTRAP=1
    fuzz() {
        command=$1
        shift
        cargo fuzz "$command" --sanitizer none "$@"
    }
fi

cargo run --quiet --release --example seed
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [ $# -eq 0 ]; then
    set -- outer header envelope inner tunnel edit craft stream defrag engine http tls dns rules signatures capture
    # As many at a time as there are processors.
    echo "building all"
    fuzz build >"$log" 2>&1 || { cat "$log"; exit 1; }
fi
for target in "$@"; do
    echo "$target: building"
    fuzz build "$target" >"$log" 2>&1 || { cat "$log"; exit 1; }
    case $target in
        capture) longest=32768 ;;
        *) longest=2048 ;;
    esac
    if ! fuzz run "$target" -- -max_total_time="$seconds" -max_len="$longest" \
        -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 >"$log" 2>&1; then
        tail -n 60 "$log"
        echo "$target: FAILED"
        exit 1
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    cover=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    echo "$target: $runs executions, $rate a second, $cover edges"
done
