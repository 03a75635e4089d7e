#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The completion of bash for accel, from the table of options that the command itself parses with.

    completion.py ACCEL FILE
"""

import sys

import description

# What an argument is when no list says it: its name in the table, and what the shell knows to list.
KINDS = {"DIR": "-d", "FILE": "-f", "NAME=FILE": "-f"}

HEAD = """# bash completion for accel; generated. SPDX-License-Identifier: MIT

_accel()
{
	local current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]-} options operand=
	local previous=${COMP_WORDS[COMP_CWORD - 1]}

	COMPREPLY=()
	# "=" and ":" divide words for bash: --option=value comes as three of them, sim: as two.
	if [[ $current == = ]]; then
		current=
	elif [[ $previous == = && COMP_CWORD -gt 2 ]]; then
		previous=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W '%s help --help' -- "$current"))
		return
	fi
"""

TAIL = """	if [[ $current == -* ]]; then
		COMPREPLY=($(compgen -W "$options" -- "$current"))
	elif [[ $operand ]]; then
		compopt -o filenames 2>/dev/null
		COMPREPLY=($(compgen -d -- "$current") $(compgen -f -X '!*.@(onnx|axm)' -- "$current"))
	fi
}
shopt -s extglob
complete -F _accel accel
"""


def answer(option):
    """The command that lists what may follow the option; None: anything."""
    values = option.values or [name for name, _ in option.passes]
    if option.name == "device":
        values = ["sim:", "cpu", "$(compgen -G '/dev/accel/accel*')"]
        return f'compgen -W "{" ".join(values)}" -- "$current"'
    if values:
        return f"compgen -W '{' '.join(values)}' -- \"$current\""
    return f'compgen {KINDS[option.argument]} -- "$current"' if option.argument in KINDS else "true"


def main(accel, path):
    commands = description.commands(accel)
    text = HEAD % " ".join(c.name for c in commands)
    text += "\tcase $command in\n"
    for command in commands:
        names = " ".join("--" + option.name for option in command.options)
        operand = command.operand or ""
        text += f"\t{command.name})\n\t\toptions='{names}' operand='{operand}'\n\t\t;;\n"
    text += "\t*)\n\t\treturn\n\t\t;;\n\tesac\n"
    # One option means the same in all commands.
    options = {}
    for command in commands:
        for option in command.options:
            if option.argument:
                options.setdefault(option.name, option)
    text += "\tif [[ \" $options \" == *\" $previous \"* ]]; then\n\t\tcase $previous in\n"
    for name in sorted(options):
        files = "compopt -o filenames 2>/dev/null; " if options[name].argument in KINDS else ""
        text += f"\t\t--{name})\n\t\t\t{files}COMPREPLY=($({answer(options[name])}))\n\t\t\treturn\n\t\t\t;;\n"
    text += "\t\tesac\n\tfi\n" + TAIL
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
