-- A GET request by one caller after the other, so that no caller exceeds its share. The file TOKENS has their tokens.

local requests, next_one = {}, 0

function init()
    for token in io.lines(os.getenv("TOKENS")) do
        requests[#requests + 1] = wrk.format("GET", nil, { Authorization = "Bearer " .. token, Host = "x" })
    end
end

function request()
    next_one = next_one % #requests + 1
    return requests[next_one]
end

-- `wrk` does not say which latency belongs to which status. If all rejected requests were fast, the slowest percent of those
-- answered would be the slowest of all.
function done(summary, latency)
    local errors = summary.errors
    local rejected = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    local answered = math.max(0, summary.requests - rejected) / math.max(1, summary.requests)
    io.write(string.format(
        '{"requests": %d, "microseconds": %d, "p99_us": %d, "rejected": %d}\n',
        summary.requests, summary.duration, latency:percentile(100 - answered), rejected))
end
