"""Check training, export and quantization on small networks and made-up pictures."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed; it is needed for export alone")
onnx = pytest.importorskip("onnx")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from edgesearch import ModelError  # noqa: E402
from edgesearch.embedding.embedder import Embedder  # noqa: E402
from edgesearch.embedding.shipped_models import default_model  # noqa: E402
from export import backbone_comparison, model_folder, quantize, to_onnx, verify  # noqa: E402
from export.augment import Augmenter, plain_views  # noqa: E402
from export.backbones import BACKBONES, build_network, fold_batch_norm, half_whitening, pad_same  # noqa: E402
from export.model_card import write_card  # noqa: E402
from export.recipe import Quantization, Recipe  # noqa: E402
from export.sampler import Sampler, projected_rows, trained_rows  # noqa: E402
from export.torchvision_cpu import torchvision  # noqa: E402
from export.train import Trainer, _stack, contrastive_loss, relational_loss  # noqa: E402
from export.training_pictures import Pictures  # noqa: E402

pytestmark = pytest.mark.slow

RECIPE = Path(__file__).parents[2] / "export" / "recipes" / "mobilenet_v2.toml"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of random weights in the format of the pretrained ones."""
    torch.manual_seed(0)
    state = torchvision.models.mobilenet_v2(weights=None).features.state_dict()
    path = tmp_path_factory.mktemp("weights") / "random.npz"
    np.savez(path, **{f"features.{key}": value.numpy() for key, value in state.items() if "tracked" not in key})
    return path


@pytest.mark.parametrize(("kernel", "padding"), [(3, (0, 1, 0, 1)), (5, (1, 2, 1, 2))])
def test_same_padding_equals_that_of_tensorflow(kernel: int, padding: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Conv2d(3, 4, kernel, stride=2, padding=kernel // 2, bias=False))
    weight, x = layer[0].weight, torch.randn(1, 3, 8, 8)
    pad_same(layer)
    assert torch.allclose(layer(x), F.conv2d(F.pad(x, padding), weight, stride=2))


def test_folding_batch_norm_keeps_the_outputs() -> None:
    torch.manual_seed(0)
    block = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU6(),
        nn.Sequential(nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2)),
    )
    for norm in (block[1], block[3][1]):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        nn.init.normal_(norm.weight)
    x = torch.randn(2, 3, 8, 8)
    expected = block.eval()(x)
    fold_batch_norm(block)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in block.modules())
    assert torch.allclose(block(x), expected, atol=1e-5)


def test_contrastive_loss_prefers_products_together() -> None:
    labels = torch.tensor([0, 1, 0, 1])
    together = F.normalize(torch.tensor([[1.0, 0], [0, 1], [1, 0.1], [0.1, 1]]))
    apart = together[[0, 2, 1, 3]]
    assert contrastive_loss(together, labels, 0.1) < contrastive_loss(apart, labels, 0.1)


def test_relational_loss_is_zero_for_the_teacher_itself() -> None:
    torch.manual_seed(0)
    teacher = F.normalize(torch.randn(6, 4))
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    assert relational_loss(teacher, teacher, labels, 0.1, 0.1) == pytest.approx(0, abs=1e-6)
    assert relational_loss(F.normalize(torch.randn(6, 4)), teacher, labels, 0.1, 0.1) > 0.1


