"""One run before it starts: all that decides what comes out of it."""

from dataclasses import asdict, dataclass
from typing import Any

from esgd_minimal.deep.experiments import Experiment, Method, Published


@dataclass(frozen=True)
class Plan:
    """One run: all that decides what comes out of it."""

    experiment: str
    method: str
    seed: int
    network: str
    data: str
    batch: int
    unroll: int
    recipe: Method
    precision: str = "float32"  # of forward and backward passes; the weights are always 32 bits
    examples: int | None = None  # train on the first of them only
    augment: bool = False
    summed: bool = False
    compiled: bool = False  # the network, by torch.compile

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        method: str,
        seed: int,
        precision: str,
        examples: int | None,
        compiled: bool = False,
    ) -> "Plan":
        """The plan of a run of an experiment; on a part of the data it has another name."""
        e = experiment
        name = e.name if examples is None else f"{e.name}-{examples}-examples"
        recipe = e.methods[method]
        data = e.data, e.batch, e.unroll
        return cls(name, method, seed, e.network, *data, recipe, precision, examples, e.augment, e.summed, compiled)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Plan":
        """The plan that `dataclasses.asdict` took apart."""
        published = plain["recipe"]["published"]
        recipe = plain["recipe"] | {"published": published and Published(**published)}
        return cls(**plain | {"recipe": Method(**recipe)})

    def configuration(self) -> dict[str, Any]:
        """All that a record keeps of it, but for the names, as JSON knows it."""
        plain = asdict(self)
        recipe = plain.pop("recipe")
        return {
            **{k: v for k, v in plain.items() if k not in ("experiment", "method", "seed")},
            **{k: list(v) if isinstance(v, tuple) else v for k, v in recipe.items()},
            "network_settings": recipe["network"],
            "network": self.network,
        }

    def different(self, other: "Plan") -> str:
        """In what the plans differ, this one's value first: "precision: float32, not bfloat16"; empty if in nothing."""
        ours, theirs = self._flat(), other._flat()
        names = [name for name in ours | theirs if ours.get(name) != theirs.get(name)]
        return "; ".join(f"{name}: {ours.get(name)}, not {theirs.get(name)}" for name in names)

    def _flat(self) -> dict[str, Any]:
        plain = asdict(self)
        recipe = plain.pop("recipe")
        return plain | recipe.pop("settings") | {"network": (self.network, recipe.pop("network"))} | recipe
