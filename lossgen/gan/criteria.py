"""The losses of several members on their scores: values and score-gradients, row by row.

A loss acts on a network only through its gradient by the scores. So each loss is differentiated by itself, and what
it raises, or makes infinite, stays with its own member; the networks of all members then share one backward pass.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Slopes:
    """Losses and their gradients.

    Attributes:
        values: losses, (members,), detached.
        gradients: by each of the scores that were given, (members, batch).
        errors: what a loss has raised, by member; its value and its gradients are 0.
    """

    values: Tensor
    gradients: tuple[Tensor, ...]
    errors: Mapping[int, Exception]


class Criteria:
    """The criteria of members, in their order.

    Where several members have one loss, as on different seeds, it is evaluated for all of them at once by
    `torch.func.vmap`: fewer kernels to launch on a GPU. A loss that does not run under it is evaluated row by row.

    Args:
        criteria: modules with the methods of an emitted one.
        kinds: what tells losses apart; criteria of the same kind are the same function.
    """

    def __init__(self, criteria: Sequence[nn.Module], kinds: Sequence[object]) -> None:
        self._criteria = list(criteria)
        self._kinds = list(kinds)
        self._by_rows: set[object] = set()  # kinds that do not run under vmap
        self._group()

    def __len__(self) -> int:
        return len(self._criteria)

    @property
    def needs_real(self) -> bool:
        """Whether a generator's loss takes the scores of real images, too."""
        return any(getattr(criterion, "needs_real", False) for criterion in self._criteria)

    def keep(self, members: Sequence[int]) -> None:
        """Leave only these members."""
        self._criteria = [self._criteria[i] for i in members]
        self._kinds = [self._kinds[i] for i in members]
        self._group()

    def _group(self) -> None:
        groups: dict[object, list[int]] = {}
        for i, kind in enumerate(self._kinds):
            groups.setdefault(kind, []).append(i)
        self._groups = groups

    def discriminator(self, real: Tensor, fake: Tensor) -> Slopes:
        """Losses of the discriminators on scores of real and of generated images, (members, batch) each."""
        return self._slopes("discriminator_loss", (real, fake), 2)

    def generator(self, fake: Tensor, real: Tensor | None) -> Slopes:
        """Losses of the generators; `real` where `needs_real` says so. Gradients are those by `fake`."""
        return self._slopes("generator_loss", (fake,) if real is None else (fake, real), 1)

    def _slopes(self, name: str, scores: tuple[Tensor, ...], by: int) -> Slopes:
        leaves = [s.detach().requires_grad_() for s in scores[:by]] + [s.detach() for s in scores[by:]]
        values: list[Tensor | None] = [None] * len(self)
        gradients: list[tuple[Tensor, ...] | None] = [None] * len(self)
        errors: dict[int, Exception] = {}
        for kind, members in self._groups.items():
            together = len(members) > 1 and kind not in self._by_rows
            for rows in [members] if together else [[i] for i in members]:
                try:
                    found = self._evaluate(name, rows, leaves, by)
                except Exception as error:
                    if is_out_of_memory(error):
                        raise
                    if not together:
                        errors[rows[0]] = error
                        continue
                    self._by_rows.add(kind)
                    return self._slopes(name, scores, by)
                for place, i in enumerate(rows):
                    values[i] = found[0][place]
                    gradients[i] = tuple(each[place] for each in found[1])
        nothing = scores[0].new_zeros(())
        each_value = [nothing if value is None else value for value in values]
        columns = [
            torch.stack([torch.zeros_like(leaves[k][i]) if g is None else g[k] for i, g in enumerate(gradients)])
            for k in range(by)
        ]
        return Slopes(torch.stack(each_value), tuple(columns), errors)

    def _evaluate(
        self, name: str, rows: list[int], leaves: Sequence[Tensor], by: int
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """Values (rows,) and gradients (rows, batch) of members that share a criterion."""
        criterion = self._criteria[rows[0]]
        function = getattr(criterion, name)
        if name == "generator_loss" and not getattr(criterion, "needs_real", False):
            leaves = leaves[:1]
        if len(rows) == 1:
            mine = [leaf[rows[0]] for leaf in leaves]
            value = _scalar(function(*mine))
            gradients = torch.autograd.grad(value, mine[:by], allow_unused=True)
            found = [torch.zeros_like(s) if g is None else g for s, g in zip(mine, gradients)]
            return value.detach()[None], [g.detach()[None] for g in found]
        stacked = [leaf[rows] for leaf in leaves]
        values = torch.func.vmap(lambda *each: _scalar(function(*each)))(*stacked)
        gradients = torch.autograd.grad(values.sum(), stacked[:by], allow_unused=True)
        return values.detach(), [torch.zeros_like(s) if g is None else g for s, g in zip(stacked, gradients)]


def _scalar(loss: object) -> Tensor:
    if not isinstance(loss, Tensor) or loss.ndim:
        shape = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise TypeError(f"{shape} in place of a scalar tensor")
    return loss


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that the device's or the machine's memory is full."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)
