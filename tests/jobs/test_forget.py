"""`ipse forget` from a run to a run: what it writes, what it says, and what it refuses."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ipse
from ipse import cli
from ipse.errors import UserError
from ipse.jobs.forgetting.audits import MEANINGS, findings
from ipse.jobs.run import Run

QUICK: dict[str, Any] = {"audit": "none", "quiet": True, "set": {"epochs": 1}}


@pytest.fixture(scope="session")
def classified(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A folder with `photos/` and the runs `run`, which names their classes, and `numbers`, which says a number for each."""
    folder = tmp_path_factory.mktemp("classified")
    shutil.copytree(photos, folder / "photos")
    names = sorted(p.relative_to(folder / "photos").as_posix() for p in (folder / "photos").rglob("*.png"))
    rows = [f"{name},{10 * (i % 3)}" for i, name in enumerate(names)]
    (folder / "numbers.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words: dict[str, Any] = {"steps": 12, "batch_size": 16, "lr": 1e-2, "holdout": 0.2, "tensorboard": False, "quiet": True}
        ipse.selftrain("photos", method="supervised", out="run", **words)
        ipse.selftrain("photos", labels="numbers.csv", method="regression", out="numbers", **words)
    return folder


@pytest.fixture
def here(classified: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it as the current folder."""
    shutil.copytree(classified, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def digest(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def learned(run: str = "run") -> list[str]:
    """What a run learned from, by name."""
    from ipse.jobs.settings import lessons

    opened = Run.open(run)
    return list(lessons(opened.data(), opened.config).names)


def a_list(*names: str) -> str:
    Path("list.csv").write_text("\n".join(["path", *names]) + "\n")
    return "list.csv"


def test_a_new_run_with_all_that_is_to_be_known_and_the_old_one_untouched(here: Path) -> None:
    before, gone = digest(here / "run"), learned()[:6]
    made = ipse.forget("run", forget=a_list(*gone), gold="retrain", set={"epochs": 2}, out="new", quiet=True)
    assert digest(here / "run") == before
    assert str(made) == "new"
    names = {p.name for p in (here / "new").iterdir()}
    files = {
        "config.yaml",
        "encoder.json",
        "encoder.safetensors",
        "head.safetensors",
        "forgotten.csv",
        "audit.json",
        "report.html",
    }
    assert names == files | {"metrics.jsonl"}
    assert not list(here.glob(".new*"))
    with open("new/forgotten.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["path"] for row in rows) == sorted(gone)
    assert all(row["path"].startswith(row["label"]) for row in rows)
    config = made.config
    assert (config["job"], config["method"], config["forgotten"], config["samples"]) == ("forget", "opc", 6, len(learned()) - 6)
    assert config["trained"]["method"] == "supervised"
    assert made.classifier.classes == ("china", "flower")
    audit = json.loads(Path("new/audit.json").read_text())
    assert set(audit["models"]) == {"original", "forgotten", "retrained"}
    assert set(audit["models"]["forgotten"]) <= set(MEANINGS)
    assert {"disagreement", "relearn-steps", "recovered-accuracy", "cka"} <= set(audit["models"]["forgotten"])
    assert audit["models"]["original"]["cka"] == pytest.approx(1)
    assert audit["models"]["original"]["recovered-accuracy"] == audit["models"]["original"]["forget-accuracy"]
    page = Path("new/report.html").read_text()
    assert audit["findings"][0].split(":")[0] in page
    assert "retrained model" in page
    assert [line["step"] for line in made.history()] == list(range(len(made.history())))


def test_the_same_command_gives_the_same_bits(here: Path) -> None:
    for out in ("one", "two"):
        ipse.forget("run", forget="class:china", retain="photos", out=out, **QUICK | {"audit": "quick"})
    for name in ("encoder.safetensors", "head.safetensors", "audit.json", "forgotten.csv"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()


def test_the_command_in_the_run_does_it_again(here: Path) -> None:
    import shlex

    ipse.forget("run", forget="class:china", out="one", **QUICK)
    words = shlex.split(Run.open("one").config["command"])
    assert words[:3] == ["ipse", "forget", "run"]
    with pytest.raises(SystemExit) as end:
        cli.main([*words[1:], "--out", "two", "--quiet"])
    assert end.value.code == 0
    assert Path("one/head.safetensors").read_bytes() == Path("two/head.safetensors").read_bytes()


def test_one_after_the_other_and_never_twice(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = learned()[:3], learned()[3:5]
    ipse.forget("run", forget=first, out="one", **QUICK)
    two = ipse.forget("one", forget=[*first[:1], *second], out="two", **QUICK)
    assert "1 of them are forgotten already" in capsys.readouterr().err
    with open("two/forgotten.csv", newline="") as file:
        assert sorted(row["path"] for row in csv.DictReader(file)) == sorted(first + second)
    assert two.config["forgotten"] == 5
    assert two.config["samples"] == len(learned()) - 5
    with pytest.raises(UserError, match="has forgotten all 3 of them already"):
        ipse.forget("two", forget=first, out="three", **QUICK)
    assert not Path("three").exists()
    again = ipse.forget("two", forget=learned()[6:8], method="retrain", out="anew", audit="quick", quiet=True)
    assert "learned anew" in json.loads((again.path / "audit.json").read_text())["findings"][0]


def test_one_sample_withheld_retain_data_and_a_report_again(here: Path) -> None:
    one = ipse.forget("run", forget=learned()[:1], method="gradient-ascent", retain="none", out="one", quiet=True)
    assert json.loads((one.path / "audit.json").read_text())["samples"] == 1
    one.report.unlink()
    ipse.report("one")
    assert one.report.is_file()
    assert ipse.evaluate("one", metrics=["rankme"], quiet=True)


def test_foreign_pictures_are_at_hand(here: Path) -> None:
    words = QUICK | {"set": {"epochs": 1, "rounds": 1, "batch_size": 64}}
    assert ipse.forget("run", forget="class:china", method="scar", out="one", **words).classifier.classes == ("china", "flower")


def test_numbers(here: Path) -> None:
    words = {"method": "deep-regression-unlearning", "gold": "retrain", "quiet": True}
    made = ipse.forget("numbers", forget="range:0..5", out="one", **words)
    audit = json.loads((made.path / "audit.json").read_text())
    assert audit["whole-classes"]
    assert {"forget-error", "wasserstein", "recovered-error", "relearn-steps"} <= set(audit["models"]["forgotten"])
    assert "ain" in audit
    made = ipse.forget("numbers", forget="class:20", out="two", method="fine-tune", **QUICK)
    assert made.classifier(np_zeros()).shape == (1, 3)
    with pytest.raises(UserError, match="no label lies there; they go from 0 to 20"):
        ipse.forget("numbers", forget="range:50..60", out="three", **QUICK | {"method": "fine-tune"})
    with pytest.raises(UserError, match=r"range:LOW\.\.HIGH"):
        ipse.forget("numbers", forget="range:low", out="three", **QUICK | {"method": "fine-tune"})
    with pytest.raises(UserError, match="this one says numbers"):
        ipse.forget("numbers", forget="class:20", out="three", **QUICK)
    with pytest.raises(UserError, match="this one says classes"):
        ipse.forget("run", forget="class:china", method="deep-regression-unlearning", out="three", **QUICK)


def np_zeros() -> Any:
    import torch

    return torch.zeros(1, 3, 16, 16)


def test_a_list_may_be_a_name_a_line_places_or_a_mask(here: Path) -> None:
    names = learned()
    Path("plain.txt").write_text("\n".join(names[:2]))
    mask = np.arange(len(names)) < 2
    for word in ("plain.txt", names[:2], [0, 1], np.array([1, 0]), mask):
        made = ipse.forget("run", forget=word, **QUICK)
        with open(made.path / "forgotten.csv", newline="") as file:
            assert [row["path"] for row in csv.DictReader(file)] == names[:2]
        shutil.rmtree(made.path)


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"forget": []}, "nothing to forget"),
    ({"forget": "empty.csv"}, r"nothing to forget: empty\.csv is empty"),
    ({"forget": "headless.csv"}, "nothing to forget"),
    ({"forget": ["china/nobody.png"]}, "names 1 unknown samples, such as 'china/nobody.png'.*look like 'china/"),
    ({"forget": "class:vase"}, "unknown class 'vase'"),
    ({"forget": "nowhere.csv"}, "cannot read the list nowhere.csv"),
    ({"forget": "columns.csv"}, "no column of samples: expected one of path"),
    ({"forget": list(range(1000))}, "there is no sample 999"),
    ({"forget": np.ones(3, bool)}, "expected a mask"),
    ({"forget": "range:0..1"}, "'china' is none"),
    ({"forget": "class:china", "method": "opc", "retain": "none"}, "needs samples to keep"),
    ({"forget": "class:china", "method": "opcc"}, "unknown forget method 'opcc': did you mean 'opc'"),
    ({"forget": "class:china", "set": {"epoch": 1}}, "did you mean 'epochs'"),
    ({"forget": "class:china", "gold": "nowhere"}, "no run 'nowhere'"),
    ({"forget": "class:china", "gold": "numbers"}, "says something else"),
    ({"forget": "class:china", "out": "run"}, "is there already"),
    ({"forget": "class:china", "retain": "nowhere"}, "nowhere"),
    ({"forget": "class:china", "pool": "nowhere", "method": "scar"}, "nowhere"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_mistakes_are_one_line_and_write_nothing(here: Path, words: dict[str, Any], message: str) -> None:
    Path("empty.csv").write_text("")
    Path("headless.csv").write_text("path\n")
    Path("columns.csv").write_text("who,what\na,b\n")
    before = digest(here)
    with pytest.raises(UserError, match=message) as error:
        ipse.forget("run", **{"out": "new", "quiet": True, **words})
    assert "\n" not in str(error.value)
    assert digest(here) == before
    assert not Path("new").exists()


def test_everything_cannot_be_forgotten_nor_what_was_never_learned(here: Path) -> None:
    names = learned()
    with pytest.raises(UserError, match="everything run learned from: nothing would be left"):
        ipse.forget("run", forget=names, out="new", **QUICK)
    aside = sorted({str(n) for n in Run.open("run").data().train.names} - set(names))
    assert aside
    with pytest.raises(UserError, match=f"names 1 samples that run did not learn from, such as '{aside[0]}'"):
        ipse.forget("run", forget=aside[:1], out="new", **QUICK)


def test_a_run_without_a_head_or_data(here: Path) -> None:
    ipse.pretrain("photos", steps=2, batch_size=16, set={"hidden": 16, "width": 8}, out="bare", tensorboard=False, quiet=True)
    with pytest.raises(UserError, match="without classes"):
        ipse.forget("bare", forget="class:china", out="new", **QUICK)
    shutil.move("photos", "elsewhere")
    with pytest.raises(UserError, match="cannot be opened"):
        ipse.forget("run", forget="class:china", out="new", **QUICK)
    made = ipse.forget("run", "elsewhere", forget="class:china", out="new", **QUICK)
    assert made.config["forgotten"] > 0


def test_unreadable_samples_on_the_list_are_noted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos/china/broken.png").write_bytes(b"no picture")
    ipse.forget("run", forget=["china/broken.png", learned()[0]], out="new", **QUICK)
    assert "1 of them could not be read" in capsys.readouterr().err


def numbers(**more: float) -> dict[str, float]:
    usual = {"forget-accuracy": 0.0, "recovered-accuracy": 0.05, "retain-accuracy": 0.99, "test-accuracy": 0.98}
    return usual | {"membership-auc": 0.5, "membership-accuracy": 0.5, "relearn-steps": 20.0} | more


FIRST = numbers(**{"forget-accuracy": 0.99, "recovered-accuracy": 0.99})


@pytest.mark.parametrize(
    ("now", "verdict", "more"),
    [
        (numbers(), "It has forgotten", "no attack found them"),
        (numbers(**{"forget-accuracy": 0.6}), "It has not forgotten", "names 60.0%"),
        (numbers(**{"recovered-accuracy": 0.85}), "It only pretends to forget", "recovers 85.0% of the forgotten class"),
        (
            numbers(**{"membership-auc": 0.85, "membership-accuracy": 0.8}),
            "It only pretends to forget",
            "A membership attack still finds them by its loss: 80%",
        ),
        (numbers(**{"membership-auc": 0.1, "membership-accuracy": 0.8}), "It only pretends", "unlike any other"),
        (numbers(**{"relearn-steps": 3.0}), "It only pretends", "relearns them in 3 steps, where the retrained model takes 20"),
        (numbers(**{"test-accuracy": 0.7}), "It has forgotten", "It has lost more than it should"),
        (numbers(**{"forget-accuracy": 1.0, "entropy": 2.29}), "It has forgotten", "an entropy of 2.29 nats of at most 2.30"),
        (numbers(**{"forget-accuracy": 1.0, "entropy": 1.9}), "It has not forgotten", "names 100.0%"),
        (
            numbers(**{"forget-accuracy": 1.0, "entropy": 2.29, "recovered-accuracy": 0.9}),
            "It only pretends to forget: it is undecided",
            "recovers 90.0%",
        ),
    ],
)
def test_the_findings_say_it_in_words(now: dict[str, float], verdict: str, more: str) -> None:
    found = {"samples": 10, "whole-classes": True, "retrained": False, "classes": 10}
    said = findings(found | {"models": {"original": FIRST, "forgotten": now, "retrained": numbers()}})
    assert said[0].startswith(verdict)
    assert any(more in sentence for sentence in said)


def test_random_samples_are_judged_by_what_a_model_says_that_never_saw_them() -> None:
    found = {"samples": 10, "whole-classes": False, "retrained": False}
    gold = numbers(**{"forget-accuracy": 0.9, "recovered-accuracy": 0.9})
    like_gold = numbers(**{"forget-accuracy": 0.91, "recovered-accuracy": 0.92})
    assert findings(found | {"models": {"original": FIRST, "forgotten": like_gold, "retrained": gold}})[0].startswith(
        "It has forgotten"
    )
    too_much = findings(found | {"models": {"original": FIRST, "forgotten": numbers(), "retrained": gold}})
    assert any("more than there was to forget" in sentence for sentence in too_much)
    alone = findings(found | {"models": {"original": FIRST, "forgotten": like_gold}})
    assert any("--gold retrain makes one" in sentence for sentence in alone)
