"""Checker for the chapter on CIFAR-10."""

from esgd_minimal.deep.experiments import EXPERIMENTS
from esgd_minimal.deep.tasks import HELD_OUT

IMAGES = 50_000  # in the training set
EPOCHS = 200  # effective


def check_steps(sgd: int, sam: int, outer: int) -> str:
    """Are these the steps of SGD, of SAM and of Entropy-SGD's outer loop in 200 effective epochs of CIFAR-10?"""
    experiment = EXPERIMENTS["allcnn"]
    kept, batch = IMAGES - HELD_OUT, experiment.batch
    gradients = EPOCHS * (kept // batch)
    length = experiment.methods["entropy-sgd"].settings["langevin_steps"]
    if sgd == EPOCHS * (IMAGES // batch):
        return "That trains on the validation images too."
    if sgd == EPOCHS * -(-kept // batch):
        return "Nearly. A batch that is not full waits for the next pass."
    if sgd != gradients:
        return "SGD makes one step a gradient: full batches in a pass, times the passes."
    if sam == gradients:
        return "SGD is right. SAM takes two gradients for each of its steps, and both are paid for."
    if sam == 2 * gradients:
        return "SGD is right. SAM's budget is gradients, too: it has as many as SGD and needs two a step."
    if sam != gradients // 2:
        return "SGD is right. How many gradients does one step of SAM take?"
    if outer == gradients // (length + 1):
        return "That counts the spare gradient of the released programs; here the walk's own are all that there are."
    if outer != gradients // length:
        return f"SGD and SAM are right. Entropy-SGD's x moves once after {length} gradients."
    return f"Yes. For {gradients:,} gradients, Entropy-SGD moves x {outer:,} times."
