-- ask.messages, each with its row in KEYS: they are where they belong.
for i, message in ipairs(ask.messages) do
  write(KEYS[i + 4], message, 'accepted')
end
return 1
