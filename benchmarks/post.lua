-- For wrk: post a no-op job and wait for its result; count every answer that is not 200.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init()
  other = 0
end

wrk.method = "POST"
wrk.body = '{"type":"demo.noop","wait":10,"parameters":{"n":1}}'
wrk.headers["Content-Type"] = "application/json"

function response(status)
  if status ~= 200 then other = other + 1 end
end

function done(summary, latency)
  local bad = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  for _, thread in ipairs(threads) do bad = bad + thread:get("other") end
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), bad))
end
