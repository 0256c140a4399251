#!/usr/bin/env bash
# Verifies and measures an NVIDIA GPU on a machine where nothing can be fetched. Three steps:
#
#   run.sh pack [NAME...]          here: publishes the engine, adds the .NET runtime, the libraries of the accelerators that are
#                                  named (folders of ops/feed/accelerators; default cuda; `none`: the processor alone), models,
#                                  the recorded stream, traces, prices and data sheets, and cuts it all into parts of at most
#                                  60 MB (RISK_PART_SIZE, bytes) below .risk/accelerator/parts
#   run.sh receive                 there, once for every part that was carried over: keeps and checks the parts that lie in
#                                  .risk/accelerator/parts (they may come one at a time), and says which are missing
#   run.sh go [DEVICE...]          there: joins and checks the parts, then verifies, measures, benchmarks, and sets the cost of
#                                  what was measured against the processor and the data sheets; the devices are those of
#                                  `risk accelerators list`, default cuda. Results, profiles, pages and a report go to
#                                  .risk/accelerator/results; OUT=DIR also gets report.txt and results.tar.xz, after every step.
#                                  Again, it goes on behind what is done. RISK_MINUTES=N ends it in good order in that time.
#
# The GPU machine needs bash, coreutils, findutils, grep, sed, tar, xz, python3 (to find the CUDA 13 and cuDNN 9 libraries of its
# site-packages, where the system has none) and the card's driver. ops/notes/accelerator.md says what to look at afterwards.
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
  tar -C "$stage" -cf - . | xz -T0 -2 | split -b "$part_size" -d -a 2 - "$work/parts/part."
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

# Folders of CUDA's libraries for machines whose loader does not know them, a line each: what NVIDIA's Python packages brought
# (nvidia/*/lib of every site-packages), what the environment names, and where installers and containers put them. A python3
# that does not work is as good as none.
cuda_folders() {
  local folder
  python3 - 2>/dev/null <<'PYTHON' || true
import glob, os, site, sys
folders = list(getattr(site, "getsitepackages", list)()) + sys.path
try:
    folders.append(site.getusersitepackages())
except Exception:
    pass
for lib in dict.fromkeys(lib for folder in folders for lib in sorted(glob.glob(os.path.join(folder, "nvidia", "*", "lib")))):
    print(lib)
PYTHON
  if [ -n "${LD_LIBRARY_PATH:-}" ]; then printf '%s\n' "$LD_LIBRARY_PATH"; fi
  for folder in /usr/local/cuda/lib64 /usr/local/nvidia/lib64 /usr/local/nvidia/lib; do
    if [ -d "$folder" ]; then printf '%s\n' "$folder"; fi
  done
}

seconds_left() { if [ "$minutes" = 0 ]; then echo 1000000; else echo $((minutes * 60 - SECONDS)); fi; }

# The row of a step in steps.tsv: name, exit status, seconds, command.
record() {
  { grep -v "^$1"$'\t' "$results/steps.tsv" || true; printf '%s\t%s\t%s\trisk %s\n' "$1" "$2" "$3" "${*:4}"; } >"$results/steps.new"
  mv "$results/steps.new" "$results/steps.tsv"
  bring
}

# Runs one step and keeps its output and its exit status; a step that fails keeps no other from running. One that an earlier
# call brought to an answer (0 done, 1 no) stands; one that failed, or that there was no time for, is run.
step() {
  local name=$1 status=0 started=$SECONDS left limit
  shift
  if grep -q "^$name"$'\t[01]\t' "$results/steps.tsv"; then return 0; fi
  left=$(($(seconds_left) - 10))
  if [ -n "$time_is_up" ] || [ "$left" -lt 20 ]; then
    time_is_up=1
    return 0
  fi
  limit=$((left < step_seconds_max ? left : step_seconds_max))
  say "$name: risk $*"
  (cd "$results" && timeout -k 5 "$limit" "$work/run/dotnet/dotnet" "$work/run/app/risk.dll" "$@") >"$results/$name.out" 2>"$results/$name.err" </dev/null || status=$?
  # Cut off at the end of this call: the next one has more time for it, unless it had most of this one.
  if [ "$status" = 124 ] && [ "$limit" = "$left" ] && [ $((2 * limit)) -lt $((minutes * 60)) ]; then
    time_is_up=1
    rm -f "$results/$name.out" "$results/$name.err"
    return 0
  fi
  record "$name" "$status" "$((SECONDS - started))" "$@"
}

