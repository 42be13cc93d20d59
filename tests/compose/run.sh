#!/usr/bin/env bash
# docker-compose.yml, really brought up: build, start, a job through the published port, Flower, the subscriber's log,
# two workers, and down again. Needs `docker compose`, or podman with podman-compose.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PORT=${PORT:-18000} FLOWER_PORT=${FLOWER_PORT:-15555}
if docker info >/dev/null 2>&1; then compose=(docker compose -p jobs-test); engine=docker
elif command -v podman-compose >/dev/null; then compose=(podman-compose -p jobs-test); engine=podman
else echo "make compose-test needs a container engine: docker with compose, or podman with podman-compose"; exit 2; fi
api=http://127.0.0.1:$PORT flower=http://127.0.0.1:$FLOWER_PORT

step() { printf '\n== %s\n' "$*"; }
fail() { echo "FAILED: $*"; "${compose[@]}" logs 2>&1 | tail -60; exit 1; }
until_true() { # SECONDS WHAT COMMAND...
  local deadline=$((SECONDS + $1)) what=$2; shift 2
  until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $deadline ] || fail "$what"; sleep 1; done
}
down() {
  # podman-compose forgets the containers that --scale added
  "$engine" ps -aq --filter "name=jobs-test[_-]worker[_-]2" | xargs -r "$engine" rm -f -t 15 >/dev/null 2>&1 || true
  "${compose[@]}" down -v -t 15 >/dev/null 2>&1 || true
}
trap down EXIT
has_types() { curl -sf "$api/job-types" | grep -q demo.noop; }
in_flower() { curl -sf "$flower/api/task/info/$1" | grep -q '"state": "SUCCESS"'; }
told() { "${compose[@]}" logs subscriber 2>&1 | grep -q "received completed.*$1"; }
workers() { [ "$(curl -sf "$flower/api/workers?refresh=1" | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))')" -ge "$1" ]; }

step "build and start"
down
"${compose[@]}" up -d --build 2>&1 | grep -E '^(Successfully|STEP|COMMIT)|[Ee]rror' | tail -20 || true
until_true 90 "the API is not ready" curl -sf "$api/health/ready"
until_true 60 "no worker announced a type" has_types
until_true 60 "Flower does not answer" curl -sf "$flower/healthcheck"
until_true 60 "Flower sees no worker" workers 1
"$engine" ps --filter name=jobs-test --format '{{.Names}} {{.Status}}'

step "a job through the published port"
answer=$(curl -s -w '\n%{http_code}' "$api/jobs" -H 'Content-Type: application/json' \
  -d '{"type":"demo.random_delay","owner":"microservice-x","parameters":{"seconds":0.3},"wait":10}')
echo "$answer"
[ "${answer##*$'\n'}" = 200 ] || fail "the job was not answered 200"
id=$(printf '%s' "$answer" | head -1 | python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')

step "the same id in Flower and in the subscriber's log"
until_true 20 "Flower does not know the job" in_flower "$id"
curl -s "$flower/api/task/info/$id" | head -c 200; echo
until_true 20 "the subscriber was not told" told "$id"
"${compose[@]}" logs subscriber 2>&1 | grep "$id" | tail -4

step "two workers"
"${compose[@]}" up -d --scale worker=2 2>&1 | tail -3 || true
until_true 60 "the second worker did not come" workers 2
curl -s "$flower/api/workers?refresh=1" | python3 -c 'import json, sys; print(*sorted(json.load(sys.stdin)), sep="\n")'

step "nobody runs as root"
for service in api worker subscriber flower; do
  uid=$("$engine" exec "$("$engine" ps -q --filter "name=jobs-test.$service" | head -1)" id -u)
  echo "$service uid $uid"; [ "$uid" = 10001 ] || fail "$service runs as $uid"
done

step "down"
down
left=$("$engine" ps -aq --filter name=jobs-test | wc -l)
[ "$left" = 0 ] || fail "$left containers are left"
echo "compose-test passed"
