"""EntropySGD as a guest in the loops that people have: each against the plain loop, or a formula."""

import copy
import os
import shutil
import warnings

import pytest
import torch
from torch import nn

from esgd_minimal.deep.entropy_adam import EntropyAdam
from esgd_minimal.deep.entropy_sgd import EntropySGD
from esgd_minimal.deep.presets import paper

SETTINGS = {"langevin_lr": 0.1, "langevin_steps": 4, "noise": 0.05, "gamma": 0.1, "seed": 7}
OPTIMIZERS = {
    "plain": lambda params: EntropySGD(params, **SETTINGS),
    "paper": lambda params: EntropySGD(params, lr=0.5, **paper(langevin_steps=4)),
    "Adam": lambda params: EntropyAdam(params, lr=0.01, **SETTINGS),
}

COMPILER = shutil.which(os.environ.get("CXX", "g++"))


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))


def data(n=48):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 4, generator=generator), torch.randint(0, 3, (n,), generator=generator)


def loss(model, images, labels):
    return nn.functional.cross_entropy(model(images), labels)


def batches(steps, size=8):
    images, labels = data()
    for k in range(steps):
        part = slice(size * k % 48, size * k % 48 + size)
        yield images[part], labels[part]


def plain_loop(model, optimizer, steps):
    for images, labels in batches(steps):
        optimizer.zero_grad()
        loss(model, images, labels).backward()
        optimizer.step()
    return weights(model)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.fixture(params=OPTIMIZERS)
def make(request):
    return OPTIMIZERS[request.param]


def test_gradient_accumulation_is_one_step_on_the_whole_batch(make):
    whole, parts = network(), network()
    optimizer = make(parts.parameters())
    expected = plain_loop(whole, make(whole.parameters()), 10)
    for images, labels in batches(10):
        optimizer.zero_grad()
        for half in (slice(0, 4), slice(4, 8)):
            (loss(parts, images[half], labels[half]) / 2).backward()
        optimizer.step()
    torch.testing.assert_close(weights(parts), expected, rtol=1e-4, atol=1e-5)


def test_the_gradients_are_not_touched(make):
    """A loop that accumulates over calls of `step` finds its gradients as they were."""
    model = network()
    optimizer = make(model.parameters())
    loss(model, *data()).backward()
    before = [p.grad.clone() for p in model.parameters()]
    for _ in range(5):
        optimizer.step()
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), before, strict=True))


def test_clip_grad_norm():
    model = network()
    optimizer = EntropySGD(model.parameters(), langevin_lr=0.5, langevin_steps=50, gamma=0.0, noise=0.0)
    before = weights(model)
    (1e6 * loss(model, *data())).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.3)
    optimizer.step()
    assert (weights(model) - before).norm().item() == pytest.approx(0.5 * 0.3, rel=1e-4)


def test_autocast_in_bf16_keeps_the_weights_and_the_state_in_32_bits(make):
    full, mixed = network(), network()
    optimizer = make(mixed.parameters())
    expected = plain_loop(full, make(full.parameters()), 20)
    for images, labels in batches(20):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = mixed(images)
            assert outputs.dtype == torch.bfloat16
            value = nn.functional.cross_entropy(outputs, labels)
        value.backward()
        optimizer.step()
    assert all(t.dtype == torch.float32 for state in optimizer.state.values() for t in state.values())
    difference = (weights(mixed) - expected).abs().max()
    assert 0 < difference < 0.05


def test_grad_scaler_in_the_usual_loop(make):
    """Unscaled before the step, so the same path; a step with an infinite gradient is left out, clock and noise too."""
    plain, scaled = network(), network()
    expected = plain_loop(plain, make(plain.parameters()), 10)
    optimizer, scaler = make(scaled.parameters()), torch.amp.GradScaler("cpu", init_scale=1024.0)
    for k, (images, labels) in enumerate(batches(10)):
        if k == 5:
            optimizer.zero_grad()
            scaler.scale(loss(scaled, images, labels) * torch.inf).backward()
            before = copy.deepcopy(optimizer.state_dict())
            scaler.step(optimizer)
            scaler.update()
            after = optimizer.state_dict()
            assert after["param_groups"][0]["inner"] == before["param_groups"][0]["inner"] == 1
        optimizer.zero_grad()
        scaler.scale(loss(scaled, images, labels)).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(scaled.parameters(), 1e6)
        scaler.step(optimizer)
        scaler.update()
    assert scaler.get_scale() == 512.0
    torch.testing.assert_close(weights(scaled), expected, rtol=1e-5, atol=1e-6)


