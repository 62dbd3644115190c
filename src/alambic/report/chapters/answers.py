"""Which sentences a report says: the findings choose, claims.py holds the words."""

from __future__ import annotations

from collections.abc import Sequence

from alambic.report.chapters.claims import METRIC_NAMES, SCORE_NAMES, Blank, Claim, Words
from alambic.report.facts.contrasts import Contrast, Sight
from alambic.report.facts.findings import Findings, StudentFindings
from alambic.report.facts.gather import Group
from alambic.report.words.wording import LANGS
from alambic.study.skips import LACKS

OF = {"en": "on", "fr": "sur"}
LONGEST = 6  # named one by one in a sentence; the table holds them all
LONGEST_BRIEF = 3  # on a slide, whose notes hold the long sentence


def say_purpose(findings: Findings) -> Claim:
    """What kind of study this is, hence how far its results may be carried."""
    return Claim(findings.purpose if findings.purpose in ("demo", "explore", "claim") else "explore", {})


def say_sight(findings: Findings) -> list[list[Claim]]:
    """The smallest effect that the design could have seen, a paragraph a student: it comes before anything else."""
    paragraphs = []
    for found in findings.students:
        claims: list[Claim] = []
        student, sight = name_student(found, findings), found.seen
        if sight is None:
            told = any(group in (c.group, c.other) for c in findings.named for group in found.groups)
            key = "no_contrast" if found.baseline else "no_baseline"
            claims += [] if told else [Claim(key, {"student": student}, "warning")]
        elif sight.effect is None:
            claims.append(Claim("one_seed", {"student": student}, "warning"))
        else:
            key = "sight" if found.sight is not None else "sight_between"
            claims.append(Claim(key, {"student": student, "seeds": sight.seeds, "effect": sight.effect}, "lead"))
            if sight.from_seeds is not None and sight.from_images is not None:
                parts: dict[str, Blank] = {"from_seeds": sight.from_seeds, "from_images": sight.from_images}
                claims.append(Claim("sight_parts", parts))
            claims.append(_say_needed(sight))
        paragraphs += [claims] if claims else []
    return paragraphs


def _say_needed(sight: Sight) -> Claim:
    if sight.needed is not None:
        return Claim("needed", {"needed": sight.needed, "goal": sight.goal})
    blind = sight.from_images is not None and sight.from_images.value > sight.goal.value
    return Claim("needed_images" if blind else "needed_many", {"goal": sight.goal})


def say_answers(findings: Findings, brief: bool = False) -> list[tuple[StudentFindings, list[Claim]]]:
    """Per student: alone, better, worse, no difference, the best and what cannot be told from it, int8.

    ``brief`` sentences, for a wall, name few arms.
    """
    longest = LONGEST_BRIEF if brief else LONGEST
    return [(found, _answer(found, findings, longest)) for found in findings.students]


def _answer(found: StudentFindings, findings: Findings, longest: int) -> list[Claim]:
    student = name_student(found, findings)
    claims = []
    if found.baseline is not None:
        claims.append(_say_alone(found.baseline, student, findings))
    by = {
        verdict: sorted(
            (c for c in found.contrasts if c.verdict == verdict), key=lambda c: (-abs(c.gain.value), c.group.key)
        )
        for verdict in ("gain", "loss", "open", "tie")
    }
    tested = bool(found.contrasts) and found.sight is not None and found.sight.effect is not None
    if tested and not by["gain"]:
        claims.append(Claim("none_helps", {"student": student}, "tie"))
    untested = [c for c in by["open"] if c.p_holm is None]
    by["open"] = [c for c in by["open"] if c.p_holm is not None]
    if tested:
        listed = ("helps", "gain", by["gain"]), ("hurts", "loss", by["loss"]), ("opens", "open", by["open"])
        for key, tone, found_so in (*listed, ("untested", "open", untested), ("ties", "tie", by["tie"])):
            if found_so:
                claims.append(Claim(key, {"student": student, "listing": list_contrasts(found_so, longest)}, tone))
    between = found.baseline is None and any(rival.p_holm is not None for rival in found.rivals)
    if found.rivals and (tested or between):
        tied = found.not_told_apart
        blanks: dict[str, Blank] = {"student": student, "best": found.best, "score": found.best.score}
        if tied:
            listing = (*tied[:longest], *_more(len(tied) - longest))
            claims.append(Claim("best_tied", {**blanks, "listing": listing}))
        else:
            claims.append(Claim("best_apart", blanks))
    return claims + _say_int8(found, student)


def _say_alone(baseline: Group, student: str, findings: Findings) -> Claim:
    metric, blanks = findings.scored.metric, dict[str, Blank](student=student, score=baseline.score)
    if metric == "accuracy" or metric not in METRIC_NAMES:
        return Claim("alone", blanks)
    return Claim("alone_metric", {**blanks, "metric": Words(METRIC_NAMES[metric])})


def list_contrasts(contrasts: Sequence[Contrast], longest: int) -> tuple[Blank, ...]:
    """The first of them with their gains, and how many more there are."""
    shown = tuple((contrast.group, contrast.gain) for contrast in contrasts[:longest])
    return (*shown, *_more(len(contrasts) - longest))


