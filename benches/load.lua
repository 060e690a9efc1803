-- What wrk sends: the routes with the sessions' cookies in turn, so that two requests seldom meet in one session.
-- And what it prints at the end: one line of JSON for the harness.

local requests, next_request = {}, 0

-- arguments: a file of cookies, routes separated by commas, how many milliseconds a connection waits between two requests, and
-- the form that is posted, if one is. An empty line in the file is a visitor without a cookie.
function init(arguments)
    local number = 0
    for cookie in io.lines(arguments[1]) do
        number = number + 1
        local routes = {}
        for route in arguments[2]:gmatch("[^,]+") do routes[#routes + 1] = "/bench/" .. route end
        local headers, form = {}, arguments[4]
        if cookie ~= "" then headers["Cookie"] = cookie end
        if form then headers["Content-Type"] = "application/x-www-form-urlencoded" end
        requests[number] = wrk.format(form and "POST" or "GET", routes[number % #routes + 1], headers, form)
    end
    local pause = tonumber(arguments[3])
    if pause > 0 then
        delay = function() return pause end
    end
end

function request()
    next_request = next_request % #requests + 1
    return requests[next_request]
end

function done(summary, latency)
    local errors = summary.errors
    print(string.format(
        '{"requests": %d, "microseconds": %d, "errors": %d, "p50": %d, "p99": %d, "slowest": %d}',
        summary.requests, summary.duration,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout,
        latency:percentile(50), latency:percentile(99), latency.max))
end
