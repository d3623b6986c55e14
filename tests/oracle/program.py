"""The program under test, from the build folder that is the test's argument."""
import pathlib
import subprocess
import sys

BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build")
QUERN = BUILD / "quern"

# A child's peak begins with its parent's, and a test's process is large.
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)"""
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20}


def run(*args):
    """Its status and what it says, whatever that is."""
    return subprocess.run([QUERN, *map(str, args)], capture_output=True, text=True)


def quern(*args):
    """What it prints; it must not fail."""
    done = run(*args)
    if done.returncode != 0:
        raise RuntimeError(f"quern {' '.join(map(str, args))}: {done.stderr.strip()}")
    return done.stdout


def memory(*args):
    """Bytes that it says before the work that it will take, and those that it had at its peak."""
    done = subprocess.run([sys.executable, "-c", PEAK, QUERN, *map(str, args)], capture_output=True, text=True)
    number, unit = next(line.split()[1:3] for line in done.stderr.splitlines() if line.startswith("memory: "))
    return float(number) * UNITS[unit], int(done.stdout)
