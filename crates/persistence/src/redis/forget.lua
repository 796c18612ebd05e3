-- Takes the user ARGV[1] out of the index (as in count.lua), if nothing has changed since it was found that there
-- was something to clear up at ARGV[2].
local known = redis.call('HGET', KEYS[1], ARGV[1])
if tonumber(redis.call('ZSCORE', KEYS[3], ARGV[1]) or nil) == tonumber(ARGV[2]) then
  redis.call('ZREM', KEYS[3], ARGV[1])
  if known then
    redis.call('HDEL', KEYS[1], ARGV[1])
    redis.call('DECRBY', KEYS[2], string.match(known, '^%d+'))
  end
end
return 1
