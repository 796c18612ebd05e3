-- Takes ARGV[1] out of a sorted set, unless it has another score than ARGV[2] by now.
if redis.call('ZSCORE', KEYS[1], ARGV[1]) == ARGV[2] then
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return 1
