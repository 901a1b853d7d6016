"""The emitted text: its docstring, its names, its formulas."""

import ast
import re

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from strategies import ANY_CONSTANT, NAMES, losses

from lossgen.codegen.dag import expression_dag, shared
from lossgen.codegen.load import load_source, read_emitted
from lossgen.codegen.targets import TARGETS, Target
from lossgen.codegen.torch_module import MARKER, RESERVED, body_of, emit_torch
from lossgen.errors import InputError
from lossgen.language.expression import Expression, apply, constant, variable
from lossgen.language.loss import GENERATOR_REAL, ROLES, Loss
from lossgen.language.lower import NotFiniteError
from lossgen.language.parser import parse_loss


def emitted(loss: Loss) -> str:
    """The module's text; examples whose constants overflow, or that have a name it uses itself, are dropped."""
    try:
        return emit_torch(loss)
    except NotFiniteError:
        assume(False)
    except InputError as error:
        assert "uses this name itself" in str(error)
        assume(False)
    raise AssertionError


def function(text: str, name: str) -> str:
    """What stands in an emitted function behind its docstring."""
    body = emit_torch(parse_loss(text)).split(f"\ndef {name}(", 1)[1].split("\n\n\n", 1)[0]
    return body.split('"""', 2)[2].strip()


NASTY = [
    "\ufeff",
    '"', "'", '"""', "'''", '""""', '"\n"""', "\\", "\\\\", '\\"""', "\\N{BULLET}", "\n", "\n\n", "\r\n", "\r", "\x00",
    "\x0b", "\x85", "\u2028", "\ud800", "\t", " ", "    ", "#", "ß", "𝒳", MARKER, f"\n\n{MARKER}\n\n    score",
    "In LaTeX, with y the target", "Written by lossgen.", "{}", "%s", "CLASS_NAME", "import os", 'r"""',
]  # fmt: skip
NOTES = st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=5)), max_size=8).map("".join)


@settings(max_examples=100)
@given(losses(constants=ANY_CONSTANT, max_leaves=8, names=NAMES, notes=NOTES))
def test_the_docstring_parses_back_to_the_same_loss(loss: Loss) -> None:
    source = emitted(loss)
    found = read_emitted(source, "there")
    assert found == loss
    assert body_of(emit_torch(found)) == body_of(source)
    tree = ast.parse(source)
    assert ast.get_docstring(tree, clean=False) is not None
    assert all(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body[1:3])


@settings(max_examples=100)
@given(NOTES)
@example("\n".join(NASTY))
@example(MARKER)
@example(f"{MARKER}\n\n    1 - score\n")
@example("In LaTeX, with y the target, and more.\n\nA second paragraph.")
def test_no_note_gets_out_of_the_docstring(note: str) -> None:
    plain = Loss("A", label=variable("score"))
    source = emit_torch(plain.renamed("A", note))
    assert body_of(source) == body_of(emit_torch(plain))
    assert read_emitted(source, "there") == plain
    again = emit_torch(read_emitted(source, "there"))
    assert emit_torch(read_emitted(again, "there")) == again
    assert source.isascii() or source.encode("utf-8")


@given(
    st.lists(
        st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\'), min_size=1), max_size=6
    )
)
def test_a_plain_note_survives(lines: list[str]) -> None:
    note = "\n".join(line.rstrip() for line in lines).strip()
    loss = Loss("A", label=variable("score"), note=note)
    source = emit_torch(loss)
    assert read_emitted(source, "there").note == note
    assert emit_torch(read_emitted(source, "there")) == source


def test_a_note_that_speaks_of_latex_is_kept_whole() -> None:
    note = "First.\n\nIn LaTeX, with y the target, this is short.\n\nLast."
    assert read_emitted(emit_torch(Loss("A", label=variable("score"), note=note)), "there").note == note


@pytest.mark.parametrize(
    "name", ["torch", "real", "fake", "generator", "loss", "print", "nn", "F", "EPS", "len", "Tensor"]
)
def test_names_that_the_module_uses_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"name '{name}': the emitted module uses this name itself") as caught:
        emit_torch(parse_loss("score").renamed(name))
    assert "\n" not in str(caught.value)


