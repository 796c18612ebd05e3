-- KEYS[4] log, KEYS[5] last, KEYS[6] devices, KEYS[7] what each device was sent. ARGV[1] user, ARGV[2] device,
-- ARGV[3] up to.
redis.call('HSET', KEYS[7], ARGV[2], ARGV[3])
settle(ARGV[1], KEYS[4], KEYS[5], KEYS[6])
redis.call('EXPIRE', KEYS[7], KEEP)
return 1
