#!/usr/bin/env bash
# One run on a GPU that is lent for minutes: every step under its own limit, all of them under one.
#
#   tests/gpu/visit.sh a FOLDER     first look: what works, what is right, what the sensors do
#   tests/gpu/visit.sh b FOLDER     a dataset: cuda/sweeps/six_minutes.toml
#
# What a step prints is FOLDER/NAME.txt, what became of it a line of FOLDER/steps.tsv; after each one
# everything is packed into FOLDER/visit-RUN.tar.gz, so that a step that hangs loses nothing. PYTHON
# names the interpreter, GPPERF_CUBINS the folder of cubins, GPPERF_REHEARSE=1 simulates the GPU.
set -u
run=$1 folder=$2
root=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3}
cubins=${GPPERF_CUBINS:-$root/cache/cubins}
case $run in
  a) limit_s=260 ;;
  b) limit_s=380 ;;
  *) echo "the run must be a or b (got $run)" >&2 && exit 2 ;;
esac
mkdir -p "$folder" && folder=$(cd "$folder" && pwd) && cd "$root" || exit 2
export PYTHONPATH=$root PYTHONUNBUFFERED=1 GPPERF_CUBINS=$cubins
if [ -n "${GPPERF_REHEARSE:-}" ]; then
  simulate=(--simulate 1)
else
  simulate=()
  export GPPERF_REQUIRE_GPU=1
fi
archive=visit-$run.tar.gz
printf 'step\tlimit_s\tseconds\tstatus\n' >"$folder/steps.tsv"

pack() {
  (cd "$folder" && tar -czf ".$archive" --exclude="./.$archive" --exclude='./*.tar.gz' . &&
    mv ".$archive" "$archive")
}

# step NAME LIMIT_S COMMAND...: run it, note what became of it, pack.
step() {
  local name=$1 most_s=$2 begun_s=$SECONDS status
  shift 2
  local left_s=$((limit_s - SECONDS))
  ((most_s < left_s)) || most_s=$left_s
  if ((most_s < 5)); then
    status=skipped
  else
    timeout --signal=INT --kill-after=5 "$most_s" "$@" >"$folder/$name.txt" 2>&1
    status=$?
  fi
  printf '%s\t%s\t%s\t%s\n' "$name" "$most_s" "$((SECONDS - begun_s))" "$status" >>"$folder/steps.tsv"
  tail -n 1 "$folder/steps.tsv"
  pack
}

# A test of a machine with packages of its own: their warnings are not ours.
tests() {
  step "$1" "$2" "$python" -m pytest -rA -q -p no:cacheprovider -o filterwarnings=default "${@:3}"
}

if [ "$run" = a ]; then
  step doctor 20 "$python" -m builder doctor
  tests numbers 60 tests/gpu/test_gpu_numbers.py -k 'not cutlass_3'
  tests timing 40 tests/gpu/test_gpu_timing.py
  step probe 40 "$python" -m builder probe --cubins "$cubins" "${simulate[@]}" \
    --output "$folder/probe.json"
  step quick 75 "$python" -m builder collect --sweep cuda/sweeps/quick.toml --deadline 60 --json \
    --cubins "$cubins" "${simulate[@]}" --output "$folder/quick.parquet"
  tests power 40 tests/gpu/test_gpu_power.py -k 'not probe'
  tests cutlass_3 60 tests/gpu/test_gpu_numbers.py -k cutlass_3 --runxfail
else
  step six_minutes 370 "$python" -m builder collect --sweep cuda/sweeps/six_minutes.toml \
    --deadline 355 --json --cubins "$cubins" "${simulate[@]}" \
    --output "$folder/six_minutes.parquet"
fi
pack
cat "$folder/steps.tsv"
