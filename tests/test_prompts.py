from __future__ import annotations

import numpy as np
import pytest

from motionloom import prompts
from motionloom.errors import CheckpointError, InputError, MotionloomError
from motionloom.models.catalog import find_model
from motionloom.prompt_styles import CAPTIONS, MOST_SENTENCES, SYSTEM_PROMPTS, within_sentences
from motionloom.prompts import PromptContext, extend_prompt, extender_names, style_for
from motionloom.tracks.tracks import Tracks

X = np.linspace(50, 110, 17)
MOTION = Tracks(np.stack([X, np.full(17, 40)], -1)[:, None], np.ones((17, 1), bool), (300, 400), 16.0)
WORDS = "The object in the upper left moves to the right."


@pytest.mark.parametrize(
    ("name", "prompt", "expected"),
    [
        ("motion", "a cat", f"a cat. {WORDS}"),
        ("motion", "A cat!", f"A cat! {WORDS}"),
        ("motion", "", WORDS),
        ("motion", "一只猫", "一只猫。画面左上方的物体向右移动。"),
        ("motion:zh", "a cat.", "a cat.画面左上方的物体向右移动。"),
        ("motion:en", "一只猫。", f"一只猫。 {WORDS}"),
    ],
)
def test_words_for_the_motion(name, prompt, expected):
    assert extend_prompt(name, PromptContext(prompt, None, MOTION)) == expected


def test_without_a_motion_the_prompt_stays():
    assert extend_prompt("motion", PromptContext(" a cat ")) == "a cat"
    assert extend_prompt("motion", PromptContext("a cat", motion=Tracks.empty(9, (30, 40), 8.0))) == "a cat"


def test_any_function_gets_the_whole_context():
    seen = []
    image = np.zeros((4, 4, 3), np.uint8)

    def extender(context):
        seen.append(context)
        return context.prompt + " on a roof\n"

    context = PromptContext("a cat", image, MOTION)
    assert extend_prompt(extender, context) == "a cat on a roof"
    assert seen[0] is context


class Entry:
    """Stands for an installed package's entry point."""

    def __init__(self, name, function):
        self.name, self.value, self._function = name, f"package:{name}", function

    def load(self):
        if self._function is None:
            raise ImportError("no module named package")
        return self._function


@pytest.fixture
def installed(monkeypatch):
    entries = [Entry("shout", lambda context: context.prompt.upper()), Entry("broken", None)]
    monkeypatch.setattr(
        prompts, "entry_points", lambda group: entries if group == "motionloom.prompt_extenders" else []
    )


def test_installed_extenders(installed):
    assert extend_prompt("shout", PromptContext("a cat")) == "A CAT"
    assert extender_names() == ["motion", "transformers:FOLDER", "broken", "shout"]
    with pytest.raises(MotionloomError, match=r"'broken': package:broken cannot be loaded \(ImportError"):
        extend_prompt("broken", PromptContext("a cat"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "found 'nothing', expected one of motion, transformers:FOLDER, broken, shout"),
        ("motion:de", "found language 'de'"),
        ("transformers", "expected transformers:FOLDER"),
        ("shout:loud", "found 'shout:loud'"),
    ],
)
def test_names_that_are_refused(installed, name, message):
    with pytest.raises(InputError, match=message):
        extend_prompt(name, PromptContext("a cat"))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda context: None, "returned NoneType, expected text"),
        (lambda context: "  ", "returned no text"),
        (lambda context: "x" * 5000, "returned 5000 characters"),
        (lambda context: 1 / 0, "failed with ZeroDivisionError"),
    ],
)
def test_what_an_extender_may_not_do(function, message):
    with pytest.raises(MotionloomError, match=message):
        extend_prompt(function, PromptContext("a cat"))


