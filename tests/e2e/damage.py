"""A stored block that is damaged gives an error or the whole answer, never a shorter one."""

import glob
import os
import random

from harness import Suite, check, check_equal, get, main, make_blocks


def ways_to_ask(start, end):
    span = {"start": start, "end": end}
    return [
        ("/api/v1/query", {"query": "count_over_time(old[8h])", "time": end}),
        ("/api/v1/query", {"query": "old[8h]", "time": end}),
        ("/api/v1/query", {"query": "sum(old)", "time": start + 600}),
        ("/api/v1/query_range", {"query": "old", **span, "step": 60}),
        ("/api/v1/query_range", {"query": "max by (job) (rate(old[10m]))", **span, "step": 60}),
        ("/api/v1/series", {**span, "match[]": "old"}),
        ("/api/v1/labels", span),
        ("/api/v1/labels", {**span, "match[]": "old"}),
        ("/api/v1/label/job/values", span),
        ("/api/v1/label/job/values", {**span, "match[]": "old"}),
    ]


def flip(path, offset, mask):
    with open(path, "r+b") as f:
        f.seek(offset)
        byte = f.read(1)[0]
        f.seek(offset)
        f.write(bytes([byte ^ mask]))


def answers(suite, ways):
    return [get(suite.querier.port, path, params) for path, params in ways]


def check_whole_or_error(suite, ways, whole, what):
    """How many answers were errors."""
    errors = 0
    for (path, params), before, answer in zip(ways, whole, answers(suite, ways)):
        if answer.status == 200:
            check_equal(answer.text, before.text, f"answer to {path} {params} with {what}")
        else:
            check(answer.status in (422, 500, 503), f"{path} {params} with {what}: {answer.status} {answer.text[:300]}")
            errors += 1
    return errors


def bytes_that_change_are_noticed():
    with Suite() as suite:
        start = make_blocks(suite, os.path.join(suite.folder, "ingester"), 6)
        suite.start("ingester", "querier")
        ways = ways_to_ask(start, start + 6 * 3600 - 60)
        whole = answers(suite, ways)
        for (path, params), answer in zip(ways, whole):
            check_equal(answer.status, 200, f"status of {path} {params}: {answer.text}")
        chance = random.Random(1)
        chunks = sorted(glob.glob(suite.folder + "/ingester/*/chunks/000001"))
        check(len(chunks) >= 3, f"blocks: {chunks}")
        # While it runs: what was read before does not count as checked.
        errors = 0
        for _ in range(30):
            path = chance.choice(chunks)
            offset, mask = chance.randrange(8, os.path.getsize(path)), 1 << chance.randrange(8)
            flip(path, offset, mask)
            errors += check_whole_or_error(suite, ways, whole, f"byte {offset} of {path} changed")
            flip(path, offset, mask)
        check(errors > 30, f"only {errors} errors")
        check_equal(check_whole_or_error(suite, ways, whole, "all put back"), 0, "errors when all is put back")
        # Before it starts: a block that cannot be opened is missing from no
        # answer either.
        indexes = sorted(glob.glob(suite.folder + "/ingester/*/index"))
        for _ in range(12):
            path = chance.choice(indexes)
            offset, mask = chance.randrange(0, os.path.getsize(path)), 1 << chance.randrange(8)
            suite.ingester.stop()
            flip(path, offset, mask)
            suite.ingester.start()
            check_whole_or_error(suite, ways, whole, f"byte {offset} of {path} changed")
            flip(path, offset, mask)


def a_block_that_cannot_be_read_is_no_gap():
    with Suite() as suite:
        start = make_blocks(suite, os.path.join(suite.folder, "ingester"), 6)
        suite.start("ingester", "querier")
        ways = ways_to_ask(start, start + 6 * 3600 - 60)
        whole = answers(suite, ways)
        for name in ("index", "chunks/000001", "meta.json"):
            path = sorted(glob.glob(f"{suite.folder}/ingester/*/{name}"))[1]
            with open(path, "rb") as f:
                content = f.read()
            for what, kept in (("cut in half", content[:len(content) // 2]), ("empty", b"")):
                suite.ingester.stop()
                with open(path, "wb") as f:
                    f.write(kept)
                suite.ingester.start()
                errors = check_whole_or_error(suite, ways, whole, f"{path} {what}")
                check(errors > 0, f"nobody minds that {path} is {what}")
            suite.ingester.stop()
            with open(path, "wb") as f:
                f.write(content)
            suite.ingester.start()
            check_equal(check_whole_or_error(suite, ways, whole, "all put back"), 0, "errors when all is put back")


if __name__ == "__main__":
    main(bytes_that_change_are_noticed, a_block_that_cannot_be_read_is_no_gap)
