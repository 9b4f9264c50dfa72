#!/usr/bin/python3
"""`make bench-retrieval`: how well searches find what people judged to be relevant: by words, by vectors, by both.

    utils/bench_retrieval.py [--data FOLDER] [cranfield] [zh]

The collections lie in ../shared/data/retrieval. Vectors are made by the server's built-in embedding (VADD ... TEXT), so
"vector" is what a server without any model can do. "text" is HYBRID with WEIGHT 0: the order of BM25 alone.

nDCG@10: log2 discounts. Cranfield's judgements have codes from 1 (a complete answer) to 4 (of minimum interest): "binary"
counts them all as 1, "graded" gives 4 to a 1 and so on down to 1 to a 4. Nearly every query also has a line with -1, which
the readme does not explain. Others take it for "of no interest", and so do "binary" and "graded"; but those documents read
like the very answer, so "with -1" is binary nDCG with them. recall@10 is that of "binary": of the relevant documents, how
many are among the first ten. All are means over the queries. A query in which the embedding finds no word counts as zero."""

import argparse
import json
import math
import os
import re
import statistics
import time

from benchlib import ROOT, Client, Server, encode

K = 10
UNCLEAR = -1  # Cranfield's code
READINGS = ["binary", "graded", "with -1"]  # of judgements; the first where all are the same
WAYS = [("text (BM25)", ["HYBRID", None, "WEIGHT", "0"]), ("vector", []), ("hybrid, ranks", ["HYBRID", None])]
WAYS += [(f"hybrid, weight {w}", ["HYBRID", None, "WEIGHT", str(w)]) for w in (0.1, 0.2, 0.3, 0.5, 0.7)]


def cran_records(path):
    """(number, {field letter: text}) of a file in SMART's format."""
    with open(path, encoding="latin-1") as f:
        for record in re.split(r"^\.I ", f.read(), flags=re.M)[1:]:
            number, rest = record.split("\n", 1)
            parts = re.split(r"^\.([A-Z])\s*\n", rest, flags=re.M)
            yield int(number), {parts[i]: " ".join(parts[i + 1].split()) for i in range(1, len(parts), 2)}


def cranfield(folder):
    """.W begins with the title. Judgements count the queries from 1 in the order of the file, whatever their .I says."""
    docs = {str(n): f.get("W") or f.get("T") for n, f in cran_records(f"{folder}/cran.all.1400")}
    queries = {str(i): f["W"] for i, (_, f) in enumerate(cran_records(f"{folder}/cran.qry"), 1)}
    judged = {}
    with open(f"{folder}/cranqrel", encoding="ascii") as f:
        for query, doc, code in (line.split() for line in f if line.strip()):
            judged.setdefault(query, {})[doc] = 5 - int(code) if int(code) > 0 else UNCLEAR
    return {n: t for n, t in docs.items() if t}, queries, judged


def beir(folder):
    def lines(name):
        with open(f"{folder}/{name}", encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    docs = {d["_id"]: f"{d.get('title', '')} {d['text']}".strip() for d in lines("corpus.jsonl")}
    queries = {q["_id"]: q["text"] for q in lines("queries.jsonl")}
    judged = {}
    with open(f"{folder}/qrels.tsv", encoding="utf-8") as f:
        for query, doc, grade in (line.rstrip("\n").split("\t") for line in list(f)[1:]):
            if int(grade) > 0:
                judged.setdefault(query, {})[doc] = int(grade)
    return docs, queries, judged


def ndcg(ranked, gains):
    def dcg(values):
        return sum(g / math.log2(i + 2) for i, g in enumerate(values[:K]))

    return dcg([gains.get(d, 0) for d in ranked]) / dcg(sorted(gains.values(), reverse=True))


def load(client, docs):
    for name, text in docs.items():
        client.send(encode("VADD", "docs", "TEXT", text, name, "SETATTR", json.dumps({"text": text}, ensure_ascii=False)))
    for name in docs:
        assert client.read() == 1, name


def search(client, query, options):
    """The names of the best, without those that neither list thinks anything of."""
    words = [query if o is None else o for o in options]
    try:
        flat = client.call("VSEARCH", "docs", "TEXT", query, "COUNT", str(K), "WITHSCORES", *words)
    except RuntimeError as refused:
        if "no word in the text to embed" in str(refused):
            return []
        raise
    by_words_alone = options[-2:] == ["WEIGHT", "0"]
    return [n.decode() for n, s in zip(flat[::2], flat[1::2]) if not by_words_alone or float(s) > 0]


def measure(client, queries, judged, options):
    """Means over the queries: nDCG in each of READINGS, recall; milliseconds a query."""
    rows, began = [], time.perf_counter()
    for query, codes in judged.items():
        ranked = search(client, queries[query], options)
        gains = {d: g for d, g in codes.items() if g != UNCLEAR}
        rows.append((ndcg(ranked, {d: 1 for d in gains}), ndcg(ranked, gains), ndcg(ranked, {d: 1 for d in codes}),
                     len(set(ranked) & set(gains)) / len(gains)))
    took = (time.perf_counter() - began) / len(rows) * 1000
    return [statistics.fmean(column) for column in zip(*rows)] + [took]


def report(name, docs, queries, judged):
    print(f"\n{name}: {len(docs)} documents, {len(judged)} queries with a relevant document")
    readings = READINGS if len({g for codes in judged.values() for g in codes.values()}) > 1 else READINGS[:1]
    heads = [f"nDCG@10 {r}" for r in readings] + ["recall@10", "ms a query"]
    print(f"| | {' | '.join(heads)} |\n|---{'|--:' * len(heads)}|")
    with Server("skald") as server:
        client = Client(server.port)
        load(client, docs)
        search(client, "first", ["HYBRID", None])  # the text index is made by the first search that wants it
        for way, options in WAYS:
            *ndcgs, recall, ms = measure(client, queries, judged, options)
            quality = [*ndcgs[:len(readings)], recall]
            print(f"| {way} | {' | '.join(f'{x:.3f}' for x in quality)} | {ms:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default=os.path.join(ROOT, "..", "shared", "data", "retrieval"))
    parser.add_argument("only", nargs="*", help="cranfield, zh")
    args = parser.parse_args()
    for name, read in (("cranfield", cranfield), ("zh", beir)):
        folder = os.path.join(args.data, name)
        if args.only and name not in args.only:
            continue
        if not os.path.isdir(folder):
            raise SystemExit(f"{folder} is missing; --data names the folder that has {name}")
        report(name, *read(folder))


if __name__ == "__main__":
    main()
