-- KEYS[1] is the row, KEYS[2] the list of steps.
local row = redis.call('HMGET', KEYS[1], 'state', 'at', 'deliver_at', 'released')
return {row[1], row[2], row[3], row[4], redis.call('LRANGE', KEYS[2], 0, -1)}
