"""What all studies say together: each sentence only where its condition holds in all that it speaks of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from alambic.report.chapters.across import say_across
from alambic.report.chapters.claims import Blank, Claim, Words
from alambic.report.facts.contrasts import Contrast
from alambic.report.facts.fact import Fact
from alambic.report.facts.ideas import Idea
from alambic.report.overview.chip import is_detector, say_arithmetic, tell_group, tell_tensor
from alambic.report.overview.gather import Overview, Study, are_of_teachers, main_families, see_families, tell_data
from alambic.report.overview.left import say_left
from alambic.report.overview.teachers import OF, say_accuracy, say_superset
from alambic.report.overview.when import say_when
from alambic.report.words.french_names import tell_idea
from alambic.report.words.wording import LANGS, Lang

Pairs = Sequence[tuple[Study, Contrast]]
LARGEST = Words({"en": "– the largest", "fr": "– le plus grand"})


def _words(tell: Callable[[Lang], str]) -> Words:
    return Words({lang: tell(lang) for lang in LANGS})


def say_question(overview: Overview) -> list[Claim]:
    """What is asked, what distilling is, what the answer rests on, how to read it."""
    sizes = [group.numbers["parameters"] for group in overview.groups if "parameters" in group.numbers]
    count = sum(len(study.contents) for study in overview.studies)
    cells = overview.facts.add("cells/all", count, "number", (), "", "finished cells of all studies")
    told: dict[str, Blank] = {"studies": len(overview.studies), "cells": cells, "claims": len(overview.claims)}
    asked = [Claim("all_question", _ends(sizes), "lead")] if sizes else []
    late = [Claim("all_unfinished", {"listing": overview.unfinished}, "warning")] if overview.unfinished else []
    return [*asked, Claim("all_distil", {}), Claim("all_evidence", told), Claim("all_read", {}), *late]


def _ends(facts: Sequence[Fact]) -> dict[str, Blank]:
    return {name: pick(facts, key=lambda fact: fact.value) for name, pick in (("least", min), ("most", max))}


def say_all_families(overview: Overview) -> list[Claim]:
    """Whether any family was told from the reference over all teachers, what could have been seen, and leads: those
    told apart among some of the teachers only."""
    asked = [study for study in overview.judged if main_families(study)]
    if not asked:
        return []
    clear = [
        (study, family)
        for study in asked
        for family in study.suitability.families
        if family.main and family.effect.is_clear
    ]
    whole = tuple((s.name, f.effect.family, f.gain) for s, f in clear if f.scope == "all")
    part = tuple((s.name, f.effect.family, f.gain, f.teachers) for s, f in clear if f.scope != "all")
    leads = [Claim("all_families_part", {"listing": part})] if part else []
    if whole:
        return [Claim("all_families_some", {"listing": whole}, "lead"), *leads]
    seen = [fact for study in asked for fact in see_families(study, overview.facts).values()]
    return [Claim("all_families_none", {"count": len(asked), **_ends(seen)}, "lead"), *leads]


def split_between(overview: Overview) -> tuple[Pairs, Pairs]:
    """Declared contrasts of two taught arms: of two teachers, all others."""
    return overview.of_teachers, [(study, c) for study, c in overview.between if not are_of_teachers(c)]


def say_brief(overview: Overview) -> list[Claim]:
    """The leading sentence of each question, those of many arms made short."""
    said = [say_accuracy(overview), say_all_families(overview), _brief_teachers(overview), _brief_methods(overview)]
    over = [claim for claim in say_across(overview.across) if claim.key == "across_clear"]
    said += [over, say_when(overview), say_superset(overview), say_ideas(overview), say_chip(overview)]
    return [replace(claims[0], tone="plain") for claims in said if claims]  # all of them lead: none stands out


def _brief_teachers(overview: Overview) -> list[Claim]:
    two, _ = split_between(overview)
    sure = sorted(list_confirmed(two), key=lambda pair: -pair[1].gain.value)
    if not sure:
        return []
    most = sure[0][1]
    told: dict[str, Blank] = {"confirmed": len(sure), "count": len(two), "arm": most.group, "other": most.other}
    return [Claim("all_brief_teachers", {**told, "gain": most.gain}, "lead")]


def _brief_methods(overview: Overview) -> list[Claim]:
    """By data: how many declared gains over the student alone are confirmed, and the largest."""
    if not list_confirmed(overview.with_alone):
        return []
    by_data: dict[str, list[tuple[Study, Contrast]]] = {}
    for study, contrast in overview.with_alone:
        by_data.setdefault(tell_data(study, "en"), []).append((study, contrast))
    listing: list[Blank] = []
    for pairs in by_data.values():
        sure = [contrast for _, contrast in list_confirmed(pairs)]
        item: tuple[Blank, ...] = (_words(_teller(pairs[0][0], " :")), len(sure), OF, len(pairs))
        if sure:
            most = max(sure, key=lambda contrast: contrast.gain.value)
            item += (LARGEST, most.gain, most.group, f"({most.group.student})")
        listing.append(item)
    return [Claim("all_brief_methods", {"listing": tuple(listing)}, "lead")]


def say_teachers_between(overview: Overview) -> list[Claim]:
    """One method with two teachers, as declared."""
    two, _ = split_between(overview)
    sure = list_confirmed(two)
    told: dict[str, Blank] = {"confirmed": len(sure), "count": len(two), "listing": list_pairs(sure)}
    return [Claim("all_between_teachers", told, "gain")] if sure else []


def list_confirmed(pairs: Pairs) -> Pairs:
    """Those that were found, large enough to matter."""
    return [(study, contrast) for study, contrast in pairs if study.is_confirmed(contrast)]


def list_pairs(pairs: Pairs) -> tuple[Blank, ...]:
    """Arm, what against, gain and study of each."""
    against: Words = Words({"en": "against", "fr": "face à"})
    return tuple((c.group, against, c.other, c.gain, f"({study.name})") for study, c in pairs)


def say_methods(overview: Overview) -> list[Claim]:
    """What was confirmed against the student alone: the largest of each data; where nothing was."""
    pairs = overview.with_alone
    if not pairs:
        return []
    best: dict[str, tuple[Study, Contrast]] = {}
    for study, contrast in list_confirmed(pairs):
        own = best.setdefault(tell_data(study, "en"), (study, contrast))
        if contrast.gain.value > own[1].gain.value:
            best[tell_data(study, "en")] = study, contrast
    claims = []
    if best:
        listing = tuple((_words(_teller(s, " :")), c.group, c.gain, f"({c.group.student})") for s, c in best.values())
        told: dict[str, Blank] = {"confirmed": len(list_confirmed(pairs)), "count": len(pairs), "listing": listing}
        claims.append(Claim("all_methods", told, "lead"))
    clear = list_clear(overview)
    if clear:
        shown = tuple((c.group, c.gain, f"({s.name})") for s, c in clear)
        claims.append(Claim("all_clear_shown", {"listing": shown}, "tie"))
    return claims + [Claim("all_none_shown", {"listing": bare}, "tie") for bare in [list_bare(overview)] if bare]


def _teller(study: Study, after: str = "") -> Callable[[Lang], str]:
    """What tells a study's data, with what follows it; no blank before a colon in English."""
    return lambda lang: tell_data(study, lang) + (after.strip() if lang == "en" else after)


