"""What to do after all studies, what not, and what they cannot say."""

from __future__ import annotations

from alambic.report.chapters.claims import Blank, Claim, Words
from alambic.report.overview.advice import advise, say_time
from alambic.report.overview.chip import say_levels
from alambic.report.overview.costs import list_trained, name_amounts
from alambic.report.overview.gather import Overview, Study, list_losses
from alambic.report.overview.kept import find_former
from alambic.report.overview.teachers import say_superset, see_data
from alambic.report.overview.views import say_views
from alambic.report.words.wording import LANGS, Lang, name_group

# declared in files that git knows only from after their results: a session that held them was lost and recovered
RECOVERED = ("cross-architecture/cifar100/resnet8", "presence/adapted_fashion", "presence/adapted_fish")
FIRST = (
    *("all_superset", "all_recall_low", "all_recall", "all_views", "all_seeds", "all_controls"),
    *("all_small_teachers", "all_plateau", "all_recovered", "all_looked"),
)
ENOUGH_SEEDS = 10  # that the design asks of a confirmation
CONTROLS: dict[str, dict[Lang, str]] = {  # that the design asks of a confirmation, by the name of what makes them
    "label_smoothing": {"en": "label smoothing", "fr": "lissage des étiquettes"},
    "longer_schedule": {"en": "more epochs", "fr": "plus d’époques"},
    "wider": {"en": "the next width undistilled", "fr": "la largeur suivante sans distillation"},
    "self_distillation": {"en": "self-distillation", "fr": "auto-distillation"},
    "shuffled_teacher": {"en": "a shuffled teacher", "fr": "un enseignant mélangé"},
    "random_teacher": {"en": "a random teacher", "fr": "un enseignant aléatoire"},
}
PLATEAU = 0.003  # a share: a student that surely gains less from more epochs is at its plateau


def say_do(overview: Overview) -> list[Claim]:
    """What to do and what not, over all studies."""
    return advise(overview)


def say_limits(overview: Overview) -> list[Claim]:
    """Levels, the better student alone, seeds, controls, teachers, tuning, plateau, rules, time; how to check.

    The widest first: a slide has room for some of them.
    """
    claims = [
        *say_superset(overview),
        *say_levels(overview),
        *say_views(overview),
        *_say_seeds(overview),
        *_say_controls(overview),
        *_say_teachers(overview),
        *_say_tuning(overview),
        *say_plateau(overview),
        *_say_rules(overview),
        *say_time(overview),
        Claim("all_checkable", {}),
    ]
    return sorted(claims, key=lambda claim: FIRST.index(claim.key) if claim.key in FIRST else len(FIRST))


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
    other = tuple(study.name for study in overview.studies if "external" in see_data(study))
    return [*claims, *([Claim("all_external", {"listing": other}, "warning")] if other else [])]


def _say_seeds(overview: Overview) -> list[Claim]:
    claimed = [study.seeds for study in overview.claims]
    explored = [
        len(group.rows) for study in overview.studies if study not in overview.claims for group in study.findings.groups
    ]
    if not claimed or not explored:
        return []
    few = sum(seeds < ENOUGH_SEEDS for seeds in claimed)
    told: dict[str, Blank] = {"least": min(claimed), "most": max(claimed), "fewest": min(explored)}
    return [Claim("all_seeds", {**told, "few": few, "claims": len(claimed)}, "warning")]


def _say_controls(overview: Overview) -> list[Claim]:
    """How many confirmations hold each control that the design asks for; which explorations hold most of them."""
    if not overview.claims:
        return []
    held = {study.name: find_controls(study) for study in overview.studies}
    claimed = [held[study.name] for study in overview.claims]
    listing = tuple((Words(CONTROLS[name]), sum(name in own for own in claimed)) for name in CONTROLS)
    if all(len(own) == len(CONTROLS) for own in claimed):
        return []
    told: dict[str, Blank] = {"claims": len(claimed), "listing": listing}
    names = {study.name for study in overview.claims}
    rich = tuple(name for name, own in held.items() if name not in names and len(own) > len(CONTROLS) / 2)
    more = [Claim("all_controls_explored", {"listing": rich})] if rich else []
    return [Claim("all_controls", told, "warning"), *more]


def find_controls(study: Study) -> set[str]:
    """Which of ``CONTROLS`` a study trained: by method, by treatment, a second width of one family undistilled."""
    contents = study.contents
    arms = [content["arm"] for content in contents]
    used = {name for arm in arms for name in (*arm["methods"], *(arm.get("treatments") or ()))}
    alone = {found.student for found in study.findings.students if found.baseline is not None}
    families = [student.rsplit("_", 1)[0] for student in alone]
    wider = {"wider"} if len(set(families)) < len(families) else set[str]()
    return (used | wider) & CONTROLS.keys()


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
    recovered = tuple(study.name for study in overview.claims if study.place in RECOVERED)
    found = (("all_corrected", listing), ("all_looked", looked), ("all_recovered", recovered), ("all_void", void))
    return [Claim(key, {"listing": told}, "warning") for key, told in found if told]
