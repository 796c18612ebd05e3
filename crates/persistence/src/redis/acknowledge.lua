-- KEYS[4] log, KEYS[5] last, KEYS[6] devices. ARGV[1] user, ARGV[2] device, ARGV[3] up to.
local at = redis.call('HGET', KEYS[6], ARGV[2])
if not at then
  return 0
end
local upto = math.min(tonumber(ARGV[3]), tonumber(redis.call('GET', KEYS[5]) or 0))
if upto > tonumber(at) then
  redis.call('HSET', KEYS[6], ARGV[2], text(upto))
  local passed_by_all = upto
  for _, other in ipairs(redis.call('HVALS', KEYS[6])) do
    passed_by_all = math.min(passed_by_all, tonumber(other))
  end
  redis.call('XTRIM', KEYS[4], 'MINID', text(passed_by_all + 1))
end
settle(ARGV[1], KEYS[4], KEYS[5], KEYS[6])
return 1