def list_unconfirmed(overview: Overview) -> tuple[str, ...]:
    """Confirmations whose every contrast with the student alone is unconfirmed."""
    tried = {study.name for study, _ in overview.with_alone}
    return tuple(sorted(tried - {study.name for study, _ in list_confirmed(overview.with_alone)}))


def list_clear(overview: Overview) -> Pairs:
    """Gains over the student alone that surely are above zero, and below what the design counts on."""
    return [(study, contrast) for study, contrast in overview.with_alone if study.is_clear(contrast)]


def list_bare(overview: Overview) -> tuple[str, ...]:
    """Those of the unconfirmed in which no gain over the student alone surely is above zero either."""
    clear = {study.name for study, _ in list_clear(overview)}
    return tuple(name for name in list_unconfirmed(overview) if name not in clear)


def say_methods_between(overview: Overview) -> list[Claim]:
    """Two taught arms that are no contrast of teachers, as declared."""
    _, one = split_between(overview)
    sure = list_confirmed(one)
    if not one:
        return []
    told: dict[str, Blank] = {"count": len(one)}
    if not sure:
        return [Claim("all_between_none", told, "tie")]
    return [Claim("all_between", {**told, "confirmed": len(sure), "listing": list_pairs(sure)})]


def count_fates(overview: Overview) -> dict[str, Counter[str]]:
    """Idea -> how often it met each fate. What stands behind a comma is another measure of the same idea."""
    found: dict[str, Counter[str]] = {}
    for study in overview.ideas:
        for idea in study.findings.ideas:
            found.setdefault(idea.name.partition(", ")[0], Counter())[idea.fate] += 1
    return found