# Whether a device is here; if not, why not, in the words of the engine.
is_here() {
  local why
  step "need-$1" accelerators list "$1"
  if [ -n "$time_is_up" ]; then return 1; fi
  why=$(cat "$results/need-$1.out" "$results/need-$1.err" | grep -m1 -E '^[A-Z][A-Z_]+: ') || return 0
  if [ ${#why} -gt 200 ]; then why="${why:0:200}… (all of it: need-$1.out)"; fi
  record "need-$1" 3 0 "accelerators list $1"
  absent+=("$why")
  say "$why"
  return 1
}

go() {
  local devices=("$@") device settings
  if [ ${#devices[@]} -eq 0 ]; then devices=(cuda); fi
  unpack
  results="$work/results"
  local transactions=${RISK_TRANSACTIONS:-100000} seconds=${RISK_SECONDS:-1} batch=${RISK_BATCH:-4096} scale=${RISK_SCALE:-1000}
  minutes=${RISK_MINUTES:-0} step_seconds_max=$((${RISK_STEP_MINUTES:-15} * 60)) time_is_up='' absent=()
  settings="$transactions transactions, $seconds s a batch size, batches up to $batch, load x $scale; devices ${devices[*]}; pack $(sha256sum <"$work/run/SHA256SUMS" | cut -c1-16)"
  # What other settings or another pack left is no part of this run, and nothing that was measured is thrown away.
  if [ -e "$results" ] && [ "$(cat "$results/settings" 2>/dev/null)" != "$settings" ]; then mv "$results" "$results-until-$(date -u +%Y%m%dT%H%M%SZ)"; fi
  mkdir -p "$results/profiles"
  printf '%s\n' "$settings" >"$results/settings"
  if [ -e "$results/steps.tsv" ]; then say "going on behind $(wc -l <"$results/steps.tsv") steps in $results (remove that folder to begin anew)"; else : >"$results/steps.tsv"; fi
  if [ -n "${OUT:-}" ]; then
    mkdir -p "$OUT"
    OUT=$(cd "$OUT" && pwd)
  fi
  LD_LIBRARY_PATH=$(cuda_folders | tr '\n' ':')
  export LD_LIBRARY_PATH=${LD_LIBRARY_PATH%:}
  if [ -d /usr/local/nvidia/bin ]; then PATH="$PATH:/usr/local/nvidia/bin"; fi
  # Cards are counted as nvidia-smi counts them.
  export CUDA_DEVICE_ORDER=PCI_BUS_ID
  export RISK_HOME="$work/run/home" XDG_CACHE_HOME="$work/run/cache" DOTNET_ROOT="$work/run/dotnet" DOTNET_TieredPGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1
  { date -u +%FT%TZ; uname -srm; grep -m1 'model name' /proc/cpuinfo || true; echo "$(nproc) processors, load $(cut -d' ' -f1-3 /proc/loadavg)"; echo "commit $(cat "$work/run/commit")"; echo "LD_LIBRARY_PATH ${LD_LIBRARY_PATH:-(none)}"; nvidia-smi 2>/dev/null || echo "no nvidia-smi, or it fails"; } >"$results/machine.txt"
  # CUDA graphs: a device of its own, by configuration.
  printf '{ "accelerators": [ { "name": "cuda-graph", "provider": "cuda", "options": { "enable_cuda_graph": "1" } } ] }\n' >"$results/graph.json"

  # The trees of the stream's champion and the sequence model beside it: the one is cheapest on a processor, the other may not be.
  local sequence=(--stream card-payments-sequence)
  step list accelerators list --json
  for device in "${devices[@]}"; do
    if ! is_here "$device"; then continue; fi
    local others=(cpu forest-kernel)
    if [ "$device" = cpu ]; then others=(forest-kernel); fi
    step "verify-$device" accelerators verify "$device" "${others[@]}" --transactions "$transactions" --batch 512 --out "verify-$device"
    step "verify-$device-sequence" accelerators verify "$device" "${sequence[@]}" --transactions "$transactions" --batch 512 --out "verify-$device-sequence"
    step "overhead-$device" accelerators overhead "$device" --batch "$batch"
    step "overhead-$device-sequence" accelerators overhead "$device" "${sequence[@]}" --batch "$batch"
    # Profiles get the card's own name (nvidia-h200), under which its price and its data sheet are kept; curves join in one file.
    step "measure-$device" accelerators measure "$device" --batch "$batch" --seconds "$seconds" --out profiles
    step "measure-$device-sequence" accelerators measure "$device" "${sequence[@]}" --batch "$batch" --seconds "$seconds" --out profiles
    if [ "$device" = cuda ]; then
      for variant in perfect-tree-traversal tree-traversal; do
        step "measure-$device-$variant" accelerators measure "$device" --variant "$variant" --batch "$batch" --seconds "$seconds" --out profiles
      done
      step verify-cuda-graph accelerators verify cuda-graph --accelerators graph.json --transactions "$transactions" --batch 512 --out verify-cuda-graph
      # The same card in another way: apart, or one would replace the other.
      step measure-cuda-graph accelerators measure cuda-graph --accelerators graph.json --batch "$batch" --seconds "$seconds" --out profiles-cuda-graph
      step measure-cuda-graph-sequence accelerators measure cuda-graph --accelerators graph.json "${sequence[@]}" --batch "$batch" --seconds "$seconds" --out profiles-cuda-graph
    fi
  done
  # A page of the processor where no device has one that it stands on.
  if [ ${#absent[@]} -gt 0 ]; then step verify-processor accelerators verify cpu forest-kernel --transactions "$transactions" --batch 512 --out verify-processor; fi
  step measure-processor accelerators measure cpu forest-kernel --batch "$batch" --seconds "$seconds" --out profiles
  step measure-processor-sequence accelerators measure cpu "${sequence[@]}" --batch "$batch" --seconds "$seconds" --out profiles
  step model-run bench model-run
  if [ -z "$time_is_up" ]; then costs "" profiles; fi
  if [ -z "$time_is_up" ] && [ -d "$results/profiles-cuda-graph" ]; then costs -cuda-graph profiles-cuda-graph; fi
  bring
  cat "$results/report.txt"
  # Done means that the run came to its end; whether a device conforms is in its report and in the exit status of its step.
  if [ -n "$time_is_up" ]; then fail TIME_UP "$minutes minutes (RISK_MINUTES) were not enough; what is done is kept in $results, and 'run.sh go' goes on behind it."; fi
  if [ ${#absent[@]} -gt 0 ]; then
    printf '%s\n' "${absent[@]}" "Everything that needs no such device was done: $results/report.txt" >&2
    exit 3
  fi
}

# The crossover of both models, and a fleet for the trace. The profiles that were measured here take the place of the data sheets
# of the same names, and of every other machine's processor. NAME goes behind the results' names, MEASURED has a card's profiles.
costs() {
  local name=$1 measured="$results/$2" compared="$results/compared$1" model
  mkdir -p "$compared"
  find "$compared" -maxdepth 1 -name '*.json' -delete
  find "$work/run/home/ops/profiles" -maxdepth 1 -name '*.json' -exec cp {} "$compared/" \;
  find "$compared" -maxdepth 1 -name '*.json' -exec grep -qE '"kind": *"cpu"' {} \; -delete
  find "$results/profiles" -maxdepth 1 \( -name cpu.json -o -name forest-kernel.json \) -exec cp {} "$compared/" \;
  find "$measured" -maxdepth 1 -name '*.json' -exec cp {} "$compared/" \;
  # Made again from what is there now, whatever an earlier call made of less.
  { grep -vE "^(compare-card-fraud|compare-card-fraud-sequence|plan)$name"$'\t' "$results/steps.tsv" || true; } >"$results/steps.new"
  mv "$results/steps.new" "$results/steps.tsv"
  for model in card-fraud card-fraud-sequence; do
    step "compare-$model$name" cost compare --model "$model@1" --profiles "compared$1" --html "compare-$model$name.html"
  done
  step "plan$name" cost plan --load card-payments-day --scale "$scale" --profiles "compared$1"
}

# Steps whose exit status is one of these: their names, with commas between them.
names() { grep -E $'^[^\t]+\t('"$1"$')\t' "$results/steps.tsv" | cut -f1 | tr '\n' ' ' | sed 's/ $//; s/ /, /g'; }

report() {
  local failed no said=() name status took command page
  failed=$(names '[2-9]|[0-9]{2,}') || true
  no=$(names 1) || true
  if [ -n "$failed" ]; then said+=("FAILED: $failed"); fi
  if [ -n "$no" ]; then said+=("the answer is NO: $no"); fi
  if [ -n "$time_is_up" ]; then said+=("NOT FINISHED, 'run.sh go' goes on"); fi
  if [ ${#said[@]} -eq 0 ]; then said=("all done"); fi
  echo "Accelerator run, $(wc -l <"$results/steps.tsv") steps so far: $(printf '%s; ' "${said[@]}" | sed 's/; $//')"
  if [ ${#absent[@]} -gt 0 ]; then printf '%s\n' "${absent[@]}"; fi
  echo "Settings: $(cat "$results/settings")"
  if [ "$transactions" -lt 100000 ] || [ "$batch" -lt 4096 ] || [[ $seconds == 0* || $seconds == .* ]]; then echo "A quick look, to see that it works: below the defaults, its figures are not to be quoted."; fi
  echo
  sed 's/^/  /' "$results/machine.txt"
  echo
  echo "Steps"
  while IFS=$'\t' read -r name status took command; do
    case $status in 0) status='done' ;; 1) status=NO ;; 124 | 137) status="FAILED (took more than $((step_seconds_max / 60)) minutes)" ;; *) status="FAILED ($status)" ;; esac
    printf '  %-12s %5s s  %-32s %s\n' "$status" "$took" "$name" "$command"
    case $status in FAILED*) cat "$results/$name.out" "$results/$name.err" 2>/dev/null | grep -E '^[A-Z][A-Z_]+: ' | head -n 5 | cut -c1-300 | sed 's/^/       /' || true ;; esac
  done <"$results/steps.tsv"
  echo
  echo "To look at (profiles are what was measured in this run; the pages say of every figure whether it was measured, published or assumed)"
  (cd "$results" && for page in verify-*/conformance.html compare-*.html profiles*/*.json; do if [ -e "$page" ]; then echo "  $page"; fi; done)
  # What the steps said, in full; plans and comparisons are long and have files of their own.
  while IFS=$'\t' read -r name status took command; do
    case $name in list | compare-* | plan*) continue ;; esac
    if [ -s "$results/$name.out" ]; then
      printf '\n== %s: %s\n' "$name" "$command"
      sed 's/^/  /' "$results/$name.out"
    fi
  done <"$results/steps.tsv"
}

# Writes the report, and with OUT leaves it there with everything in one archive: also after each step, for who is cut off.
bring() {
  report >"$results/report.new"
  mv "$results/report.new" "$results/report.txt"
  if [ -z "${OUT:-}" ]; then return 0; fi
  cp "$results/report.txt" "$OUT/"
  tar -C "$work" -cf - results | xz -T0 -2 >"$OUT/results.tar.xz.new"
  mv "$OUT/results.tar.xz.new" "$OUT/results.tar.xz"
}

case ${1:-} in
  pack) shift; pack "$@" ;;
  receive) receive ;;
  go) shift; go "$@" ;;
  # The head of this file is its usage.
  *) sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
