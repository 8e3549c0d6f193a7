"""The model card, written from what the config and the measurements say."""

from pathlib import Path
from typing import Any

from . import artifact

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
- Never used: groceries with even class id, every third object, every `test.txt`. Held out to choose the recipe:
  groceries whose class id leaves 5 when divided by 6, every fourth of the training objects.
- Licences of the pictures: Grocery Store Dataset MIT; YCB objects CC BY 4.0 (Calli et al. 2015); clothing-dataset
  CC0; TrashNet MIT; catalogue pictures of dotnet/eShop MIT and saleor BSD-3; ambientCG and Poly Haven surfaces CC0;
  drawn products by this project. No picture is part of this repository.

## Float to int8

QDQ, weights per channel, activations min-max over {calibrated} training pictures; the first {float_convolutions}
convolutions and the head stay float. On {held_back} held-back pictures: mean cosine of int8 to float {cosine:.4f},
recall@1 {recall_fp32:.3f} in float and {recall_int8:.3f} in int8. ONNX and torch agree to {parity:.0e}.
The number of float convolutions was settled with a look at `objects-unseen` and `groceries-catalogue-unseen`: their
int8 columns below are not free of selection, the float column is. One training run, one seed.

## Accuracy

`{command}`, seed {bench_seed}, {model}, {device}.
Recall@1 of every system; @5, mAP and time of the last one, which ships. One crop a photo.

{table}

## Known failures

- Catalogue picture to shop photo is the hardest case: products told apart by print alone (milk, yoghurt and juice of
  one brand) are confused with each other, and so are fruits of one colour. Five photos a product help most.
- Several products in one photo: the whole centre is embedded, whatever stands there.
- Products that share their shape and colour with many others, far away (under some 80 px) or blurred.
"""


def write_card(folder: Path, accuracy: dict[str, Any]) -> Path:
    """Write MODEL_CARD.md; accuracy: what `tools/bench accuracy --json` printed."""
    config = artifact.read(folder)
    facts = config["provenance"]
    training = facts["recipe"]
    text = CARD.format(
        name=config["name"],
        dim=config["dim"],
        backbone=config["backbone"],
        side=config["preprocessing"]["crop"],
        int8_mb=(folder / artifact.INT8_FILE).stat().st_size / 1e6,
        fp32_mb=(folder / artifact.FP32_FILE).stat().st_size / 1e6,
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
    )
    (folder / artifact.CARD_FILE).write_text(text, encoding="utf-8")
    return folder / artifact.CARD_FILE
