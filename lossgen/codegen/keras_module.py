"""The Keras target: a Loss to the source text of one self-contained module for Keras 3, whatever its backend.

It imports nothing but keras. Functions are as in the PyTorch target; the class is a `keras.losses.Loss`. Keras'
`ops.maximum`, `ops.minimum` and `ops.mean` give float32 for float64, so that few losses are float64 throughout.
"""

from collections.abc import Iterator
from string import Template

from lossgen.codegen import classes
from lossgen.codegen.docstring import docstring
from lossgen.codegen.parts import Calls, Parts, check_names, guards, join, loss_parts
from lossgen.language.emission import Dialect
from lossgen.language.loss import Loss

TITLE = "a GAN loss for Keras 3, in one file."
RESERVED = frozenset(
    {"keras", "ops", "EPS", "divisor", "bce_with_logits", "real", "fake", "generator", "generator_real", "loss"}
    | {"call", "get_config", "from_config", "y_true", "config"}
)
KERAS = Dialect(
    {
        **{name: f"ops.{name}({{}})" for name in ("abs", "exp", "log", "sqrt", "square", "relu")},
        **{name: f"ops.{name}({{}})" for name in ("sigmoid", "softplus", "tanh", "sin", "cos")},
        "logsigmoid": "ops.log_sigmoid({})",
        "bce_with_logits": "bce_with_logits({})",
        "min": "ops.minimum({})",
        "max": "ops.maximum({})",
    },
    at_least=lambda code, bound: f"ops.maximum({code.text}, {bound})",
    at_most=lambda code, bound: f"ops.minimum({code.text}, {bound})",
    full=lambda number: f"ops.full_like(score, {number})",
    zeros="ops.zeros_like(score)",
    tensors_only=frozenset({"bce_with_logits"}),
)
_CALLS = Calls(mean="ops.mean({})")


def emit_keras(loss: Loss) -> str:
    """Source text of a Python file with the loss as functions and as a `keras.losses.Loss` called `loss.name`.

    Raises:
        InputError: a name would hide something that the module uses, or a constant part is not finite.
    """
    check_names(loss, RESERVED)
    parts = loss_parts(KERAS, loss)
    imports = "import keras\nfrom keras import ops"
    helpers = [*guards(parts.source, _DIVISOR), *([_BCE] if "bce_with_logits(" in parts.source else [])]
    return join([docstring(loss, TITLE), imports, *helpers, parts.source, _class(loss, parts)])


def _class(loss: Loss, parts: Parts) -> str:
    options = ['reduction="sum_over_batch_size"', 'input="score"', "name=None", "dtype=None"]
    constants = [f"{name}={value!r}" for name, value in loss.constants.items()]
    return Template(_CLASS).substitute(
        name=loss.name,
        about=_ABOUT if "loss" in parts else _ABOUT_OF_BATCHES,
        arguments=classes.indent([*_ARGUMENTS, *classes.argument_lines(loss, parts)]),
        attributes=classes.indent(classes.attribute_lines(loss), 4),
        signature=classes.init(options, constants),
        constants=classes.added(classes.constant_lines(loss, parts)),
        call=_call(loss, parts),
        discriminator=classes.indent(_discriminator(parts)),
        generator=classes.indent(_generator(loss, parts)),
        config=classes.indent(_config(loss)),
        over_scales=_OVER_BATCHES if classes.compares(parts) else _OVER_SCALES,
    )


def _call(loss: Loss, parts: Parts) -> str:
    if "loss" not in parts:
        return _NO_CALL.replace("$name", loss.name)
    arguments = ["score", "ops.broadcast_to(y_true, ops.shape(score))"]
    arguments += [f"{name}=self.{name}" for name in parts["loss"].constants]
    return _CALL.replace("$value", classes.indent(_in_brackets("loss(", arguments, ")")))


def _config(loss: Loss) -> Iterator[str]:
    own = [f'"{name}": self.{name}' for name in ("input", *loss.constants)]
    line, *more = _in_brackets("{", ["**super().get_config()", *own], "}")
    yield from (f"return {line}", *more)


def _in_brackets(opening: str, items: list[str], closing: str) -> Iterator[str]:
    """The items in one line, or one a line where that is too long."""
    line = f"{opening}{', '.join(items)}{closing}"
    if len(line) <= classes.WIDTH - len("return "):
        yield line
    else:
        yield from (opening, *(f"    {item}," for item in items), closing)


def _discriminator(parts: Parts) -> Iterator[str]:
    yield from classes.docstring_lines(
        'Loss of real plus loss of fake; with reduction "none" the pair (real, fake).',
        classes.MEANS if parts["real"].means or parts["fake"].means else "",
    )
    yield from classes.discriminator_lines(parts, _CALLS)
    yield "return (of_real, of_fake) if self._elementwise else of_real + of_fake"