def make_chat_model(folder, template):
    """A language model of a few thousand weights that knows the words of its own vocabulary only."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = ["<unk>", "<end>", *f"a cat moves right The object system user {WORDS} Prompt: Movements: <think>".split()]
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(words))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<end>")
    if template:
        fast.chat_template = "{% for m in messages %}{{ m['role'] + ' ' + m['content'] + ' ' }}{% endfor %}"
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(
        vocab_size=len(vocabulary), max_position_embeddings=512, eos_token_id=1, bos_token_id=1, **size
    )
    LlamaForCausalLM(config).save_pretrained(folder)


@pytest.mark.parametrize("style", ["photograph", "caption"])
@pytest.mark.parametrize("template", [True, False])
def test_a_local_chat_model_is_asked(tmp_path, monkeypatch, template, style):
    from transformers import PreTrainedTokenizerFast

    make_chat_model(tmp_path, template)
    asked = []
    name = "apply_chat_template" if template else "__call__"
    original = getattr(PreTrainedTokenizerFast, name)

    def spy(self, given, *args, **kwargs):
        asked.append(str(given))
        return original(self, given, *args, **kwargs)

    monkeypatch.setattr(PreTrainedTokenizerFast, name, spy)
    context = PromptContext("a cat", None, MOTION, style)
    answer = prompts.extend_by_chat(context, tmp_path, max_new_tokens=12)
    assert answer
    assert answer == prompts.extend_by_chat(context, tmp_path, max_new_tokens=12)
    assert SYSTEM_PROMPTS[style].splitlines()[0] in asked[0]
    assert "Prompt: a cat" in asked[0]
    assert f"Movements: {WORDS}" in asked[0]


def test_thoughts_and_quotes_are_left_out(tmp_path, monkeypatch):
    from transformers import PreTrainedTokenizerFast

    make_chat_model(tmp_path, True)
    for text, expected in (("<think>well</think>\n “A cat walks.” ", "A cat walks."), ("<think>endless", None)):
        monkeypatch.setattr(PreTrainedTokenizerFast, "decode", lambda *_, _text=text, **__: _text)
        if expected:
            assert prompts.extend_by_chat(PromptContext("a cat"), tmp_path, max_new_tokens=1) == expected
        else:
            with pytest.raises(MotionloomError, match="the model answered nothing"):
                prompts.extend_by_chat(PromptContext("a cat"), tmp_path, max_new_tokens=1)


def test_models_trained_on_long_captions_get_one(tmp_path, monkeypatch):
    from transformers import PreTrainedTokenizerFast

    make_chat_model(tmp_path, True)
    asked = []
    original = PreTrainedTokenizerFast.apply_chat_template

    def spy(self, messages, *args, **kwargs):
        asked.append(messages)
        return original(self, messages, *args, **kwargs)

    monkeypatch.setattr(PreTrainedTokenizerFast, "apply_chat_template", spy)
    said = " ".join(f"Sentence {number}." for number in range(1, 9)).replace(" Sentence 3", "\n\nSentence 3")
    monkeypatch.setattr(PreTrainedTokenizerFast, "decode", lambda *_, **__: said)
    given = {"image": np.zeros((4, 4, 3), np.uint8), "motion": MOTION}
    long = prompts.extend_by_chat(PromptContext("一只猫", **given, style="caption"), tmp_path, max_new_tokens=1)
    assert long == " ".join(f"Sentence {number}." for number in range(1, 7))
    short = prompts.extend_by_chat(PromptContext("一只猫", **given), tmp_path, max_new_tokens=1)
    assert short == said
    (caption, question), (_, other) = asked
    assert all(example in caption["content"] for example in CAPTIONS)
    assert "in English, in no more than 6 sentences" in caption["content"]
    assert question["content"] == (
        f"Prompt: 一只猫\nMovements: {WORDS}\nThe video begins with a photograph that you cannot see: say little of "
        "looks, much of what happens."
    )
    assert other["content"] == "Prompt: 一只猫\nMovements: 画面左上方的物体向右移动。"
    assert extend_prompt("motion", PromptContext("一只猫", **given, style="caption")) == f"一只猫. {WORDS}"


@pytest.mark.parametrize("caption", CAPTIONS)
def test_the_examples_keep_the_rules_they_illustrate(caption):
    assert 100 <= len(caption.split()) <= 150
    assert within_sentences(caption) == caption
    assert within_sentences(caption, MOST_SENTENCES - 2) != caption


def test_the_style_is_that_of_the_base_model():
    assert style_for(None) == "photograph"
    assert style_for(find_model("wan-move-14b")) == "photograph"
    assert style_for(find_model("cogvideox-5b-i2v")) == "caption"
    assert style_for(find_model("tora-t2v")) == "caption"


def test_folders_without_a_chat_model(tmp_path):
    with pytest.raises(CheckpointError, match="no such folder"):
        extend_prompt(f"transformers:{tmp_path}/none", PromptContext("a cat"))
    with pytest.raises(CheckpointError, match=r"no config\.json in it"):
        extend_prompt(f"transformers:{tmp_path}", PromptContext("a cat"))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="no chat model that transformers can load"):
        extend_prompt(f"transformers:{tmp_path}", PromptContext("a cat"))
