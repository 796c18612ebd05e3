-- What expired since it was last used is not kept any more. A thousand at a time, not to hold Redis up.
local before = '(' .. text(redis.call('TIME')[1] - KEEP)
for _, user in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', before, 'LIMIT', 0, 1000)) do
  redis.call('DECRBY', KEYS[1], redis.call('HGET', KEYS[2], user) or 0)
  redis.call('HDEL', KEYS[2], user)
  redis.call('ZREM', KEYS[3], user)
end
return tonumber(redis.call('GET', KEYS[1]) or 0)
