"""What travels with generated images: what made them, of what, and whether they passed an audit."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lossgen.codegen.load import read_emitted
from lossgen.errors import InputError
from lossgen.files import without_nan, write_text
from lossgen.gan.auditing import Audit
from lossgen.gan.cards import card_path, read_card
from lossgen.gan.sampling import Drawn
from lossgen.language.printer import formula
from lossgen.report.auditing import NOT_SAID, audit_json, headline
from lossgen.report.documents import plain

NETWORKS = {"dcgan": "DCGAN", "progressive": "progressive GAN", "style": "style-based GAN"}
UNKNOWN = "not recorded"
MEMBERS = (
    "The .json file names the training images by a hash of their pixels (`training`), so that an audit finds them. "
    "Who has an image can tell by it whether it was trained on: take the list out where that must not be known."
)


def card(
    *, source: Mapping[str, Any], loss: tuple[str, str], model: str, seed: Sequence[int], steps: int | str, size: int,
    counts: Mapping[str, int], version: str, digest: str = "", noise: Sequence[int] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What is to be known of images, as JSON values.

    Args:
        source: the training data: "name", "digest" of the splits as they were used, "classes", and "training", what
            images were trained on, where these are not lossgen's own training split.
        loss: its name and its formula.
        model: what generated them, in words.
        seed: of the training.
        counts: images by class, or under "images" where they have none.
        digest: SHA-256 of the model file.
        noise: seed of the noise, where it is another than the training's.
    """
    return {
        "schema": 1, "synthetic": True, "made_by": f"lossgen {version}", "source": dict(source),
        "loss": {"name": loss[0], "formula": loss[1]}, "model": model, "model_digest": digest or None,
        "seed": list(seed), "noise_seed": list(seed if noise is None else noise),
        "steps": steps, "image_size": size, "counts": dict(counts), "audit": None,
    }  # fmt: skip


def card_of(drawn: Drawn, model: Path, version: str) -> dict[str, Any]:
    """The card of images that were drawn from a model file."""
    content, labels = drawn.content, drawn.labels
    data, made, shape = content["data"], content.get("made", {}), content["architecture"]
    kind = f"{NETWORKS.get(shape['name'], shape['name'])}, {model.name}"
    counts = {"images": len(drawn.images)}
    if labels is not None:
        counts = {drawn.classes[label]: int(np.sum(labels == label)) for label in np.unique(labels)}
    elif "class" in data:
        counts = {data["class"]: len(drawn.images)}
    source = {"name": data.get("name", UNKNOWN), "digest": data.get("splits", data.get("digest", UNKNOWN))}
    source |= {"classes": list(data.get("classes", []))} | {k: list(data[k]) for k in ("training",) if k in data}
    loss = (made["loss"], formula(read_emitted(made["source"], str(model)))) if made else (UNKNOWN, "")
    return card(
        source=source, loss=loss, model=kind, seed=content["seed"], steps=made.get("steps", UNKNOWN),
        size=int(shape["size"]), counts=counts, version=version, noise=drawn.seed,
        digest=hashlib.sha256(model.read_bytes()).hexdigest(),
    )  # fmt: skip


def card_markdown(content: Mapping[str, Any]) -> str:
    """The same for people."""
    source, loss, audit = content["source"], content["loss"], content["audit"]
    counts = ", ".join(f"{count} of {name}" for name, count in content["counts"].items())
    if list(content["counts"]) == ["images"]:
        counts = str(content["counts"]["images"])
    file = f" (file of SHA-256 {content['model_digest']})" if content["model_digest"] else ""
    formula = f": `{loss['formula']}`" if loss["formula"] else ""
    named = [MEMBERS, ""] * ("training" in source)
    trained = f", {len(source['training'])} images" if "training" in source else ""
    noise = f", noise {content['noise_seed']}" * (content["noise_seed"] != content["seed"])
    found = audit["finding"] if audit else "not made yet: `lossgen audit REAL FAKE` makes it, and writes it here."
    lines = [
        "# Synthetic images: data card", "",
        "**These images are generated. They show no patient, and no finding in them is real: not for diagnosis.**", "",
        f"- Images: {plain(counts)}; {content['image_size']} × {content['image_size']} pixels.",
        f"- Trained on: {plain(source['name'])}{trained}; SHA-256 of its splits as they were used: {source['digest']}.",
        f"- Model: {plain(content['model'])}{file}; steps: {content['steps']}; seed {content['seed']}{noise}; "
        f"{content['made_by']}.",
        f"- Loss: {plain(loss['name'])}{formula}",
        f"- Audit: {plain(found) if audit else found}", "", plain(NOT_SAID), "", *named,
        "Use them to train, beside real images; never to test.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def audited(content: Mapping[str, Any], audit: Audit) -> dict[str, Any]:
    """The card with what an audit has found."""
    return {**content, "audit": {"finding": headline(audit), **audit_json(audit)}}


def write_card(content: Mapping[str, Any], images: Path) -> list[Path]:
    """Write a card to where its images, a folder or an .npz file, look for it; its files."""
    page, numbers = (card_path(images, ending) for ending in (".md", ".json"))
    text = card_markdown(content)
    write_text(numbers, json.dumps(without_nan(dict(content)), indent=2, ensure_ascii=False) + "\n")
    write_text(page, text)
    return [page, numbers]


def note_audit(audit: Audit, images: Path) -> list[Path]:
    """Write what an audit has found into the card of its images; nothing where they have none.

    Raises:
        InputError: there is a card, and it is none of lossgen's.
    """
    content = read_card(images)
    if content is None:
        return []
    try:
        return write_card(audited(content, audit), images)
    except (KeyError, TypeError, AttributeError):
        raise InputError(
            f"{card_path(images, '.json')}: a data card that lacks something; mend it, or take it away"
        ) from None
