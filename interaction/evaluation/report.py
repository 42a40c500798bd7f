"""The results of a data set as JSON, as CSV and as one page with plots and the worst frames."""

import base64
import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

import numpy as np
from PIL import Image

from interaction.annotation.mask_files import learn_reading, read_mask
from interaction.annotation.mask_folders import list_pictures
from interaction.evaluation.runs import ClipOutcome, DatasetRun
from interaction.evaluation.scores import Evaluation, ObjectScore, SkippedClip
from interaction.video.pixels import read_picture

_WORST: Final = 12  # frames shown as pictures, one a clip first
_PICTURE_WIDTH_PX: Final = 320
_PLOT_WIDTH_PX, _PLOT_HEIGHT_PX = 420, 110
_MISSED, _WRONG, _RIGHT = (255, 40, 40), (255, 190, 0), (40, 200, 90)


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """What is published of an evaluation. Scores from 0 to 1; None where nothing was scored."""

    evaluation: Evaluation | None
    seen: tuple[float, float] | None  # J and F of objects of categories that training showed
    unseen: tuple[float, float] | None
    frames: int
    seconds: float

    @property
    def overall(self) -> float | None:
        """YouTube-VOS's G, the mean of J and F of seen and of unseen objects, where categories are
        known; else J&F."""
        if self.seen is not None and self.unseen is not None:
            return float(np.mean([*self.seen, *self.unseen]))
        return None if self.evaluation is None else self.evaluation.mean

    @property
    def frames_per_second(self) -> float:
        return self.frames / self.seconds if self.seconds else 0.0

    def to_json(self) -> dict[str, object]:
        whole = self.evaluation
        return {
            "overall": self.overall,
            "j_and_f": None if whole is None else whole.mean,
            "j": None if whole is None else whole.region.mean,
            "f": None if whole is None else whole.boundary.mean,
            "j_seen_f_seen": self.seen,
            "j_unseen_f_unseen": self.unseen,
            "frames": self.frames,
            "frames_per_second": round(self.frames_per_second, 3),
        }


def summarize_outcomes(run: DatasetRun, outcomes: Sequence[ClipOutcome]) -> DatasetSummary:
    """Every object weighs the same, whichever clip it is in."""
    scores = [outcome.score for outcome in outcomes if outcome.score is not None]
    groups: dict[bool, list[ObjectScore]] = {False: [], True: []}
    for clip, outcome in zip(run.dataset.clips, outcomes, strict=True):
        if outcome.score is not None and clip.unseen is not None:
            for score in outcome.score.objects:
                groups[score.object_id in clip.unseen].append(score)
    evaluation = None
    if scores:
        skipped = [SkippedClip(one.name, one.skipped) for one in outcomes if one.skipped]
        evaluation = Evaluation.of([*scores, *skipped])
    return DatasetSummary(
        evaluation,
        _means(groups[False]),
        _means(groups[True]),
        sum(outcome.frames for outcome in outcomes),
        sum(outcome.seconds for outcome in outcomes),
    )


def write_report(run: DatasetRun, outcomes: Sequence[ClipOutcome]) -> DatasetSummary:
    """scores.json, scores.csv and index.html in the output folder."""
    summary = summarize_outcomes(run, outcomes)
    plain = {
        "dataset": run.dataset.kind,
        "split": run.dataset.split,
        "settings": run.fingerprint(),
        **summary.to_json(),
        "clips": [outcome.to_json() for outcome in outcomes],
    }
    run.write((json.dumps(plain, indent=1) + "\n").encode(), "scores.json")
    run.write(_table(run, outcomes).encode(), "scores.csv")
    run.write(_page(run, outcomes, summary).encode(), "index.html")
    return summary


def _means(scores: list[ObjectScore]) -> tuple[float, float] | None:
    if not scores:
        return None
    region = float(np.mean([score.region.mean for score in scores]))
    return region, float(np.mean([score.boundary.mean for score in scores]))


