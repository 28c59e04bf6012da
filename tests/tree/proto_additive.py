"""Compares our contracts with the committed baseline: fields are only added.

After an intended addition: proto_additive.py --update
"""

import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PROTO = os.path.join(HERE, "../../proto/narthex/v1")
BASELINE = os.path.join(HERE, "proto_baseline.txt")

BLOCK = re.compile(r"\b(message|enum|service|oneof)\s+(\w+)\s*\{")
FIELD = re.compile(r"^\s*(?:(repeated|optional)\s+)?(map<[^>]+>|[\w.]+)\s+(\w+)\s*=\s*(\d+)\s*;")
VALUE = re.compile(r"^\s*(\w+)\s*=\s*(\d+)\s*;")
RPC = re.compile(r"rpc\s+(\w+)\s*\(\s*([^)]*?)\s*\)\s*returns\s*\(\s*([^)]*?)\s*\)")


def entries():
    """Every field, enum value and call, as a line of text."""
    found = set()
    for name in sorted(os.listdir(PROTO)):
        with open(os.path.join(PROTO, name)) as f:
            text = re.sub(r"//[^\n]*", "", f.read())
        text = re.sub(r"\n\s+returns", " returns", text)
        stack = []
        for line in text.splitlines():
            if m := BLOCK.search(line):
                stack.append(m.groups())
                if "}" in line[m.end():]:
                    stack.pop()
                continue
            scope = ".".join(n for kind, n in stack if kind != "oneof")
            if m := RPC.search(line):
                found.add(f"{name} {scope} rpc {' '.join(m.groups())}")
            elif m := FIELD.match(line):
                found.add(f"{name} {scope} field {m[4]} {m[1] or ''} {m[2]} {m[3]}".replace("  ", " "))
            elif m := VALUE.match(line):
                found.add(f"{name} {scope} value {m[2]} {m[1]}")
            if line.strip().startswith("}") and stack:
                stack.pop()
    return found


def main():
    now = entries()
    if "--update" in sys.argv:
        with open(BASELINE, "w") as f:
            f.write("\n".join(sorted(now)) + "\n")
        return 0
    with open(BASELINE) as f:
        then = set(f.read().splitlines())
    for line in sorted(then - now):
        print("gone or changed:", line)
    for line in sorted(now - then):
        print("not in the baseline yet (run with --update):", line)
    if now == then:
        print(f"{len(now)} fields, values and calls are as in the baseline")
    return 0 if now == then else 1


if __name__ == "__main__":
    sys.exit(main())
