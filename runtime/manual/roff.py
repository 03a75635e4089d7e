# SPDX-License-Identifier: MIT
"""Pages of man(7): text made safe, and what the pages of commands and of functions share."""


def escape(text):
    """Plain text for roff: backslashes and hyphens as themselves, no line that would be a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha").replace("`", "\\(ga")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.split("\n"))


def header(name, section, title, version):
    return ['.\\" Generated; SPDX-License-Identifier: MIT', f'.TH "{escape(name.upper())}" "{section}" "" "AXL {version}" "{title}"', ".nh"]


def literal(text):
    """Lines as they are, indented."""
    return [".PP", ".RS 4", ".nf", escape(text.expandtabs(8)), ".fi", ".RE"]


def write(path, lines):
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(lines) + "\n")
