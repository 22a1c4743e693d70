-- A proxy: each request is a check as the shipped nginx config puts it. The
-- arguments, and what is printed, are those of viewer.lua.

local before, between, last, after, count, viewers

function init(args)
    before = "GET /auth/nginx HTTP/1.1\r\nHost: altagate\r\nX-Original-URI: /live/index.m3u8?token=" .. args[1] .. "-"
    between = "\r\nX-Original-Method: GET\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: tv.example.com:80\r\nX-Real-IP: "
    last = "\r\nUser-Agent: VLC/3.0.20 LibVLC/3.0.20 " .. args[1] .. "-"
    after = "\r\n\r\n"
    count = 0
    viewers = tonumber(args[2])
end

function request()
    count = count + 1
    local viewer = viewers and count % viewers or count
    local address = "10." .. math.floor(viewer / 65536) % 256 .. "." .. math.floor(viewer / 256) % 256 .. "." .. viewer % 256
    return before .. viewer .. between .. address .. last .. viewer .. after
end

function done(summary, latency)
    local e = summary.errors
    io.write(string.format("result %d %d %d %d %d\n", summary.requests, summary.duration,
        latency:percentile(99), e.status, e.connect + e.read + e.write + e.timeout))
end
