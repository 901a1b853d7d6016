"""The peers of benchmarks/kernel.py: lossgen's trees, node by node, and all evaluated in one call."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lossgen.language.expression import Expression

Array = NDArray[np.floating]
Run = Callable[[], object]

NUMPY: Mapping[str, Callable[..., Array]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "exp": np.exp, "log": np.log,
    "sqrt": np.sqrt, "square": np.square, "tanh": np.tanh, "sin": np.sin, "cos": np.cos,
}  # fmt: skip


def numpy_values(tree: Expression, scores: Array, targets: Array, nodes: list[Array] | None = None) -> Array:
    """The textbook's value, without a guard; the values of all nodes are appended to `nodes`."""
    if tree.is_constant:
        value = np.full_like(scores, tree.value)
    elif tree.is_variable:
        value = scores if tree.head == "score" else targets
    else:
        value = NUMPY[tree.head](*(numpy_values(operand, scores, targets, nodes) for operand in tree.operands))
    if nodes is not None:
        nodes.append(value)
    return value


def pyoperon(trees: Sequence[Expression], scores: Array, targets: Array, threads: int) -> tuple[Run, Run]:
    """`EvaluateTrees`, its fastest way: float32 alone; result given to it, threads by its own pool."""
    import pyoperon as operon

    names = {"square": "Square", "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "exp": "Exp", "log": "Log",
             "sqrt": "Sqrt", "tanh": "Tanh", "sin": "Sin", "cos": "Cos"}  # fmt: skip
    inputs = np.asfortranarray(np.stack([scores, targets], axis=1).astype(np.float32))
    data = operon.Dataset(inputs)  # looks at the array, and does not keep it
    variables = sorted(data.Variables, key=lambda variable: variable.Index)
    hashes = {name: variable.Hash for name, variable in zip(("score", "y_real"), variables, strict=True)}

    def nodes(tree: Expression) -> list[object]:
        if tree.is_constant:
            return [operon.Node.Constant(tree.value)]
        if tree.is_variable:
            leaf = operon.Node.Variable(1.0)
            leaf.HashValue = leaf.CalculatedHashValue = hashes[tree.head]
            return [leaf]
        below = [
            node for operand in reversed(tree.operands) for node in nodes(operand)
        ]  # the first operand stands last
        return [*below, operon.Node(getattr(operon.NodeType, names[tree.head]))]

    built = [operon.Tree(nodes(tree)).UpdateNodes() for tree in trees]
    out = np.zeros(len(trees) * len(scores), np.float32)
    area = operon.Range(0, len(scores))

    def run() -> Array:
        operon.EvaluateTrees(built, data, area, out, threads)
        return inputs

    return run, lambda: out.reshape(len(trees), -1)


def gplearn(trees: Sequence[Expression], scores: Array, targets: Array) -> tuple[Run, Run]:
    """`_Program.execute`: float64 alone, for it repeats constants as such; one thread."""
    from gplearn._program import _Program
    from gplearn.functions import _function_map, make_function

    own = {name: _function_map[name] for name in ("add", "sub", "mul", "div", "sqrt", "log", "sin", "cos")}
    for name in ("exp", "square", "tanh"):
        own[name] = make_function(function=NUMPY[name], name=name, arity=1, wrap=False)
    arities = {arity: [f for f in own.values() if f.arity == arity] for arity in (1, 2)}

    def prefix(tree: Expression) -> list[object]:
        if tree.is_constant:
            return [tree.value]
        if tree.is_variable:
            return [("score", "y_real").index(tree.head)]
        return [own[tree.head], *(item for operand in tree.operands for item in prefix(operand))]

    built = [
        _Program(list(own.values()), arities, (2, 6), "grow", 2, (-1.0, 1.0), None, 0.1, 0.001,
                 np.random.RandomState(0), program=prefix(tree))
        for tree in trees
    ]  # fmt: skip
    inputs = np.stack([scores, targets], axis=1).astype(np.float64)

    def run() -> list[Array]:
        return [program.execute(inputs) for program in built]

    return run, lambda: np.stack(run())


