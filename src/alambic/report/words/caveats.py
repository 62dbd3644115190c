"""Sentences on how the numbers were made and what they lack, in English and French side by side."""

from __future__ import annotations

from alambic.report.words.wording import Lang

CAVEAT_SENTENCES: dict[str, dict[Lang, str]] = {
    "score": {
        "en": "The score used throughout: {score}.",
        "fr": "Le score utilisé partout : {score}.",
    },
    "score_missing": {
        "en": "Finished without it, hence left out of the comparisons: {count}.",
        "fr": "Sans lui, donc hors des comparaisons : {count}.",
    },
    "score_unseen": {
        "en": "Without stored predictions of all images: {count}. Intervals that include them are over seeds alone, so "
        "they are too narrow: they say nothing of other images.",
        "fr": "Sans prédictions enregistrées pour toutes les images : {count}. Les intervalles qui les comprennent ne "
        "portent que sur les graines et sont donc trop étroits : ils ne disent rien d’autres images.",
    },
    "tune_score": {
        "en": "The test images were not looked at: the scores are those of the tune split, which may have been used to "
        "choose settings.",
        "fr": "Les images de test n’ont pas été regardées : les scores sont ceux du lot de réglage, qui a pu servir à "
        "choisir.",
    },
    "seen_more_all": {
        "en": "Teachers had learnt from more labelled images than students were given: part of what they give may be "
        "those labels.",
        "fr": "Les enseignants avaient appris de plus d’images étiquetées que n’en recevaient les élèves : une part de "
        "ce qu’ils donnent peut être ces étiquettes.",
    },
    "seen_more": {
        "en": "{count} of {teachers} teachers had learnt from more labelled images than their students were given: "
        "part of what they give may be those labels.",
        "fr": "{count} enseignants sur {teachers} avaient appris de plus d’images étiquetées que n’en recevaient leurs "
        "élèves : une part de ce qu’ils donnent peut être ces étiquettes.",
    },
    "contradicted": {
        "en": "Warning: the stored predictions of {count} do not give their stored score: {rows}.",
        "fr": "Attention : les prédictions enregistrées de {count} ne donnent pas leur score enregistré : {rows}.",
    },
    "few_seeds": {
        "en": "With {seeds} the sign-flip test cannot go below {least}; the verdicts rest on the t test and the "
        "interval.",
        "fr": "Avec {seeds} le test par changement de signe ne peut descendre sous {least} ; les verdicts reposent "
        "sur le "
        "test t et l’intervalle.",
    },
    "int8_error": {
        "en": "Without a score in int8: {count}, because: {reason}",
        "fr": "Sans score en int8 : {count}, car : {reason}",
    },
    "kernels_missing": {
        "en": "Not run on the device’s kernels: {count}, because: {reason}",
        "fr": "Sans passage sur les noyaux de la puce : {count}, car : {reason}",
    },
    "not_all": {
        "en": "{done} finished; skipped because they cannot work: {skipped}; failed: {failed}.",
        "fr": "Menées à terme : {done} ; sautées car impossibles : {skipped} ; échouées : {failed}.",
    },
    "settings": {
        "en": "The ledger holds {count} settings (data, views, recipe, environment): they are never compared with "
        "each other.",
        "fr": "Le registre contient {count} configurations (données, vues, recette, environnement) : elles ne sont "
        "jamais "
        "comparées entre elles.",
    },
    "settings_declared": {
        "en": "The ledger holds {count} settings (data, views, recipe, environment): only declared contrasts and ideas "
        "compare across them, where an arm has a longer schedule or other images by its treatment.",
        "fr": "Le registre contient {count} configurations (données, vues, recette, environnement) : seuls les "
        "contrastes déclarés et les idées les comparent entre elles, là où un traitement allonge l’entraînement d’un "
        "bras ou change ses images.",
    },
    "starred": {
        "en": "* reconstructed from an abstract, not from a published formula or code.",
        "fr": "* reconstruit d’après un résumé, et non d’après une formule ou un code publiés.",
    },
}