def _table(run: DatasetRun, outcomes: Sequence[ClipOutcome]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = "clip,object,is_unseen,frames,j_and_f,j,j_recall,j_decay,f,f_recall,f_decay,note"
    writer.writerow(names.split(","))
    for clip, outcome in zip(run.dataset.clips, outcomes, strict=True):
        if outcome.score is None:
            note = outcome.error or outcome.skipped or "no ground truth"
            writer.writerow([clip.name, *[""] * 10, note.replace("\n", " ")])
            continue
        for score in outcome.score.objects:
            unseen = "" if clip.unseen is None else int(score.object_id in clip.unseen)
            figures = [
                score.mean,
                *(score.region.mean, score.region.recall, score.region.decay),
                *(score.boundary.mean, score.boundary.recall, score.boundary.decay),
            ]
            frames = len(score.by_frame)
            rounded = [f"{figure:.4f}" for figure in figures]
            writer.writerow([clip.name, score.object_id, unseen, frames, *rounded, ""])
    return text.getvalue()


_STYLE: Final = """
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif }
body { max-width: 76rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse } td, th { padding: .15rem .7rem; text-align: right }
td:first-child, th:first-child { text-align: left }
.clips, .worst { display: grid; gap: 1.2rem }
.clips { grid-template-columns: repeat(auto-fill, minmax(26rem, 1fr)) }
.worst { grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)) }
svg { width: 100%; border: 1px solid #8886 } img { width: 100% } h3 { margin: .2rem 0 }
.bad { color: #d33 }
"""
_COLORS: Final = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b")


def _page(run: DatasetRun, outcomes: Sequence[ClipOutcome], summary: DatasetSummary) -> str:
    title = f"{run.dataset.kind} {run.dataset.split}: {run.engine.tracker_model}"
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>",
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>",
        _totals(run, outcomes, summary),
    ]
    scored = [outcome for outcome in outcomes if outcome.score is not None]
    if scored:
        parts.append("<h2>J over time, lowest first</h2><div class=clips>")
        scored.sort(key=lambda one: one.score.mean if one.score else 0.0)
        parts += [_plot(outcome) for outcome in scored]
        parts.append(
            "</div><h2>Worst frames</h2><p>Green: right; red: missed; yellow: wrong.</p>"
            "<div class=worst>"
        )
        parts += _worst_pictures(run, outcomes)
        parts.append("</div>")
    return "\n".join(parts) + "\n"


def _totals(run: DatasetRun, outcomes: Sequence[ClipOutcome], summary: DatasetSummary) -> str:
    rows = []
    if summary.evaluation is not None:
        whole = summary.evaluation
        rows.append(("all", whole.mean, whole.region.mean, whole.boundary.mean))
    for name, pair in (("seen", summary.seen), ("unseen", summary.unseen)):
        if pair is not None:
            rows.append((name, sum(pair) / 2, *pair))
    cells = "".join(
        f"<tr><td>{name}" + "".join(f"<td>{100 * value:.1f}" for value in values)
        for name, *values in rows
    )
    table = f"<table><tr><th>objects<th>J&amp;F<th>J<th>F{cells}</table>" if rows else ""
    overall = summary.overall
    is_g = summary.seen is not None and summary.unseen is not None
    if overall is not None:
        table += f"<p><b>{'G' if is_g else 'J&amp;F'} {100 * overall:.1f}</b></p>"
    sizes = ", ".join("source size" if size is None else f"{size} px" for size in run.sizes)
    flips = ", mirrored too" if run.is_flipped else ""
    table += (
        f"<p>{len(outcomes)} clips, {summary.frames} frames at {summary.frames_per_second:.2f} "
        f"frames a second; {sizes}{flips}.</p>"
    )
    notes = [
        f"<li class=bad>{escape(one.name)}: {escape(one.error or one.skipped or '')}"
        for one in outcomes
        if one.error or one.skipped
    ]
    return table + (f"<ul>{''.join(notes)}</ul>" if notes else "")


