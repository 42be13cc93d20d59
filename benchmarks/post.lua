-- wrk script: post quick jobs and wait for each; at the end print one JSON line of figures.
-- Counts every answer that is not 200 (wrk itself counts only those above 399, and 202 means "not ended in time").

wrk.method = "POST"
wrk.body = '{"type":"demo.noop","wait":10}'
wrk.headers["Content-Type"] = "application/json"

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  not_200 = 0
end

function response(status, headers, body)
  if status ~= 200 then
    not_200 = not_200 + 1
  end
end

function done(summary, latency, requests)
  local refused, errors = 0, summary.errors
  for _, thread in ipairs(threads) do
    refused = refused + thread:get("not_200")
  end
  io.write(string.format(
    '\nfigures {"requests":%d,"seconds":%.6f,"p50_ms":%.3f,"p99_ms":%.3f,"not_200":%d,"socket_errors":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    refused, errors.connect + errors.read + errors.write + errors.timeout))
end
