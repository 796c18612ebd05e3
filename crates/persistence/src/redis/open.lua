-- KEYS[4] log, KEYS[5] last, KEYS[6] devices, KEYS[7] what each device was sent. ARGV[1] user, ARGV[2] device.
local at = redis.call('HGET', KEYS[6], ARGV[2])
local known = 1
local last = redis.call('GET', KEYS[5]) or '0'
if not at then
  known = 0
  at = last
  if redis.call('HLEN', KEYS[6]) == 0 then
    local oldest = redis.call('XRANGE', KEYS[4], '-', '+', 'COUNT', 1)[1]
    if oldest then
      at = text(tonumber(string.match(oldest[1], '^%d+')) - 1)
    end
  end
  redis.call('HSET', KEYS[6], ARGV[2], at)
end
-- A device that has not left, because its server ended or it has another session, may have been sent everything.
local sent = redis.call('HGET', KEYS[7], ARGV[2]) or at
if sent == 'connected' then
  sent = last
end
redis.call('HSET', KEYS[7], ARGV[2], 'connected')
settle(ARGV[1], KEYS[4], KEYS[5], KEYS[6])
redis.call('EXPIRE', KEYS[7], KEEP)
return {tonumber(at), tonumber(sent), tonumber(last), known}
