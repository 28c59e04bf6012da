"""narthexctl reads and makes blocks as promtool does."""

import os
import re
import shutil
import subprocess
import tempfile

from harness import BIN, Skipped, check, check_equal, main, need_peer

SHARED = os.environ.get("NARTHEX_SHARED",
                        os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "shared"))
DATA = os.path.join(SHARED, "conformance", "tsdb")
CTL = os.path.join(BIN, "narthexctl")


def run(*command, status=0):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    check(done.returncode == status, f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


class Copies:
    """Copies of the shared directories, which may be opened by anything."""

    def __enter__(self):
        if not os.path.isdir(DATA):
            raise Skipped(f"no {DATA}")
        self.parent = tempfile.mkdtemp(prefix="narthex-ctl-")
        return self

    def __exit__(self, *unused):
        shutil.rmtree(self.parent)

    def copy(self, name):
        path = os.path.join(self.parent, name)
        shutil.copytree(os.path.join(DATA, name), path)
        subprocess.run(["chmod", "-R", "u+w", path], check=True)
        return path

    def path(self, name):
        return os.path.join(self.parent, name)


def sections(text):
    """The output of analyze: items with equal counts come in any order."""
    return [sorted(part.splitlines()[1:]) if ":\n" in part else part for part in text.split("\n\n")]


def check_lines(got, wanted, what):
    """The same lines, in whatever order. Without native histograms: promtool 3.5 leaves out some of them."""
    got, wanted = ({line for line in text.splitlines() if "golden_native" not in line} for text in (got, wanted))
    check(got == wanted, f"{what}: too many: {sorted(got - wanted)[:3]}, missing: {sorted(wanted - got)[:3]}")


def list_and_analyze_print_what_promtool_prints():
    promtool = need_peer("promtool")
    with Copies() as copies:
        for name in ("golden", "from_openmetrics"):
            path = copies.copy(name)
            for arguments in (["list"], ["list", "-r"]):
                check_equal(run(CTL, "tsdb", *arguments, path), run(promtool, "tsdb", *arguments, path), name)
            for arguments in ([], ["--match={job=\"a\"}"], ["--extended"]):
                # With room for all, so that the order of equal counts does not matter.
                arguments = ["tsdb", "analyze", "--limit=1000", *arguments, path]
                for got, want in zip(sections(run(CTL, *arguments)), sections(run(promtool, *arguments)), strict=True):
                    check_equal(got, want, f"{name} {arguments}")


def dumps_are_promtools():
    promtool = need_peer("promtool")
    with Copies() as copies:
        golden = copies.copy("golden")
        wal = copies.copy("wal_zstd")
        for path, arguments in ((golden, []), (wal, []),
                                (golden, ["--match=golden_gauge", "--match={job=\"a\"}"]),
                                (golden, ["--min-time=1700010000000", "--max-time=1700013600000"])):
            got = run(CTL, "tsdb", "dump", *arguments, path)
            want = run(promtool, "tsdb", "dump", *arguments, path)
            check_lines(got, want, f"dump {arguments}")
        got = run(CTL, "tsdb", "dump-openmetrics", golden)
        want = run(promtool, "--experimental", "tsdb", "dump-openmetrics", golden)
        check_equal(got.splitlines()[-1], "# EOF", "end of the dump")
        missing = set(want.splitlines()) - set(got.splitlines())
        # Those that it leaves out, by its own help, are markers of staleness.
        check(all(" NaN " in line for line in missing), f"{list(missing)[:5]} missing")
        check_equal(set(got.splitlines()) - set(want.splitlines()), set(), "lines too many")


def blocks_made_of_openmetrics_are_promtools():
    promtool = need_peer("promtool")
    text = os.path.join(DATA, "from_openmetrics.input.om.txt")
    with Copies() as copies:
        ours, theirs = copies.path("ours"), copies.path("theirs")

        def listed(program, out):
            table = run(program, "tsdb", "create-blocks-from", "openmetrics", "--label=dc=eu", text, out)
            # The name differs, the size by how chunks were cut.
            return [line.split()[1:-1] for line in table.splitlines()[1:]]

        check_equal(listed(CTL, ours), listed(promtool, theirs), "blocks made")
        for path in (ours, theirs):
            os.makedirs(os.path.join(path, "wal"), exist_ok=True)
        dump = run(promtool, "tsdb", "dump", theirs)
        check_lines(run(promtool, "tsdb", "dump", ours), dump, "what promtool reads of our blocks")
        check_lines(run(CTL, "tsdb", "dump", theirs), dump, "what we read of promtool's blocks")
        check("OK" in run(CTL, "tsdb", "verify", ours), "ours are not well")
        check("OK" in run(CTL, "tsdb", "verify", theirs), "theirs are not well")


def verify_names_what_is_damaged():
    with Copies() as copies:
        golden = copies.copy("golden")
        out = run(CTL, "tsdb", "verify", golden)
        check(re.search(r"blocks=2 .*\nOK\n", out), out)
        index = os.path.join(golden, "01M8121FXH04GFGEFGGMTCN3ST", "index")
        with open(index, "r+b") as file:
            file.seek(60)
            byte = file.read(1)
            file.seek(60)
            file.write(bytes([byte[0] ^ 1]))
        out = run(CTL, "tsdb", "verify", golden, status=1)
        check(f"{index}: " in out and "checksum mismatch" in out and out.endswith("FAILED\n"), out)
        done = subprocess.run([CTL, "tsdb", "verify", "/nonexistent"], capture_output=True, text=True, timeout=60)
        check_equal((done.returncode, done.stderr),
                    (1, "opening the db dir: stat /nonexistent: no such file or directory\n"), "no directory")


if __name__ == "__main__":
    main(list_and_analyze_print_what_promtool_prints, dumps_are_promtools, blocks_made_of_openmetrics_are_promtools,
         verify_names_what_is_damaged)
