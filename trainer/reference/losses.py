#!/usr/bin/env python3
"""The losses of the first 50 steps in PyTorch, which `tests/reference.rs` holds Akin's training to.

    pip install torch transformers sentence-transformers
    trainer/reference/losses.py          # writes pairs.tsv, triplets.tsv, ranked.tsv and losses.json beside itself

The losses that came after the paper are sentence-transformers' own. The tiny models of `fixtures/`, the examples in the order of the file, no dropout; AdamW, warm-up, decay and clipping as
sentence-transformers has them. Nothing here runs in tests.
"""

import json
import math
import sys
from pathlib import Path

import torch
from sentence_transformers.sentence_transformer import losses as library
from sentence_transformers.sentence_transformer.losses.matryoshka import shrink
from tokenizers import Tokenizer
from transformers import AutoModel

HERE = Path(__file__).parent
FIXTURES = HERE.parent.parent / "fixtures"
sys.path.insert(0, str(FIXTURES))
import families

# Those of BERT's module, then those that are trained by their description.
FAMILIES = ("xlm-roberta", "camembert", "distilbert", "electra", "mpnet")
DESCRIBED = ("modernbert", "modernbert-biases", "deberta-v3", "deberta-v2", "deberta-unshared", "nomic", "gte", "jina-v3",
             "albert", "jina-v2", "t5", "t5-gated", "qwen3", "gemma3", "electra-narrow", "bert-relu")
# What of the head of a cross-encoder is not BERT's: the activation, and whether a norm follows it.
HEADS = {"modernbert": (torch.nn.GELU, True), "deberta-v3": (torch.nn.GELU, False), "deberta-v2": (torch.nn.GELU, False),
         "distilbert": (torch.nn.ReLU, False), "electra": (torch.nn.GELU, False)}
# Networks that are given the type of each token of a pair.
TYPED = ("bert", "albert", "deberta-v2", "electra")
# The parts of a layer that get adapters, and where the layers are.
PARTS = {"tiny-bert": ("encoder.layer", ["attention.self.query", "attention.self.key", "attention.self.value",
                                         "attention.output.dense", "intermediate.dense", "output.dense"]),
         "deberta-v3": ("encoder.layer", ["attention.self.query_proj", "attention.self.key_proj", "attention.self.value_proj",
                                          "attention.output.dense", "intermediate.dense", "output.dense"]),
         "nomic": ("layers", ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                              "mlp.up_proj", "mlp.down_proj", "mlp.gate_proj"])}
STEPS, BATCH, RATE, WARMUP, DECAY, MAX_TOKENS, SEED = 50, 8, 5e-4, 0.1, 0.01, 48, 42
CUTS = (32, 16, 8)
# The most numbers that are kept of a parameter.
KEPT = 128
MASK = (1 << 64) - 1