def made_up(products: int = 6, views: int = 7) -> Pictures:
    """Return products of one colour each; the last of "groceries" is held out."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(products + 4), views)
    colors = rng.integers(0, 255, (products + 4, 3, 1, 1))
    pixels = np.full((len(labels), 4, 224, 224), 255, np.uint8)
    pixels[:, :3] = (colors[labels] + rng.integers(-8, 8, (len(labels), 3, 1, 1))).clip(0, 255)
    group = np.where(labels < products, "groceries", "background")
    group[(labels >= products // 2) & (labels < products)] = "objects"
    clean = np.arange(len(labels)) % views == 0
    held_out = np.isin(labels, (products // 2 - 1, products - 1))
    return Pictures(pixels, np.ones(len(labels), np.float32), labels, group, clean, held_out, labels)


def test_the_sampler_pairs_pictures_of_one_product_and_omits_held_out_ones() -> None:
    pictures = made_up()
    even = replace(Recipe.read(RECIPE), share={"groceries": 0.5, "objects": 0.5}, catalogue_probability=0.5)
    sampler = Sampler(pictures, even, seed=0)
    pairs = np.concatenate([sampler.pairs(4) for _ in range(50)])
    assert (pictures.label[pairs[:, 0]] == pictures.label[pairs[:, 1]]).all()
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert not pictures.held_out[pairs].any()
    assert set(pictures.label[pairs[:, 0]]) == {0, 1, 3, 4}
    clean = pictures.clean[pairs].sum(1)
    assert (clean == 1).any()
    few = Sampler(pictures, replace(even, limit={"groceries": 1, "objects": 0}), seed=0).pairs(50)
    assert set(pictures.label[few[:, 0]]) == {0}


def test_the_first_projection_sees_groups_that_are_not_trained_on() -> None:
    pictures, recipe = made_up(), replace(Recipe.read(RECIPE), share={"objects": 1.0})
    groceries = (pictures.group == "groceries") & ~pictures.held_out
    assert not np.intersect1d(trained_rows(pictures, recipe), np.flatnonzero(groceries)).size
    fitted = projected_rows(pictures, recipe)
    assert set(fitted) == set(trained_rows(pictures, recipe)) | set(np.flatnonzero(groceries))
    assert not pictures.held_out[fitted].any()


def test_products_that_look_alike_never_meet_in_a_step() -> None:
    pictures = made_up()
    pictures = replace(pictures, unit=np.where(pictures.label == 1, 0, pictures.label))
    sampler = Sampler(pictures, replace(Recipe.read(RECIPE), share={"groceries": 1.0}), seed=0)
    steps = [pictures.label[sampler.pairs(1)][0] for _ in range(40)]
    assert {one for one, _ in steps} == {0, 1}
    assert all(one == other for one, other in steps)


def test_a_background_is_a_surface_or_a_photo_of_the_same_step() -> None:
    pictures = made_up()
    pictures.pixels[pictures.clean, 3, :40] = 0
    sampler = Sampler(pictures, replace(Recipe.read(RECIPE), share={"groceries": 0.5, "objects": 0.5}), seed=0)
    rows = sampler.pairs(4).T.reshape(-1)
    backgrounds = np.concatenate([sampler.backgrounds(rows) for _ in range(20)])
    surface = pictures.group[backgrounds] == "background"
    assert 0.3 < surface.mean() < 0.7
    assert np.isin(backgrounds[~surface], rows).all()
    assert not pictures.clean[backgrounds[~surface]].any()
    only_cut_out = np.flatnonzero(pictures.clean)
    assert (pictures.group[sampler.backgrounds(only_cut_out)] == "background").all()


def test_views_have_the_networks_range_and_are_seeded() -> None:
    pictures = made_up()
    pixels, aspect = torch.from_numpy(pictures.pixels[:8]), torch.from_numpy(pictures.aspect[:8])
    cut_out, shelf = torch.zeros(8, dtype=torch.bool), torch.arange(8) % 2 == 0
    first, again = (Augmenter(3).views(pixels, aspect, cut_out, shelf, pixels, 64) for _ in range(2))
    assert first.shape == (8, 3, 64, 64)
    assert first.min() >= -1
    assert first.max() <= 1
    assert torch.equal(first, again)


def test_a_plain_view_shows_the_unchanged_picture() -> None:
    pictures = made_up()
    views = plain_views(torch.from_numpy(pictures.pixels[:1]), torch.ones(1), torch.zeros(1, dtype=torch.bool), 32)
    expected = torch.from_numpy(pictures.pixels[0, :3, 0, 0] / 127.5 - 1).float()
    assert torch.allclose(views[0, :, 16, 16], expected, atol=1e-4)
    pixels = torch.from_numpy(pictures.pixels[:1].copy())
    pixels[:, :, :, 112:] = 0
    backgrounds = torch.full((1, 4, 224, 224), 51, dtype=torch.uint8)
    on_surface = plain_views(pixels, torch.ones(1), torch.ones(1, dtype=torch.bool), 32, backgrounds)
    assert torch.allclose(on_surface[0, :, 16, 10], expected, atol=1e-4)
    assert torch.allclose(on_surface[0, :, 16, 20], torch.tensor(51 / 127.5 - 1), atol=1e-4)
    assert torch.allclose(on_surface[0, :, 16, 2], torch.tensor(51 / 127.5 - 1), atol=1e-4)


def small_recipe(tmp_path: Path, steps: str) -> Recipe:
    text = RECIPE.read_text()
    lines = [f"steps = {steps}" if line.startswith("steps") else line for line in text.splitlines()]
    lines = ["products = 4" if line.startswith("products") else line for line in lines]
    lines = ["dim = 16" if line.startswith("dim") else line for line in lines]
    (tmp_path / "recipe.toml").write_text("\n".join(lines))
    return Recipe.read(tmp_path / "recipe.toml")


@pytest.fixture(scope="module")
def run(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished training run of three steps."""
    folder = tmp_path_factory.mktemp("run")
    Trainer(small_recipe(folder, "[[2, 64], [1, 96]]"), made_up(), [weights], folder).run()
    return folder


