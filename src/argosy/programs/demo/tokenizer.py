"""A byte-pair tokenizer trained on the corpus itself, saved the way Hugging Face's tokenizers are.

Called by `pretrain` and `finetune`. Its chat template is part of what is saved, so whatever serves the model formats
messages as the training did.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from argosy.programs.demo.corpus import Exchange

BEGIN, END, USER, ASSISTANT = "<s>", "</s>", "<|user|>", "<|assistant|>"
VOCABULARY = 1536
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}<|assistant|>{{ message['content'] }}{{ eos_token }}"
    "{% else %}<|user|>{{ message['content'] }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""Whatever is not the assistant speaks as the user: so small a model has no room for a system's voice."""


def train(texts: Iterable[str], vocabulary: int = VOCABULARY) -> Tokenizer:
    """Learn `vocabulary` tokens from texts: about half a second per megabyte."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[BEGIN, END, USER, ASSISTANT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    begin = learner.token_to_id(BEGIN)
    learner.post_processor = processors.TemplateProcessing(single=f"{BEGIN} $A", special_tokens=[(BEGIN, begin)])
    return learner


def specials(learned: Tokenizer) -> dict[str, int]:
    """The token numbers that a model's configuration names."""
    end = learned.token_to_id(END)
    return {"bos_token_id": learned.token_to_id(BEGIN), "eos_token_id": end, "pad_token_id": end}


def save(learned: Tokenizer, directory: Path) -> None:
    """Write what `AutoTokenizer.from_pretrained` reads."""
    learned.save(str(directory / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BEGIN,
        "eos_token": END,
        "pad_token": END,
        "additional_special_tokens": [USER, ASSISTANT],
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1_000_000,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(settings, indent=1))
    (directory / "chat_template.jinja").write_text(CHAT_TEMPLATE)


def load(directory: Path) -> Tokenizer:
    """Read a tokenizer that `save` or transformers wrote."""
    return Tokenizer.from_file(str(directory / "tokenizer.json"))


def encode_documents(learned: Tokenizer, texts: list[str]) -> list[int]:
    """One stream of tokens: each text between its begin and its end."""
    end = learned.token_to_id(END)
    return [token for encoding in learned.encode_batch(texts) for token in (*encoding.ids, end)]


def encode_exchanges(learned: Tokenizer, asked: list[Exchange]) -> list[tuple[list[int], int]]:
    """(tokens, how many of them belong to the question) of each exchange, as the chat template writes it."""
    questions = [f"{BEGIN}{USER}{one.question}{ASSISTANT}" for one in asked]
    answers = [f"{one.answer}{END}" for one in asked]
    fronts = learned.encode_batch(questions, add_special_tokens=False)
    backs = learned.encode_batch(answers, add_special_tokens=False)
    return [(front.ids + back.ids, len(front.ids)) for front, back in zip(fronts, backs, strict=True)]
