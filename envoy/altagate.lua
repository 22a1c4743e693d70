-- Sets the cookie with a viewer's signed id, for routes with "join: [id]". Envoy
-- runs it as a filter behind ext_authz; docs/envoy.md has the lines for its config.
--
-- A playlist's answer sets it for the playlist's directory, once. Change: Max-Age
-- to session.max of the route, and where viewers come over https SameSite=Lax to
-- "Secure; SameSite=None; Partitioned", so that a page of another site can play.
local attributes = "; Max-Age=86400; HttpOnly; SameSite=Lax"

-- The directory of a playlist as the player spells it. None where this is no
-- playlist, or has in its path what cannot stand in a cookie.
local function directory(target)
  local above, name = target:match("^[^?]*"):match("^(/[%w._~%%!&'()*+=:@/-]*/)([^/;]+)$")
  if not above then
    above, name = target:match("^[^?]*"):match("^(/)([^/;]+)$")
  end
  if name and (name:match(".%.m3u8$") or name:match(".%.mpd$")) then
    return above
  end
end

function envoy_on_request(handle)
  local id = handle:headers():get("x-altagate-id")
  local above = directory(handle:headers():get(":path"))
  local cookies = handle:headers():get("cookie") or ""
  if id and above and not (cookies .. ";"):find("altagate_id=" .. id .. ";", 1, true) then
    local cookie = "altagate_id=" .. id .. "; Path=" .. above .. attributes
    handle:streamInfo():dynamicMetadata():set("altagate.cookie", "set", cookie)
  end
end

function envoy_on_response(handle)
  local cookie = handle:streamInfo():dynamicMetadata():get("altagate.cookie")
  local status = handle:headers():get(":status")
  if cookie and (status == "200" or status == "206" or status == "304") then
    handle:headers():add("set-cookie", cookie["set"])
    handle:headers():add("cache-control", "private")
  end
end
