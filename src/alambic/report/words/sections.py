"""Sentences of the chapters on classes, trust and declared contrasts, in English and French side by side."""

from __future__ import annotations

from alambic.report.words.suitability import SUITABILITY_SENTENCES
from alambic.report.words.wording import Lang

SECTION_SENTENCES: dict[str, dict[Lang, str]] = {
    **SUITABILITY_SENTENCES,
    "conditions": {
        "en": "The same students behind other sensors too, and by further metrics: means over seeds. Nothing was "
        "chosen by "
        "these numbers.",
        "fr": "Les mêmes élèves derrière d’autres capteurs aussi, et selon d’autres mesures : moyennes sur les "
        "graines. "
        "Rien n’a été choisi d’après ces nombres.",
    },
    "classes_clear": {
        "en": "For {arm}, the arm of {student} with the highest mean, the interval of {clear} of {count} leaves out "
        "zero; "
        "by chance alone one in twenty would.",
        "fr": "Pour {arm}, le bras de {student} à la plus haute moyenne, l’intervalle de {clear} sur {count} exclut "
        "zéro ; le hasard seul en donnerait une sur vingt.",
    },
    "classes_cut": {
        "en": "Of {count} classes the table lists the first {shown} and the last {shown}.",
        "fr": "Sur {count} classes, le tableau donne les {shown} premières et les {shown} dernières.",
    },
    "classes_ends": {
        "en": "Highest stands {best}, {most}; lowest {worst}, {least}.",
        "fr": "Au plus haut se trouve {best}, {most} ; au plus bas {worst}, {least}.",
    },
    "no_classes": {
        "en": "Gains by class are not told: that takes stored predictions, three seeds or more, more than two "
        "classes and an "
        "arm beside the student alone.",
        "fr": "Les gains par classe ne sont pas donnés : il y faut des prédictions enregistrées, trois graines au "
        "moins, "
        "plus de deux classes et un bras en plus de l’élève seul.",
    },
    "agreement": {
        "en": "{student}: int8 and fp32 give the same class on {least} ({arm}) to {most} of the images.",
        "fr": "{student} : l’int8 et le fp32 donnent la même classe sur {least} ({arm}) à {most} des images.",
    },
    "agreement_one": {
        "en": "{student}: int8 and fp32 give the same class on {least} of the images ({arm}).",
        "fr": "{student} : l’int8 et le fp32 donnent la même classe sur {least} des images ({arm}).",
    },
    "calibrated": {
        "en": "{student}: confidence is nearest to the truth with {best}, calibration error {least}, and farthest with "
        "{worst}, {most}.",
        "fr": "{student} : la confiance est au plus près de la vérité avec {best}, erreur de calibration {least}, et "
        "au "
        "plus loin avec {worst}, {most}.",
    },
    "copied": {
        "en": "{student} gives its teacher’s own answer most often with {arm}: on {most} of the images.",
        "fr": "{student} donne la réponse de son enseignant le plus souvent avec {arm} : sur {most} des images.",
    },
    "not_aligned": {
        "en": "CKA takes inner features of both networks: alambic examine reads them from the saved students.",
        "fr": "La CKA demande l’intérieur des deux réseaux : alambic examine le lit dans les élèves enregistrés.",
    },
    "not_examined": {
        "en": "Agreement with the teacher and calibration over more than two classes are not in a ledger: "
        "alambic "
        "examine computes them from the saved students and writes examination.json beside it.",
        "fr": "L’accord avec l’enseignant et la calibration à plus de deux classes ne sont pas dans un "
        "registre : alambic examine les calcule à partir des élèves enregistrés et écrit examination.json à côté.",
    },
    "examined_on": {
        "en": "Agreement with the teacher and calibration: on {images} {split}, from the saved students (alambic "
        "examine).",
        "fr": "Accord avec l’enseignant et calibration : sur {images} {split}, à partir des élèves enregistrés "
        "(alambic "
        "examine).",
    },
    "examined_without": {
        "en": "Saved students that could not be examined: {count}; examination.json says why.",
        "fr": "Élèves enregistrés qui n’ont pu être examinés : {count} ; examination.json dit pourquoi.",
    },
    "examined_partly": {
        "en": "Arms without these numbers, because not each of their students was examined: {count}.",
        "fr": "Bras sans ces nombres, faute d’avoir examiné chacun de leurs élèves : {count}.",
    },
    "aligned": {
        "en": "{student} and {teacher}: mean CKA over stages {before} before training, {after} after {arm}.",
        "fr": "{student} et {teacher} : CKA moyenne sur les étages {before} avant l’entraînement, {after} après {arm}.",
    },
    "aligned_alone": {
        "en": "{student} and {teacher}: mean CKA over stages {before} before training, {alone} after training alone, "
        "{after} after {arm}.",
        "fr": "{student} et {teacher} : CKA moyenne sur les étages {before} avant l’entraînement, {alone} après un "
        "entraînement seul, {after} après {arm}.",
    },
    "nothing_declared": {
        "en": "Nothing was declared before the run: every comparison of this report explores.",
        "fr": "Rien n’a été déclaré avant le lancement : toutes les comparaisons de ce rapport explorent.",
    },
    "declare_first": {
        "en": "A study with purpose claim declares its contrasts in confirm.toml.",
        "fr": "Une étude de but claim déclare ses contrastes dans confirm.toml.",
    },
    "declared_before": {
        "en": "These contrasts were declared in confirm.toml ({hash}) before the test images were looked at; Holm’s "
        "correction counts them and no others.",
        "fr": "Ces contrastes ont été déclarés dans confirm.toml ({hash}) avant de regarder les images de test ; la "
        "correction de Holm les compte, eux et nuls autres.",
    },
    "declared_gain": {
        "en": "Confirmed for {student}: {arm} beats {other} by {gain}, p {p}.",
        "fr": "Confirmé pour {student} : {arm} dépasse {other} de {gain}, p {p}.",
    },
    "declared_loss": {
        "en": "Refuted for {student}: {arm} against {other}: {gain}, p {p}.",
        "fr": "Réfuté pour {student} : {arm} face à {other} : {gain}, p {p}.",
    },
    "declared_open": {
        "en": "Not confirmed for {student}: {arm} against {other}: {gain}, p {p}.",
        "fr": "Non confirmé pour {student} : {arm} face à {other} : {gain}, p {p}.",
    },
    "declared_tie": {
        "en": "Not confirmed for {student}: {arm} against {other}: {gain}, p {p}, below {floor}, which such a "
        "difference must reach to be seen here four times in five.",
        "fr": "Non confirmé pour {student} : {arm} face à {other} : {gain}, p {p}, sous {floor}, ce qu’un tel "
        "écart doit atteindre pour être vu ici quatre fois sur cinq.",
    },
    "declared_clear": {
        "en": "Not confirmed for {student}: {arm} against {other}: {gain}, p {p}. The interval leaves out zero, but it "
        "is below {floor}, which such a difference must reach to be seen here four times in five: a tie "
        "by the rule of these reports.",
        "fr": "Non confirmé pour {student} : {arm} face à {other} : {gain}, p {p}. L’intervalle exclut zéro, mais "
        "c’est sous {floor}, ce qu’un tel écart doit atteindre pour être vu ici quatre fois sur cinq : une "
        "égalité selon la règle de ces rapports.",
    },
    "declared_smallest": {
        "en": "A difference under {effect} was declared too small to matter.",
        "fr": "Une différence de moins de {effect} a été déclarée trop petite pour compter.",
    },
    "declared_extended": {
        "en": "The first run asked for {seeds}; more were asked for when those could be seen. A test that may be "
        "taken again errs more often than its p says.",
        "fr": "La première exécution demandait {seeds} ; d’autres ont été demandées quand celles-ci étaient visibles. "
        "Un test qui peut être repris se trompe plus souvent que son p ne le dit.",
    },
    "declared_small": {
        "en": "Too small to matter for {student}: {arm} against {other}: {gain}, p {p}; the whole interval lies under "
        "the declared effect.",
        "fr": "Trop petit pour compter, {student} : {arm} face à {other} : {gain}, p {p} ; tout l’intervalle est sous "
        "l’effet déclaré.",
    },
    "declared_missing": {
        "en": "Declared, but not in the ledger yet: {listing}.",
        "fr": "Déclarés, mais pas encore dans le registre : {listing}.",
    },
    "chip_same": {
        "en": "Bytes and operations are the student’s, whichever arm trained it; what int8 costs differs from arm to "
        "arm.",
        "fr": "Les octets et les opérations sont ceux de l’élève, quel que soit le bras qui l’a entraîné ; ce que "
        "coûte l’int8 varie d’un bras à l’autre.",
    },
    "chip_same_float": {
        "en": "Parameters and operations are the student’s, whichever arm trained it; int8 was not measured.",
        "fr": "Les paramètres et les opérations sont ceux de l’élève, quel que soit le bras qui l’a entraîné ; l’int8 "
        "n’a pas été mesuré.",
    },
    "declared_unclear": {
        "en": "Declared, but the ledger holds them in several versions or environments with as many seeds, and none "
        "is picked: {listing}.",
        "fr": "Déclarés, mais le registre les tient en plusieurs versions ou environnements à autant de graines, sans "
        "qu’aucun soit choisi : {listing}.",
    },
    "loses_more": {
        "en": "{student}, {where}: {arm} loses more than the student alone: {excess}, p {p} (Holm over this table).",
        "fr": "{student}, {where} : {arm} perd plus que l’élève seul : {excess}, p {p} (Holm sur ce tableau).",
    },
    "loses_less": {
        "en": "{student}, {where}: {arm} loses less than the student alone: {excess}, p {p} (Holm over this table).",
        "fr": "{student}, {where} : {arm} perd moins que l’élève seul : {excess}, p {p} (Holm sur ce tableau).",
    },
    "rest_explores": {
        "en": "All other comparisons of this report explore: what they find has to be confirmed elsewhere.",
        "fr": "Toutes les autres comparaisons de ce rapport explorent : ce qu’elles trouvent reste à confirmer "
        "ailleurs.",
    },
}
