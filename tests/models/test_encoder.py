from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ipse.data import form
from ipse.errors import UserError, first_line
from ipse.models import Encoder, create, known, load, save, usual_size

EVERY_KIND = [
    ("small_conv", 3, 32, {}),
    ("small_conv", 1, 28, {"widths": (8, 16), "depths": (1, 2)}),
    ("small_vit", 4, 20, {"patch": 6, "width": 24, "depth": 2, "heads": 2}),
    ("tiny_vit", 1, 28, {}),
    ("test_resnet", 1, 32, {}),
    ("test_vit", 4, 48, {}),
]


def trained(name: str, channels: int, size: int, options: dict[str, object]) -> Encoder:
    """An encoder whose weights and running statistics are not those it starts with."""
    torch.manual_seed(0)
    encoder = create(name, form.image(channels, size), **options)
    with torch.no_grad():
        for p in encoder.parameters():
            p.add_(0.01 * torch.randn_like(p))
        encoder.train()(torch.randn(8, channels, size, size))
    return encoder.eval()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save(trained("small_conv", 3, 16, {"widths": (4, 8), "depths": (1, 1)}), tmp_path)
    return tmp_path


def description(folder: Path) -> dict[str, object]:
    read: dict[str, object] = json.loads((folder / "encoder.json").read_text())
    return read


def rewrite(folder: Path, **changes: object) -> None:
    (folder / "encoder.json").write_text(json.dumps(description(folder) | changes))


class TestCreate:
    def test_our_own_are_listed_and_timms_are_known_too(self):
        assert known("image") == ["small_conv", "small_vit", "tiny_vit", "unet"]
        assert {*known("image"), "mel_conv", "dilated_conv", "table_mlp"} < {*known()}
        assert create("resnet18", form.image(3, 32)).name == "resnet18"
        assert create("resnet18.a1_in1k", form.image(3, 32)).dim == 512

    @pytest.mark.parametrize(
        ("word", "near"), [("small_con", "small_conv"), ("resnet19", "resnet"), ("vit_tiny_patch16", "vit_tiny"), ("", "known")]
    )
    def test_unknown_names_are_answered_with_the_nearest(self, word, near):
        for function in (lambda word: create(word, form.image()), usual_size):
            with pytest.raises(UserError, match=f"unknown encoder '{word}'.*{near}"):
                function(word)

    def test_nothing_is_fetched_or_run_for_names_that_are_places(self):
        for name in ("hf-hub:someone/something", "timm/resnet18", "../resnet18", "local-dir:/tmp"):
            with pytest.raises(UserError, match="unknown encoder"):
                create(name, form.image())

    def test_weights_that_timm_does_not_have(self):
        with pytest.raises(UserError, match=r"timm cannot build encoder 'resnet18.nobody' for 32 px: .*nobody"):
            create("resnet18.nobody", form.image())
        with pytest.raises(UserError, match=r"unknown encoder 'resnet18.a1_in2k': did you mean 'resnet18.a1_in1k'"):
            usual_size("resnet18.a1_in2k")

    def test_our_own_have_no_pretrained_weights(self):
        with pytest.raises(UserError, match=r"small_conv.*no pretrained weights"):
            create("small_conv", form.image(), pretrained=True)

    def test_usual_sizes(self):
        sizes = {
            n: usual_size(n) for n in ("small_conv", "small_vit", "resnet18", "vit_tiny_patch16_224", "vit_base_patch16_384")
        }
        assert sizes == {
            "small_conv": None,
            "small_vit": None,
            "resnet18": 224,
            "vit_tiny_patch16_224": 224,
            "vit_base_patch16_384": 384,
        }

    def test_the_same_seed_gives_the_same_weights(self):
        for name in ("small_conv", "small_vit", "test_resnet"):
            first, second = [(torch.manual_seed(3), create(name, form.image(3, 32)))[1].state_dict() for _ in range(2)]
            assert all(torch.equal(first[k], second[k]) for k in first)


class TestPlainEncoder:
    def test_what_it_lacks_is_said_with_what_has_it(self):
        encoder = Encoder()
        encoder.name = "plain"
        for method in (encoder.dense, encoder.tokens, encoder.blocks):
            with pytest.raises(UserError, match=r"'plain' has no .*small_vit"):
                method(torch.zeros(1, 3, 8, 8))
        assert not encoder.has_tokens