def test_every_name_bound_or_used_by_a_module_is_reserved() -> None:
    """With all helpers and imports in use."""
    clauses = dict.fromkeys((*ROLES, GENERATOR_REAL), "relu(log(score)) / score")
    text = "\n".join(f"{role}: {clause}" for role, clause in clauses.items())
    source = emit_torch(parse_loss(f"loss Made(score):\n{text}"))
    tree = ast.parse(source)
    local = {"score", "y_real", "y_pred", "target"}
    bound: set[str] = set()
    for node in tree.body[1:]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Assign):
            bound |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    assert bound - {"Made"} == RESERVED - local
    nodes = list(ast.walk(tree))
    own = {node.arg for node in nodes if isinstance(node, ast.arg)} | {"Made"}
    own |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)} - bound
    own |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)} - bound
    used = {node.id for node in nodes if isinstance(node, ast.Name)} - own
    assert used >= {"torch", "super", "isinstance", "divisor"}
    for name in used:
        with pytest.raises(InputError, match="uses this name itself"):
            emit_torch(parse_loss("score").renamed(name))


LOCAL = ["score", "y_real", "y_pred", "t0", "self", "target", "of", "s", "_", "match", "Loss"]


@pytest.mark.parametrize("name", [*LOCAL, "CLASS_NAME", "XCLASS_NAME", "CLASS_DOC"])
def test_names_of_locals_and_of_the_template_are_fine(name: str) -> None:
    loss = parse_loss("loss A(score, y_pred) = tanh(y_pred) * (score + tanh(y_pred))").renamed(name)
    source = emit_torch(loss)
    criterion = load_source(source)
    assert type(criterion).__name__ == name
    assert f'class {name}(nn.Module):\n    """{name} on raw discriminator scores.' in source
    assert criterion(variable_scores(), 1.0).isfinite()
    assert read_emitted(source, "there") == loss


def variable_scores():  # type: ignore[no-untyped-def]
    import torch

    return torch.linspace(-2.0, 2.0, 5)


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("-log(y_pred)", "real", "return F.softplus(-score)"),
        ("log(1 - y_pred)", "real", "return F.logsigmoid(-score)"),
        ("log(0.5 + y_pred)", "real", "return torch.log(0.5 + y_pred)"),
        ("log(score)", "real", "return torch.log(torch.abs(score).clamp(min=EPS))"),
        ("log(relu(-y_pred))", "real", "return torch.log(F.relu(-y_pred).clamp(min=EPS))"),
        ("1 / y_pred", "real", "return 1.0 / y_pred.clamp(min=EPS)"),
        ("1 / (1 + y_pred)", "real", "return 1.0 / (1.0 + y_pred)"),
        ("1 / score", "real", "return 1.0 / divisor(score)"),
        ("score / 0", "real", "return score / 1e-08"),
        ("score / -2", "real", "return score / -2.0"),
        ("score^3", "real", "return score ** 3"),
        ("(-score)^3", "real", "return (-score) ** 3"),
        ("score^-2", "real", "return 1.0 / (score ** 2).clamp(min=EPS)"),
        ("score^0.5", "real", "return torch.abs(score).clamp(min=EPS) ** 0.5"),
        ("2^score", "real", "return 2.0 ** score"),
        ("(-2)^score", "real", "return 2.0 ** score"),
        ("0^score", "real", "return 1e-08 ** score"),
        ("exp(y_pred)", "real", "return torch.exp(y_pred)"),
        ("exp(score)", "real", "return torch.exp(score.clamp(max=60.0))"),
        ("score - (1 - score)", "real", "return score - (1.0 - score)"),
        ("-(score + 1)", "real", "return -(score + 1.0)"),
        ("(-score)^2", "real", "return (-score) ** 2"),
        ("max(score, 1)", "real", "return torch.maximum(score, torch.full_like(score, 1.0))"),
        ("min(y_real, score)", "fake", "return torch.minimum(torch.full_like(score, 0.0), score)"),
        ("y_real * score", "real", "return score"),
        ("y_real * score", "fake", "return torch.full_like(score, 0.0)"),
        ("y_real * score", "loss", "return y_real * score"),
        ("y_real", "loss", "return y_real + torch.zeros_like(score)"),
        ("y_pred", "real", "return torch.sigmoid(score)"),
        ("y_pred * tanh(score) + tanh(score)", "real", "return y_pred * t0 + t0"),
    ],
)  # fmt: skip
def test_a_formula_is_written_as_a_person_would(text: str, name: str, expected: str) -> None:
    assert function(text, name).split("\n")[-1].strip() == expected


