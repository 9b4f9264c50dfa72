# ruby-redis: pipelines, transactions, scripts, scans, streams, pub/sub, errors as the library's classes.
require "redis"

port = Integer(ARGV.fetch(0))
def same(want, got, what)
  return if want == got
  warn "#{what}: wanted #{want.inspect}, got #{got.inspect}"
  $failed = true
end

r = Redis.new(host: "127.0.0.1", port: port)
r.flushall
same true, r.set("k", "v", nx: true, px: 100_000), "SET NX PX"
same false, r.set("k", "w", nx: true), "SET NX again"
r.mapped_hmset("h", "a" => 1, "b" => 2)
same({ "a" => "1", "b" => "2" }, r.hgetall("h"), "HGETALL")
r.zadd("z", [[1.5, "x"], [Float::INFINITY, "y"]])
same [["x", 1.5], ["y", Float::INFINITY]], r.zrange("z", 0, -1, with_scores: true), "ZRANGE"
same [["y", Float::INFINITY]], r.zpopmax("z", 1).then { |p| p.first.is_a?(Array) ? p : [p] }, "ZPOPMAX"

same ["OK", 1, "1"], r.pipelined { |p| p.set("p", "x"); p.incr("n"); p.get("n") }, "a pipeline"
same [2, "2"], r.multi { |t| t.incr("n"); t.get("n") }, "a transaction"
other = Redis.new(host: "127.0.0.1", port: port)
broken = r.watch("n") do
  other.incr("n")
  r.multi { |t| t.incr("n") }
end
same nil, broken, "a transaction whose key was changed"

script = "local t = {} for i, k in ipairs(KEYS) do t[i] = redis.call('GET', k) or false end return t"
sha = r.script(:load, script)
same ["v", nil, "3"], r.evalsha(sha, %w[k absent n]), "EVALSHA"
same [true, false], r.script(:exists, [sha, "0" * 40]), "SCRIPT EXISTS"
begin
  r.lpush("k", "x")
  same "an error", nil, "LPUSH on a string"
rescue Redis::CommandError => e
  same "WRONGTYPE Operation against a key holding the wrong kind of value", e.message, "its text"
end

r.mset(*(0...300).flat_map { |i| ["scan:#{i}", "x"] })
same 300, r.scan_each(match: "scan:*").to_a.uniq.size, "SCAN"
id = r.xadd("s", { "f" => "v" })
r.xgroup(:create, "s", "g", "0")
same({ "s" => [[id, { "f" => "v" }]] }, r.xreadgroup("g", "c", "s", ">"), "XREADGROUP")
same 1, r.xpending("s", "g")["size"], "XPENDING"
same 1, r.xack("s", "g", id), "XACK"
popped = Thread.new { other.blpop("queue", timeout: 60) }
sleep 0.05
r.rpush("queue", "x")
same %w[queue x], popped.value, "BLPOP"

heard = []
listener = Redis.new(host: "127.0.0.1", port: port)
thread = Thread.new do
  listener.psubscribe("news.*") do |on|
    on.pmessage { |pattern, channel, message| heard << [pattern, channel, message]; listener.punsubscribe }
  end
end
sleep 0.01 while r.publish("news.today", "hello").zero?
thread.join
same [["news.*", "news.today", "hello"]], heard, "PSUBSCRIBE"
r.close
puts $failed ? "failed" : "ok"
exit($failed ? 1 : 0)
