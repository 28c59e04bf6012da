#!/usr/bin/env python3
"""Measures the storage beside Prometheus, with the data of `bench load`.

    tests/bench/storage.py blocks [--targets 10] [--series 200] [--history 9h] [--step 15]
    tests/bench/storage.py restart [--targets 500] [--series 1000] [--history 10m]

blocks: the same samples are written to both, which make blocks of their heads,
and the samples of one block are imported by both from OpenMetrics; prints the
bytes of every kind of file.
restart: both write a snapshot of their memory when they are stopped; prints how
long stop and start take. NARTHEX_BIN names the folder of the programs.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
SHARED = os.environ.get("NARTHEX_SHARED", os.path.join(ROOT, "../shared"))
sys.path.insert(0, os.path.join(SHARED, "peers"))
os.chdir(ROOT)
import harness  # noqa: E402
from bench_storage import EMPTY_CONFIG, Load  # noqa: E402

BIN = os.path.abspath(os.environ.get("NARTHEX_BIN", "build/release/bin"))
FEATURE = " --enable-feature=memory-snapshot-on-shutdown"
PARTS = ("chunks", "index", "tombstones", "meta.json")


def bytes_of(path):
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)


def blocks_of(directory):
    """{(first, last time): the path of the block and its meta.json}"""
    found = {}
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if os.path.exists(os.path.join(path, "meta.json")):
            with open(os.path.join(path, "meta.json")) as f:
                meta = json.load(f)
            found[meta["minTime"], meta["maxTime"]] = path, meta
    return found


def compare(title, theirs, ours):
    """Prints the bytes of the blocks that both have."""
    print(f"\n{title}")
    print(f"{'block':>33} {'samples':>11} {'chunks':>9}  {'part':<10} {'Prometheus':>12} {'Narthex':>12} {'ratio':>7}")
    total = {part: [0, 0] for part in (*PARTS, "all")}
    for times in sorted(theirs.keys() & ours.keys()):
        (path, meta), (own_path, own_meta) = theirs[times], ours[times]
        stats, own_stats = meta["stats"], own_meta["stats"]
        if stats["numSamples"] != own_stats["numSamples"]:
            raise SystemExit(f"block {times}: {stats['numSamples']} samples, of ours {own_stats['numSamples']}")
        print(f"{times[0]:>16}-{times[1]:>16} {stats['numSamples']:>11,} {stats['numChunks']:>9,}"
              f"  ours: {own_stats['numChunks']:,} chunks")
        for part in PARTS:
            for i, folder in enumerate((path, own_path)):
                size = bytes_of(os.path.join(folder, part))
                total[part][i] += size
                total["all"][i] += size
    for part, (a, b) in total.items():
        print(f"{'':>56} {part:<10} {a:>12,} {b:>12,} {b / max(1, a):>7.4f}")
    if len(theirs) != len(ours) or theirs.keys() != ours.keys():
        print(f"only Prometheus: {sorted(theirs.keys() - ours.keys())}, only Narthex: {sorted(ours.keys() - theirs.keys())}")


def system(name, args):
    one = harness.System(name, args, EMPTY_CONFIG)
    if args.mode == "restart" and name == "prometheus":
        one.command += FEATURE
    return one


def wait_for_blocks(directory, count):
    for _ in range(180):
        if len(blocks_of(directory)) >= count:
            return
        time.sleep(1)
    raise SystemExit(f"{directory}: {len(blocks_of(directory))} blocks of {count}")


def blocks(args):
    load, found = Load(args), {}
    # Half a block's span and what lies before the first border stay in the head.
    count = harness.seconds(args.history) // 7200 - 2
    for name in ("prometheus", "suite"):
        one = system(name, args)
        try:
            one.start()
            load.write(one)
            wait_for_blocks(one.data, count)
            one.settle()
            one.process.stop()
            found[name] = blocks_of(one.data)
        finally:
            one.close()
    compare("blocks of the head", found["prometheus"], found["suite"])

    path, meta = found["prometheus"][sorted(found["prometheus"])[1]]
    text, out = os.path.join(args.work, "block.txt"), {}
    promtool = os.path.join(harness.PEERS, "promtool")
    with open(text, "w") as f:
        subprocess.run([promtool, "tsdb", "dump-openmetrics", f"--min-time={meta['minTime']}",
                        f"--max-time={meta['maxTime'] - 1}", os.path.dirname(path)], stdout=f, check=True)
    for name, tool in (("prometheus", promtool), ("suite", os.path.join(BIN, "narthexctl"))):
        folder = os.path.join(args.work, "import-" + name)
        subprocess.run([tool, "tsdb", "create-blocks-from", "openmetrics", "--quiet", text, folder], check=True)
        out[name] = blocks_of(folder)
    compare("blocks imported from OpenMetrics", out["prometheus"], out["suite"])


def with_snapshots(folder):
    """A folder of programs in which the ingester writes snapshots."""
    os.makedirs(folder)
    for name in os.listdir(BIN):
        os.symlink(os.path.join(BIN, name), os.path.join(folder, name))
    ingester = os.path.join(folder, "narthex-ingester")
    os.unlink(ingester)
    with open(ingester, "w") as f:
        f.write(f'#!/bin/sh\nexec {BIN}/narthex-ingester "$@"{FEATURE}\n')
    os.chmod(ingester, 0o755)
    return folder


def wait_for_answer(one, at, metrics, metric="http_requests_total"):
    for _ in range(1200):
        try:
            if one.number(f"count({metric})", at) == metrics[metric]:
                return
        except (harness.Failed, OSError, http.client.HTTPException):
            pass
        time.sleep(0.02)
    raise SystemExit(f"{one.name}: no correct answer")


def restart(args):
    load = Load(args)
    os.environ["NARTHEX_BIN"] = with_snapshots(os.path.join(args.work, "bin"))
    print(f"\nrestart after a clean stop with a snapshot of memory: {load.title}")
    for name in ("prometheus", "suite"):
        one = system(name, args)
        try:
            one.start()
            written = load.write(one)
            stop = one.process.stop()
            parts = harness.disk_parts(one.data)
            begin = time.time()
            one.start(limit=args.limit)
            wait_for_answer(one, load.start + 300, written["metrics"])
            ready = time.time() - begin
            cpu = one.process.cpu()
            held = load.counts(one)
            lost = sum(max(0, count - held.get(metric, 0)) for metric, count in load.expected(written).items())
            print(f"{name:>12}: stop {stop:.2f} s, start to first correct answer {ready:.2f} s ({cpu:.2f} CPU s), "
                  f"samples lost {lost:.0f}; {parts}")
        finally:
            one.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    for run, targets, series, history in ((blocks, 10, 200, "9h"), (restart, 500, 1000, "10m")):
        p = modes.add_parser(run.__name__)
        p.set_defaults(run=run, suite_cmd=None, keep=False)
        p.add_argument("--targets", type=int, default=targets)
        p.add_argument("--series", type=int, default=series, help="per target")
        p.add_argument("--history", default=history)
        p.add_argument("--step", type=int, default=15)
        p.add_argument("--connections", type=int, default=2)
        p.add_argument("--limit", type=int, default=600)
    args = parser.parse_args()
    os.environ.setdefault("NARTHEX_BIN", BIN)
    with tempfile.TemporaryDirectory(prefix="narthex-storage-") as args.work:
        args.run(args)


if __name__ == "__main__":
    main()