class TestKept:
    @pytest.mark.parametrize(("name", "channels", "size", "options"), EVERY_KIND)
    def test_what_is_loaded_gives_the_same_output(self, tmp_path, name, channels, size, options):
        encoder = trained(name, channels, size, options)
        x = torch.randn(4, channels, size, size)
        save(encoder, tmp_path)
        loaded = load(tmp_path)
        assert type(loaded) is type(encoder)
        assert not loaded.training
        assert (loaded.name, loaded.dim, loaded.form) == (encoder.name, encoder.dim, form.image(channels, size))
        assert loaded.options() == encoder.options()
        with torch.no_grad():
            assert torch.equal(loaded(x), encoder(x))
            assert torch.equal(loaded.dense(x), encoder.dense(x))

    def test_the_files_are_json_and_safetensors_and_nothing_else(self, saved):
        assert sorted(f.name for f in saved.iterdir()) == ["encoder.json", "encoder.safetensors"]
        expected = {"name": "small_conv", "dim": 8, "form": dict(form.image(3, 16))}
        assert description(saved)["options"] == {"widths": [4, 8], "depths": [1, 1], "grid": 16}
        assert expected == {name: description(saved)[name] for name in expected}
        assert "layers.0.weight" in load_file(saved / "encoder.safetensors")

    def test_saving_again_replaces(self, saved):
        other = trained("test_resnet", 1, 32, {})
        save(other, saved)
        assert load(saved).name == "test_resnet"

    def test_weights_in_another_memory_format_are_kept(self, tmp_path):
        encoder = trained("small_conv", 3, 16, {}).to(memory_format=torch.channels_last)
        save(encoder, tmp_path)
        x = torch.randn(2, 3, 16, 16)
        with torch.no_grad():
            torch.testing.assert_close(load(tmp_path)(x), encoder(x))

    @pytest.mark.parametrize("name", ["encoder.json", "encoder.safetensors"])
    def test_a_missing_file_is_named(self, saved, name):
        (saved / name).unlink()
        with pytest.raises(UserError, match=f"holds no finished run: {name} is missing"):
            load(saved)

    def test_a_missing_folder(self, tmp_path):
        with pytest.raises(UserError, match=r"holds no finished run: encoder.json is missing"):
            load(tmp_path / "nothing")

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", "null", "5", "{}", '{"name": 5, "dim": 8}', '{"name": "small_conv"}', "\x00\xff"]
    )
    def test_a_damaged_description(self, saved, text):
        (saved / "encoder.json").write_text(text)
        with pytest.raises(UserError, match=r"the encoder in .* is damaged") as caught:
            load(saved)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "changes",
        [
            {"form": form.image(1, 16)},
            {"form": form.image(-1, 16)},
            {"form": {"modality": "image", "channels": "three", "size": 16}},
            {"form": {"modality": "image"}},
            {"form": 3},
            {"options": {"widths": [4, 9]}},
            {"options": {"widths": "48"}},
            {"options": {"widths": [4, 8], "depths": [1]}},
            {"dim": 9},
            {"options": {"surprise": 1}},
            {"options": {"pretrained": True}},
        ],
    )
    def test_a_description_that_does_not_fit_the_weights(self, saved, changes):
        rewrite(saved, **changes)
        with pytest.raises(UserError, match=r"the encoder in .* is damaged") as caught:
            load(saved)
        assert "\n" not in str(caught.value)

    def test_a_description_of_an_encoder_that_does_not_exist(self, saved):
        rewrite(saved, name="large_conv")
        with pytest.raises(UserError, match=r"the encoder in .* cannot be built: unknown encoder 'large_conv'"):
            load(saved)

    @pytest.mark.parametrize("keep", [0, 5, 100, 0.5, -1])
    def test_truncated_weights(self, saved, keep):
        file = saved / "encoder.safetensors"
        content = file.read_bytes()
        file.write_bytes(content[: int(len(content) * keep) if isinstance(keep, float) else keep])
        with pytest.raises(UserError, match=r"the encoder in .* is damaged"):
            load(saved)

    def test_weights_of_another_encoder(self, saved):
        save_file({"a": torch.zeros(3)}, saved / "encoder.safetensors")
        with pytest.raises(UserError, match=r"the encoder in .* is damaged"):
            load(saved)

    def test_a_pickle_is_not_opened(self, saved):
        torch.save(create("small_conv", form.image(3, 16), widths=(4, 8)).state_dict(), saved / "encoder.safetensors")
        with pytest.raises(UserError, match=r"the encoder in .* is damaged"):
            load(saved)

    def test_what_cannot_be_written_leaves_the_old_files(self, saved, monkeypatch):
        before = {f.name: f.read_bytes() for f in saved.iterdir()}

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("ipse.models.disk.save_file", full)
        with pytest.raises(OSError, match="No space left"):
            save(trained("test_resnet", 1, 32, {}), saved)
        assert {f.name: f.read_bytes() for f in saved.iterdir()} == before


def test_the_first_line_of_an_error_is_there_even_when_it_says_nothing():
    assert first_line(ValueError("one\ntwo")) == "one"
    assert first_line(AssertionError()) == "AssertionError"
    assert len(first_line(ValueError("x" * 1000))) == 120