def _more(count: int) -> tuple[Words, ...]:
    return (Words({"en": f"and {count} more", "fr": f"et {count} de plus"}),) * (count > 0)


def _say_int8(found: StudentFindings, student: str) -> list[Claim]:
    falls = [(group.numbers["fall"], group) for group in found.groups if "fall" in group.numbers]
    if not falls:
        return []
    falls.sort(key=lambda item: (item[0].value, item[1].key))
    (least, mildest), (most, worst) = falls[0], falls[-1]
    broken = tuple((group, group.numbers["broken"]) for group in found.groups if "broken" in group.numbers)
    breaks = [Claim("int8_breaks", {"student": student, "listing": broken}, "warning")] if broken else []
    if mildest is worst:
        return [Claim("fall", {"student": student, "fall": least, "arm": mildest}), *breaks]
    blanks: dict[str, Blank] = {"worst": worst, "most": most, "mildest": mildest, "least": least}
    return [Claim("falls", {"student": student, **blanks}), *breaks]


def say_caveats(findings: Findings) -> list[Claim]:
    """What a reader must know of how the numbers were made: which score, what is missing, what contradicts itself."""
    scored = findings.scored
    metric = METRIC_NAMES.get(scored.metric)
    words = Words(
        {
            lang: f"{metric[lang] if metric else scored.metric} {OF[lang]} {SCORE_NAMES[scored.number][lang]}"
            for lang in LANGS
        }
    )
    claims = [Claim("score", {"score": words})]
    if scored.split == "tune":
        claims.append(Claim("tune_score", {}, "warning"))
    if scored.missing:
        fact = findings.facts.add(
            "cells/missing", len(scored.missing), "cells", scored.missing, "", f"finished cells without {scored.number}"
        )
        claims.append(Claim("score_missing", {"count": fact}, "warning"))
    if scored.unseen:
        told = f"finished cells with {scored.number} that lack a prediction for each image of labels_{scored.split}"
        fact = findings.facts.add("cells/unseen", len(scored.unseen), "cells", scored.unseen, "", told)
        claims.append(Claim("score_unseen", {"count": fact}, "warning"))
    if scored.contradicted:
        fact = findings.facts.add(
            "cells/contradicted",
            len(scored.contradicted),
            "cells",
            scored.contradicted,
            "",
            "the metric of the stored predictions on the stored labels against the stored score",
        )
        claims.append(Claim("contradicted", {"count": fact, "rows": ", ".join(scored.contradicted[:6])}, "warning"))
    claims += _say_superset(findings) + _say_lacks(findings) + _say_few_seeds(findings)
    if findings.counts["failed"].value or findings.counts["skipped"].value:
        claims.append(Claim("not_all", {**findings.counts}, "warning" if findings.counts["failed"].value else "plain"))
    if findings.settings > 1:
        across = any(contrast.group.setting != contrast.other.setting for contrast in findings.named)
        claims.append(Claim("settings_declared" if across else "settings", {"count": findings.settings}, "warning"))
    if any(group.starred for group in findings.groups):
        claims.append(Claim("starred", {}))
    return claims


def _say_superset(findings: Findings) -> list[Claim]:
    """That teachers had learnt from more labelled images than their students were given."""
    seen = {group.teacher: group.rows[0].content.get("teacher_data") for group in findings.groups if group.teacher}
    more = sum(data == "superset" for data in seen.values())
    if more == len(seen) > 0:
        return [Claim("seen_more_all", {}, "warning")]
    return [Claim("seen_more", {"count": more, "teachers": len(seen)}, "warning")] if more else []


def _say_lacks(findings: Findings) -> list[Claim]:
    """Why students that are trained have no score in int8, or none by the device's kernels, each reason once."""
    claims = []
    for number in LACKS:
        lacking: dict[str, list[str]] = {}
        for row in findings.rows:
            if row.state == "done" and number in row.numbers:
                lacking.setdefault(str(row.numbers[number]), []).append(row.id)
        for place, (reason, ids) in enumerate(lacking.items(), start=1):
            fact = findings.facts.add(f"cells/{number}/{place}", len(ids), "cells", ids, "", f"cells with {number}")
            claims.append(Claim(number, {"count": fact, "reason": reason}, "warning"))
    return claims


def _say_few_seeds(findings: Findings) -> list[Claim]:
    sights = [found.seen for found in findings.students if found.seen is not None and found.seen.effect is not None]
    few = [sight.seeds for sight in sights if sight.seeds.value < 6]
    if not few:
        return []
    seeds = min(few, key=lambda fact: fact.value)
    least = findings.facts.add(
        "p/least", 2 / 2**seeds.value, "p", seeds.rows, "", f"2 / 2^{seeds.value:.0f}: both signs of one pattern"
    )
    return [Claim("few_seeds", {"seeds": seeds, "least": least})]


def name_student(found: StudentFindings, findings: Findings) -> str:
    """A student's name, with its setting's number where the ledger holds several."""
    return found.student if findings.settings == 1 else f"{found.student} ({found.setting})"
