"""quern tokenize, many texts at once."""
import json
import subprocess


def ask(build, model, lines, *options):
    """A str gives its ids, a list of ids its text, as --json-lines has it."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run([f"{build}/quern", "tokenize", model, "--json-lines", *options],
                          input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return [json.loads(line) for line in done.stdout.splitlines()]


def plain(build, model, lines):
    """Without the tokens around a text."""
    return ask(build, model, lines, "--no-bos")
