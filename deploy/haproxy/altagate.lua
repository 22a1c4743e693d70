-- Asks altagate whether a viewer may have what he requests. For HAProxy 2.6 or later.
--
--   global
--       lua-load-per-thread /etc/haproxy/altagate.lua
--   frontend viewers
--       http-request lua.altagate http://127.0.0.1:9180/auth/haproxy
--       http-request deny deny_status 503 unless { var(txn.altagate_allow) -m bool }
--
-- Both lines are needed: HAProxy goes on after an action that has failed.
--
-- After it, for the log and for headers to the origin: txn.altagate_decision,
-- txn.altagate_reason, txn.altagate_session, txn.altagate_user and
-- txn.altagate_session_name, and txn.altagate_id with "join: [id]".

-- altagate answers within 5 s by itself.
local timeout = 6000

-- What a header to altagate cannot hold.
local control = "[%z\1-\8\10-\31\127]"

-- What altagate tells, and the variable that gets it.
local told = {
    ["x-altagate-decision"] = "txn.altagate_decision",
    ["x-altagate-reason"] = "txn.altagate_reason",
    ["x-altagate-id"] = "txn.altagate_id",
    ["x-session-id"] = "txn.altagate_session",
    ["x-session-name"] = "txn.altagate_session_name",
    ["x-user-id"] = "txn.altagate_user",
}

-- Every value of a header, as it came. HAProxy counts them from 0.
local function values(header)
    local all = {}
    for i = 0, header and #header or -1 do
        all[#all + 1] = header[i]
    end
    return all
end

-- The signed ids in the viewer's cookies, and no other cookie.
local function ids(cookies)
    local all = {}
    for _, line in ipairs(values(cookies)) do
        for id in (";" .. line):gmatch("; *altagate_id=([%w._-]+)") do
            all[#all + 1] = "altagate_id=" .. id
        end
    end
    return table.concat(all, "; ", 1, math.min(#all, 4))
end

-- The check: what HAProxy knows of the request, header by header. Nothing else of the
-- viewer's goes to altagate.
local function check(txn)
    local headers = txn.http:req_get_headers()
    local host = values(headers["host"])[1] or ""
    local agents = values(headers["user-agent"])
    local about = {
        ["host"] = { "altagate" },
        ["x-original-uri"] = { txn.sf:pathq() },
        ["x-original-method"] = { txn.sf:method() },
        -- Where TLS ends in front of HAProxy, write "https" here and the port that
        -- viewers ask below: a viewer must not choose them.
        ["x-forwarded-proto"] = { txn.sf:ssl_fc() == 1 and "https" or "http" },
        ["x-forwarded-host"] = { host:gsub(":%d*$", "") .. ":" .. txn.sf:dst_port() },
        ["x-real-ip"] = { txn.sf:src() },
        -- An empty one, or HAProxy would send its own.
        ["user-agent"] = #agents > 0 and agents or { "" },
    }
    local cookies = ids(headers["cookie"])
    if cookies ~= "" then
        about["cookie"] = { cookies }
    end
    for _, all in pairs(about) do
        for _, value in ipairs(all) do
            if value:find(control) then
                return nil
            end
        end
    end
    return about
end

core.register_action("altagate", { "http-req" }, function(txn, url)
    local status = 403
    local about = check(txn)
    if about then
        local answer = core.httpclient():get({ url = url, headers = about, timeout = timeout })
        for name, variable in pairs(told) do
            local value = answer.headers and answer.headers[name]
            if value then
                txn:set_var(variable, value[0])
            end
        end
        -- Whatever else answers at this URL, it does not say so.
        if answer.status == 200 and txn:get_var("txn.altagate_decision") == "allow" then
            txn:set_var("txn.altagate_allow", true)
            return
        end
        -- Where the route sends the viewer, if it has a "redirect".
        local to = answer.headers and answer.headers["x-altagate-redirect"]
        if to and txn:get_var("txn.altagate_decision") == "deny" then
            txn:done(txn:reply({ status = 302, headers = { location = { to[0] } } }))
            return
        end
        -- A status below 400 is no denial of altagate's, and so it is not there.
        status = answer.status and answer.status >= 400 and answer.status or 503
    else
        txn:set_var("txn.altagate_decision", "deny")
        txn:set_var("txn.altagate_reason", "malformed")
    end
    txn:done(txn:reply({ status = status }))
end, 1)
