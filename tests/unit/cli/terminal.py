#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Colours on a terminal, and nowhere else.

	terminal.py ACCEL MODEL DATA-SET
"""
import os
import pty
import subprocess
import sys

ACCEL, MODEL, DATA = sys.argv[1:]


def on_terminal(arguments, **variables):
    """What accel writes to a terminal, both streams."""
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")} | variables
    master, slave = pty.openpty()
    process = subprocess.Popen([ACCEL, *arguments], stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    text = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:  # the end, as a terminal says it
            break
        if not piece:
            break
        text += piece
    process.wait()
    os.close(master)
    return text.decode()


RED, GREEN, PLAIN = "\033[31m", "\033[32m", "\033[0m"
GOOD = ["run", MODEL, "--data-set", DATA]
BAD = [*GOOD, "--rtol", "0", "--atol", "0", "--precision", "bf16"]

assert f"{GREEN}as expected{PLAIN}" in on_terminal(GOOD), "good is not green"
assert f"{RED}DIFFERS{PLAIN}" in on_terminal(BAD), "bad is not red"
assert f"{RED}accel:{PLAIN} none.onnx" in on_terminal(["run", "none.onnx"]), "errors are not red"
assert f"{RED}*{PLAIN} " in on_terminal(["compare", "fp32", "int8", MODEL, "--rtol", "0"]), "layers that differ are not red"
for variables in {"NO_COLOR": "1"}, {"TERM": "dumb"}:
    text = on_terminal(BAD, **variables)
    assert "DIFFERS" in text and RED not in text and PLAIN not in text, variables
# Empty is as if it were not set.
assert RED in on_terminal(BAD, NO_COLOR="")
done = subprocess.run([ACCEL, *BAD], capture_output=True, text=True)
assert "DIFFERS" in done.stdout and "\033" not in done.stdout + done.stderr, "colours in a file"
done = subprocess.run([ACCEL, "run", "none.onnx"], capture_output=True, text=True)
assert done.stderr.startswith("accel: none.onnx"), done.stderr
