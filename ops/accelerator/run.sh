#!/usr/bin/env bash
# Verifies and measures an NVIDIA GPU on a machine where nothing can be fetched. Three steps:
#
#   run.sh pack [NAME...]          here: publishes the engine, adds the .NET runtime, the libraries of the accelerators that are
#                                  named (folders of ops/feed/accelerators; default cuda; `none`: the processor alone), models,
#                                  the recorded stream, traces, prices and data sheets, and cuts it all into parts of at most
#                                  60 MB below .risk/accelerator/parts
#   run.sh receive                 there, once for every part that was carried over: keeps and checks the parts that lie in
#                                  .risk/accelerator/parts (they may come one at a time), and says which are missing
#   run.sh go [DEVICE...]          there: joins and checks the parts, then verifies, measures, benchmarks, and sets the cost of
#                                  what was measured against the processor and the data sheets; the devices are those of
#                                  `risk accelerators list`, default cuda. Results, profiles, pages and a report go to $OUT, or
#                                  .risk/accelerator/results
#
# The GPU machine needs bash, coreutils, tar, xz, python3 (to find the CUDA 13 and cuDNN 9 libraries of its site-packages, where
# the system has none) and the card's driver. ops/notes/accelerator.md says what to look at afterwards.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
work="$top/.risk/accelerator"
part_size=${RISK_PART_SIZE:-60000000} # bytes

say() { printf '%s\n' "accelerator: $*" >&2; }
fail() { printf '%s\n' "$1: $2" >&2; exit 3; }

