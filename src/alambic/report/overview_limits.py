"""What to do after all studies, what not, and what they cannot say."""

from __future__ import annotations

from alambic.report.advice import decide
from alambic.report.claims import Blank, Claim, Words
from alambic.report.kept import find_former
from alambic.report.overview import Overview, list_losses
from alambic.report.overview_claims import (
    is_fading,
    list_bare,
    list_confirmed,
    list_pairs,
    say_accuracy,
    say_all_families,
    say_curve,
    split_between,
)
from alambic.report.overview_costs import list_trained, name_amounts
from alambic.report.wording import LANGS, name_group

MOST_HARMFUL = 4  # arms that harmed in explorations, named
PLATEAU = 0.003  # a share: a student that surely gains less from more epochs is at its plateau


def say_do(overview: Overview) -> list[Claim]:
    """What to do and what not, over all studies."""
    claims = []
    if say_accuracy(overview)[:1] and say_accuracy(overview)[0].key == "all_accuracy_first":
        none = [claim for claim in say_all_families(overview) if claim.key == "all_families_none"]
        claims += [Claim("all_do_teacher", {}, "gain")] if none else []
    two = list_confirmed(split_between(overview)[0])
    claims += [Claim("all_do_made", {"listing": list_pairs(two)}, "gain")] if two else []
    fading = [claim for curve in overview.curves if is_fading(curve) for claim in say_curve(curve)]
    claims += [Claim("all_do_few", {"most": tuple(claim.blanks["most"] for claim in fading)}, "gain")] if fading else []
    bare = list_bare(overview)
    claims += [Claim("all_dont_claims", {"listing": bare}, "tie")] if bare else []
    explored = [study for study in overview.studies if study not in overview.claims]
    for key, studies in (("all_dont_harm", overview.claims), ("all_dont_explored", explored)):
        harmed = [(s, c) for s in studies for made in decide(s.findings) for c in made.avoid]
        worst = sorted(harmed, key=lambda pair: pair[1].gain.value)[:MOST_HARMFUL]
        listing = tuple((c.group, c.gain, f"({study.name})") for study, c in worst)
        claims += [Claim(key, {"listing": listing}, "loss")] if listing else []
    return claims


def say_limits(overview: Overview) -> list[Claim]:
    """Teachers, their images, seeds, tuning, plateau, rules, controls; how to check."""
    return [
        *_say_teachers(overview),
        *_say_seeds(overview),
        *_say_tuning(overview),
        *say_plateau(overview),
        *_say_rules(overview),
        Claim("all_checkable", {}),
    ]


def say_trained(overview: Overview) -> list[Claim]:
    """What the teachers of the curves had learnt from."""
    cards = [card for _, card in list_trained(overview)]
    if not cards:
        return []
    how = "of the cards beside the teachers’ weights"
    images = min(card["train_images"] for card in cards)
    epochs = max(card["recipe"]["epochs"] for card in cards)
    told: dict[str, Blank] = {"images": overview.facts.add("teachers’ images", images, "images", (), "", how)}
    return [Claim("all_teacher_saw", {**told, "epochs": epochs}, "warning")]


def _say_teachers(overview: Overview) -> list[Claim]:
    used = {str(content.get("teacher_hash")) for study in overview.studies for content in study.contents}
    cards = [overview.cards[key] for key in sorted(used & set(overview.cards))]
    claims = []
    if cards:
        how = "most of the cards beside the teachers’ weights"
        parameters, seconds = (max(card[name] for card in cards) for name in ("parameters", "train_seconds"))
        told: dict[str, Blank] = {"parameters": overview.facts.add("teachers’ size", parameters, "number", (), "", how)}
        told["seconds"] = overview.facts.add("teachers’ time", seconds, "seconds", (), "", how)
        claims.append(Claim("all_small_teachers", told, "warning"))
    seen = {study.name: {content.get("teacher_data") for content in study.contents} for study in overview.studies}
    more = [name for name, data in seen.items() if "superset" in data]
    if more:
        claims.append(Claim("all_superset", {"count": len(more), "studies": len(seen)}, "warning"))
    other = tuple(name for name, data in seen.items() if "external" in data)
    return [*claims, *([Claim("all_external", {"listing": other}, "warning")] if other else [])]


def _say_seeds(overview: Overview) -> list[Claim]:
    claimed = [study.seeds for study in overview.claims]
    explored = [
        len(group.rows) for study in overview.studies if study not in overview.claims for group in study.findings.groups
    ]
    if not claimed or not explored:
        return []
    return [Claim("all_seeds", {"least": min(claimed), "most": max(claimed), "fewest": min(explored)}, "warning")]


def _say_tuning(overview: Overview) -> list[Claim]:
    if not overview.tuned:
        return []
    told: dict[str, Blank] = {"tuned": len(overview.tuned), "losses": len(list_losses()), "listing": overview.tuned}
    return [Claim("all_tuned", told, "warning")]


def say_plateau(overview: Overview) -> list[Claim]:
    """That the student alone still gained at the most epochs, where it is not shown that it did not."""
    claims = []
    for curve in overview.curves:
        if curve.key != "epochs" or not curve.steps or (curve.steps[-1].high or 0.0) < PLATEAU:
            continue
        amounts = {lang: name_amounts(curve, lang) for lang in LANGS}
        told: dict[str, Blank] = {"gain": curve.steps[-1]}
        told |= {name: Words({lang: amounts[lang][at] for lang in LANGS}) for name, at in (("less", -2), ("more", -1))}
        claims.append(Claim("all_plateau", told, "warning"))
    return claims


def _say_rules(overview: Overview) -> list[Claim]:
    """The verdicts that a corrected rule changed, seeds added after a look, controls that did not hold."""
    changed = [(s, c) for s, c in overview.declared if find_former(c, s.findings)]
    listing = tuple(
        Words(
            {
                lang: f"{name_group(c.group, lang)} – {name_group(c.other, lang)}, {find_former(c, s.findings, lang)}"
                for lang in LANGS
            }
        )
        for s, c in changed
    )
    declared = {study.name: study.findings.declared for study in overview.claims}
    looked = tuple(name for name, one in declared.items() if one is not None and one.first_seeds is not None)
    void = tuple(f"{study.name} ({name})" for study in overview.judged for name in study.suitability.void)
    found = (("all_corrected", listing), ("all_looked", looked), ("all_void", void))
    return [Claim(key, {"listing": told}, "warning") for key, told in found if told]
