"""What a paper or thesis has to say of a study."""

import importlib.metadata
from collections.abc import Sequence
from typing import Any

from lossgen.codegen.load import NamedSource
from lossgen.gan.auditing import Audit
from lossgen.gan.data import Dataset
from lossgen.gan.downstream.folds import FOLDS
from lossgen.gan.downstream.plan import Plan
from lossgen.gan.downstream.study import Study
from lossgen.language.printer import formula
from lossgen.report.auditing import NOT_SAID, headline
from lossgen.report.documents import plain
from lossgen.report.imbalance import Report

CITED = {
    "GAN": "Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville & Bengio (2014). Generative "
    "adversarial nets. NeurIPS. arXiv:1406.2661.",
    "DCGAN": "Radford, Metz & Chintala (2016). Unsupervised representation learning with deep convolutional "
    "generative adversarial networks. ICLR. arXiv:1511.06434.",
    "DiffAugment": "Zhao, Liu, Lin, Zhu & Han (2020). Differentiable augmentation for data-efficient GAN training. "
    "NeurIPS. arXiv:2006.10738.",
    "GAN per class": "Ismail, Mohd Khalili, Adilah Rahim & Nisa (2023). Deep convolutional generative adversarial "
    "networks for imbalance medical image classification. International Journal on Perceptive and Cognitive Computing "
    "9(2). doi:10.31436/ijpcc.v9i2.409.",
    "corrected resampled t-test": "Nadeau & Bengio (2003). Inference for the generalization error. Machine Learning "
    "52, 239–281.",
    "audit": "Meehan, Chaudhuri & Dasgupta (2020). A non-parametric test to detect data-copying in generative models. "
    "AISTATS. arXiv:2004.05675; Chen, Yu, Zhang & Fritz (2020). GAN-Leaks. CCS. arXiv:1909.03935.",
    "Adam": "Kingma & Ba (2015). Adam: a method for stochastic optimization. ICLR. arXiv:1412.6980.",
}


def methods(
    study: Study,
    plan: Plan,
    losses: Sequence[NamedSource],
    runner: Any,
    report: Report,
    audit: Audit | None,
    version: str,
    seed: int,
) -> str:
    """A methods paragraph, the finding, and what to cite, as Markdown."""
    data: Dataset = study.splits.runs[0]
    counts = ", ".join(f"{count} {name}" for name, count in zip(data.classes, runner.counts))
    named = "; ".join(f"{loss.name}, {formula(loss.loss)}" for loss in losses)
    policy = f" What the discriminator saw was changed at random ({', '.join(runner.policy)}) [DiffAugment]." * bool(
        runner.policy
    )
    planned = FOLDS * plan.repeats
    fewer = f" (of {planned} that were planned; the time was up)" * (len(study.splits.runs) < planned)
    every = sum(map(len, (data.train, data.validation, data.test)))
    whose = (
        f"No {data.group_name} was in two splits."
        if data.train.groups is not None
        else f"Whose images these were was not known, so that a {data.group_name} may have been in training and test."
    )
    paragraph = (
        f"{every} images ({', '.join(data.classes)}), of which {' and '.join(_totals(study))} were tested on, were "
        f"brought to {data.size} × {data.size} pixels in {'grey' if data.channels == 1 else 'colour'}. {whose} We used "
        f"{study.splits.description}, which gave {len(study.splits.runs)} runs{fewer}, each with a split, GANs and "
        f"classifiers of its own (training images of the first: {counts}). For each class with fewer images than the "
        "largest a GAN [GAN], a DCGAN [DCGAN], was trained on the training images of that class alone [GAN per class] "
        f"for {plan.steps} generator updates with Adam [Adam], with the loss {named}.{policy} Its images filled "
        "the class up to the size of the largest; none entered "
        f"validation or test. Classifiers of {plan.classifier_steps} gradient steps were trained on real images only, "
        "with class weights, with oversampling, with augmentation (rotation, zoom, shift, brightness, contrast), with "
        "oversampling and augmentation, and on real and synthetic images without and with augmentation, from the "
        "same initial weights; each also with decision thresholds tuned on validation images. In each run the best "
        "variant without and the best with synthetic images were chosen by balanced accuracy on validation images; "
        "their difference on test images is reported with the corrected resampled t-test [corrected resampled t-test] "
        f"({len(study.splits.runs) - 1} degrees of freedom), whose interval covers split, GAN and classifier. "
        f"Balanced accuracy is the mean of the classes' recalls, g-mean their geometric mean. A gain of "
        f"{report.effect:g} was the least that was taken to be worth having. {report.setting}. Computed with lossgen "
        f"{version} and PyTorch {importlib.metadata.version('torch')}, seed {seed}."
    )
    named_in = paragraph + "[audit]" * (audit is not None)
    cited = {key: text for key, text in CITED.items() if f"[{key}]" in named_in}
    lines = ["# Methods", "", paragraph, "", "# Result", ""]
    for line in [*report.verdict(study), *report.cautions(study)]:
        lines += [plain(line), ""]
    if audit is not None:
        lines += [plain(f"The synthetic images were audited [audit]: {headline(audit)}"), "", plain(NOT_SAID), ""]
    lines += ["# To be cited", "", *(f"- [{key}] {text}" for key, text in cited.items())]
    return "\n".join(lines) + "\n"


def _totals(study: Study) -> list[str]:
    """Test images of each class, over all runs."""
    return [f"{count} {name}" for count, name in zip(study.splits.test_counts, study.classes)]
