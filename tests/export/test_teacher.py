"""Check the teacher: vectors of several networks for all training pictures."""

import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed; it is needed for export alone")

from edgesearch import ModelError  # noqa: E402
from edgesearch.embedding.shipped_models import default_model  # noqa: E402
from export import teacher  # noqa: E402
from export.backbones import build_network  # noqa: E402
from export.model_folder import FP32_FILE  # noqa: E402
from export.teacher import Member  # noqa: E402

from .test_export import made_up  # noqa: E402

pytestmark = pytest.mark.slow


def test_a_teacher_joins_its_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher, "AXES", 4)
    monkeypatch.setattr(teacher, "pretrained", lambda *_: None)
    monkeypatch.setattr(teacher, "build_network", lambda name, dim, convention, _: build_network(name, dim, convention))
    members = [Member.parse(f"{default_model()}=1"), Member.parse("efficientnet_lite0=0.5")]
    vectors = teacher.teacher(members, made_up(products=4, views=3), np.arange(21), 16)
    assert vectors.shape == (24, 16)
    assert np.allclose(np.linalg.norm(vectors[:21], axis=1), 1, atol=1e-5)
    assert not vectors[21:].any()
    own = vectors[:21].reshape(7, 3, 16)
    assert (own[:, 0] * own[:, 1]).sum(1).mean() > (own[:-1, 0] * own[1:, 0]).sum(1).mean() + 0.3


def test_a_folder_without_a_float_network_teaches_by_its_int8_network(tmp_path: Path) -> None:
    folder = tmp_path / "int8"
    shutil.copytree(default_model(), folder)
    (folder / FP32_FILE).unlink()
    vectors = teacher.teacher([Member(str(folder), 1)], made_up(products=4, views=3), np.arange(21), 16)
    own = vectors[:21].reshape(7, 3, 16)
    assert (own[:, 0] * own[:, 1]).sum(1).mean() > (own[:-1, 0] * own[1:, 0]).sum(1).mean() + 0.3


def test_a_wrong_member_is_named(tmp_path: Path) -> None:
    for text in ("efficientnet_lite0", "efficientnet_lite0=much"):
        with pytest.raises(ModelError, match=text):
            Member.parse(text)
    with pytest.raises(ModelError, match="neither a backbone nor a folder"):
        teacher.teacher([Member("alexnet", 1)], made_up(), np.arange(9), 8)
    with pytest.raises(ModelError, match="not weights saved"):
        teacher.teacher([Member(str(tmp_path), 1)], made_up(), np.arange(9), 8)