class Random:
    """SplitMix64, as `akin_encoder::Random`."""

    def __init__(self, seed):
        self.state = seed & MASK

    def uniform(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        x = self.state
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
        return ((x ^ (x >> 31)) >> 11) / (1 << 53)


def write_examples():
    """Pairs with scores and labels, and triplets, from the scored pairs of the fixtures."""
    rows = [line.split("\t") for line in (FIXTURES / "similar.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    label = lambda score: "entailment" if score >= 3.5 else "contradiction" if score < 1.5 else "neutral"
    pairs = [[row[0], label(float(row[0])), row[1], row[2]] for row in rows]
    triplets = [[row[1], row[2], other[2]] for row, other in zip(rows, rows[1:] + rows[:1])]
    write = lambda name, header, lines: (HERE / name).write_text(
        "\n".join("\t".join(line) for line in [header] + lines) + "\n", encoding="utf-8")
    write("pairs.tsv", ["score", "label", "sentence1", "sentence2"], pairs)
    write("triplets.tsv", ["anchor", "positive", "negative"], triplets)
    # Negatives from afar, so that no text comes twice in a batch; margins as of a teacher.
    far = rows[13:] + rows[:13]
    ranked = [[row[1], row[2], other[2], f"{float(row[0]) / 5:.2f}"] for row, other in zip(rows, far)]
    write("ranked.tsv", ["anchor", "positive", "negative", "margin"], ranked)
    return pairs, triplets, ranked


def linear(random, inputs, outputs, bias):
    bound = 1 / math.sqrt(inputs)
    draw = lambda count: torch.tensor([(2 * random.uniform() - 1) * bound for _ in range(count)], dtype=torch.float32)
    layer = torch.nn.Linear(inputs, outputs, bias=bias)
    layer.weight.data = draw(inputs * outputs).view(inputs, outputs).T.contiguous()
    if bias:
        layer.bias.data = draw(outputs)
    return layer


class Encoder:
    def __init__(self, name):
        # Between the two texts of a pair: BERT has one, and gives the second text another type.
        self.separators = 2 if name == "mpnet" else 1
        self.is_typed = self.separators == 1
        if name in FAMILIES + DESCRIBED:
            self.of_family(name)
            return
        folder = FIXTURES / "models" / name
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MAX_TOKENS)
        # Only the tiny BERT is given two sentences at once, and its padding is token 0; RoBERTa's is 1.
        self.padding = 1 if "roberta" in name else 0
        self.model = AutoModel.from_pretrained(folder, add_pooling_layer=False, attn_implementation="eager",
                                               hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0).train()

    def of_family(self, name):
        """The network of `fixtures/families.py`, with the weights that are drawn there."""
        _, tokenizer, model_type, settings = next(variant for variant in families.VARIANTS if variant[0] == name)
        self.tokenizer = Tokenizer.from_file(str(FIXTURES / "models" / f"tiny-{tokenizer}" / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MAX_TOKENS)
        self.padding = settings["pad_token_id"]
        self.is_typed = model_type in TYPED
        names = {"distilbert": ["dropout", "attention_dropout"], "t5": ["dropout_rate"]}.get(
            model_type, ["hidden_dropout_prob", "attention_probs_dropout_prob"])
        self.model, _ = families.network(model_type, settings | dict.fromkeys(names, 0.0))
        families.draw(self.model, name)
        if isinstance(self.model, families.JinaBert):
            self.model.weights = {name: torch.nn.Parameter(weight) for name, weight in self.model.weights.items()}
            for name, weight in self.model.weights.items():
                self.model.register_parameter(name.replace(".", "_"), weight)
        # No loss reaches it.
        if getattr(self.model, "pooler", None) is not None:
            self.model.pooler = None
        self.model.train()

    def ids(self, text):
        return self.tokenizer.encode(text.strip()).ids

    def hidden(self, sentences, types=None):
        longest = max(map(len, sentences))
        pad = lambda rows, value: torch.tensor([row + [value] * (longest - len(row)) for row in rows])
        mask = pad([[1] * len(row) for row in sentences], 0)
        if isinstance(self.model, families.JinaBert):
            states = [self.model.hidden_states(torch.tensor(row)) for row in sentences]
            return torch.nn.utils.rnn.pad_sequence(states, batch_first=True), mask
        extra = {"token_type_ids": pad(types, 0)} if types else {}
        return self.model(input_ids=pad(sentences, self.padding), attention_mask=mask, **extra).last_hidden_state, mask

    def embed(self, texts):
        hidden, mask = self.hidden([self.ids(text) for text in texts])
        return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def regression(encoder, head, batch):
    u, v = (encoder.embed([row[side] for row in batch]) for side in (2, 3))
    scores = torch.tensor([float(row[0]) / 5 for row in batch])
    return torch.nn.functional.mse_loss(torch.cosine_similarity(u, v), scores)


def classification(encoder, head, batch):
    u, v = (encoder.embed([row[side] for row in batch]) for side in (2, 3))
    labels = torch.tensor([["contradiction", "entailment", "neutral"].index(row[1]) for row in batch])
    return torch.nn.functional.cross_entropy(head(torch.cat([u, v, (u - v).abs()], 1)), labels)


def triplet(encoder, head, batch):
    a, p, n = (encoder.embed([row[side] for row in batch]) for side in range(3))
    distance = torch.nn.functional.pairwise_distance
    return torch.relu(distance(a, p) - distance(a, n) + 1).mean()


def cross_encoder(encoder, head, batch):
    sequences, types = [], []
    for row in batch:
        first, second = encoder.ids(row[2]), encoder.ids(row[3])[1:]
        if encoder.separators == 2:
            second = first[-1:] + second
        while len(first) + len(second) > MAX_TOKENS:
            longer = first if len(first) > len(second) else second
            del longer[-2]
        sequences.append(first + second)
        types.append([0] * len(first) + [1] * len(second))
    hidden, _ = encoder.hidden(sequences, types if encoder.is_typed else None)
    scores = torch.tensor([float(row[0]) / 5 for row in batch])
    logits = head(hidden[:, 0])[:, 0]
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, scores)


def of_library(make, sides, labels=lambda row: 0.0, dimensions=None):
    """A loss of sentence-transformers over the columns `sides`, or the sum of it over embeddings cut to `dimensions`."""
    loss = make(torch.nn.Identity())

    def compute(encoder, head, batch):
        embeddings = [encoder.embed([row[side] for row in batch]) for side in sides]
        target = torch.tensor([labels(row) for row in batch])
        if dimensions is None:
            return loss.compute_loss_from_embeddings(embeddings, target)
        cut = lambda dimension: [shrink(embedding, dimension) for embedding in embeddings]
        return sum(loss.compute_loss_from_embeddings(cut(dimension), target) for dimension in dimensions)

    return compute


def distillation(teacher):
    """Both sentences of a pair follow the teacher's embedding of the first, as those of a translation do."""

    def compute(encoder, head, batch):
        with torch.no_grad():
            target = teacher.embed([row[2] for row in batch])
        embeddings = torch.cat([encoder.embed([row[side] for row in batch]) for side in (2, 3)])
        return torch.nn.functional.mse_loss(embeddings, target.repeat(2, 1))

    return compute


class Adapted(torch.nn.Module):
    """A linear layer with a low-rank adapter."""

    def __init__(self, linear, random, rank, alpha):
        super().__init__()
        bound = 1 / math.sqrt(linear.in_features)
        draw = [(2 * random.uniform() - 1) * bound for _ in range(linear.in_features * rank)]
        self.linear, self.scale = linear, alpha / rank
        self.down = torch.nn.Parameter(torch.tensor(draw, dtype=torch.float32).view(linear.in_features, rank))
        self.up = torch.nn.Parameter(torch.zeros(rank, linear.out_features))

    def forward(self, x):
        return self.linear(x) + x @ self.down @ self.up * self.scale


def adapt(name, everywhere, rank=4, alpha=32):
    """Freezes a model and gives its linear layers adapters: query and value, or all."""

    def change(model):
        random = Random(SEED ^ 0x6C6F7261)
        model.requires_grad_(False)
        layers, parts = PARTS[name]
        for layer in model.get_submodule(layers):
            for part in parts if everywhere else [parts[0], parts[2]]:
                around, _, last = part.rpartition(".")
                around = layer.get_submodule(around)
                setattr(around, last, Adapted(getattr(around, last), random, rank, alpha))

    return change


def scorer(name):
    """The head of a cross-encoder."""

    def make(random, width):
        activation, has_norm = HEADS.get(name, (torch.nn.Tanh, False))
        # ModernBERT's dense layer has no bias, and neither has its norm.
        pooler = linear(random, width, width, not has_norm)
        norm = [torch.nn.LayerNorm(width, eps=1e-5, bias=False)] if has_norm else []
        return torch.nn.Sequential(pooler, activation(), *norm, linear(random, width, 1, True))

    return make


def losses(name, loss_of, examples, make_head=lambda random, width: torch.nn.Identity(), change=None,
           rate=RATE, keep=None):
    torch.manual_seed(0)
    encoder = Encoder(name)
    if change is not None:
        change(encoder.model)
    config = encoder.model.config
    width = config["hidden_size"] if isinstance(config, dict) else config.hidden_size
    head = make_head(Random(SEED ^ 0x68656164), width)
    named = [pair for module in (encoder.model, head) for pair in module.named_parameters() if pair[1].requires_grad]
    parameters = [p for _, p in named]
    # transformers decays no parameter that has "bias" in its name, and so not what MPNet adds to scores by distance.
    decayed = lambda name, p: p.dim() > 1 and "bias" not in name
    optimizer = torch.optim.AdamW([
        {"params": [p for name, p in named if decayed(name, p)], "weight_decay": DECAY},
        {"params": [p for name, p in named if not decayed(name, p)], "weight_decay": 0.0}], lr=rate, eps=1e-8)
    warmup = math.ceil(WARMUP * STEPS)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: step / warmup if step < warmup else (STEPS - step) / (STEPS - warmup))
    found = []
    for step in range(STEPS):
        batch = [examples[(step * BATCH + i) % len(examples)] for i in range(BATCH)]
        loss = loss_of(encoder, head, batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        found.append(loss.item())
    print(f"{name} {loss_of.__name__}: {found[0]:.4f} to {found[-1]:.4f}")
    if keep is None:
        return found
    values = encoder.model.get_parameter(keep).detach().flatten()
    # The middle of a table of distances: no batch has the farthest.
    first = max(0, (len(values) - KEPT) // 2)
    return values[first:first + KEPT].tolist()


def described(pairs):
    """What proves the families that are trained by their description."""
    adapted = ("deberta-v3", "nomic")
    scored = ("modernbert", "deberta-v3", "deberta-v2", "albert", "distilbert", "electra")
    return {
        **{f"{name}-regression": losses(name, regression, pairs) for name in DESCRIBED},
        **{f"{name}-cross-encoder": losses(name, cross_encoder, pairs, scorer(name)) for name in scored},
        **{f"{name}-lora": losses(name, regression, pairs, change=adapt(name, True), rate=5e-3) for name in adapted},
        "deberta-v3-distances": losses("deberta-v3", regression, pairs, keep="encoder.rel_embeddings.weight"),
    }


def main():
    torch.set_num_threads(1)
    pairs, triplets, ranked = write_examples()
    classifier = lambda random, width: linear(random, 3 * width, 3, False)

    score = lambda row: float(row[0]) / 5
    results = {
        "regression": losses("tiny-bert", regression, pairs),
        "classification": losses("tiny-bert", classification, pairs, classifier),
        "triplet": losses("tiny-bert", triplet, triplets),
        "cross-encoder": losses("tiny-bert", cross_encoder, pairs, scorer("bert")),
        "roberta-regression": losses("tiny-roberta", regression, pairs),
        "ranking": losses("tiny-bert", of_library(library.MultipleNegativesRankingLoss, (0, 1, 2)), ranked),
        "ranking-pairs": losses("tiny-bert", of_library(library.MultipleNegativesRankingLoss, (0, 1)), ranked),
        "cosent": losses("tiny-bert", of_library(library.CoSENTLoss, (2, 3), score), pairs),
        "margin": losses("tiny-bert", of_library(library.MarginMSELoss, (0, 1, 2), lambda row: float(row[3])), ranked),
        "distillation": losses("tiny-bert", distillation(Encoder("tiny-roberta")), pairs),
        "matryoshka-ranking": losses(
            "tiny-bert", of_library(library.MultipleNegativesRankingLoss, (0, 1, 2), dimensions=CUTS), ranked),
        "matryoshka-cosent": losses("tiny-bert", of_library(library.CoSENTLoss, (2, 3), score, CUTS), pairs),
        "lora-query-value": losses(
            "tiny-bert", of_library(library.MultipleNegativesRankingLoss, (0, 1, 2)), ranked, change=adapt("tiny-bert", False),
            rate=5e-3),
        "lora-all": losses("tiny-bert", regression, pairs, change=adapt("tiny-bert", True), rate=5e-3),
        "mpnet-cross-encoder": losses("mpnet", cross_encoder, pairs, scorer("mpnet")),
        "mpnet-distances": losses("mpnet", regression, pairs, keep="encoder.relative_attention_bias.weight"),
        **{f"{name}-regression": losses(name, regression, pairs) for name in FAMILIES},
        **described(pairs),
    }
    (HERE / "losses.json").write_text(json.dumps(results, indent=0) + "\n")


if __name__ == "__main__":
    main()