P = "y_pred = torch.sigmoid(score)"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("1 / y_pred + score / y_pred", [P, "t0 = y_pred.clamp(min=EPS)", "return 1.0 / t0 + score / t0"]),
        ("1 / score + y_pred / score", [P, "t0 = divisor(score)", "return 1.0 / t0 + y_pred / t0"]),
        ("sqrt(score) * log(score)", ["t0 = torch.abs(score).clamp(min=EPS)", "return torch.sqrt(t0) * torch.log(t0)"]),
        ("score / (1 + score * score)", ["return score / (1.0 + score * score)"]),
        ("sqrt(1 + score * score)", ["return torch.sqrt(1.0 + score * score)"]),
        ("-(y_pred^2 * log(1 - y_pred))", [P, "return y_pred ** 2 * F.softplus(score)"]),
    ],
)  # fmt: skip
def test_a_guard_is_computed_once_and_left_out_where_a_square_is_a_product(text: str, lines: list[str]) -> None:
    assert [line.strip() for line in function(text, "real").split("\n")] == lines


@pytest.mark.parametrize(
    "name", ["discriminator_loss", "generator_loss", "needs_real", "recommended", "of_real", "forward"]
)
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_constant_cannot_hide_what_a_file_promises(name: str, target: Target) -> None:
    if target.name == "numpy" and name == "forward":
        pytest.skip("functions without a class")
    loss = parse_loss(f"const {name} = 2\nscore * {name}")
    with pytest.raises(InputError, match=f"constant '{name}': the emitted module uses this name itself"):
        target.emit(loss)


def test_the_only_guard_names_are_those_in_use() -> None:
    plain, guarded, divided = (emit_torch(parse_loss(text)) for text in ("relu(score)", "log(score)", "1 / score"))
    assert not re.search(r"\bEPS\b|divisor", plain.split('"""', 2)[2])
    assert re.search(r"^EPS = 1e-8 ", guarded, re.MULTILINE)
    assert "def divisor" not in guarded
    assert "def divisor" in divided


def test_shared_parts_of_the_graph() -> None:
    score = variable("score")
    inner = apply("tanh", score)
    outer = apply("mul", inner, inner)
    expression = apply("add", apply("sub", outer, constant(1.0)), apply("exp", outer))
    graph = expression_dag(expression)
    assert graph.number_of_nodes() == 7
    assert graph.edges[inner, outer]["uses"] == 2
    assert shared(expression) == [inner, outer]
    assert shared(inner) == []
    assert shared(score) == []


@settings(max_examples=60)
@given(losses(max_leaves=14))
def test_each_shared_part_is_computed_once(loss: Loss) -> None:
    source = emitted(loss)
    functions = source.split("\nclass ", 1)[0].split('"""', 2)[2]
    assert max(map(len, functions.split("\n"))) <= 100
    for body in functions.split("\ndef ")[1:]:
        lines = [line.strip() for line in body.split("\n")]
        assert sum("torch.sigmoid(score)" in line for line in lines) <= 1
        right_sides = [line.split(" = ", 1)[1] for line in lines if re.match(r"(t\d+|y_pred) = ", line)]
        assert len(set(right_sides)) == len(right_sides)


def test_trees_are_not_changed_by_emission() -> None:
    loss = parse_loss("y_pred^3 + sqrt(3.985 * y_real / y_pred)")
    before: Expression | None = loss.label
    assert emit_torch(loss) == emit_torch(loss)
    assert loss.label is before
