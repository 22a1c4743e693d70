-- Viewers: each request is one of a new viewer, with a token, a player and an address of
-- his own, or, with a second argument, that of one of so many viewers in turn, whose sessions it
-- joins. The first makes this run's viewers differ from other runs'.
-- Prints one line at the end:
--   requests, microseconds, p99 in microseconds, answers of 400 and above, socket errors

local before, between, last, after, count, viewers

function init(args)
    before = "GET /live/index.m3u8?token=" .. args[1] .. "-"
    between = " HTTP/1.1\r\nHost: tv.example.com\r\nUser-Agent: VLC/3.0.20 LibVLC/3.0.20 " .. args[1] .. "-"
    last = "\r\nX-Forwarded-For: "
    after = "\r\n\r\n"
    count = 0
    viewers = tonumber(args[2])
end

function request()
    count = count + 1
    local viewer = viewers and count % viewers or count
    local address = "10." .. math.floor(viewer / 65536) % 256 .. "." .. math.floor(viewer / 256) % 256 .. "." .. viewer % 256
    return before .. viewer .. between .. viewer .. last .. address .. after
end

function done(summary, latency)
    local e = summary.errors
    io.write(string.format("result %d %d %d %d %d\n", summary.requests, summary.duration,
        latency:percentile(99), e.status, e.connect + e.read + e.write + e.timeout))
end
