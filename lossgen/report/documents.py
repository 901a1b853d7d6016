"""A comparison for a paper: the table with what is to be known of it, as Markdown and as LaTeX."""

import re
from collections.abc import Iterator, Sequence

from lossgen.evolution.compare import Comparison
from lossgen.report.comparison import LOSS, Grid, cells_of, ordered, other_cells, remarks, standing_lines, title_of

_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "–": "--", "×": r"$\times$", "−": "$-$", "[": "{[}", "]": "{]}",
}  # fmt: skip
"""Characters that LaTeX takes for something else; a bracket in braces is never an option's."""
_NEGATIVE = re.compile(r"(?<![\w.-])-(?=\d)")
"""The sign of a number, which LaTeX would print as a hyphen."""


def comparison_markdown(comparison: Comparison, setting: str, numbers: str = "", grid: Grid = None) -> str:
    """The table, the best mean in bold.

    Args:
        numbers: how many images were compared, in sentences.
        grid: of learning rates, as `remarks` has it.
    """
    lines = [f"# {plain(title_of(comparison))}", "", *markdown_table(*cells_of(comparison), _best(comparison))]
    for line in (*([setting] if setting else []), *standing_lines(comparison), *remarks(comparison, grid)):
        lines += ["", plain(line)]
    columns, rows = other_cells(comparison)
    if rows:
        lines += ["", "## What was measured besides", "", *markdown_table(columns, rows)]
        lines += ["", plain(numbers)] if numbers else []
    return "\n".join(lines) + "\n"


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]], best: int | None = None) -> Iterator[str]:
    """Lines of a table, its first column and the losses to the left; the name in row `best` is bold."""
    yield _row([plain(column) for column in columns])
    yield _row([":--" if place == 0 or column == LOSS else "--:" for place, column in enumerate(columns)])
    for place, row in enumerate(rows):
        cells = [plain(cell) for cell in row]
        yield _row([f"**{cells[0]}**", *cells[1:]] if place == best else cells)


def aligned(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table for a terminal: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in [columns, *rows]]
    return [line.rstrip() for line in lines]


def comparison_latex(comparison: Comparison, setting: str, grid: Grid = None) -> str:
    """The table as an environment of its own, the best mean in bold; it needs the package booktabs and no other."""
    said = [
        title_of(comparison) + ".",
        *([setting + "."] if setting else []),
        *standing_lines(comparison),
        *remarks(comparison, grid),
    ]
    columns, rows = cells_of(comparison)
    return latex_table(columns, rows, " ".join(said), columns.index(LOSS), _best(comparison))


def latex_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    caption: str,
    left: int = 0,
    best: int | None = None,
    label: str = "",
) -> str:
    """A table as an environment of its own, column `left` to the left, the name in row `best` bold."""
    lines = [
        "% Written by lossgen; needs \\usepackage{booktabs}.",
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{escaped(caption)}}}" + f"\\label{{{label}}}" * bool(label),
        f"\\begin{{tabular}}{{{''.join('l' if place == left else 'r' for place in range(len(columns)))}}}",
        "\\toprule",
        _tex_row([escaped(column) for column in columns]),
        "\\midrule",
    ]
    for place, row in enumerate(rows):
        cells = [escaped(_NEGATIVE.sub("−", cell)) for cell in row]
        lines.append(_tex_row([f"\\textbf{{{cells[0]}}}", *cells[1:]] if place == best else cells))
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", "\\end{table}"]) + "\n"


def escaped(text: str) -> str:
    """Text that LaTeX prints as it stands."""
    return "".join(_ESCAPES.get(character, character) for character in " ".join(text.split()))


def _best(comparison: Comparison) -> int | None:
    """The row of the best mean, None where nothing has one."""
    rows = ordered(comparison)
    return next((place for place, result in enumerate(rows) if result.summary is not None), None)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _tex_row(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def plain(text: str) -> str:
    """Text that Markdown prints as it stands."""
    text = " ".join(text.split()).replace("\\", "\\\\")
    for character in "|_*`<[]#":
        text = text.replace(character, f"\\{character}")
    return text
