from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ipse.data import form
from ipse.errors import UserError
from ipse.models.transformers_door import SPEECH, TransformersEncoder

transformers = pytest.importorskip("transformers")

FORM = form.audio(6000)
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
STABLE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}
KINDS = [(kind, {}) for kind in SPEECH] + [("wav2vec2", STABLE), ("hubert", STABLE), ("wavlm", STABLE)]


def waves(n: int, samples: int) -> Tensor:
    return 0.1 * torch.randn(n, samples, generator=torch.Generator().manual_seed(samples))


def padded(x: Tensor, more: int) -> Tensor:
    return torch.cat([x, torch.full((len(x), more), torch.nan)], dim=1)


def saved(folder: Path, kind: str, **options: Any) -> Any:
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(kind, **SIZES, **options)).eval()
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize(("kind", "options"), KINDS)
@torch.no_grad()
def test_is_the_model_in_the_folder_whatever_the_padding(tmp_path, kind, options):
    model = saved(tmp_path, kind, **options)
    encoder = TransformersEncoder(str(tmp_path), FORM, pretrained=True).eval()
    x = waves(2, 6000)
    wave = (x - x.mean(dim=1, keepdim=True)) / x.std(dim=1, correction=0, keepdim=True)
    expected = model(wave, output_hidden_states=True)
    dense = encoder.dense(x)
    torch.testing.assert_close(dense, expected.last_hidden_state, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(encoder.layers(x)[:-1], list(expected.hidden_states)[:2], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(encoder(x), dense.mean(dim=1))
    longer = encoder.dense(padded(x, 2500))
    torch.testing.assert_close(longer[:, : dense.shape[1]], dense, atol=1e-4, rtol=1e-4)
    assert float(longer[:, dense.shape[1] :].abs().max()) == 0
    torch.testing.assert_close(encoder(padded(x, 2500)), encoder(x), atol=1e-4, rtol=1e-4)
    assert (encoder.dim, encoder.stride, encoder.window, encoder.has_tokens) == (32, 320, 400, True)


class TestHuBERT:
    @pytest.fixture
    def encoder(self) -> TransformersEncoder:
        torch.manual_seed(0)
        return TransformersEncoder("tiny", FORM, config={"model_type": "hubert", **SIZES}).eval()

    @torch.no_grad()
    def test_tokens_through_the_blocks(self, encoder):
        x = padded(waves(2, 5000), 1000)
        frames, valid = encoder.frames(x)
        tokens = encoder.tokens(x)
        assert torch.equal(tokens.isnan().all(dim=-1), ~valid)
        torch.testing.assert_close(encoder.blocks(tokens), encoder.dense(x))
        torch.testing.assert_close(encoder.blocks(encoder.positioned(frames, valid), valid), encoder.dense(x))
        some = torch.tensor([1, 5, 7])
        kept = encoder.blocks(tokens[:, some])
        torch.testing.assert_close(encoder.blocks(tokens[:, some.flip(0)]).flip(1), kept, atol=1e-5, rtol=1e-5)

    @torch.no_grad()
    def test_what_the_perceptrons_add(self, encoder):
        x = waves(2, 5000)
        states, added = encoder.layers(x), encoder.passed(encoder.tokens(x)).perceptrons
        assert (len(states), len(added)) == (3, 2)
        layer: Any = encoder.model.encoder.layers[1]
        h = states[1] + layer.attention(states[1])[0]
        torch.testing.assert_close(layer.feed_forward(layer.layer_norm(h)), added[1], atol=1e-5, rtol=1e-5)

    @torch.no_grad()
    def test_short_clips_and_clips_of_nothing(self, encoder):
        x = padded(waves(2, 5), 700)
        x[0] = torch.nan
        h = encoder(x)
        assert bool((h[0] == 0).all())
        torch.testing.assert_close(h[1], encoder(x[1:, :5])[0])

    def test_a_gradient_reaches_every_weight(self, encoder):
        encoder.train()(padded(waves(3, 5000), 100)).pow(2).sum().backward()
        assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in encoder.parameters())

    @torch.no_grad()
    def test_options_build_it_again_without_its_folder(self, encoder):
        again = TransformersEncoder("gone", FORM, **json.loads(json.dumps(encoder.options()))).eval()
        again.load_state_dict(encoder.state_dict())
        assert torch.equal(again(waves(2, 3000)), encoder(waves(2, 3000)))

    def test_training_is_left_to_no_other_chance_than_dropout(self, encoder):
        for module in encoder.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        for layer in encoder.model.encoder.layers:
            layer.attention.dropout = 0.0
        x = waves(2, 5000)
        assert torch.equal(encoder.train()(x), encoder(x))


class TestMistakes:
    def test_a_folder_without_a_model(self, tmp_path):
        with pytest.raises(UserError, match=f"transformers cannot build encoder '{tmp_path}'"):
            TransformersEncoder(str(tmp_path), FORM)

    def test_a_model_of_something_else(self, tmp_path):
        transformers.BertConfig(hidden_size=8).save_pretrained(tmp_path)
        with pytest.raises(UserError, match="it is a bert model; of speech there are data2vec-audio, hubert"):
            TransformersEncoder(str(tmp_path), FORM)

    def test_weights_that_could_run_code(self, tmp_path):
        model = saved(tmp_path, "hubert")
        (tmp_path / "model.safetensors").unlink()
        torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
        with pytest.raises(UserError, match="transformers cannot build encoder"):
            TransformersEncoder(str(tmp_path), FORM, pretrained=True)

    def test_transformers_is_missing(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "transformers", None)
        with pytest.raises(UserError, match=r"needs an extra: pip install 'ipse\[audio\]'"):
            TransformersEncoder(str(tmp_path), FORM)