def test_a_compiled_model(make):
    plain, compiled = network(), network()
    expected = plain_loop(plain, make(plain.parameters()), 10)
    # Traced and differentiated by the compiler, its kernels torch's own: no C++ compiler is needed.
    plain_loop(torch.compile(compiled, backend="aot_eager"), make(compiled.parameters()), 10)
    torch.testing.assert_close(weights(compiled), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(not COMPILER, reason="torch.compile writes C++, and there is no compiler for it")
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")  # from within torch
def test_a_model_compiled_to_machine_code(tmp_path, monkeypatch):
    make = OPTIMIZERS["paper"]
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch.compiler.reset()
    plain, model = network(), network()
    expected = plain_loop(plain, make(plain.parameters()), 10)
    compiled = torch.compile(model, backend="inductor", fullgraph=True)
    plain_loop(compiled, make(compiled.parameters()), 10)
    torch.testing.assert_close(weights(model), expected, rtol=1e-5, atol=1e-6)
    assert any(tmp_path.rglob("*.so"))  # it was compiled, and not passed by

    optimizer = make(compiled.parameters())
    loss(compiled, *data()).backward()
    optimizer.step()
    at_x_prime = compiled(data()[0]).detach()
    optimizer.eval()  # the compiled code sees the swap: it reads the parameters, and holds no copy of them
    assert torch.equal(weights(compiled), weights(model))
    torch.testing.assert_close(compiled(data()[0]), model(data()[0]))
    assert not torch.allclose(compiled(data()[0]), at_x_prime)


def trainer(model, make, folder, epochs, stop_after=None):
    """The shape of Hugging Face's Trainer: groups by name, warm-up, accumulation, clipping, evaluation, checkpoints.

    Resumes from the folder if there is something in it.
    """
    decayed = [p for name, p in model.named_parameters() if "bias" not in name]
    rest = [p for name, p in model.named_parameters() if "bias" in name]
    optimizer = make([{"params": decayed, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}])
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 6))
    done, history = 0, []
    if (folder / "checkpoint.pt").exists():
        checkpoint = torch.load(folder / "checkpoint.pt", weights_only=True)
        model.load_state_dict(checkpoint["model"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        scheduler.load_state_dict(checkpoint["scheduler"])
        done = checkpoint["epoch"]
        optimizer.train()
    for epoch in range(done, epochs):
        model.train()
        for k, (images, labels) in enumerate(batches(6)):
            (loss(model, images, labels) / 2).backward()
            if k % 2 == 1:  # accumulated over two batches
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                scheduler.step()
                model.zero_grad()
        optimizer.eval()
        model.eval()
        with torch.no_grad():
            history.append(loss(model, *data()).item())
        torch.save(
            {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "scheduler": scheduler.state_dict(),
                "epoch": epoch + 1,
            },
            folder / "checkpoint.pt",
        )
        optimizer.train()
        if len(history) == stop_after:
            break
    return history


def test_a_trainer_and_its_checkpoints(make, tmp_path):
    """Three optimizer steps an epoch against L = 4: the checkpoints fall into the middle of the chain."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    whole = trainer(network(), make, tmp_path / "whole", 8)
    first = trainer(network(), make, tmp_path / "cut", 8, stop_after=3)
    second = trainer(network(seed=5), make, tmp_path / "cut", 8)
    assert first + second == whole
    assert len(set(whole)) > 4


def distributed(rank, world, folder, name):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    torch.distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=world)
    torch.manual_seed(100 + rank)  # whatever else the processes draw, the noise is the same
    model = network()
    parallel = nn.parallel.DistributedDataParallel(model)
    torch.rand(rank + 1)
    optimizer = OPTIMIZERS[name](parallel.parameters())
    for images, labels in batches(10):
        mine = slice(4 * rank, 4 * rank + 4)
        optimizer.zero_grad()
        loss(parallel, images[mine], labels[mine]).backward()
        optimizer.step()
    torch.save(weights(model), os.path.join(folder, f"{rank}.pt"))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_two_processes_are_one_on_the_whole_batch(name, tmp_path):
    torch.multiprocessing.spawn(distributed, (2, str(tmp_path), name), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert torch.equal(first, second)
    alone = network()
    expected = plain_loop(alone, OPTIMIZERS[name](alone.parameters()), 10)
    torch.testing.assert_close(first, expected, rtol=1e-4, atol=1e-5)
    assert (first - weights(network())).abs().max() > 0.02
