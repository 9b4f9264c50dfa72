"""Recall against queries a second as an SVG file: nothing but lines, circles and text."""

import math

COLOURS = ["#444444", "#1b9e77", "#66a61e", "#d95f02", "#e7298a", "#7570b3", "#a6761d", "#1f78b4"]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 540, 80, 190, 50, 60


def recall_x(recall, low):
    """The nearer to 1, the more room: linear in log(1 - recall), from `low` to 0.9995."""
    def place(v):
        return -math.log(1 - min(max(v, low), 0.9995))
    return LEFT + (place(recall) - place(low)) / (place(0.9995) - place(low)) * (WIDTH - LEFT - RIGHT)


def qps_y(qps, low, high):
    share = (math.log10(qps) - math.log10(low)) / (math.log10(high) - math.log10(low))
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def text(x, y, words, size=12, anchor="middle", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" {more}>{words}</text>'


def line(x1, y1, x2, y2, colour="#dddddd"):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def grid(low_recall, low, high):
    bottom, right, out = HEIGHT - BOTTOM, WIDTH - RIGHT, []
    for v in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999):
        if v >= low_recall:
            x = recall_x(v, low_recall)
            out += [line(x, TOP, x, bottom), text(x, bottom + 18, f"{v:g}")]
    decade = 10 ** math.floor(math.log10(low))
    while decade <= high:
        for times in (1, 2, 5):
            if low <= decade * times <= high:
                y = qps_y(decade * times, low, high)
                out += [line(LEFT, y, right, y), text(LEFT - 8, y + 4, f"{decade * times:,.0f}", anchor="end")]
        decade *= 10
    out += [line(LEFT, bottom, right, bottom, "#000000"), line(LEFT, TOP, LEFT, bottom, "#000000")]
    return out


def curve(i, name, points, low_recall, low, high):
    colour = COLOURS[i % len(COLOURS)]
    at = [(recall_x(p["recall"], low_recall), qps_y(p["qps"], low, high)) for p in points if p["recall"] >= low_recall]
    out = [f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="'
           + " ".join(f"{x:.1f},{y:.1f}" for x, y in at) + '"/>']
    out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in at]
    y = TOP + 14 + 22 * i
    out += [line(WIDTH - RIGHT + 14, y, WIDTH - RIGHT + 40, y, colour),
            f'<circle cx="{WIDTH - RIGHT + 27}" cy="{y}" r="3" fill="{colour}"/>',
            text(WIDTH - RIGHT + 48, y + 4, name, anchor="start")]
    return out


def svg(title, note, curves):
    """curves: (name, points with recall and qps). Returns the file's text."""
    every = [p for _, points in curves for p in points]
    low_recall = max(0.5, min(0.9, math.floor(min(p["recall"] for p in every) * 10) / 10))
    shown = [p["qps"] for p in every if p["recall"] >= low_recall]
    low, high = min(shown) * 0.8, max(shown) * 1.25
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
           text(LEFT, 24, title, 16, "start", 'font-weight="bold"'), text(LEFT, 41, note, 11, "start")]
    out += grid(low_recall, low, high)
    for i, (name, points) in enumerate(curves):
        out += curve(i, name, points, low_recall, low, high)
    out += [text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 18, "recall@10 (share of the ten nearest found)", 13),
            text(22, (TOP + HEIGHT - BOTTOM) / 2, "queries per second (log scale)", 13,
                 more=f'transform="rotate(-90 22 {(TOP + HEIGHT - BOTTOM) / 2})"'), "</svg>"]
    return "\n".join(out) + "\n"
