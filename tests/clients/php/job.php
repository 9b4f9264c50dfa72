<?php
// phpredis: options, pipelines, transactions, scans, scripts, streams, pub/sub, and PHP's own sessions through it.
$port = (int)$argv[1];
$failed = 0;
function same($want, $got, string $what): void {
    global $failed;
    if ($want !== $got) {
        fwrite(STDERR, "$what: wanted " . json_encode($want) . ', got ' . json_encode($got) . "\n");
        $failed = 1;
    }
}

$r = new Redis();
$r->connect('127.0.0.1', $port, 10);
$r->flushAll();
same(true, $r->set('k', 'v', ['nx', 'px' => 100000]), 'SET NX PX');
same(false, $r->set('k', 'w', ['nx']), 'SET NX again');
same(true, $r->pttl('k') > 90000, 'PTTL');
same(3, $r->incrBy('n', 3), 'INCRBY');
same(['a' => '1', 'b' => '2'], $r->hMSet('h', ['a' => 1, 'b' => 2]) ? $r->hGetAll('h') : null, 'HGETALL');
$r->zAdd('z', 1.5, 'x', 2, 'y');
same(['x' => 1.5, 'y' => 2.0], $r->zRange('z', 0, -1, true), 'ZRANGE WITHSCORES');
$r->rPush('l', 'c', 'a', 'b');
same(['a', 'b', 'c'], $r->sort('l', ['alpha' => true]), 'SORT');

same([true, 'x', 4], $r->multi(Redis::PIPELINE)->set('p', 'x')->get('p')->incr('n')->exec(), 'a pipeline');
same([5, '5'], $r->multi()->incr('n')->get('n')->exec(), 'a transaction');
$r2 = new Redis();
$r2->pconnect('127.0.0.1', $port, 10, 'skald-test');
$r->watch('n');
$r2->incr('n');
same(false, $r->multi()->incr('n')->exec(), 'a transaction whose key was changed');

$r->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_PHP);
$r->setOption(Redis::OPT_PREFIX, 'app:');
$r->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
$value = ['name' => 'Ä', 'list' => [1, 2.5, null, true]];
$r->set('object', $value);
same($value, $r->get('object'), 'a serialised value');
for ($i = 0; $i < 300; $i++) {
    $r->set("scan:$i", $i);
}
$seen = [];
for ($cursor = null; ($keys = $r->scan($cursor, 'app:scan:*', 50)) !== false;) {
    $seen += array_flip($keys);
}
same(300, count($seen), 'SCAN');
$r->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_NONE);
$r->setOption(Redis::OPT_PREFIX, '');

$unlock = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";
$r->set('lock', 'me', ['nx', 'ex' => 10]);
same(0, $r->eval($unlock, ['lock', 'you'], 1), 'somebody else unlocks');
$sha = $r->script('load', $unlock);
same(sha1($unlock), $sha, 'SCRIPT LOAD');
same(1, $r->evalSha($sha, ['lock', 'me'], 1), 'the owner unlocks');
same(false, $r->evalSha(str_repeat('0', 40)), 'an unknown script');
same(true, str_starts_with($r->getLastError(), 'NOSCRIPT'), 'NOSCRIPT');

$id = $r->xAdd('s', '*', ['f' => 'v']);
$r->xGroup('CREATE', 's', 'g', '0');
same(['s' => [$id => ['f' => 'v']]], $r->xReadGroup('g', 'c', ['s' => '>']), 'XREADGROUP');
same(1, $r->xAck('s', 'g', [$id]), 'XACK');
$r->geoAdd('geo', 13.361389, 38.115556, 'Palermo', 15.087269, 37.502669, 'Catania');
same(166274.1516, $r->geoDist('geo', 'Palermo', 'Catania'), 'GEODIST');

// PHP's sessions, with their lock.
ini_set('session.save_handler', 'redis');
ini_set('session.save_path', "tcp://127.0.0.1:$port?prefix=sess:");
ini_set('redis.session.locking_enabled', '1');
ini_set('session.use_cookies', '0');
ini_set('session.cache_limiter', '');
session_id('fixed');
session_start();
$_SESSION['cart'] = ['apple', 'pear'];
same(1, $r->exists('sess:fixed_LOCK'), 'a session is locked while it is open');
session_write_close();
same(0, $r->exists('sess:fixed_LOCK'), 'a closed session is not locked');
same(true, $r->ttl('sess:fixed') > 0, 'a session ends');
$_SESSION = [];
session_start();
same(['apple', 'pear'], $_SESSION['cart'], 'a session comes back');
session_destroy();
same(0, $r->exists('sess:fixed'), 'a destroyed session is gone');

// A subscriber of its own process would not end here; the first message ends it.
$heard = null;
if (($child = popen(PHP_BINARY . ' ' . escapeshellarg(__DIR__ . '/publish.php') . " $port", 'r')) !== false) {
    $sub = new Redis();
    $sub->connect('127.0.0.1', $port, 10);
    try {
        $sub->subscribe(['news'], function ($redis, $channel, $message) use (&$heard) {
            $heard = "$channel=$message";
            $redis->close();
        });
    } catch (RedisException $closed) {
        // how this library leaves the loop
    }
    pclose($child);
}
same('news=hello', $heard, 'SUBSCRIBE');
echo $failed ? "failed\n" : "ok\n";
exit($failed);
