#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
man 1: a page for accel and one for each of its commands, from the table of options that the command itself parses with.

    command_pages.py ACCEL VERSION FOLDER
"""

import os
import shutil
import sys

import description
import roff

EXIT_CODES = [
    ("0", "Good."),
    ("1", "Outputs differ from what was expected."),
    ("2", "Bad usage, a bad file or a bad model."),
    ("3", "Not supported: a good model that nothing here can run."),
    ("4", "The device failed."),
]
CACHE = [
    ("ACCEL_CACHE", "The folder that keeps compiled packages, or \"off\"; without it $XDG_CACHE_HOME/accel, else ~/.cache/accel."),
    ("ACCEL_CACHE_SIZE", "Most bytes of that folder, with K, M or G behind the number; what was used longest ago goes first. 2G."),
]


def listed(pairs):
    lines = []
    for term, text in pairs:
        lines += [".TP", f"\\fB{roff.escape(term)}\\fR", roff.escape(text)]
    return lines


def option_lines(option):
    argument = f" \\fI{roff.escape(option.argument)}\\fR" if option.argument else ""
    lines = [".TP", f"\\fB\\-\\-{roff.escape(option.name)}\\fR{argument}", roff.escape(option.text)]
    if option.passes:
        lines += [".RS"] + listed(option.passes) + [".RE"]
    return lines


def command_page(command, version):
    operand = f" \\fI{command.operand}\\fR" if command.operand else ""
    page = roff.header("accel-" + command.name, 1, "User Commands", version)
    page += [".SH NAME", f"accel\\-{command.name} \\- {roff.escape(command.summary)}"]
    page += [".SH SYNOPSIS", f"\\fBaccel {command.name}\\fR [\\fIOPTION\\fR...]{operand}"]
    page += [".SH DESCRIPTION", roff.escape(command.sentence), ".SH OPTIONS"]
    for option in command.options:
        page += option_lines(option)
    page += [".SH EXIT STATUS"] + listed(EXIT_CODES)
    if any(option.name == "cache" for option in command.options):
        page += [".SH ENVIRONMENT"] + listed(CACHE)
    return page + [".SH SEE ALSO", ".BR accel (1)"]


def main_page(commands, version):
    page = roff.header("accel", 1, "User Commands", version)
    page += [".SH NAME", "accel \\- ONNX models on AXL neural\\-network accelerators"]
    page += [".SH SYNOPSIS", "\\fBaccel\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR...] [\\fIMODEL\\fR]", ".SH DESCRIPTION"]
    page += [roff.escape("Compiles ONNX models for an AXL device, runs them on it and on the CPU, and shows where the time goes. Without "
                         "hardware the device is a model in the same process (--device sim:).")]
    page += [".SH COMMANDS"] + listed([(f"accel {c.name}", c.summary[:1].upper() + c.summary[1:] + ".") for c in commands])
    page += [".SH EXIT STATUS"] + listed(EXIT_CODES) + [".SH ENVIRONMENT"] + listed(CACHE)
    page += [".SH SEE ALSO"]
    pages = [f".BR accel\\-{c.name} (1)" for c in commands] + [".BR accel_accel.h (3)", ".BR accel_runtime.h (3)"]
    return page + [line + " ," for line in pages[:-1]] + pages[-1:]


def main(accel, version, folder):
    commands = description.commands(accel)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    roff.write(os.path.join(folder, "accel.1"), main_page(commands, version))
    for command in commands:
        roff.write(os.path.join(folder, f"accel-{command.name}.1"), command_page(command, version))


if __name__ == "__main__":
    main(*sys.argv[1:])
