"""What to do after all studies and what not: each piece of advice only where facts carry it."""

from __future__ import annotations

from alambic.methods import all_methods
from alambic.report.chapters.across import COUNTED
from alambic.report.chapters.claims import Blank, Claim, Words, name_metric
from alambic.report.facts.across import ALONE, Across
from alambic.report.facts.contrasts import Contrast
from alambic.report.facts.fact import Fact
from alambic.report.facts.findings import StudentFindings
from alambic.report.facts.gather import Group
from alambic.report.overview.chip import say_dont_arithmetic
from alambic.report.overview.claims import list_bare, list_pairs
from alambic.report.overview.costs import name_amounts, tell_side
from alambic.report.overview.decisions import gather_advised, is_sure, list_harmed, split_won
from alambic.report.overview.gather import Overview, Study, main_families
from alambic.report.overview.views import say_views_first
from alambic.report.overview.when import is_fading, say_longer_first
from alambic.report.words.document import HEADINGS
from alambic.report.words.french_names import tell_arm
from alambic.report.words.wording import LANGS
from alambic.treatments.registry import all_treatments

MOST_HARMFUL = 4  # arms that harmed in explorations, named


def is_control(group: Group, study: Study) -> bool:
    """Whether an arm is there to be compared with, and for nobody to use: a control by its method, its treatment, or a
    teacher made to teach nothing."""
    content = group.rows[0].content
    arm, methods, treatments = content["arm"], all_methods(), all_treatments()
    kinds: list[str] = [treatments[name].kind for name in arm.get("treatments") or () if name in treatments]
    kinds += [methods[name].family for name in arm["methods"] if name in methods and methods[name].family == "control"]
    return "control" in kinds or content.get("teacher_hash") in study.findings.nasty


def advise(overview: Overview) -> list[Claim]:
    """What to do and what not, the widest first: a slide has room for some of it."""
    made, left = _say_made(overview)
    few, still = _say_few(overview)
    return [
        *_say_teacher(overview),
        *say_longer_first(overview),
        *say_when_not(overview),
        *_say_unlabelled(overview),
        *say_dont_arithmetic(overview),
        *_say_bare(overview),
        *say_views_first(overview),
        *made,
        *few,
        *still,
        *left,
        *_say_any(overview),
        *_say_harm(overview),
    ]


def _say_teacher(overview: Overview) -> list[Claim]:
    """Where accuracy surely ranks teachers in each study of them, and no family does."""
    ranks = [study.ranked[0].get("spearman") for study in overview.judged]
    clear = bool(ranks) and all(rho is not None and rho.low is not None and rho.low > 0 for rho in ranks)
    families = [family for study in overview.judged for family in main_families(study)]
    none = bool(families) and not any(family.effect.is_clear for family in families)
    return [Claim("all_do_teacher", {}, "gain")] if clear and none else []


def _say_unlabelled(overview: Overview) -> list[Claim]:
    """What images without a label give a taught student, where a study declared it."""
    pairs = [(s, c) for s, c in overview.between if _is_on_labelled(c.other) and not _is_on_labelled(c.group)]
    pairs = [(s, c) for s, c in pairs if c.group.teacher == c.other.teacher]
    sure = sorted((c.gain for s, c in pairs if s.is_confirmed(c)), key=lambda gain: gain.value)
    if not sure:
        return []
    told: dict[str, Blank] = {"least": sure[0], "most": sure[-1], "confirmed": len(sure), "count": len(pairs)}
    return [Claim("all_do_unlabelled", told, "gain")]


def _is_on_labelled(group: Group) -> bool:
    return "labelled_only" in (group.rows[0].content["arm"].get("treatments") or ())


def _say_made(overview: Overview) -> tuple[list[Claim], list[Claim]]:
    """Teachers that won a declared contrast: those to take, those that won and are not to be taken for it."""
    kept, left = split_won(overview)
    made = [Claim("all_do_made", {"listing": list_pairs(kept)}, "gain")] if kept else []
    return made, [Claim("all_not_advised", {"listing": list_pairs(left)}, "tie")] if left else []


def _say_few(overview: Overview) -> tuple[list[Claim], list[Claim]]:
    """The curves along which a gain fades: with which amounts an arm was not shown to gain, and which still do."""
    listing: dict[bool, list[tuple[Blank, ...]]] = {True: [], False: []}
    for curve in overview.curves:
        if curve.longest is None or not is_fading(curve):
            continue
        for side, facts in curve.gains.items():
            last = facts[-1]
            name = Words({lang: f"{tell_side(side, lang)} ({name_amounts(curve, lang)[-1]})" for lang in LANGS})
            if last is not None and last.low is not None and (last.low > 0 or side == curve.longest[0]):
                listing[last.low > 0].append((name, last))
    keys = {False: "all_do_few", True: "all_do_few_still"}
    few, still = (
        [Claim(key, {"listing": tuple(listing[sure])}, "gain")] if listing[False] and listing[sure] else []
        for sure, key in keys.items()
    )
    return few, still


