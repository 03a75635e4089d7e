#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
man 3 from public headers: a page for each comment and what it stands above, under the names of all its functions; and one for
each header. Ends with an error when a function has no comment.

    header_pages.py VERSION FOLDER PKG-CONFIG-NAME=.../accel/NAME.h...
"""

import os
import re
import shutil
import sys

import roff

FUNCTION = re.compile(r"\b(accel_[a-z0-9_]+)\(")
STRUCT = re.compile(r"^(?:typedef )?(struct|enum|union) (accel_[a-z0-9_]+) ?\{")
MACRO = re.compile(r"^#define (ACCEL_[A-Z0-9_]+)")


class Block:
    """A comment and the declarations below it, up to an empty line or the next comment."""

    def __init__(self, comment):
        self.comment, self.items = comment, []  # items: (kind, name, text)

    def names(self, *kinds):
        return [name for kind, name, _ in self.items if kind in kinds]


def comment_text(lines):
    text = "\n".join(lines)
    text = re.sub(r"^\s*/\*+ ?", "", text)
    text = re.sub(r"\s*\*/\s*$", "", text)
    return "\n".join(re.sub(r"^ ?\* ?", "", line) if not line.startswith(" *\t") else line[2:] for line in text.split("\n")).strip("\n")


def declarations(path):
    """(kind, lines) in order: "comment", "code" or "empty"; code is one declaration, bodies of inline functions left out."""
    lines = open(path, encoding="utf-8").read().split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            yield "empty", []
            at += 1
        elif line.startswith("/*"):
            first = at
            while "*/" not in lines[at]:
                at += 1
            at += 1
            yield "comment", lines[first:at]
        elif line.startswith("#"):
            first = at
            while lines[at].endswith("\\"):
                at += 1
            at += 1
            yield "code", lines[first:at]
        elif line.startswith(("extern", "}")):
            yield "empty", []
            at += 1
        else:
            first = at
            while not re.search(r"[;{]\s*(/\*.*\*/)?\s*$", lines[at]):
                at += 1
            if lines[at] == "{":  # an inline function
                yield "code", lines[first:at]
                while lines[at] != "}":
                    at += 1
            elif lines[at].rstrip().endswith("{") or STRUCT.match(lines[first]) and "}" not in lines[at]:
                while not lines[at].startswith("}"):
                    at += 1
                yield "code", lines[first : at + 1]
            else:
                yield "code", lines[first : at + 1]
            at += 1


def item(lines):
    text = "\n".join(lines)
    struct, macro = STRUCT.match(text), MACRO.match(text)
    if macro:
        return "macro", macro.group(1), text
    if text.startswith("#") or re.match(r"(struct|union) \w+;$", text):
        return None
    if struct:
        return struct.group(1), struct.group(2), text
    function = FUNCTION.search(text)
    if not function:
        return None
    text = re.sub(r"^static inline ", "", text).rstrip(";") + ";"
    return "function", function.group(1), text


def blocks(path):
    """The header's own comment, and its blocks."""
    top, found, current = None, [], None
    for kind, lines in declarations(path):
        if kind == "comment":
            text = comment_text(lines)
            current = None
            if text.startswith(("SPDX", "----")) or (len(lines) == 1 and text.startswith("---- ")):
                continue
            if top is None:
                top = text
                continue
            current = Block(text)
            found.append(current)
        elif kind == "empty":
            # A comment may stand above a constant and, behind an empty line, the struct that it is of.
            if current and (not current.items or any(what != "macro" for what, _, _ in current.items)):
                current = None
        else:
            declared = item(lines)
            if not declared:
                continue
            if declared[0] == "function" and current is None:
                raise SystemExit(f"{path}: {declared[1]} has no comment")
            if current:
                current.items.append(declared)
    return top, [block for block in found if block.names("function", "struct", "enum", "union")]


def words(text):
    """Running text: names of parameters in italics."""
    return re.sub(r"(?<![\w@])@(\w+)", r"\\fI\1\\fR", roff.escape(text))