pack() {
  local stage dotnet version name libraries names=("$@")
  if [ ${#names[@]} -eq 0 ]; then names=(cuda); fi
  if [ "${names[*]}" = none ]; then names=(); fi
  for name in "${names[@]}"; do
    [ -e "$top/ops/feed/accelerators/$name/files" ] || fail PACK_NAME "there are no libraries of '$name'; name some of $(cd "$top/ops/feed/accelerators" && echo *), or none."
  done
  command -v dotnet >/dev/null || fail PACK_DOTNET "the .NET 10 SDK is needed to pack, and \`dotnet\` is not on PATH."
  stage="$work/stage"
  rm -rf "$stage" "$work/parts"
  mkdir -p "$stage/app" "$stage/dotnet/host" "$stage/home/ops" "$work/parts"
  "$top/ops/feed/fill"
  say "publishing"
  dotnet publish "$top/src/Risk.Cli" -c Release --nologo -nodeReuse:false -v q -o "$stage/app" >&2 || fail PACK_PUBLISH "the engine could not be published; the build's own words are above."
  # The runtime that runs here runs there: no registry is asked for a runtime pack.
  dotnet=$(dirname "$(readlink -f "$(command -v dotnet)")")
  version=$(dotnet --list-runtimes | sed -n 's/^Microsoft.NETCore.App \(10\.[0-9.]*\) .*/\1/p' | tail -n 1)
  cp "$dotnet/dotnet" "$stage/dotnet/"
  cp -r "$dotnet/host/fxr" "$stage/dotnet/host/"
  for framework in Microsoft.NETCore.App Microsoft.AspNetCore.App; do
    mkdir -p "$stage/dotnet/shared/$framework"
    cp -r "$dotnet/shared/$framework/$version" "$stage/dotnet/shared/$framework/" || fail PACK_RUNTIME "this machine has no $framework $version beside its SDK."
  done
  cp -r "$top/models" "$top/streams" "$stage/home/"
  cp -r "$top/ops/prices" "$top/ops/profiles" "$top/ops/traces" "$stage/home/ops/"
  mkdir -p "$stage/cache/risk-feed/accelerators"
  for name in "${names[@]}"; do
    libraries=$("$top/ops/feed/accelerator" "$name")
    cp -r "$libraries" "$stage/cache/risk-feed/accelerators/"
  done
  git -C "$top" rev-parse HEAD >"$stage/commit" 2>/dev/null || echo unknown >"$stage/commit"
  say "packing"
  tar -C "$stage" -cf - . | xz -T0 -2 | split -b $part_size -d -a 2 - "$work/parts/part."
  (cd "$work/parts" && sha256sum part.* >"$work/parts/SHA256SUMS")
  rm -rf "$stage"
  say "$(find "$work/parts" -name 'part.*' | wc -l) parts, $(du -sh "$work/parts" | cut -f1), in $work/parts"
}

receive() {
  local part missing=()
  mkdir -p "$work/received"
  [ -n "$(find "$work/parts" -maxdepth 1 \( -name 'part.[0-9][0-9]' -o -name SHA256SUMS \) 2>/dev/null)" ] || fail RECEIVE_NONE "there is no part in $work/parts."
  find "$work/parts" -maxdepth 1 \( -name 'part.[0-9][0-9]' -o -name SHA256SUMS \) -exec cp {} "$work/received/" \; || fail RECEIVE_COPY "the parts could not be copied to $work/received; is the disk full?"
  cd "$work/received"
  if [ ! -e SHA256SUMS ]; then
    say "received: $(echo part.*); SHA256SUMS, which says what is missing, has not come yet"
    return 0
  fi
  # What was cut off on the way is thrown away here, where the other end is still at hand.
  while read -r sum part; do
    if [ ! -e "$part" ]; then missing+=("$part")
    elif ! printf '%s  %s\n' "$sum" "$part" | sha256sum --status -c -; then
      rm "$part"
      missing+=("$part (came broken)")
    fi
  done <SHA256SUMS
  if [ ${#missing[@]} -eq 0 ]; then say "received: all $(wc -l <SHA256SUMS) parts, whole"; else say "received; still missing: $(printf '%s, ' "${missing[@]}" | sed 's/, $//')"; fi
}

unpack() {
  local parts="$work/received"
  if [ ! -e "$parts/SHA256SUMS" ]; then parts="$work/parts"; fi
  [ -e "$parts/SHA256SUMS" ] || fail PARTS_MISSING "no parts are here; run 'run.sh pack' where the engine is built, carry them over and run 'run.sh receive'."
  (cd "$parts" && sha256sum --quiet -c SHA256SUMS) >&2 || fail PARTS_BROKEN "a part is missing or differs from SHA256SUMS; carry it over again."
  if cmp -s "$parts/SHA256SUMS" "$work/run/SHA256SUMS"; then return 0; fi
  rm -rf "$work/run"
  mkdir -p "$work/run"
  cat "$parts"/part.[0-9][0-9] | tar -C "$work/run" -xJf -
  cp "$parts/SHA256SUMS" "$work/run/"
}

# The libraries that NVIDIA's Python packages bring, for machines whose CUDA comes with Python: nvidia/*/lib of every site-packages.
python_libraries() {
  command -v python3 >/dev/null || return 0
  python3 - <<'PYTHON'
import glob, os, site, sys
folders = list(dict.fromkeys(site.getsitepackages() + [site.getusersitepackages()] + sys.path))
found = [lib for folder in folders for lib in sorted(glob.glob(os.path.join(folder, "nvidia", "*", "lib")))]
print(":".join(found), end="")
PYTHON
}

# Runs one step, keeps its output and its exit status; a step that fails does not keep the others from running.
step() {
  local name=$1 status=0 started=$SECONDS
  shift
  say "$name: risk $*"
  "$work/run/dotnet/dotnet" "$work/run/app/risk.dll" "$@" >"$results/$name.out" 2>"$results/$name.err" </dev/null || status=$?
  printf '%s\t%s\t%s s\trisk %s\n' "$name" "$status" "$((SECONDS - started))" "$*" >>"$results/steps.tsv"
}

go() {
  local devices=("$@") device libraries
  if [ ${#devices[@]} -eq 0 ]; then devices=(cuda); fi
  unpack
  results="${OUT:-$work/results}"
  mkdir -p "$results/profiles"
  : >"$results/steps.tsv"
  libraries=$(python_libraries)
  export LD_LIBRARY_PATH="${libraries}${LD_LIBRARY_PATH:+${libraries:+:}$LD_LIBRARY_PATH}"
  export RISK_HOME="$work/run/home" XDG_CACHE_HOME="$work/run/cache" DOTNET_ROOT="$work/run/dotnet" DOTNET_TieredPGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1
  { date -u +%FT%TZ; uname -srm; grep -m1 'model name' /proc/cpuinfo || true; nproc; echo "commit $(cat "$work/run/commit")"; echo "LD_LIBRARY_PATH $LD_LIBRARY_PATH"; nvidia-smi 2>/dev/null || echo "no nvidia-smi, or it fails"; } >"$results/machine.txt"
  local transactions=${RISK_TRANSACTIONS:-100000} seconds=${RISK_SECONDS:-1} batch=${RISK_BATCH:-4096}
  # CUDA graphs: a device of its own, by configuration.
  printf '{ "accelerators": [ { "name": "cuda-graph", "provider": "cuda", "options": { "enable_cuda_graph": "1" } } ] }\n' >"$work/run/graph.json"

  # The trees of the stream's champion and the sequence model beside it: the one is cheapest on a processor, the other may not be.
  local sequence=(--stream card-payments-sequence)
  step list accelerators list --json
  for device in "${devices[@]}"; do
    local others=(cpu forest-kernel)
    if [ "$device" = cpu ]; then others=(forest-kernel); fi
    step "need-$device" accelerators list "$device"
    step "verify-$device" accelerators verify "$device" "${others[@]}" --transactions "$transactions" --batch 512 --out "$results/verify-$device" --json
    step "verify-$device-sequence" accelerators verify "$device" "${sequence[@]}" --transactions "$transactions" --batch 512 --out "$results/verify-$device-sequence" --json
    step "overhead-$device" accelerators overhead "$device" --batch "$batch" --json
    step "overhead-$device-sequence" accelerators overhead "$device" "${sequence[@]}" --batch "$batch" --json
    # Profiles get the card's own name (nvidia-h200), under which its price and its data sheet are kept; curves join in one file.
    step "measure-$device" accelerators measure "$device" --batch "$batch" --seconds "$seconds" --out "$results/profiles" --json
    step "measure-$device-sequence" accelerators measure "$device" "${sequence[@]}" --batch "$batch" --seconds "$seconds" --out "$results/profiles" --json
    if [ "$device" = cuda ]; then
      for variant in perfect-tree-traversal tree-traversal; do
        step "measure-$device-$variant" accelerators measure "$device" --variant "$variant" --batch "$batch" --seconds "$seconds" --out "$results/profiles" --json
      done
      step verify-cuda-graph accelerators verify cuda-graph --accelerators "$work/run/graph.json" --transactions "$transactions" --batch 512 --out "$results/verify-cuda-graph" --json
      # The same card in another way: apart, or one would replace the other.
      step measure-cuda-graph accelerators measure cuda-graph --accelerators "$work/run/graph.json" --batch "$batch" --seconds "$seconds" --out "$results/profiles-cuda-graph" --json
      step measure-cuda-graph-sequence accelerators measure cuda-graph --accelerators "$work/run/graph.json" "${sequence[@]}" --batch "$batch" --seconds "$seconds" --out "$results/profiles-cuda-graph" --json
    fi
  done
  step measure-processor accelerators measure cpu forest-kernel --batch "$batch" --seconds "$seconds" --out "$results/profiles" --json
  step measure-processor-sequence accelerators measure cpu "${sequence[@]}" --batch "$batch" --seconds "$seconds" --out "$results/profiles" --json
  step model-run bench model-run --json
  costs "" "$results/profiles"
  if [ -d "$results/profiles-cuda-graph" ]; then costs -cuda-graph "$results/profiles-cuda-graph"; fi
  report
}

# The crossover of both models, and a fleet for the trace. The profiles that were measured here take the place of the data sheets
# of the same names, and of every other machine's processor. NAME goes behind the results' names, FOLDER has a card's profiles.
costs() {
  local name=$1 measured=$2 compared="$results/compared$1" model
  mkdir -p "$compared"
  find "$compared" -maxdepth 1 -name '*.json' -delete
  find "$work/run/home/ops/profiles" -maxdepth 1 -name '*.json' -exec cp {} "$compared/" \;
  find "$compared" -maxdepth 1 -name '*.json' -exec grep -qE '"kind": *"cpu"' {} \; -delete
  find "$results/profiles" -maxdepth 1 \( -name cpu.json -o -name forest-kernel.json \) -exec cp {} "$compared/" \;
  find "$measured" -maxdepth 1 -name '*.json' -exec cp {} "$compared/" \;
  for model in card-fraud card-fraud-sequence; do
    step "compare-$model$name" cost compare --model "$model@1" --profiles "$compared" --html "$results/compare-$model$name.html" --json
  done
  step "plan$name" cost plan --load card-payments-day --scale "${RISK_SCALE:-1000}" --profiles "$compared" --json
}

report() {
  {
    echo "Accelerator run"
    echo
    sed 's/^/  /' "$results/machine.txt"
    echo
    echo "Steps (name, exit status: 0 done, 1 the answer is no, 2 and 3 failed, time, command)"
    sed 's/^/  /' "$results/steps.tsv"
    for error in "$results"/*.err; do
      if grep -qE '^[A-Z][A-Z_]+: ' "$error"; then printf '\n%s\n' "$(basename "$error" .err) said"; grep -E '^[A-Z][A-Z_]+: ' "$error" | head -n 5 | sed 's/^/  /'; fi
    done
    echo
    echo "Figures: verify-*/conformance.html, profiles*/*.json, overhead-*.out, model-run.out; the crossover: compare-*.html. Nothing in this file is a figure of its own."
  } >"$results/report.txt"
  cat "$results/report.txt"
  # Done means that the run came to its end; whether a device conforms is in its report and in the exit status of its step.
}

case ${1:-} in
  pack) shift; pack "$@" ;;
  receive) receive ;;
  go) shift; go "$@" ;;
  # The head of this file is its usage.
  *) sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
