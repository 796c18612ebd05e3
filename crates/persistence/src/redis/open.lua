-- KEYS[4] log, KEYS[5] last, KEYS[6] devices. ARGV[1] user, ARGV[2] device.
local at = redis.call('HGET', KEYS[6], ARGV[2])
local known = 1
if not at then
  known = 0
  at = redis.call('GET', KEYS[5]) or '0'
  if redis.call('HLEN', KEYS[6]) == 0 then
    local oldest = redis.call('XRANGE', KEYS[4], '-', '+', 'COUNT', 1)[1]
    if oldest then
      at = text(tonumber(string.match(oldest[1], '^%d+')) - 1)
    end
  end
  redis.call('HSET', KEYS[6], ARGV[2], at)
end
settle(ARGV[1], KEYS[4], KEYS[5], KEYS[6])
return {tonumber(at), known}