def description(comment):
    """Paragraphs, lists of "@name: text", and what is indented by a tab as it is."""
    lines, listing, fresh, in_list = [], None, True, False
    for line in comment.split("\n"):
        entry = re.match(r"(\s*)((?:\*?@\w+(?:, | and )?)+(?: of \w+)?):\s*(.*)", line)
        if listing is not None and (entry or not line.startswith("\t")):
            lines += roff.literal("\n".join(listing))
            listing, fresh = None, True
        if entry:
            lines += [".TP", words(entry.group(2))] + ([words(entry.group(3).strip())] if entry.group(3).strip() else [])
            fresh, in_list = False, True
        elif not line.strip():
            fresh, in_list = True, False
        elif line.startswith("\t") and not in_list:
            listing = (listing or []) + [line[1:]]
        else:
            if fresh:
                lines.append(".PP")
                fresh = False
            lines.append(words(line.strip().expandtabs(1)))
    if listing is not None:
        lines += roff.literal("\n".join(listing))
    return lines[1:] if lines[:1] == [".PP"] else lines


def first_sentence(comment):
    text = " ".join(line.strip() for line in comment.split("\n\n")[0].split("\n") if not line.strip().startswith("@"))
    text = re.split(r"(?<=[a-z0-9)\]])\.(?:\s|$)|:\s*$|;\s", text or comment.split("\n")[0])[0].strip()
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def title(header):
    """The page of <accel/queue.h> is accel_queue.h(3): there are other queue.h."""
    return header.replace("/", "_")


def related(block, pages):
    """The pages of the structs that the functions take."""
    mentioned = re.findall(r"\b(?:struct|enum|union) (accel_\w+)", "\n".join(text for kind, _, text in block.items if kind == "function"))
    own = [name for _, name, _ in block.items]
    return [name for name in dict.fromkeys(mentioned) if name in pages and name not in own]


def page(block, header, config, version, pages):
    names = block.names("function") or block.names("struct", "enum", "union")
    sentence = first_sentence(block.comment).replace("@", "")
    out = roff.header(names[0], 3, "Library Functions", version)
    out += [".SH NAME", f"{', '.join(names)} \\- {roff.escape(sentence)}", ".SH SYNOPSIS", ".nf", f"#include <{header}>", ""]
    out += [roff.escape(text.expandtabs(8)) for _, _, text in block.items]
    out += [".fi", ".PP", f"Compile and link with \\fI`pkg\\-config \\-\\-cflags \\-\\-libs {roff.escape(config)}`\\fR.".replace("`", "\\(ga")]
    out += [".SH DESCRIPTION"] + description(block.comment)
    out += [".SH SEE ALSO"] + [f".BR {name} (3) ," for name in related(block, pages)]
    return out + [f".BR {title(header)} (3)"]


def header_page(top, found, header, config, version):
    name = title(header)
    out = roff.header(name, 3, "Library Functions", version)
    out += [".SH NAME", f"{name} \\- {roff.escape(first_sentence(top))}", ".SH SYNOPSIS", f"#include <{header}>"]
    out += [".PP", f"Compile and link with \\fI\\(gapkg\\-config \\-\\-cflags \\-\\-libs {roff.escape(config)}\\(ga\\fR."]
    out += [".SH DESCRIPTION"] + description(top) + [".SH FUNCTIONS"]
    for block in found:
        for function in block.names("function"):
            out += [".TP", f".BR {function} (3)", roff.escape(first_sentence(block.comment).replace("@", ""))]
    return out


def main(version, folder, *headers):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for argument in headers:
        config, path = argument.split("=", 1)
        top, found = blocks(path)
        header = "accel/" + os.path.basename(path)
        pages = {name for block in found if not block.names("function") for name in block.names("struct", "enum", "union")}
        roff.write(os.path.join(folder, title(header) + ".3"), header_page(top, found, header, config, version))
        for block in found:
            names = block.names("function") or block.names("struct", "enum", "union")
            roff.write(os.path.join(folder, names[0] + ".3"), page(block, header, config, version, pages))
            for alias in names[1:]:
                roff.write(os.path.join(folder, alias + ".3"), [f".so man3/{names[0]}.3"])


if __name__ == "__main__":
    main(*sys.argv[1:])
