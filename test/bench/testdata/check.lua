-- A proxy: each request is a check as the shipped nginx config puts it. The
-- arguments, and what is printed, are those of viewer.lua.

local before, after, count, viewers

function init(args)
    before = "GET /auth/nginx HTTP/1.1\r\nHost: altagate\r\nX-Original-URI: /live/index.m3u8?token=" .. args[1] .. "-"
    after = "\r\nX-Original-Method: GET\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: tv.example.com:80\r\n" ..
        "X-Real-IP: 127.0.0.1\r\nUser-Agent: VLC/3.0.20 LibVLC/3.0.20\r\n\r\n"
    count = 0
    viewers = tonumber(args[2])
end

function request()
    count = count + 1
    return before .. (viewers and count % viewers or count) .. after
end

function done(summary, latency)
    local e = summary.errors
    io.write(string.format("result %d %d %d %d %d\n", summary.requests, summary.duration,
        latency:percentile(99), e.status, e.connect + e.read + e.write + e.timeout))
end
