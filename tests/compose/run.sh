#!/usr/bin/env bash
# docker-compose.yml, really brought up: build, start, healthchecks, a job through the published port, Flower, the
# subscriber's log, two workers, and down with nothing left. Needs `docker compose`, or podman with podman-compose.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PORT=${PORT:-18000} FLOWER_PORT=${FLOWER_PORT:-15555}
project=jobs-test label=label=com.docker.compose.project=jobs-test
api=http://127.0.0.1:$PORT flower=http://127.0.0.1:$FLOWER_PORT
command -v timeout >/dev/null || timeout() { shift; "$@"; } # macOS has none
if timeout 20 docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; then engine=docker command=(docker compose -p $project)
elif command -v podman >/dev/null && command -v podman-compose >/dev/null; then engine=podman command=(podman-compose -p $project)
else echo "make compose-test needs a container engine: docker with compose, or podman with podman-compose"; exit 2; fi

log=$(mktemp) # what the engine says: shown when something fails
trap 'down; rm -f "$log"' EXIT

step() { printf '\n== %s (after %s s)\n' "$*" $SECONDS; }
fail() {
  echo "-- the engine"; grep -v systemd "$log" | tail -25
  for name in $(names); do echo "-- $name"; "$engine" logs --tail 25 "$name" 2>&1 || true; done
  printf '\nFAILED: %s\n' "$*"; exit 1
}
compose() { timeout "$1" "${command[@]}" "${@:2}" >>"$log" 2>&1; }
names() { "$engine" ps -a --filter "$label" ${1:+--filter "label=com.docker.compose.service=$1"} --format '{{.Names}}' | sort; }
down() {
  # podman-compose forgets the workers that --scale added
  for name in $(names worker | sed 1d); do timeout 60 "$engine" rm -f "$name" >>"$log" 2>&1 || true; done
  compose 200 down -v || true
}
until_true() { # SECONDS WHAT-IS-WRONG-OTHERWISE COMMAND...
  local deadline=$((SECONDS + $1))
  until "${@:3}" >/dev/null 2>&1; do [ $SECONDS -lt $deadline ] || fail "$2"; sleep 1; done
}
get() { curl -sf --max-time 15 "$@"; }
pick() { python3 -c 'import json, sys; job = json.load(sys.stdin); print(*(f"{key}={job[key]}" for key in sys.argv[1:]))' "$@"; }
workers() { get "$flower/api/workers?refresh=1" | python3 -c 'import json, sys; sys.stdout.writelines(f"{name}\n" for name in sorted(json.load(sys.stdin)))'; }
there_are() { [ "$(workers | wc -l)" -eq "$1" ]; }
announced() { get "$api/job-types" | grep -q demo.random_delay; }
in_flower() { get "$flower/api/task/info/$1" | grep -q '"state": "SUCCESS"'; }
subscriber_log() { "$engine" logs "$(names subscriber)" 2>&1 | grep "$1"; }
audited() { "$engine" exec "$(names audit)" grep -c "\"job.completed\".*$1" /var/lib/jobs/audit.jsonl; }
healthy() { # podman runs no healthcheck on its own where there is no systemd
  if [ $engine = podman ]; then timeout 20 podman healthcheck run "$1"
  else docker inspect -f '{{.State.Health.Status}}' "$1" | grep -qx healthy; fi
}
all_healthy() { for name in $(names "$@"); do until_true 90 "$name is not healthy" healthy "$name"; echo "healthy: $name"; done; }
there_is() {
  "$engine" ps -a --filter "$label" --format 'container {{.Names}}'
  "$engine" volume ls --filter "$label" --format 'volume {{.Name}}'
  "$engine" network ls --filter "$label" --format 'network {{.Name}}'
}

step "build, with ${command[*]}"
down # what a killed run left
compose 1800 build || fail "the image was not built"
"$engine" images --format '{{.Repository}} {{.Size}}' joborchestrator

step "start"
compose 300 up -d || fail "the services were not started"
[ "$(names | wc -l)" -eq "$("${command[@]}" config --services 2>/dev/null | wc -l)" ] || fail "not one container for each service"
all_healthy
until_true 60 "no worker announced its job types" announced
until_true 60 "Flower does not see the one worker" there_are 1

step "a job through the published port"
answer=$(curl -s --max-time 15 -w '\n%{http_code}' "$api/jobs" -H 'Content-Type: application/json' \
  -d '{"type": "demo.random_delay", "owner": "microservice-x", "parameters": {"seconds": 0.6}, "wait": 10}') || fail "no answer"
job=${answer%$'\n'*} code=${answer##*$'\n'}
[ "$code" = 200 ] || fail "the job was answered $answer"
id=$(pick id <<<"$job"); id=${id#id=}
echo "200 $(pick id status result duration <<<"$job")"

step "the same id in Flower, and in the subscriber's log"
until_true 30 "Flower does not know the job" in_flower "$id"
get "$flower/api/task/info/$id" | pick uuid name state worker
until_true 30 "the subscriber was not told" subscriber_log "received completed.*$id"
subscriber_log "$id"
until_true 30 "the audit file has no final event of the job" audited "$id"
echo "audited: $(audited "$id") final event"

step "two workers"
compose 300 up -d --scale worker=2 || fail "the second worker was not started"
until_true 60 "Flower does not see two workers" there_are 2
workers
all_healthy worker

step "nobody runs as root"
for name in $(names api) $(names worker) $(names subscriber) $(names webhooks) $(names audit) $(names flower); do
  uid=$("$engine" exec "$name" id -u)
  echo "uid $uid: $name"; [ "$uid" = 10001 ] || fail "$name runs as $uid"
done

step "down"
there_is | sed 's/^/there is /'
"$engine" stop -t 30 $(names) >>"$log" 2>&1 || fail "stop"
for name in $(names); do
  code=$("$engine" inspect -f '{{.State.ExitCode}}' "$name")
  echo "exit code $code: $name"; [ "$code" = 0 ] || fail "$name did not end by itself"
done
down
[ -z "$(there_is)" ] || fail "left behind: $(there_is)"
echo "nothing is left"
printf '\ncompose-test passed (after %s s)\n' $SECONDS
