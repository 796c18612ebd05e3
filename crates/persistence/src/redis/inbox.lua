-- KEYS[4] log, KEYS[5] last.
return {redis.call('XLEN', KEYS[4]), tonumber(redis.call('GET', KEYS[5]) or 0)}
