"""Figures to tables: speed at a recall that was asked for, one line a contender, and lines for programs."""

import math

TARGETS = (0.90, 0.95, 0.99)


def at_recall(points, target, field):
    """The value of `field` where recall is `target`: between two neighbouring points on a log scale. (value, exact):
    exact is False when even the smallest ef had more recall than asked for, and the value is that point's. None when the
    recall was never reached."""
    points = sorted(points, key=lambda p: p["ef"])
    for i, p in enumerate(points):
        if p["recall"] < target:
            continue
        if i == 0:
            return p[field], p["recall"] == target
        a, share = points[i - 1], (target - points[i - 1]["recall"]) / (p["recall"] - points[i - 1]["recall"])
        return math.exp(math.log(a[field]) * (1 - share) + math.log(p[field]) * share), True
    return None


def cell(got, digits=0):
    if got is None:
        return "-"
    return ("" if got[1] else ">") + f"{got[0]:,.{digits}f}"


def table(header, rows):
    widths = [max(len(str(r[i])) for r in [header, *rows]) for i in range(len(header))]
    for r in [header, *rows]:
        print("  " + "  ".join(str(v).ljust(w) if i == 0 else str(v).rjust(w)
                               for i, (v, w) in enumerate(zip(r, widths))).rstrip())


def recall_cells(points):
    cells = []
    for t in TARGETS:
        cells += [cell(at_recall(points, t, "qps")), cell(at_recall(points, t, "p50_us")),
                  cell(at_recall(points, t, "p99_us"))]
    return cells


RECALL_HEADER = [h for t in TARGETS for h in (f"QPS@{t:.2f}", "p50 us", "p99 us")]


def inproc(result):
    """One data set's table."""
    r = {**result, "set": result["set"] + ("-turned" if result["turned"] else "")}
    print(f"\n{r['set']} {r['metric']}: {r['n']:,} x {r['dim']}, {r['queries']} queries, recall@{r['k']}, one thread")
    rows = []
    for e in r["engines"]:
        rows.append([e["name"], f"{e['build_s']:.1f}", f"{e['build2_s']:.1f}" if e["build2_s"] else "-",
                     f"{e['rss'] / r['n']:.0f}", f"{e['says'] / r['n']:.0f}" if e["says"] else "-",
                     f"{e['file'] / r['n']:.0f}", f"{e['reload_s'] * 1e3:.2f}", *recall_cells(e["points"])])
    table(["engine", "build s", "2 thr s", "RSS B/vec", "says", "file", "reload ms", *RECALL_HEADER], rows)
    for e in r["engines"]:
        print(f"summary set={r['set']} metric={r['metric']} n={r['n']} engine={e['name'].replace(' ', '-')} "
              f"build_s={e['build_s']:.2f} rss_per_vector={e['rss'] / r['n']:.0f} "
              f"file_per_vector={e['file'] / r['n']:.0f} reload_ms={e['reload_s'] * 1e3:.2f} "
              + " ".join(f"qps_{t:.2f}={cell(at_recall(e['points'], t, 'qps')).replace(',', '')}" for t in TARGETS))


def server(result):
    """Every server that was asked, side by side."""
    if not result["servers"]:
        return
    print(f"\nover the socket: {result['set']} cosine, {result['n']:,} vectors, {result['connections']} connections at "
          "depth 1")
    rows = []
    for s in result["servers"]:
        for load in s["loads"]:
            rows.append([s["name"], load["command"], f"{load['per_s']:,.0f}", f"{load['ping_p50_us']:,.0f}",
                         f"{load['ping_p99_us']:,.0f}"])
    table(["loading", "command", "vectors/s", "PING p50 us", "PING p99 us"], rows)
    table(["searching", "quant", "PING p50 us", "p99 idle", "p99 beside", *RECALL_HEADER],
          [[s["name"], s["quant"], f"{s['idle']['ping_p50_us']:,.0f}", f"{s['idle']['ping_p99_us']:,.0f}",
            f"{max(p['ping_p99_us'] for p in s['sweep']):,.0f}", *recall_cells(s["sweep"])] for s in result["servers"]])
    table(["filtered", "matching", "EF", "recall", "QPS", "p50 us", "p99 us"],
          [[s["name"], f"{f['share']:.0%}", f["ef"], f"{f['recall']:.4f}", f"{f['qps']:,.0f}", f"{f['p50_us']:,.0f}",
            f"{f['p99_us']:,.0f}"] for s in result["servers"] for f in s["filters"]])
    for s in result["servers"]:
        print(f"summary server={s['name'].replace(' ', '-')} set={result['set']} metric=cosine n={result['n']} "
              f"vadd_per_s={s['loads'][0]['per_s']:.0f} ping_p99_us={max(p['ping_p99_us'] for p in s['sweep']):.0f} "
              + " ".join(f"qps_{t:.2f}={cell(at_recall(s['sweep'], t, 'qps')).replace(',', '')}" for t in TARGETS))