def deap(trees: Sequence[Expression], scores: Array, targets: Array) -> tuple[Run, Run]:
    """`gp.compile` to a Python function of NumPy arrays, compiled before the clock starts; one thread."""
    from deap import gp

    primitives = gp.PrimitiveSet("MAIN", 2)
    primitives.renameArguments(ARG0="score", ARG1="y_real")
    for name, function in NUMPY.items():
        primitives.addPrimitive(
            function, 1 if name in ("exp", "log", "sqrt", "square", "tanh", "sin", "cos") else 2, name
        )

    def prefix(tree: Expression) -> list[object]:
        if tree.is_constant:
            return [gp.Terminal(tree.value, False, object)]
        if tree.is_variable:
            return [primitives.mapping[tree.head]]
        return [primitives.mapping[tree.head], *(item for operand in tree.operands for item in prefix(operand))]

    built = [gp.compile(gp.PrimitiveTree(prefix(tree)), primitives) for tree in trees]

    def run() -> list[Array]:
        return [function(scores, targets) for function in built]

    return run, lambda: np.stack([np.broadcast_to(value, scores.shape) for value in run()])


@njit(error_model="numpy")
def _arithmetic_1(s, t, a, b, out):  # type: ignore[no-untyped-def]
    for j in range(s.shape[0]):
        out[j] = (s[j] * t[j] + a) * (s[j] - t[j]) - (s[j] + b) * (t[j] + a) * s[j]


@njit(error_model="numpy")
def _arithmetic_2(s, t, a, b, out):  # type: ignore[no-untyped-def]
    for j in range(s.shape[0]):
        out[j] = (s[j] + a) / (t[j] * t[j] + b) - (s[j] - t[j] * a) * (s[j] * b + t[j] / (s[j] + b))


@njit(error_model="numpy")
def _mixed_1(s, t, a, b, out):  # type: ignore[no-untyped-def]
    for j in range(s.shape[0]):
        out[j] = math.exp(s[j] * t[j] - a) + math.sqrt(s[j] + b) * math.tanh(t[j] - s[j] * a)


@njit(error_model="numpy")
def _mixed_2(s, t, a, b, out):  # type: ignore[no-untyped-def]
    for j in range(s.shape[0]):
        out[j] = math.log(s[j] + b) * math.sin(t[j] * a) / (s[j] * s[j] + b) - math.cos(s[j]) * (t[j] + a)


A, B = 0.75, 1.25
FUSED = (
    (_arithmetic_1, "(score * y_real + 0.75) * (score - y_real) - (score + 1.25) * (y_real + 0.75) * score"),
    (
        _arithmetic_2,
        "(score + 0.75) / (y_real * y_real + 1.25)"
        " - (score - y_real * 0.75) * (score * 1.25 + y_real / (score + 1.25))",
    ),
    (_mixed_1, "exp(score * y_real - 0.75) + sqrt(score + 1.25) * tanh(y_real - score * 0.75)"),
    (
        _mixed_2,
        "log(score + 1.25) * sin(y_real * 0.75) / (score * score + 1.25) - cos(score) * (y_real + 0.75)",
    ),
)
"""Functions written by hand, all operators in one loop, and what they compute, twice of each kind."""
REPEATED = 250


def fused(kind: str, scores: Array, targets: Array) -> tuple[Run, Run, list[str]]:
    """Two functions of a kind called in turn, and the formulas for the others to compute."""
    pair = FUSED[:2] if kind == "arithmetic" else FUSED[2:]
    out = np.empty((2 * REPEATED, len(scores)), scores.dtype)
    a, b = scores.dtype.type(A), scores.dtype.type(B)

    @njit(error_model="numpy")
    def all_of_them(first, second, s, t, a, b, out):  # type: ignore[no-untyped-def]
        for i in range(0, out.shape[0], 2):
            first(s, t, a, b, out[i])
            second(s, t, a, b, out[i + 1])

    def run() -> None:
        all_of_them(pair[0][0], pair[1][0], scores, targets, a, b, out)

    return run, lambda: out, [formula for _, formula in pair] * REPEATED
