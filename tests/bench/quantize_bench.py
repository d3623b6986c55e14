"""Speed, memory and error of `quern quantize` beside stock llama.cpp's quantizer, in one run.

usage: quantize_bench.py BUILD_DIR [--types Q4_K_M,...|none] [--threads 2] [--runs 3] [--folder DIR] [--large]

Makes a random Llama of 300 M weights (tests/bench/make_model.c), converts it to F16 GGUF, and quantizes
that with both, the same threads, in turn.  Prints wall-clock medians, the ratio, both errors against the
source (quern verify measures both), and the peak of anonymous resident memory (RssAnon of
/proc/PID/status, every 2 ms: page cache and mapped files are not in it).  --large adds the memory of a
7B-shaped model (13.5 GB, made on the fly).
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

def run(command):
    """Seconds of a command, which nobody watches."""
    start = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise SystemExit(f"{command}: {done.stderr.decode()}")
    return time.monotonic() - start


def peak(command):
    """Its peak of RssAnon in MiB, in a run of its own: looking takes time."""
    most = 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/status") as status:
                for line in status:
                    if line.startswith("RssAnon"):
                        most = max(most, int(line.split()[1]))
        except (FileNotFoundError, ProcessLookupError):
            break
        time.sleep(0.002)
    return most / 1024


def mse(quern, file, source):
    report = json.loads(subprocess.run([quern, "verify", "--json", file, source], capture_output=True, check=True).stdout)
    rows = [t for t in report["tensors"] if t["status"] == "quantized"]
    return sum(t["mse"] * t["weights"] for t in rows) / sum(t["weights"] for t in rows)


def copy_time(source, target, runs):
    seconds = []
    for _ in range(runs):
        seconds.append(run(["cp", source, target]))
        os.remove(target)
    return statistics.median(seconds)


def bench_types(args, quern, source, folder):
    script = pathlib.Path(__file__).parent / "stock_quantize.py"
    copy = copy_time(source, folder / "copy", args.runs)
    print(f"plain copy of the source ({source.stat().st_size / 2**20:.0f} MiB): {copy:.2f} s\n")
    print("| type | quern s | stock s | stock/quern | quern/copy | quern mse | stock mse | mse ratio | quern MiB anon |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in args.types.split(","):
        ours, theirs = folder / "ours.gguf", folder / "stock.gguf"
        command = [quern, "quantize", source, "-o", ours, "--type", name, "--quiet", "-t", str(args.threads)]
        memory = peak(command)
        seconds = []
        for _ in range(args.runs):
            ours.unlink()  # as for the copy: freeing an old file is not the work
            seconds.append(run(command))
        stock = run([sys.executable, script, source, theirs, name, str(args.threads)])
        own, a, b = statistics.median(seconds), mse(quern, ours, source), mse(quern, theirs, source)
        print(f"| {name} | {own:.2f} | {stock:.2f} | {stock / own:.1f} | {own / copy:.2f} | {a:.4e} | {b:.4e} | {a / b:.4f} | {memory:.0f} |", flush=True)
        ours.unlink()
        theirs.unlink()


def memory(quern, folder, make, name, shape, largest):
    model = folder / name
    subprocess.run([make, model, "examples/demo", *map(str, shape)], check=True)
    limit = 3 * largest * 4 / 2**20 + 128
    for command, kind in (("convert", []), ("quantize", ["--type", "Q4_K_M"])):
        start = time.monotonic()
        most = peak([quern, command, model, "-o", folder / "out.gguf", "--force", "--quiet", *kind])
        print(f"{name} {command}: {time.monotonic() - start:.1f} s, peak {most:.0f} MiB anonymous; the bound is {limit:.0f} MiB", flush=True)
    shutil.rmtree(model)
    (folder / "out.gguf").unlink()


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build")
    parser.add_argument("--types", default="Q4_K_M,Q2_K,Q3_K_M,Q5_K_M,Q6_K,Q4_0,Q8_0")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", default=None)
    parser.add_argument("--large", action="store_true")
    args = parser.parse_args()
    build = pathlib.Path(args.build)
    quern, make = build / "quern", build / "tests/bench/make_model"
    shape300 = (20, 1024, 16, 8, 2816, 32000)
    with tempfile.TemporaryDirectory(dir=args.folder) as tmp:
        folder = pathlib.Path(tmp)
        subprocess.run([make, folder / "m300", "examples/demo", *map(str, shape300)], check=True)
        source = folder / "m300-f16.gguf"
        subprocess.run([quern, "convert", folder / "m300", "-o", source, "--quiet"], check=True)
        shutil.rmtree(folder / "m300")
        if args.types != "none":
            bench_types(args, quern, source, folder)
        source.unlink()
        print()
        memory(quern, folder, make, "300M", shape300, 32000 * 1024)
        if args.large:
            memory(quern, folder, make, "7B", (32, 4096, 32, 32, 11008, 32000), 32000 * 4096)


main()
