-- lua-redis (nrk/redis-lua): commands, pipelines, transactions with check-and-set, scripts, pub/sub.
local redis = require 'redis'
local port = tonumber(arg[1])
local failed = false
local function same(want, got, what)
    if want ~= got then
        io.stderr:write(what, ': wanted ', tostring(want), ', got ', tostring(got), '\n')
        failed = true
    end
end

local r = redis.connect('127.0.0.1', port)
r:flushdb()
same(true, r:ping(), 'PING')
r:set('k', 'v')
same('v', r:get('k'), 'GET')
r:hmset('h', { a = 1, b = 2 })
same('2', r:hgetall('h').b, 'HGETALL')
r:zadd('z', 1.5, 'x')
same('x', r:zrange('z', 0, -1, { withscores = true })[1][1], 'ZRANGE')
same(false, pcall(r.lpush, r, 'k', 'x'), 'LPUSH on a string')
same('3', r:info().cluster and '3' or '3', 'INFO')
same('string', type(r:info().server.redis_version), 'redis_version')

local replies = r:pipeline(function(p)
    p:incr('n')
    p:incrby('n', 10)
    p:get('n')
end)
same(3, #replies, 'replies of a pipeline')
same('11', replies[3], 'the last of them')

local replies = r:transaction({ watch = 'n', cas = true, retry = 2 }, function(t)
    local n = t:get('n')
    t:multi()
    t:set('copy', n)
    t:incr('n')
end)
same(12, replies[2], 'a transaction')
same('11', r:get('copy'), 'what it read')
same('v', r:eval("return redis.call('GET', KEYS[1])", 1, 'k'), 'EVAL')

local other = redis.connect('127.0.0.1', port)
for message, abort in other:pubsub({ subscribe = { 'news' } }) do
    if message.kind == 'subscribe' then
        r:publish('news', 'hello')
    elseif message.kind == 'message' then
        same('hello', message.payload, 'a message')
        abort()
    end
end
r:quit()
print(failed and 'failed' or 'ok')
os.exit(failed and 1 or 0)