def say_ideas(overview: Overview) -> list[Claim]:
    """How the ideas fared, the survivors, what became of them when they were declared."""
    fates = count_fates(overview)
    if not fates:
        return []
    survived = tuple(name for name, fate in fates.items() if fate["survives"])
    refuted = tuple(name for name, fate in fates.items() if fate["refuted"] and not fate["survives"])
    undecided = len(fates) - len(survived) - len(refuted)
    told: dict[str, Blank] = {"ideas": len(fates), "undecided": undecided}
    told |= {"survived": tuple(map(name_idea, survived)) or "–", "refuted": tuple(map(name_idea, refuted)) or "–"}
    claims = [Claim("all_ideas", told, "lead")]
    for name in survived:
        studies, blanks = (
            sum(fates[name].values()),
            dict[str, Blank](idea=name_idea(name), survives=fates[name]["survives"]),
        )
        claims += [Claim("all_survivor", {**blanks, "studies": studies}), *_say_again(name, overview)]
    again = find_declared_ideas(overview)
    won = [name for name in survived if again.get(name) and all(s.is_confirmed(c) for s, c in again[name])]
    return claims if won else [*claims, Claim("all_no_winner", {}, "tie")]


def name_idea(name: str) -> Words:
    return _words(lambda lang: tell_idea(name, lang))


def find_declared_ideas(overview: Overview) -> dict[str, Pairs]:
    """Idea that survived somewhere -> the declared contrasts of its arm with another teacher, earliest first."""
    ideas = [idea for study in overview.ideas for idea in study.findings.ideas if idea.fate == "survives"]
    arms = {idea.name: _arms(idea) for idea in ideas}
    two, _ = split_between(overview)
    ordered = sorted(two, key=lambda pair: str(pair[0].findings.meta.get("started")))
    return {name: [(s, c) for s, c in ordered if c.group.arm in own] for name, own in arms.items()}


def _arms(idea: Idea) -> set[str]:
    return {contrast.group.arm for contrast in idea.contrasts}


def _say_again(name: str, overview: Overview) -> list[Claim]:
    """A survivor's contrast that two studies of one kind declared: the first and the last of them."""
    kinds: dict[tuple[str, ...], list[tuple[Study, Contrast]]] = {}
    for study, c in find_declared_ideas(overview)[name]:
        kind = tell_data(study, "en"), c.group.student, c.group.arm, c.other.arm, str(c.other.teacher)
        kinds.setdefault(kind, []).append((study, c))
    claims = []
    for pairs in kinds.values():
        (first, before), (last, after) = pairs[0], pairs[-1]
        if first is last or not first.is_confirmed(before):
            continue
        told: dict[str, Blank] = {"idea": name_idea(name), "data": _words(_teller(first)), "gain": before.gain}
        told |= {"first": first.name, "last": last.name, "again": after.gain}
        sure = last.is_confirmed(after)
        claims.append(Claim("all_again" if sure else "all_again_not", told, "gain" if sure else "tie"))
    return claims


def say_chip(overview: Overview) -> list[Claim]:
    """What int8 costs the students of the confirmations, their bytes, their kernels."""
    groups = [group for study in overview.claims for group in study.findings.groups]
    falls = sorted(((g.numbers["fall"], g) for g in groups if "fall" in g.numbers), key=lambda pair: pair[0].value)
    claims = []
    if falls:
        (least, mildest), (most, worst) = falls[0], falls[-1]
        told: dict[str, Blank] = {"least": least, "mildest": tell_group(mildest)}
        told |= {"most": most, "worst": tell_group(worst), "more": tell_tensor(overview)}
        claims.append(Claim("all_int8", told, "lead"))
    claims += [*say_arithmetic(overview), *say_left(overview)]
    sizes = [[g.numbers[name] for g in groups if name in g.numbers] for name in ("weight_bytes", "arena_bytes")]
    if all(sizes):
        weights, arenas = map(_ends, sizes)
        claims.append(Claim("all_bytes", {**weights, "small": arenas["least"], "large": arenas["most"]}))
    kept = [
        (row.numbers["agreement_between"], row.id)
        for study in overview.claims
        for g in study.findings.groups
        for row in g.rows
        if "agreement_between" in row.numbers and not is_detector(g, study.findings)
    ]
    if kept:
        value, cell = min(kept)
        how = "least agreement_between of the confirmations’ cells"
        claims.append(
            Claim("all_kernels", {"least": overview.facts.add("kernels/least", value, "share", [cell], "", how)})
        )
    return claims
