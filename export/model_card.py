"""Write the model card from the config and the measurements."""

import json
from pathlib import Path
from typing import Any

from . import model_folder
from .to_onnx import load

CARD = """\
# {name}

The network maps a photo of a product to a unit vector of {dim} float32; photos of one product lie close together.
{backbone}, {side} x {side} px RGB, {sizes}, Apache-2.0.

## Use

Use it to recognize products that were enrolled with a picture (groceries, household goods, packages) on a device
without a network connection. Do not use it for people, faces or safety decisions. It always names the nearest product
of a catalogue, so the application must be able to answer "unknown": `build` calibrates the open-set threshold for each
catalogue.

## How it was made

- Initial weights: {weights}.
- Recipe: `export/recipes/{recipe}` (seed {seed}, {steps}), run by
  `python -m export train`; the commands are in `python -m export --help`.
- Training pictures: {pictures}{products_seen}.
  Grocery pictures {groceries}are among those that calibrate int8.
- Never used: groceries with an even class id, every third object, every `test.txt`. Held out to choose the recipe:
  groceries whose class id leaves 5 when divided by 6 and every fourth of the training objects; of the others, `val.txt`
  and every sixth photo.
- Licences of the pictures: Grocery Store Dataset MIT; YCB objects CC BY 4.0 (Calli et al. 2015); clothing-dataset
  CC0; TrashNet MIT; catalogue pictures of dotnet/eShop MIT and saleor BSD-3; ambientCG and Poly Haven surfaces CC0;
  drawn products by this project.{more_licences} No picture is part of this repository.

## Float to int8

QDQ, uint8 activations (min-max over {calibrated} training pictures), int8 weights per channel, scaled so that nothing
saturates on processors without VNNI, biases corrected for the rounding (`export/quantize.py`). The first
{float_convolutions} convolutions and the head stay float. On {held_back} held-back pictures, one crop each: mean
cosine of int8 to float {cosine:.4f}, recall@1 {recall_fp32:.3f} in float and {recall_int8:.3f} in int8.
ONNX and torch agree to {parity:.0e}.

{projection}{whitening}## Accuracy

`{command}`, seed {bench_seed}, {model}, {device}.
{note} Packages carry print; vegetables and fruit do not. All
choices were made on the held-out pictures named above. One training run, one seed.

{table}

{limits}## Known failures

- Finding a shop photo's product from one catalogue picture is the hardest case: the model confuses products that differ
  only in what is printed on them (milk, yoghurt and juice of one brand) and fruits of one colour. A few photos of
  your own of each product help most, above all of fruit and vegetables: compare `groceries-5ref` with
  `groceries-catalogue`.
- In a photo of several products the embedding mixes all of them.
- The model confuses products that share shape and colour with many others, are far away (under some 80 px) or blurred.
- Among thousands of photos of other things, a clean catalogue picture on white is found less often, because photos lie
  nearer to photos (`tools/bench accuracy --protocol objects-unseen+7600` and so on; mobilenet_v2_v3:
  `groceries-catalogue-unseen` 0.513 -> 0.452, `objects-unseen` 0.921 -> 0.819, `groceries-5ref-unseen` 0.809 ->
  0.807). Enrol photos too.
- A search for the catalogue picture itself does not score 1: its row in the index is the mean with augmented views.
"""


PRODUCTS = """
  Amazon Berkeley Objects CC BY 4.0 (data and images: Amazon.com; dataset: Guillaumin, Dideriksen, Deng, Arora, Dhua,
  Zhang, Yago-Vicente, Collins, Goel, Malik); Magento Luma AFL 3.0 (Adobe); prl_assets MIT (Siddhartha Srinivasa);
  Saleor and Solidus BSD-3; Spree CC BY 4.0 (Vendo); Contoso (Microsoft) and Shopware MIT; Cymbal Apache-2.0 (Google).
 """


PROJECTION = """\
## Projection

`python -m export project` fitted the last layer again, to crops of training pictures: half-whitened PCA in which
{shares}. Only groceries with an odd class id are among them; cross-validation over these
chose the settings. The layer takes the pooled inputs of the last convolutions, with weight {earlier:g}, besides their
outputs. The convolutions, and the figures of int8 above, are those of {of}.

"""