def _plot(outcome: ClipOutcome) -> str:
    """One curve an object; frames from left to right, J from 0 to 1."""
    assert outcome.score is not None
    positions = {
        name: index
        for index, name in enumerate(
            sorted({name for score in outcome.score.objects for name in score.by_frame})
        )
    }
    step = _PLOT_WIDTH_PX / max(1, len(positions) - 1)
    lines, legend = [], []
    for index, score in enumerate(outcome.score.objects):
        color = _COLORS[index % len(_COLORS)]
        points = " ".join(
            f"{positions[name] * step:.1f},{_PLOT_HEIGHT_PX * (1 - region):.1f}"
            for name, (region, _) in score.by_frame.items()
        )
        lines.append(
            f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>'
        )
        legend.append(
            f'<span style="color:{color}">{score.object_id}: {100 * score.region.mean:.1f}</span>'
        )
    grid = "".join(
        f'<path d="M0 {_PLOT_HEIGHT_PX * part}h{_PLOT_WIDTH_PX}" stroke="#8884"/>'
        for part in (0.25, 0.5, 0.75)
    )
    box = f"0 -2 {_PLOT_WIDTH_PX} {_PLOT_HEIGHT_PX + 4}"
    return (
        f"<div><h3>{escape(outcome.name)}: J&amp;F {100 * outcome.score.mean:.1f}</h3>"
        f'<svg viewBox="{box}" role="img" aria-label="J of {escape(outcome.name)} over time">'
        f"{grid}{''.join(lines)}</svg>J of object {' · '.join(legend)}</div>"
    )


def _worst_pictures(run: DatasetRun, outcomes: Sequence[ClipOutcome]) -> Iterable[str]:
    clips = {clip.name: clip for clip in run.dataset.clips}
    for region, name, object_id, frame in _worst(outcomes):
        clip = clips[name]
        pictures = {path.stem: path for path in list_pictures(clip.pictures)}
        truths = {path.stem: path for path in clip.truths}
        mask = run.masks(name) / f"{frame}.png"
        if frame not in pictures or frame not in truths:
            continue
        picture = read_picture(pictures[frame])
        height, width = picture.shape[:2]
        reading = learn_reading(clip.truths, width, height)
        truth_labels = read_mask(truths[frame], width, height, reading)
        predicted_labels = np.zeros_like(truth_labels)
        if mask.is_file():
            predicted_labels = read_mask(mask, width, height, learn_reading([mask], width, height))
        truth, predicted = truth_labels == object_id, predicted_labels == object_id
        if run.dataset.rule.is_single_object:
            truth, predicted = (truth_labels > 0) & (truth_labels != 255), predicted_labels > 0
        shown = picture.astype(np.float32) * 0.55
        for where, color in (
            (truth & predicted, _RIGHT),
            (truth & ~predicted, _MISSED),
            (predicted & ~truth, _WRONG),
        ):
            shown[where] += 0.45 * np.array(color, dtype=np.float32)
        shown[~truth & ~predicted] /= 0.55
        image = Image.fromarray(shown.clip(0, 255).astype(np.uint8))
        image.thumbnail((_PICTURE_WIDTH_PX, 10 * _PICTURE_WIDTH_PX))
        packed = io.BytesIO()
        image.save(packed, "JPEG", quality=80)
        data = base64.b64encode(packed.getvalue()).decode()
        caption = f"{escape(name)} {escape(frame)}, object {object_id}: J {100 * region:.1f}"
        yield f'<div><img alt="{caption}" src="data:image/jpeg;base64,{data}"><br>{caption}</div>'


def _worst(outcomes: Sequence[ClipOutcome]) -> list[tuple[float, str, int, str]]:
    """(J, clip, object, frame): the worst frame of each clip's worst object, then the others."""
    every = sorted(
        (region, outcome.name, score.object_id, frame)
        for outcome in outcomes
        if outcome.score is not None
        for score in outcome.score.objects
        for frame, (region, _) in score.by_frame.items()
    )
    first: dict[str, tuple[float, str, int, str]] = {}
    for one in every:
        first.setdefault(one[1], one)
    chosen = sorted(first.values())[:_WORST]
    taken = set(chosen)
    chosen += [one for one in every if one not in taken][: _WORST - len(chosen)]
    return sorted(chosen)
