"""The Test Anything Protocol, for scripts that prove runs."""
import sys
import traceback

_count = _failed = 0


def ok(passed, name, detail=""):
    global _count, _failed
    _count += 1
    _failed += not passed
    print(f"{'ok' if passed else 'not ok'} {_count} - {name}" + (f" # {detail}" if detail and passed else ""))
    if not passed and detail:
        print(f"# {detail}")
    sys.stdout.flush()
    return passed


def skip(name, why):
    global _count
    _count += 1
    print(f"ok {_count} - {name} # SKIP {why}")


def run(name, test, *args):
    """A test that throws has failed."""
    try:
        test(*args)
    except Exception as e:  # a test's own fault is a failure, not an end
        ok(False, name, f"{e}\n" + "\n".join("# " + l for l in traceback.format_exc().splitlines()))


def done():
    print(f"1..{_count}")
    sys.exit(1 if _failed else 0)