def test_a_stopped_run_continues(run: Path, weights: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(run, tmp_path / "run"))
    again = Trainer(small_recipe(copied, "[[2, 64], [2, 96]]"), made_up(), [weights], copied)
    again._resume()
    assert again.step == 3
    again.run()
    assert again.step == 4


def test_a_student_starts_near_its_teacher_or_goes_on_from_a_run(run: Path, tmp_path: Path) -> None:
    recipe = replace(small_recipe(tmp_path, "[[1, 64]]"), regression_weight=1.0, projected=("groceries",))
    vectors = np.random.default_rng(0).normal(size=(made_up().label.max() + 1, 20)).astype(np.float32)
    teacher = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True))[made_up().label]
    student = Trainer(recipe, made_up(), [run], tmp_path / "student", teacher)
    assert torch.equal(student.model.projection.weight, to_onnx.load_any(run)[0].projection.weight)
    own = student._embed_plain(np.arange(len(teacher)), student.model).numpy()
    assert (own * student.teacher.numpy()).sum(1).mean() > (own * teacher[:, :16]).sum(1).mean()
    assert student.run().exists()
    with pytest.raises(ModelError, match="the recipe wants resnet18"):
        Trainer(replace(recipe, backbone="resnet18"), made_up(), [run], tmp_path / "other", teacher)
    two = replace(recipe, backbone="mobilenet_v2+mobilenet_v2", frozen_stages=19)
    with pytest.raises(ModelError, match=r"1 given, and mobilenet_v2\+mobilenet_v2 has 2 towers"):
        Trainer(two, made_up(), [run], tmp_path / "two", teacher)
    frozen = Trainer(two, made_up(), [run, run], tmp_path / "two", teacher)
    own = frozen._embed_plain(np.arange(len(teacher)), frozen.model).numpy()
    assert (own * teacher[:, :16]).sum(1).mean() > 0.5
    before = [one.clone() for one in frozen.model.features.parameters()]
    assert frozen.run().exists()
    assert all(torch.equal(one, other) for one, other in zip(frozen.model.features.parameters(), before, strict=True))


