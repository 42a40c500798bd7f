#!/usr/bin/env bash
# On a machine with a GPU, in one go and each within its own time: the tests of devices, the
# benchmark, and training with the time that is left.
#
#     OUT=results benchmarks/gpu_session.sh [CONFIG [PACK]]
#
# Without CONFIG nothing is trained. TOTAL_S: seconds for everything (570); TESTS_S and
# BENCHMARK_S: the most that these two may take (150, 120); BENCHMARK: options of the benchmark;
# PYTHON: the interpreter. Results and logs go to OUT. A step that fails or runs out of time does
# not stop the next; the exit status says whether all succeeded.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${OUT:?where the results go}
python=${PYTHON:-python}
total_s=${TOTAL_S:-570}
mkdir -p "$out"
status=0

# step NAME SECONDS COMMAND...
step() {
    local name=$1 limit_s=$2 rc=0
    shift 2
    printf '\n== %s, at most %s s (%s s so far)\n' "$name" "$limit_s" "$SECONDS"
    timeout --kill-after=10 "$limit_s" "$@" 2>&1 | tee "$out/$name.log" || rc=$?
    printf '%s %s %s\n' "$name" "$rc" "$SECONDS" >>"$out/steps.txt"
    [ "$rc" -eq 0 ] || status=1
}

step tests "${TESTS_S:-150}" "$python" -m pytest -q -m gpu tests/gpu
# shellcheck disable=SC2086  # several options
step benchmark "${BENCHMARK_S:-120}" "$python" -m benchmarks.gpu ${BENCHMARK:-} --output "$out/gpu.json"
if [ $# -gt 0 ]; then
    left_s=$((total_s - SECONDS - 10))
    minutes=$(awk "BEGIN { printf \"%.2f\", ($left_s - 40) / 60 }") # the last checkpoint takes time
    if [ "$left_s" -gt 60 ]; then
        step training "$left_s" "$python" -m training run "$1" --minutes "$minutes" \
            --output "$out/run" --weights "$out/weights.safetensors" ${2:+--pack "$2"}
    else
        printf '\n== no time left to train\n'
        status=1
    fi
fi
printf '\n== done (%s s)\n' "$SECONDS"
exit "$status"
