# SPDX-License-Identifier: MIT
"""What `accel` says about itself (--describe): the one table of options, as Python reads it."""

import subprocess


class Option:
    def __init__(self, name, argument, values, text):
        self.name, self.argument, self.text = name, None if argument == "-" else argument, text
        self.values = [] if values == "-" else values.split()
        self.passes = []  # (name, text), of --disable


class Command:
    def __init__(self, name, summary):
        self.name, self.summary = name, summary
        self.operand, self.sentence, self.options = None, "", []


def _ask(accel, *arguments):
    return subprocess.run([accel, *arguments], check=True, capture_output=True, encoding="utf-8").stdout.splitlines()


def commands(accel):
    found = []
    for line in _ask(accel, "--describe"):
        command = Command(*line.split("\t"))
        for fact in _ask(accel, command.name, "--describe"):
            kind, *parts = fact.split("\t")
            if kind == "command":
                name, operand, command.sentence = parts
                if name != command.name:
                    raise SystemExit(f"accel {command.name} calls itself {name}")
                command.operand = None if operand == "-" else operand
            elif kind == "option":
                command.options.append(Option(*parts))
            elif kind == "pass":
                command.options[-1].passes.append(tuple(parts))
            else:
                raise SystemExit(f"accel {command.name} --describe: {fact}")
        if not command.sentence:
            raise SystemExit(f"accel {command.name} --describe says nothing")
        found.append(command)
    return found
