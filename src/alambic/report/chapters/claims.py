"""Sentences: each a function of facts, in English and French side by side.

A sentence's blanks are facts (shown with interval and link), groups, names, or lists of them. Nothing here computes.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from alambic.errors import AlambicError
from alambic.report.facts.fact import Fact
from alambic.report.facts.gather import Group
from alambic.report.words.caveats import CAVEAT_SENTENCES
from alambic.report.words.document import DOCUMENT_SENTENCES
from alambic.report.words.overview import OVERVIEW_SENTENCES
from alambic.report.words.sections import SECTION_SENTENCES
from alambic.report.words.slides import SLIDE_SENTENCES
from alambic.report.words.wording import LANGS, Lang, name_group, plain, show_fact

SENTENCES: dict[str, dict[Lang, str]] = {
    **DOCUMENT_SENTENCES,
    **SECTION_SENTENCES,
    **SLIDE_SENTENCES,
    **CAVEAT_SENTENCES,
    **OVERVIEW_SENTENCES,
    "demo": {
        "en": "Results, not a ranking. This study is a demonstration: nothing was tuned, and few seeds were run.",
        "fr": "Des résultats, pas un classement. Cette étude est une démonstration : rien n’a été réglé, et peu de "
        "graines ont été lancées.",
    },
    "explore": {
        "en": "An exploration: what it finds is a lead to confirm on new seeds, not a proof.",
        "fr": "Une exploration : ce qu’elle trouve est une piste à confirmer sur d’autres graines, pas une preuve.",
    },
    "claim": {
        "en": "A confirmation: the contrasts were declared before the test images were looked at.",
        "fr": "Une confirmation : les contrastes ont été déclarés avant de regarder les images de test.",
    },
    "sight": {
        "en": "For {student}, {seeds} could have shown an effect of {effect} or more over the student alone (four "
        "times in five, at the 5% level, one contrast by itself: among several that Holm corrects it takes more). A "
        "smaller difference is called a tie here.",
        "fr": "Pour {student}, {seeds} pouvaient montrer un effet d’au moins {effect} face à l’élève seul (quatre "
        "fois sur cinq, au seuil de 5 %, pour un contraste à lui seul : parmi plusieurs que Holm corrige, il faut "
        "plus). Une différence plus petite est appelée ici égalité.",
    },
    "sight_between": {
        "en": "For {student}, between the arms that the study compares, {seeds} could have shown a difference of "
        "{effect} or more (four times in five, at the 5% level, one contrast).",
        "fr": "Pour {student}, entre les bras que l’étude compare, {seeds} pouvaient montrer une différence d’au moins "
        "{effect} (quatre fois sur cinq, au seuil de 5 %, pour un contraste).",
    },
    "sight_parts": {
        "en": "The spread between seeds alone limits this to {from_seeds}, the number of images alone to "
        "{from_images}.",
        "fr": "La dispersion entre graines à elle seule limite cela à {from_seeds}, le nombre d’images à lui "
        "seul à {from_images}.",
    },
    "needed": {
        "en": "To see {goal} one would need {needed}.",
        "fr": "Pour voir {goal} il faudrait {needed}.",
    },
    "needed_many": {
        "en": "To see {goal} one would need more than 200 seeds.",
        "fr": "Pour voir {goal} il faudrait plus de 200 graines.",
    },
    "needed_images": {
        "en": "No number of seeds would show {goal} on these images: more images are needed.",
        "fr": "Aucun nombre de graines ne montrerait {goal} sur ces images : il faut plus d’images.",
    },
    "one_seed": {
        "en": "For {student} there is one seed only: no effect of any size can be told from chance.",
        "fr": "Pour {student} il n’y a qu’une graine : aucun effet, quelle que soit sa taille, ne se distingue du "
        "hasard.",
    },
    "no_baseline": {
        "en": "For {student} the arm none was not run: no gain can be stated.",
        "fr": "{student} seul n’a pas été entraîné : aucun gain ne peut être énoncé.",
    },
    "no_contrast": {
        "en": "For {student} nothing was run but the student alone: there is nothing to compare.",
        "fr": "Pour {student}, seul l’élève sans enseignant a été entraîné : il n’y a rien à comparer.",
    },
    "alone": {
        "en": "{student} alone, without a teacher, reaches {score}.",
        "fr": "{student} seul, sans enseignant, atteint {score}.",
    },
    "alone_metric": {
        "en": "{student} alone, without a teacher, reaches {score} of {metric}.",
        "fr": "{student} seul, sans enseignant, atteint {score} de {metric}.",
    },
    "none_helps": {
        "en": "No method was shown to help {student}: no arm beats the student alone beyond chance and by as much as "
        "this design shows four times in five.",
        "fr": "Rien ne montre qu’une méthode aide {student} : aucun bras ne dépasse l’élève seul au-delà du hasard et "
        "d’au moins ce que ce plan montre quatre fois sur cinq.",
    },
    "helps": {
        "en": "Better than {student} alone: {listing}.",
        "fr": "Mieux que {student} seul : {listing}.",
    },
    "hurts": {
        "en": "Worse than {student} alone: {listing}.",
        "fr": "Moins bien que {student} seul : {listing}.",
    },
    "ties": {
        "en": "A tie with {student} alone, the difference being smaller than what this design shows four times "
        "in five: {listing}.",
        "fr": "À égalité avec {student} seul, la différence étant plus petite que ce que ce plan montre quatre "
        "fois sur cinq : {listing}.",
    },
    "opens": {
        "en": "Undecided against {student} alone, large enough to be seen but not beyond chance once all contrasts are "
        "counted: {listing}.",
        "fr": "Indécis face à {student} seul, assez grand pour être vu mais pas au-delà du hasard une fois tous les "
        "contrastes comptés : {listing}.",
    },
    "untested": {
        "en": "Not tested, with one seed in common with {student} alone: {listing}.",
        "fr": "Sans test, avec une seule graine en commun avec {student} seul : {listing}.",
    },
    "best_apart": {
        "en": "The highest mean for {student} is that of {best}, {score}, and it can be told from every other.",
        "fr": "La plus haute moyenne pour {student} est celle de {best}, {score}, et elle se distingue de toutes les "
        "autres.",
    },
    "best_tied": {
        "en": "The highest mean for {student} is that of {best}, {score}; it cannot be told from {listing}.",
        "fr": "La plus haute moyenne pour {student} est celle de {best}, {score} ; elle ne se distingue pas de "
        "{listing}.",
    },
    "falls": {
        "en": "int8 costs {student} between {least} ({mildest}) and {most} ({worst}).",
        "fr": "L’int8 coûte à {student} entre {least} ({mildest}) et {most} ({worst}).",
    },
    "fall": {
        "en": "int8 costs {student} {fall} ({arm}).",
        "fr": "L’int8 coûte à {student} {fall} ({arm}).",
    },
    "int8_breaks": {
        "en": "int8 breaks single trainings of {student}, so that the means of their arms tell little: {listing} "
        "lost in the worst seed. One cause is a channel far above the others, which sets the range of its layer: "
        "alambic deploy names it, int8.equalise = true (deploy --equalise) scales it down, recipe.clip = 1.0 may keep "
        "it small.",
        "fr": "L’int8 brise certains entraînements de {student}, si bien que la moyenne de leurs bras dit peu : "
        "{listing} perdus dans la pire graine. Une cause est un canal très au-dessus des autres, qui fixe l’étendue "
        "de sa couche : alambic deploy le nomme, int8.equalise = true (deploy --equalise) le réduit, recipe.clip "
        "= 1.0 peut le contenir.",
    },
}

SCORE_NAMES: dict[str, dict[Lang, str]] = {
    "test_int8": {"en": "the test images, by the int8 network", "fr": "les images de test, par le réseau int8"},
    "test": {"en": "the test images, in fp32", "fr": "les images de test, en fp32"},
    "tune_int8": {"en": "the tune images, by the int8 network", "fr": "les images de réglage, par le réseau int8"},
    "tune": {"en": "the tune images, in fp32", "fr": "les images de réglage, en fp32"},
}
METRIC_NAMES: dict[str, dict[Lang, str]] = {
    "accuracy": {"en": "accuracy", "fr": "exactitude"},
    "balanced_accuracy": {"en": "balanced accuracy", "fr": "exactitude équilibrée"},
    "average_precision": {"en": "average precision", "fr": "précision moyenne"},
    "recall_at_1_percent_false_alarms": {
        "en": "recall at 1% false alarms",
        "fr": "rappel à 1 % de fausses alarmes",
    },
}


def name_metric(metric: str, lang: Lang) -> str:
    """A metric in words; one that is not of this library as it is typed."""
    return METRIC_NAMES[metric][lang] if metric in METRIC_NAMES else metric


@dataclass(frozen=True)
class Words:
    """A blank that reads differently in each language."""

    by_lang: dict[Lang, str]


Blank = str | int | Fact | Group | Words | tuple[Any, ...]


@dataclass(frozen=True)
class Claim:
    """One sentence with what fills its blanks. ``tone`` is how the page shows it: gain, loss, tie, warning, plain."""

    key: str
    blanks: dict[str, Blank]
    tone: str = "plain"

    @property
    def facts(self) -> tuple[Fact, ...]:
        """The facts that the sentence is made of."""
        return tuple(found for blank in self.blanks.values() for found in _facts_in(blank))

    @property
    def rows(self) -> tuple[str, ...]:
        """Ids of the cells behind it, each once."""
        return tuple(dict.fromkeys(row for fact in self.facts for row in fact.rows))

    def render(self, lang: Lang) -> Markup:
        """The sentence as HTML; whatever comes from the ledger is escaped."""
        shown = {name: _show(blank, lang) for name, blank in self.blanks.items()}
        return Markup(escape(SENTENCES[self.key][lang])).format(**shown)

    def text(self, lang: Lang) -> str:
        """The sentence without markup, for slides and print."""
        return plain(self.render(lang))


def blanks_of(sentence: str) -> set[str]:
    """Names of the blanks of a sentence."""
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def check_sentences(sentences: dict[str, dict[Lang, str]]) -> None:
    """Raises AlambicError for a sentence that lacks a language, or whose blanks differ between languages."""
    for key, by_lang in sentences.items():
        lacking = [lang for lang in LANGS if not by_lang.get(lang)]
        if lacking:
            raise AlambicError(f"sentence {key!r}: expected words in {LANGS}, got none in {lacking}; write them")
        blanks = {lang: sorted(blanks_of(by_lang[lang])) for lang in LANGS}
        if len({tuple(names) for names in blanks.values()}) > 1:
            raise AlambicError(f"sentence {key!r}: expected the same blanks in each language, got {blanks}")


check_sentences(SENTENCES)  # nothing of the report can be imported, built or tested with half a sentence


def _facts_in(blank: Blank) -> list[Fact]:
    if isinstance(blank, Fact):
        return [blank]
    return [fact for part in blank for fact in _facts_in(part)] if isinstance(blank, tuple) else []


def _show(blank: Blank, lang: Lang) -> Markup:
    if isinstance(blank, Fact):
        return show_fact(blank, lang)
    if isinstance(blank, Group):
        return Markup("<b>{}</b>").format(name_group(blank, lang))
    if isinstance(blank, Words):
        return escape(blank.by_lang[lang])
    if isinstance(blank, tuple):
        return Markup("; " if lang == "en" else " ; ").join(
            Markup(" ").join(_show(part, lang) for part in item) if isinstance(item, tuple) else _show(item, lang)
            for item in blank
        )
    return Markup("<b>{}</b>").format(blank)