def _generator(loss: Loss, parts: Parts) -> Iterator[str]:
    yield from classes.docstring_lines(*classes.about_generator(parts))
    both = "return (of_fake, of_real) if self._elementwise else of_fake + of_real"
    yield from classes.generator_lines(loss, parts, _CALLS, both)


_ARGUMENTS = (
    'reduction: "sum_over_batch_size" for the mean over all scores, "sum", or "none" for the loss of every element.',
    'input: "score" for raw discriminator outputs; "probability" for those of a discriminator that ends in a sigmoid.',
    "name: of the loss, in what Keras logs; made from the class's if None.",
    "dtype: of the computation, whatever that of the scores; keras.config.floatx() if None.",
)

_DIVISOR = '''\
def divisor(b):
    """±max(|b|, EPS), with the sign of b."""
    return ops.where(b < 0.0, ops.minimum(b, -EPS), ops.maximum(b, EPS))'''

# ops.binary_crossentropy clips the probability on some backends, and takes no two shapes on most.
_BCE = '''\
def bce_with_logits(score, y_real):
    """Binary cross-entropy of a score and a target, with all digits where it is small."""
    return y_real * ops.softplus(-score) + (1.0 - y_real) * ops.softplus(score)'''

_ABOUT = """\
Called as criterion(target, score), in Keras' order, it stands in for BinaryCrossentropy(from_logits=True). Scores
    may have any shape, or be a list of tensors (one a discriminator scale), which gives the mean over the list."""

_ABOUT_OF_BATCHES = """\
The loss of an image depends on the scores of the whole batch, so that there is no criterion(target, score): call
    discriminator_loss and generator_loss. Scores may have any shape, or be a list of tensors (one a discriminator
    scale), which gives the mean over the list."""

_OVER_SCALES = """\
def _over_scales(self, function, score):
        if isinstance(score, (list, tuple)):
            losses = [self._over_scales(function, scale) for scale in score]
            return losses if self._elementwise else sum(losses) / len(losses)
        value = function(self._raw(score))
        return value if self._elementwise else ops.sum(value) if self.reduction == "sum" else ops.mean(value)"""

_OVER_BATCHES = """\
def _over_scales(self, function, *scores):
        if isinstance(scores[0], (list, tuple)):
            losses = [self._over_scales(function, *scales) for scales in zip(*scores, strict=True)]
            return losses if self._elementwise else sum(losses) / len(losses)
        value = function(*map(self._raw, scores))
        return value if self._elementwise else ops.sum(value) if self.reduction == "sum" else ops.mean(value)"""

_CLASS = '''\
@keras.saving.register_keras_serializable(package="lossgen")
class $name(keras.losses.Loss):
    """$name on raw discriminator scores.

    $about

    Args:
        $arguments
    """

    $attributes

    $signature
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if input not in ("score", "probability"):
            raise ValueError(f"input must be 'score' or 'probability', not {input!r}")
        self.input = input$constants
        self._elementwise = reduction in (None, "none")

$call
    def discriminator_loss(self, real_score, fake_score):
        $discriminator

    def generator_loss(self, fake_score, real_score=None):
        $generator

    def get_config(self):
        $config

    $over_scales

    def _raw(self, score):
        score = ops.convert_to_tensor(score, dtype=self.dtype)
        if self.input == "score":
            return score
        probability = ops.clip(score, 1e-7, 1.0 - 1e-7)
        return ops.log(probability) - ops.log1p(-probability)'''

_CALL = '''\
    def __call__(self, y_true, y_pred, sample_weight=None):
        """Loss of scores y_pred for targets y_true: floats, or tensors that broadcast to the scores."""
        if isinstance(y_pred, (list, tuple)):
            losses = [self(y_true, scale, sample_weight) for scale in y_pred]
            return losses if self._elementwise else sum(losses) / len(losses)
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true, y_pred):
        score = self._raw(y_pred)
        if len(y_true.shape) == len(score.shape) - 1 and score.shape[-1] == 1:
            y_true = ops.expand_dims(y_true, -1)  # labels without the last axis, as Keras' own losses take them
        if len(y_true.shape) == len(score.shape) + 1 and y_true.shape[-1] == 1:
            y_true = ops.squeeze(y_true, -1)  # or labels that have it where the scores do not
        return $value
'''

_NO_CALL = '''\
    def __call__(self, y_true, y_pred, sample_weight=None):
        """Not defined for this loss: it looks at real and generated images together."""
        raise TypeError(
            "$name looks at real and generated images together: in place of criterion(target, score) "
            "call discriminator_loss(real_score, fake_score) and generator_loss(fake_score, real_score)"
        )
'''
