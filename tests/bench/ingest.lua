-- wrk: a different genuine pixel with each request, from the file that TOKENS names.
local requests, count, current = {}, 0, 0

function init(args)
  for line in io.lines(os.getenv("TOKENS")) do
    count = count + 1
    requests[count] = wrk.format("GET", line)
  end
end

function request()
  current = current % count + 1
  return requests[current]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    "RESULT %d %d %d %d %d\n", summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
