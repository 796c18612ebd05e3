return answer({waiting = redis.call('ZCARD', log), bytes = bytes, last = last})
