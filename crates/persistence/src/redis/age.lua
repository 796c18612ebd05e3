-- Forgets the messages whose rows and lists of steps stand in KEYS, if none of their ids has come again since.
local gone = 0
for i, id in ipairs(ask.ids) do
  local at = redis.call('ZSCORE', aging, id)
  if at and tonumber(at) <= ask.now then
    gone = gone + redis.call('DEL', KEYS[3 + 2 * i])
    redis.call('DEL', KEYS[4 + 2 * i])
    redis.call('ZREM', aging, id)
  end
end
return gone