def say_when_not(overview: Overview) -> list[Claim]:
    """When not to distil, by what is known before: whether the teacher is ahead of the student alone on the task."""
    counted = {study.name: _list_paired(study) for study in overview.judged}
    every = [pair for pairs in counted.values() for pair in pairs]
    ahead, behind = ([gain > 0 for head, gain in every if (head > 0) is wanted] for wanted in (True, False))
    if not ahead or not behind:
        return []
    numbers = {"ahead": len(ahead), "ahead_gained": sum(ahead), "behind": len(behind), "behind_gained": sum(behind)}
    how = "teachers of the judged studies by arm and student: own score minus the student alone, mean gain"
    told: dict[str, Blank] = {
        name: overview.facts.add(f"teachers {name}", value, "number", (), "", how) for name, value in numbers.items()
    }
    claims = [Claim("all_dont_weak", told, "loss")]
    of, listing = Words({"en": "of", "fr": "sur"}), []
    for name, pairs in counted.items():
        gained = [gain > 0 for head, gain in pairs if head > 0]
        won, all_ = (
            overview.facts.add(f"teachers {what}/{name}", value, "number", (), "", how)
            for what, value in (("ahead_gained", sum(gained)), ("ahead", len(gained)))
        )
        listing.append((name, won, of, all_))
    return [*claims, Claim("all_dont_trust", {"listing": tuple(listing)}, "warning")]


def _list_paired(study: Study) -> list[tuple[float, float]]:
    """Of each student, arm and honest teacher: how far its own score is ahead of the student alone, and the gain."""
    return [
        (lead, contrast.gain.value)
        for found in study.findings.students
        for contrast in found.contrasts
        if (lead := _lead(found, contrast)) is not None and not is_control(contrast.group, study)
    ]


def _say_bare(overview: Overview) -> list[Claim]:
    """Confirmations in which nothing was shown to help, not against any arm without a teacher."""
    shown = {s.name for row in gather_advised(overview) for s, made in (*row.kept, *row.looked) if is_sure(s, made)}
    bare = tuple(name for name in list_bare(overview) if name not in shown)
    return [Claim("all_dont_claims", {"listing": bare}, "tie")] if bare else []


def _say_any(overview: Overview) -> list[Claim]:
    """Arms that lose to the student alone over all of their teachers, beyond those that were tried."""
    lost = [pair for pair in overview.across.pairs if pair.other == ALONE and pair.is_clear and pair.gain.value < 0]
    listing = tuple(
        (Words({lang: tell_arm(pair.arm, lang) for lang in LANGS}), pair.gain, _tell_levels(pair)) for pair in lost
    )
    return [Claim("all_dont_any", {"listing": listing}, "loss")] if listing else []


def _tell_levels(pair: Across) -> Words:
    """The metric, and how many data sets, teachers and students that rests on."""
    counts = " · ".join(str(pair.levels[name]) for name in COUNTED)
    return Words(
        {
            lang: f"({name_metric(pair.metric, lang)}; "
            f"{HEADINGS['across_levels'][lang].lower()}{':' if lang == 'en' else ' :'} {counts})"
            for lang in LANGS
        }
    )


def _say_harm(overview: Overview) -> list[Claim]:
    """What was declared and harmed; what harmed most in explorations, which is a lead."""
    harmed = list_harmed(overview)[:MOST_HARMFUL]
    listing = tuple((c.group, c.gain, f"({study.name})") for study, c in harmed)
    claims = [Claim("all_dont_harm", {"listing": listing}, "loss")] if listing else []
    explored = [(study, c) for study in overview.studies if study not in overview.claims for c in _list_losses(study)]
    worst = sorted(explored, key=lambda pair: pair[1].gain.value)[:MOST_HARMFUL]
    listing = tuple((c.group, c.gain, f"({study.name})") for study, c in worst)
    return claims + ([Claim("all_dont_explored", {"listing": listing}, "loss")] if listing else [])


def _list_losses(study: Study) -> list[Contrast]:
    """Arms of an exploration that someone might use, whose teacher is ahead of the student alone, and that lost."""
    found = [(one, c) for one in study.findings.students for c in one.contrasts if c.verdict == "loss"]
    return [c for one, c in found if not is_control(c.group, study) and (_lead(one, c) or 0.0) > 0]


def _lead(found: StudentFindings, contrast: Contrast) -> float | None:
    """How far a teacher's own score is ahead of the student alone; None where one of them is not known."""
    score = contrast.group.rows[0].content.get("teacher_score")
    return None if score is None or found.baseline is None else float(score) - found.baseline.score.value


def say_time(overview: Overview) -> list[Claim]:
    """What vkd takes beside kd, by one teacher within one study: all that machines under other work allow to say."""
    ratios: list[float] = []
    for study in overview.claims:
        for found in study.findings.students:
            taken = {
                (group.arm, str(group.teacher)): group.numbers["seconds"]
                for group in found.groups
                if "seconds" in group.numbers and group.arm in ("kd", "vkd")
            }
            pairs = [(fact, taken.get(("kd", teacher))) for (arm, teacher), fact in taken.items() if arm == "vkd"]
            ratios += [more.value / less.value for more, less in pairs if less is not None and less.value > 0]
    if len(ratios) < 3:
        return []
    ordered = sorted(ratios)
    values = {"least": ordered[0], "most": ordered[-1], "middle": ordered[len(ordered) // 2]}
    how = "mean seconds of vkd over those of kd, one teacher, student, study and environment"
    told: dict[str, Blank] = {name: _ratio(overview, name, value, how) for name, value in values.items()}
    return [Claim("all_time", {**told, "count": len(ratios)}, "warning")]


def _ratio(overview: Overview, name: str, value: float, how: str) -> Fact:
    return overview.facts.add(f"time of vkd over kd/{name}", value, "decimal", (), "", how)
