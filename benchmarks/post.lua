-- wrk script: post quick jobs; at the end print one JSON line of figures.
-- Arguments: the body to post, and the status that it must be answered. Every other answer is counted (wrk itself counts
-- only those above 399, and to a job that is waited for, 202 means "not ended in time").

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  wrk.body, expected = args[1], tonumber(args[2])
  unexpected = 0
end

function response(status, headers, body)
  if status ~= expected then
    unexpected = unexpected + 1
  end
end

function done(summary, latency, requests)
  local odd, errors = 0, summary.errors
  for _, thread in ipairs(threads) do
    odd = odd + thread:get("unexpected")
  end
  io.write(string.format(
    '\nfigures {"requests":%d,"seconds":%.6f,"p50_ms":%.3f,"p99_ms":%.3f,"unexpected":%d,"socket_errors":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    odd, errors.connect + errors.read + errors.write + errors.timeout))
end