WHITENING = """\
## Whitening

`whitening.arrays` maps embeddings so that pictures of one product differ alike in all directions. It was learned from
{groups} that may be trained on, at most {photos} photos a product and their catalogue pictures, with a shrinkage of
{shrinkage:g} (`python -m export whiten`). A bundle uses it, and adds to it what its catalogue teaches.

"""


LIMITS = """\
## What training on groceries gives

Recall@1 on the pictures held out of training (float, one crop, reference images without augmented views) after the same
training without grocery products, with some (`limit` in the recipe) or with all 27 (`share` 0.15). `-unseen`: only the
products held out; `+photos`: with photos of other things in the gallery. One run each, one seed. The shipped model was
chosen by this table, before any of the protocols above was measured.

{table}

"""


def write_card(folder: Path, accuracy: dict[str, Any], runs: list[Path]) -> Path:
    """Write MODEL_CARD.md.

    Args:
        folder: the model folder.
        accuracy: output of `tools/bench accuracy --json`.
        runs: folders of training runs with more and more groceries; may be empty.
    Returns:
        Path of the card.
    """
    config = model_folder.read(folder)
    facts = config["provenance"]
    training = facts["recipe"]
    text = CARD.format(
        name=config["name"],
        dim=config["dim"],
        backbone=config["backbone"],
        side=config["preprocessing"]["crop"],
        sizes=_describe_sizes(folder, config["files"]),
        weights=facts["weights"],
        recipe=f"{config['backbone']}.toml",
        seed=training["seed"],
        steps=_describe_steps(training),
        products_seen=f"; {facts['products']:,} products" if "products" in facts else "",
        groceries="" if "products" in facts else "initialize the projection (PCA of all pictures) and ",
        more_licences=PRODUCTS if "products" in facts["pictures"] else "",
        pictures=", ".join(f"{count:,} {group}" for group, count in facts["pictures"].items()),
        parity=facts["parity"],
        **facts["int8"],
        command=accuracy["command"].removesuffix(" --json"),
        bench_seed=accuracy["seed"],
        model=accuracy["model"],
        device=accuracy["device"],
        table=accuracy["markdown"],
        note=accuracy["note"],
        projection=_describe_projection(facts),
        whitening=_describe_whitening(facts),
        limits=LIMITS.format(table=_format_limits(runs)) if runs else "",
    )
    (folder / model_folder.CARD_FILE).write_text(text, encoding="utf-8")
    return folder / model_folder.CARD_FILE


def _describe_steps(training: dict[str, Any]) -> str:
    steps = sum(number for number, _ in training["steps"])
    if not steps:
        return "no steps: PCA of what trained towers give"
    return f"{steps} steps of {training['products']} products, two views each"


def _describe_sizes(folder: Path, files: dict[str, dict[str, str]]) -> str:
    """Return how large the networks of a model folder are."""
    sizes = {precision: (folder / entry["file"]).stat().st_size / 1e6 for precision, entry in files.items()}
    text = f"int8 {sizes['int8']:.1f} MB"
    return f"{text} (float {sizes['fp32']:.1f} MB)" if "fp32" in sizes else text


def _describe_projection(facts: dict[str, Any]) -> str:
    """Return the section on a projection that was fitted again; "" if it was not."""
    if "projection" not in facts:
        return ""
    shares = " and ".join(f"{group} count {share:.0%}" for group, share in facts["projection"]["shares"].items())
    return PROJECTION.format(**facts["projection"] | {"shares": shares})


def _describe_whitening(facts: dict[str, Any]) -> str:
    """Return the section on the model's map; "" if it has none."""
    if "whitening" not in facts:
        return ""
    return WHITENING.format(**facts["whitening"] | {"groups": " and ".join(facts["whitening"]["groups"])})


def _format_limits(runs: list[Path]) -> str:
    """Format recall@1 of the runs as a Markdown table."""
    rows = [json.loads((run / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])["recall@1"] for run in runs]
    recipes = [load(run / "weights.pt")[1]["recipe"] for run in runs]
    limits = [recipe["limit"].get("groceries", "all") if "groceries" in recipe["share"] else 0 for recipe in recipes]
    lines = [f"| grocery products | {' | '.join(rows[0])} |", "|---" * (1 + len(rows[0])) + "|"]
    for limit, row in zip(limits, rows, strict=True):
        lines.append(f"| {limit} | {' | '.join(f'{value:.3f}' for value in row.values())} |")
    return "\n".join(lines)
