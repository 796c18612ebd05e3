-- ARGV[i] are steps of the message whose row and list stand in KEYS.
for i = 1, #ARGV do
  local row, list = KEYS[2 * i - 1], KEYS[2 * i]
  local left = redis.call('PTTL', row)
  if left > 0 then
    redis.call('RPUSH', list, ARGV[i])
    redis.call('PEXPIRE', list, left)
  end
end
return 1
