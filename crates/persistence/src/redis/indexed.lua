-- The index knows now that the user has something to clear up at ARGV[1].
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'indexed', ARGV[1])
end
return 1