def test_trained_towers_are_joined_without_a_step(run: Path, tmp_path: Path) -> None:
    recipe = replace(small_recipe(tmp_path, "[[0, 64]]"), backbone="mobilenet_v2+mobilenet_v2")
    joined = Trainer(recipe, made_up(), [run, run], tmp_path / "joined")
    tower = to_onnx.load_any(run)[0].projection
    features = joined._features(np.arange(4))
    stacked = _stack([tower, tower], features)
    one, other = (features @ stacked).split(tower.out_features, 1)
    torch.testing.assert_close(one, other)
    scale = tower(features[:, : tower.in_features]).norm(dim=1).mean()
    torch.testing.assert_close(one, (tower(features[:, : tower.in_features]) - tower.bias) / scale)
    assert torch.linalg.matrix_rank(joined.model.projection.weight) <= tower.out_features
    assert joined.run().exists()


def test_a_damaged_recipe_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("backbone = ")
    (tmp_path / "short.toml").write_text('backbone = "mobilenet_v2"')
    for name in ("bad.toml", "short.toml", "none.toml"):
        with pytest.raises(ModelError, match="not a training recipe"):
            Recipe.read(tmp_path / name)


def test_an_exported_model_agrees_with_torch_and_loads_on_a_device(run: Path, tmp_path: Path) -> None:
    inputs = np.random.default_rng(0).uniform(-1, 1, (4, 3, 224, 224)).astype(np.float32)
    folder = tmp_path / "model_v0"
    assert to_onnx.export(run, folder, inputs) < to_onnx.PARITY
    graph = onnx.load(folder / model_folder.FP32_FILE).graph
    assert not [node for node in graph.node if node.op_type in ("Pad", "BatchNormalization")]
    provenance = Embedder.open(folder, "fp32").config.provenance
    assert provenance["recipe"]["seed"] == 0
    assert set(provenance["pictures"]) == {"objects", "background"}  # groceries have no share

    quantize.quantize(folder, inputs, Quantization(pictures=4, seed=0, float_convolutions=3))
    assert set(Embedder.open(folder).config.files) == {"int8", "fp32"}
    exact, coarse = (model_folder.embed(folder, precision, inputs) for precision in ("fp32", "int8"))
    assert (exact * coarse).sum(1).min() > 0.9
    assert (folder / model_folder.INT8_FILE).stat().st_size < 0.5 * (folder / model_folder.FP32_FILE).stat().st_size
    model_folder.remove_float(folder)
    assert set(Embedder.open(folder).config.files) == {"int8"}
    assert not (folder / model_folder.FP32_FILE).exists()


