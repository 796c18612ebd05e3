-- KEYS: users with their messages and the version of their inbox; the sum of the messages; users by when there is
-- something to clear up. ARGV: for how long to keep these, then user, messages, version, when. A later version of
-- an inbox stands before an earlier.
local sum = 0
for i = 2, #ARGV, 4 do
  local known = redis.call('HGET', KEYS[1], ARGV[i])
  local count, version = 0, -1
  if known then
    count, version = string.match(known, '^(%d+) (%d+)$')
  end
  if tonumber(ARGV[i + 2]) >= tonumber(version) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1] .. ' ' .. ARGV[i + 2])
    redis.call('ZADD', KEYS[3], ARGV[i + 3], ARGV[i])
    sum = sum + ARGV[i + 1] - count
  end
end
redis.call('INCRBY', KEYS[2], string.format('%.0f', sum))
for _, key in ipairs(KEYS) do
  redis.call('EXPIRE', key, ARGV[1])
end
return 1
