"""Compares the includes of the libraries with the layers they may use."""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# A library uses only libraries of rows above its own.
ROWS = [
    ["base"],
    ["model", "metrics", "yaml"],
    ["storage", "exposition", "relabel", "tmpl"],
    ["tsdb", "promql", "http", "rpc", "objstore"],
    ["cluster", "discovery", "rules"],
    ["config", "service"],
]
ROW_OF = {lib: row for row, libs in enumerate(ROWS) for lib in libs}
# The program of all services may use each of them; they may not use each other.
PROGRAM = os.path.join("services", "main.cc")
INCLUDE = re.compile(r'^#include "(libs|services)/([^/"]+)/([^"]+)"', re.M)


def sources(folder):
    for path, _, names in os.walk(os.path.join(ROOT, folder)):
        for name in sorted(names):
            if name.endswith((".h", ".cc")):
                yield os.path.relpath(os.path.join(path, name), ROOT)


def main():
    wrong = []
    for lib in sorted(os.listdir(os.path.join(ROOT, "libs"))):
        if os.path.isdir(os.path.join(ROOT, "libs", lib)) and lib not in ROW_OF:
            wrong.append(f"libs/{lib} is in no row: add it to {os.path.basename(__file__)}")
    checked = 0
    for path in [*sources("libs"), *sources("services")]:
        kind, module = path.split(os.sep)[:2]
        with open(os.path.join(ROOT, path)) as f:
            text = f.read()
        for used_kind, used, rest in INCLUDE.findall(text):
            checked += 1
            if (used_kind, used) == (kind, module):
                continue
            if used_kind == "services" and path != PROGRAM:
                wrong.append(f"{path} includes another service's {used}/{rest}")
            elif kind == "libs" and ROW_OF.get(used, 99) >= ROW_OF.get(module, -1):
                wrong.append(f"{path} includes {used}/{rest}, which is not in a row above libs/{module}")
            if rest.startswith("internal/"):
                wrong.append(f"{path} includes {used}/{rest}, which is internal")
    print("\n".join(wrong) or f"{checked} includes obey the layers")
    return 1 if wrong or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
