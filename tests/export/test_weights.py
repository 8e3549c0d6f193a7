"""Check that pretrained weights are read, fetched and loaded into the backbones."""

import urllib.error
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed; it is needed for export alone")

from torch import nn  # noqa: E402

from edgesearch import ModelError  # noqa: E402
from export.backbones import BACKBONES, build_network  # noqa: E402
from export.efficientnet_lite import SCALES  # noqa: E402
from export.torchvision_cpu import torchvision  # noqa: E402
from export.weights import pretrained  # noqa: E402


def test_wrong_weights_are_named(tmp_path: Path) -> None:
    for name, convention in (("alexnet", "torchvision"), ("resnet18", "caffe")):
        with pytest.raises(ModelError, match="choose one of"):
            build_network(name, 8, convention)
    torch.save({"features.0.0.weight": torch.zeros(32, 3, 3, 3)}, tmp_path / "some.pth")
    some = pretrained("mobilenet_v2", "torchvision", tmp_path / "some.pth")
    with pytest.raises(ModelError, match=r"^some\.pth, .*: no weights of mobilenet_v2 \(missing"):
        build_network("mobilenet_v2", 8, weights=some)
    with pytest.raises(ModelError, match=r"^some\.pth, .*: no weights of mobilenet_v3_small \(.*size mismatch"):
        build_network("mobilenet_v3_small", 8, weights=some)
    for name in ("text.npz", "text.pth", "none.pth"):
        if name.startswith("text"):
            (tmp_path / name).write_text("no weights")
        with pytest.raises(ModelError, match=name):
            pretrained("mobilenet_v2", "torchvision", tmp_path / name)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"features": Path("anything")}, tmp_path / "bad.pth")
    with pytest.raises(ModelError, match=r"bad\.pth"):
        pretrained("mobilenet_v2", "torchvision", tmp_path / "bad.pth")


def test_weights_that_cannot_be_fetched_say_what_to_bring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", unreachable)
    with pytest.raises(ModelError, match=rf"bring resnet18-\w+\.pth.* put it into {tmp_path}"):
        pretrained("resnet18", "torchvision")
    with pytest.raises(ModelError, match="only torchvision's weights are fetched"):
        pretrained("mobilenet_v2", "tensorflow")


@pytest.mark.parametrize("name", [name for name in BACKBONES if name not in SCALES])
def test_a_torchvision_checkpoint_gives_torchvisions_network(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network = torchvision.models.get_model(name, weights=None).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    kept = tmp_path / "checkpoints" / Path(torchvision.models.get_model_weights(name).DEFAULT.url).name
    kept.parent.mkdir()
    torch.save(network.state_dict(), kept)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    weights = pretrained(name, "torchvision")
    assert weights.source.startswith(f"{kept.name}, sha256 ")

    x = torch.rand(1, 3, 64, 64)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pooled: list[torch.Tensor] = []
    classifier = network.fc if name.startswith("resnet") else network.classifier
    classifier.register_forward_pre_hook(lambda module, args: pooled.append(args[0]))
    with torch.inference_mode():
        network((x - mean.view(3, 1, 1)) / deviation.view(3, 1, 1))
        maps = build_network(name, 8, "torchvision", weights).maps(x * 2 - 1)
    assert maps.shape[1] == BACKBONES[name].channels
    expected = pooled[0].flatten(1)
    assert torch.allclose(maps.mean((2, 3)), expected, atol=1e-3 * expected.abs().max())
