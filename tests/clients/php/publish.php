<?php
// Publishes until somebody hears it.
$r = new Redis();
$r->connect('127.0.0.1', (int)$argv[1], 10);
for ($i = 0; $i < 6000 && $r->publish('news', 'hello') === 0; $i++) {
    usleep(10000);
}
