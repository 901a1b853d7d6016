"""An audit on one page: what passed, what did not, what that means, and the closest pairs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lossgen.files import write_text
from lossgen.gan.auditing import Audit
from lossgen.gan.contact_sheet import grid
from lossgen.gan.leaks import Check
from lossgen.gan.splits import plural
from lossgen.report.documents import aligned, markdown_table, plain

CELL = 96
"""Pixels that an image is wide in the picture of pairs, about."""
NOT_SAID = (
    "What this does not say: it is no proof of privacy. Copies that were shifted, turned or changed in brightness are "
    "not found, nor attacks on the weights of the generator; and differential privacy, the one guarantee there is, "
    "would have to be built into its training."
)


def headline(audit: Audit) -> str:
    """The finding in a sentence."""
    failed = [check.name for check in audit.checks if check.judged and not check.passed]
    open_ = [check.name for check in audit.checks if not check.judged]
    if failed:
        return f"Failed: {', '.join(failed)}. Do not hand these images on as they are."
    if open_:
        return (
            f"Cannot be judged: {', '.join(open_)}. The other real images are of another kind than the training "
            "images; give some of the same (--held-out)."
        )
    return "Passed: no sign that the generated images are copies of training images."


def audit_lines(audit: Audit) -> list[str]:
    """All of it for a terminal."""
    columns, rows = check_table(audit.checks)
    lines = [headline(audit), "", *audit.notes, _sets(audit), "", *aligned(columns, rows), ""]
    lines += [f"{check.name}: {check.meaning}." for check in audit.checks]
    lines += [
        "",
        *aligned(*coverage_table(audit)),
        f"Coverage: {audit.features}",
        "",
        closest_line(audit),
        "",
        NOT_SAID,
    ]
    return lines


def check_table(checks: Sequence[Check]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of what was checked."""
    rows = [
        [
            check.name, check.word, f"{check.value:.3f}",
            f"{check.low:.3f} – {check.high:.3f}", f"{check.usual:.3f}", f"{check.limit:.3f}",
        ]
        for check in checks
    ]  # fmt: skip
    return ["", "", "measured", "95 % interval", "usual", "fails if the interval is above"], rows


def coverage_table(audit: Audit) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of what is covered."""
    rows = [[row.kind, str(row.count), f"{row.by_fake:.3f}", f"{row.by_real:.3f}"] for row in audit.coverage]
    return ["coverage of", "real images", "by generated", "by as many training images"], rows


def closest_line(audit: Audit) -> str:
    """How close the closest pairs are, and what would be usual."""
    pairs = audit.pairs
    closer = int((pairs.to_training < pairs.usual).sum())
    return (
        f"The {len(pairs.to_training)} generated images that are closest to a training image are "
        f"{pairs.to_training[0]:.1f} to {pairs.to_training[-1]:.1f} grey levels from it (root mean square). "
        f"{closer} of them {'is' if closer == 1 else 'are'} closer than all but one in a hundred of the real images of "
        "their class that were not trained on."
    )


def audit_markdown(audit: Audit, picture: str = "") -> str:
    """The page."""
    lines = ["# Audit of generated images", "", f"**{plain(headline(audit))}**", "", plain(_sets(audit)), ""]
    for note in audit.notes:
        lines += [plain(note), ""]
    lines += [*markdown_table(*check_table(audit.checks)), ""]
    lines += [f"- {check.name}: {plain(check.meaning)}." for check in audit.checks]
    lines += [
        "",
        "Distances are root mean squares over pixels, class by class. What is usual is measured on real training "
        "images in place of generated ones. A check fails where the whole of its interval is above the limit: what "
        "few images leave open passes, and the interval says so.",
        "", "## Coverage", "", *markdown_table(*coverage_table(audit)), "", plain(f"Of {audit.features}"), "",
        "## Closest pairs", "", plain(closest_line(audit)), "",
    ]  # fmt: skip
    if picture:
        lines += [f"![Generated images, training images, other images]({picture})", ""]
        lines += [
            "Above the generated images, below each its closest training image, and below that the closest other.",
            "",
        ]
    return "\n".join([*lines, plain(NOT_SAID)]) + "\n"


def audit_json(audit: Audit) -> dict[str, Any]:
    """All of it as JSON values."""
    return {
        "schema": 1, "real": audit.real, "fake": audit.fake, "others": audit.others, "passed": audit.passed,
        "counts": dict(audit.counts),
        "image_size": audit.size,
        "checks": [vars(check) | {"passed": check.passed} for check in audit.checks],
        "coverage": [vars(row) for row in audit.coverage], "features": audit.features,
        "closest": {
            "to_training": audit.pairs.to_training.tolist(), "to_others": audit.pairs.to_others.tolist(),
            "usual": audit.pairs.usual.tolist(),
        },
        "notes": list(audit.notes), "does_not_say": NOT_SAID,
    }  # fmt: skip


def write_audit(audit: Audit, folder: Path) -> list[Path]:
    """The page, its numbers and its picture; their paths."""
    page, numbers, picture = (folder / name for name in ("audit.md", "audit.json", "pairs.png"))
    draw_pairs(audit, picture)
    write_text(numbers, json.dumps(audit_json(audit), indent=2, ensure_ascii=False) + "\n")
    write_text(page, audit_markdown(audit, picture.name))
    return [page, numbers, picture]


def draw_pairs(audit: Audit, path: Path) -> None:
    """Generated images, under each the closest training image, and under that the closest other one."""
    from PIL import Image

    images = audit.pairs.images
    sheet = Image.fromarray(grid(images.reshape(-1, *images.shape[2:]), images.shape[1]))
    scale = max(1, round(CELL / images.shape[-1]))
    sheet.resize((sheet.width * scale, sheet.height * scale), Image.Resampling.NEAREST).save(path)


def _sets(audit: Audit) -> str:
    counts = audit.counts
    return (
        f"{plural(counts['generated'], 'generated image')} of {audit.fake}, against {counts['training']} training "
        f"images of {audit.real} and {counts['other']} others ({audit.others}), at {audit.size} × {audit.size} pixels."
    )
