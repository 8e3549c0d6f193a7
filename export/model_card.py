"""The model card, written from what the config and the measurements say."""

import json
from pathlib import Path
from typing import Any

from . import model_folder
from .to_onnx import load

CARD = """\
# {name}

Photo of a product in, unit vector of {dim} float32 out; photos of one product lie close together.
{backbone}, {side} x {side} px RGB, int8 {int8_mb:.1f} MB (float {fp32_mb:.1f} MB), Apache-2.0.

## Use

To find a product again that was enrolled with a picture: groceries, household goods, packages, on a device without a
network. Not for people, faces or safety decisions. It names the nearest product of a catalogue, so whoever uses it
must be able to say "unknown": the open-set threshold is calibrated for each catalogue at build.

## How it was made

- Start: {weights}.
- Recipe: `export/recipes/{recipe}` (seed {seed}, {steps} steps of {products} products, two views each), run by
  `python -m export train`; the commands are in `python -m export --help`.
- Training pictures: {pictures}.
  Grocery pictures only start the projection (PCA of all pictures) and are among those that calibrate int8.
- Never used: groceries with even class id, every third object, every `test.txt`. Held out to choose the recipe:
  groceries whose class id leaves 5 when divided by 6, every fourth of the training objects, and of the others `val.txt`
  and every sixth photo.
- Licences of the pictures: Grocery Store Dataset MIT; YCB objects CC BY 4.0 (Calli et al. 2015); clothing-dataset
  CC0; TrashNet MIT; catalogue pictures of dotnet/eShop MIT and saleor BSD-3; ambientCG and Poly Haven surfaces CC0;
  drawn products by this project. No picture is part of this repository.

## Float to int8

QDQ, uint8 activations (min-max over {calibrated} training pictures), int8 weights per channel, scaled so that nothing
saturates on processors without VNNI, biases corrected for the rounding (`export/quantize.py`). The first
{float_convolutions} convolutions and the head stay float. On {held_back} held-back pictures, one look: mean cosine of
int8 to float {cosine:.4f}, recall@1 {recall_fp32:.3f} in float and {recall_int8:.3f} in int8. ONNX and torch agree to
{parity:.0e}.

## Accuracy

`{command}`, seed {bench_seed}, {model}, {device}.
Recall@1; every column adds one thing to the one before it; "rescored int8" is this model in the index, "and the print"
what ships, with local features that are no part of the model; "fast" is one look by the model alone. @5, mAP, times.
Everything was chosen by what was held out as named above. One training run, one seed.

{table}

{limits}## Known failures

- Catalogue picture to shop photo is the hardest case: products told apart by print alone (milk, yoghurt and juice of
  one brand) are confused with each other, and so are fruits of one colour. Five photos a product help most.
- Several products in one photo: the mean of the looks is of all that stands there.
- Products that share their shape and colour with many others, far away (under some 80 px) or blurred.
- Beside thousands of photos of other things, a clean catalogue picture on white loses to them: a photo is nearer to
  photos (`tools/bench accuracy --protocol objects-unseen+7600` and so on; mobilenet_v2_v3: `groceries-catalogue-unseen`
  0.513 -> 0.452, `objects-unseen` 0.921 -> 0.819, `groceries-5ref-unseen` 0.809 -> 0.807). Enrol photos besides.
- The catalogue picture itself, asked, does not score 1: its row is the mean with made views.
"""


LIMITS = """\
## What training on groceries gives

Recall@1 on the pictures held out of training, float, one look, reference images as they are, after the same training
without grocery products, with some (`limit` in the recipe) or with all 27 (`share` 0.15); `-unseen`: the products held
out, among themselves; `+photos`: with photos of other things among them. One run each, one seed. What ships was chosen
by this table, before any of the protocols above was asked.

{table}

"""


def write_card(folder: Path, accuracy: dict[str, Any], runs: list[Path]) -> Path:
    """Write MODEL_CARD.md.

    Args:    accuracy: what `tools/bench accuracy --json` printed; runs: of training with more and more groceries.
    """
    config = model_folder.read(folder)
    facts = config["provenance"]
    training = facts["recipe"]
    text = CARD.format(
        name=config["name"],
        dim=config["dim"],
        backbone=config["backbone"],
        side=config["preprocessing"]["crop"],
        int8_mb=(folder / model_folder.INT8_FILE).stat().st_size / 1e6,
        fp32_mb=(folder / model_folder.FP32_FILE).stat().st_size / 1e6,
        weights=facts["weights"],
        recipe=f"{config['backbone']}.toml",
        seed=training["seed"],
        steps=sum(number for number, _ in training["steps"]),
        products=training["products"],
        pictures=", ".join(f"{count:,} {group}" for group, count in facts["pictures"].items()),
        parity=facts["parity"],
        **facts["int8"],
        command=accuracy["command"].removesuffix(" --json"),
        bench_seed=accuracy["seed"],
        model=accuracy["model"],
        device=accuracy["device"],
        table=accuracy["markdown"],
        limits=LIMITS.format(table=_limits(runs)) if runs else "",
    )
    (folder / model_folder.CARD_FILE).write_text(text, encoding="utf-8")
    return folder / model_folder.CARD_FILE


def _limits(runs: list[Path]) -> str:
    rows = [json.loads((run / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])["recall@1"] for run in runs]
    recipes = [load(run / "weights.pt")[1]["recipe"] for run in runs]
    limits = [recipe["limit"].get("groceries", "all") if "groceries" in recipe["share"] else 0 for recipe in recipes]
    lines = [f"| grocery products | {' | '.join(rows[0])} |", "|---" * (1 + len(rows[0])) + "|"]
    for limit, row in zip(limits, rows, strict=True):
        lines.append(f"| {limit} | {' | '.join(f'{value:.3f}' for value in row.values())} |")
    return "\n".join(lines)