def test_the_card_holds_the_measurements(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model_v0"
    shutil.copytree(default_model(), folder)
    accuracy = {
        "command": "tools/bench accuracy --json",
        "seed": 3,
        "model": "model_v0 int8",
        "device": "a device",
        "markdown": "| protocol | recall |\n|---|---|\n| shelf | 0.250 |",
        "note": "Recall@1.",
    }
    card = write_card(folder, accuracy, []).read_text()
    assert "`tools/bench accuracy`, seed 3, model_v0 int8, a device.\nRecall@1. Packages" in card
    assert "| shelf | 0.250 |" in card
    assert "What training on groceries gives" not in card and "## Projection" not in card
    projection = {"of": "model_v", "shares": {"groceries": 0.4}, "earlier": 0.7}
    model_folder.add_provenance(folder, {"projection": projection})
    model_folder.remove_float(folder)
    card = write_card(folder, accuracy, []).read_text()
    assert "PCA in which\ngroceries count 40%." in card and "those of model_v." in card and "(float" not in card
    last = json.loads((run / "log.jsonl").read_text().splitlines()[-1])["recall@1"]
    with_runs = write_card(folder, accuracy, [run]).read_text()
    assert f"| grocery products | {' | '.join(last)} |" in with_runs
    assert f"| 0 | {' | '.join(f'{value:.3f}' for value in last.values())} |" in with_runs


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_corrected_biases_undo_the_shift_of_rounding(groups: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 12, 3, groups=groups)
    weight = layer.weight.detach().numpy()
    scales = quantize.weight_scales(weight)[:, None, None, None]
    x = torch.rand(1, 6, 1, 1).expand(1, 6, 8, 8)
    before = layer(x).mean((0, 2, 3)).detach().numpy()
    layer.weight.data = torch.from_numpy(np.round(weight / scales) * scales)
    shift = quantize.mean_shift(weight, x[0, :, 0, 0].numpy())
    assert np.abs(shift).max() > 1e-3
    np.testing.assert_allclose(layer(x).mean((0, 2, 3)).detach().numpy() - shift, before, atol=1e-5)


def test_an_int8_network_that_differs_from_float_is_refused(run: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.uniform(-1, 1, (8, 3, 224, 224)).astype(np.float32)
    folder = tmp_path / "model_v0"
    to_onnx.export(run, folder, inputs[:2])
    other = build_network("mobilenet_v2", 16, "tensorflow")
    to_onnx.to_onnx(other, folder / model_folder.INT8_FILE, 224)
    model_folder.add_int8(folder)
    held_back = verify.HeldBack(inputs, np.array(list("aabbccdd")), np.arange(8) % 4 == 0)
    with pytest.raises(ModelError, match="int8 is too far from float"):
        verify.verify(folder, held_back)


def test_backbones_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    torch.save(torchvision.models.mobilenet_v3_small(weights=None).state_dict(), tmp_path / "mobilenet_v3_small-0.pth")
    monkeypatch.setattr(backbone_comparison, "BACKBONES", ["mobilenet_v3_small"])
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *_, **__: (_ for _ in ()).throw(OSError("none")))
    inputs = np.random.default_rng(0).uniform(-1, 1, (4, 3, 224, 224)).astype(np.float32)
    held_back = verify.HeldBack(inputs, np.array(list("aabb")), np.arange(4) % 2 == 0)
    (known,), (unknown,) = (list(backbone_comparison.compare(path, inputs, held_back)) for path in (tmp_path, None))
    assert known.recall is not None
    assert unknown.recall is None
    assert "bring mobilenet_v3_small-" in unknown.note
    assert known.size_mb[1] < 0.5 * known.size_mb[0]
    assert known.cosine > 0.5
    printed = backbone_comparison.table([known, unknown])
    assert "| mobilenet_v3_small |" in printed
    assert unknown.note in printed


def test_the_projection_omits_axes_that_hold_only_rounding_errors() -> None:
    torch.manual_seed(0)
    model = build_network("mobilenet_v3_small", 128)
    with torch.no_grad():
        features = model.maps(torch.rand(256, 3, 32, 32) + torch.rand(256, 3, 1, 1) - 1).mean((2, 3))
    noise = 0.01 * features.std() * torch.randn_like(features)
    model.start_from(*half_whitening(features, backbone_comparison.count_axes(features, 128)))
    exact, coarse = (F.normalize(model.projection(x).detach(), eps=1e-30) for x in (features, features + noise))
    assert (exact * coarse).sum(1).mean() > 0.99


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_has_a_recipe(name: str) -> None:
    path = RECIPE.with_name(f"{name}.toml")
    assert Recipe.read(path).backbone == name
    assert Quantization.read(path).float_convolutions >= 0


def test_int8_products_never_overflow_in_pairs() -> None:
    weight = np.random.default_rng(0).normal(0, 1, (16, 9, 1, 1)).astype(np.float32)
    weight[:, 3] = weight[:, 2]  # two large ones together
    codes = np.round(weight / quantize.weight_scales(weight)[:, None, None, None]).reshape(16, 9)
    assert np.abs(codes).max() <= 127
    assert np.abs(codes).max() > 60
    pairs = np.pad(codes, ((0, 0), (0, 1))).reshape(16, -1, 2)
    assert (255 * np.maximum(pairs, 0).sum(2)).max() <= 32767
    assert (255 * np.minimum(pairs, 0).sum(2)).min() >= -32768


def test_missing_weights_of_a_run_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="train first"):
        to_onnx.load(tmp_path / "weights.pt")
