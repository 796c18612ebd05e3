-- Takes out what is over, forgets devices that were not seen for too long; at most 500 of each. ask.device counts as not
-- seen at all.
if not row[1] then
  return answer({gone = true, expired = 0, forgotten = 0, more = false})
end
local expired = 0
local function expire(mark, why)
  local member = find(mark)
  if member then
    steps[#steps + 1] = {mark, why}
    take_out(member)
    expired = expired + 1
  end
end
for _, mark in ipairs(redis.call('ZRANGEBYSCORE', over, '-inf', text(ask.now), 'LIMIT', 0, 500)) do
  expire(mark, 'ended')
  redis.call('ZREM', over, mark)
end
while expired < 500 do
  local oldest = redis.call('ZRANGE', log, 0, 0)[1]
  local mark = oldest and string.sub(oldest, 2)
  if not mark or head(mark) + ask.age > ask.now then
    break
  end
  expire(mark, 'age')
end
local forgotten = 0
if ask.device and not is_connected(ask.device) then
  redis.call('ZADD', seen, 'XX', 0, ask.device)
end
local unseen = redis.call('ZRANGEBYSCORE', seen, '-inf', text(ask.now - ask.device_ttl), 'LIMIT', 0, 500)
for _, device in ipairs(unseen) do
  if is_connected(device) then
    redis.call('ZADD', seen, text(ask.now), device)
  else
    for _, key in ipairs({acknowledged, sent, seen}) do
      redis.call('ZREM', key, device)
    end
    for _, filter in ipairs(followed_by(device)) do
      redis.call('ZREM', topics, filter .. '\0' .. device)
    end
    forgotten = forgotten + 1
  end
end
if forgotten > 0 then
  trim()
end
if expired > 0 or forgotten > 0 then
  write({})
elseif #online > 0 then
  renew({})
end
return answer({expired = expired, forgotten = forgotten, more = expired >= 500 or #unseen == 500})
