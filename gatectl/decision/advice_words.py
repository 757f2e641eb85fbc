"""The sentences of the advice, in English and in German."""

from __future__ import annotations

from typing import Literal

Key = Literal[
    "check_in_first",
    "not_known",
    "declined",
    "final",
    "no_route",
    "no_such_number",
    "support_if_right",
    "stopped",
    "stopped_unasked",
    "stopped_asked",
    "our_key",
    "our_settings",
    "our_gate",
    "gate_out_of_order",
    "our_cards",
    "support",
    "outage",
    "own_network",
    "resting",
    "not_sent",
    "hiccup",
    "again",
    "keeps",
]

_ENGLISH: dict[Key, str] = {
    "check_in_first": (
        "{partner} has no check-in waiting: ask the member to check in in the app first and to try again. "
        "If that does not help, the member should contact {partner} directly to clarify the membership."
    ),
    "not_known": (
        "{partner} does not know this member: ask the member to contact {partner} directly to clarify the "
        "membership."
    ),
    "declined": (
        "{partner} declined: ask the member to contact {partner} directly to clarify the membership."
    ),
    "final": "This decision cannot be overridden here.",
    "no_route": (
        "No card and no route takes this code: check the card or the route with "
        "`gatectl route {code} --door {door}`."
    ),
    "no_such_number": (
        "{partner} has no members with such a number: check the card or the route with "
        "`gatectl route {code} --door {door}`."
    ),
    "support_if_right": (
        "If they are as they should be: Contact Support, with what `gatectl report {id}` collects."
    ),
    "stopped": "gatectl stopped before it could record how this scan ended.",
    "stopped_unasked": "Nobody was asked. Ask the member to scan again.",
    "stopped_asked": (
        "The request may have gone out, and the partner may have counted the check-in. Ask the "
        "member to scan again; if the partner now refuses, the member should contact the partner."
    ),
    "our_key": "The partner refuses this gym's own key; no member can mend that.",
    "our_settings": "The partner does not know this gym as it is set up here; no member can mend that.",
    "our_gate": "The partner admitted the member, but the gate did not open.",
    "gate_out_of_order": "The relay of this gate cannot be driven, so nobody was asked.",
    "our_cards": "The enrolled cards cannot be read, so nobody was asked. Ask the member to scan again.",
    "support": "Contact Support, with what `gatectl report {id}` collects.",
    "outage": (
        "{partner} fails for everyone, which is an outage: check its status page{page} and "
        "contact {partner}. There is no need to contact Support."
    ),
    "own_network": "No request got through: look at this door's own network too.",
    "resting": "{partner} asked for a pause, so no request was made.",
    "not_sent": "The request did not go out to {partner}.",
    "hiccup": "Probably a brief hiccup at {partner}.",
    "again": "Ask the member to try again in five minutes.",
    "keeps": "If it keeps happening, {partner} should be contacted.",
}

_GERMAN: dict[Key, str] = {
    "check_in_first": (
        "Bei {partner} liegt kein Check-in vor: das Mitglied soll zuerst in der App einchecken und es dann "
        "noch einmal versuchen. Hilft das nicht, soll das Mitglied seine Mitgliedschaft direkt mit {partner} "
        "klären."
    ),
    "not_known": (
        "{partner} kennt dieses Mitglied nicht: das Mitglied soll seine Mitgliedschaft direkt mit {partner} "
        "klären."
    ),
    "declined": (
        "{partner} hat abgelehnt: das Mitglied soll seine Mitgliedschaft direkt mit {partner} klären."
    ),
    "final": "Diese Entscheidung lässt sich hier nicht übergehen.",
    "no_route": (
        "Keine Karte und keine Route nimmt diesen Code: Karte oder Route prüfen mit "
        "`gatectl route {code} --door {door}`."
    ),
    "no_such_number": (
        "{partner} hat keine Mitglieder mit einer solchen Nummer: Karte oder Route prüfen mit "
        "`gatectl route {code} --door {door}`."
    ),
    "support_if_right": (
        "Sind sie, wie sie sein sollen: den Support verständigen, mit dem, was `gatectl report {id}` sammelt."
    ),
    "stopped": "gatectl endete, bevor es festhalten konnte, wie dieser Scan ausging.",
    "stopped_unasked": "Niemand wurde gefragt. Das Mitglied soll noch einmal scannen.",
    "stopped_asked": (
        "Die Anfrage kann hinausgegangen sein, und der Partner kann den Check-in gezählt haben. Das Mitglied "
        "soll noch einmal scannen; lehnt der Partner jetzt ab, soll es sich an den Partner wenden."
    ),
    "our_key": "Der Partner lehnt den Schlüssel dieses Studios ab; das kann kein Mitglied beheben.",
    "our_settings": (
        "Der Partner kennt dieses Studio nicht so, wie es hier eingestellt ist; das kann kein Mitglied "
        "beheben."
    ),
    "our_gate": "Der Partner hat das Mitglied zugelassen, aber das Tor ging nicht auf.",
    "gate_out_of_order": "Das Relais dieses Tors lässt sich nicht schalten, deshalb wurde niemand gefragt.",
    "our_cards": (
        "Die Karten sind nicht zu lesen, deshalb wurde niemand gefragt. Das Mitglied soll noch einmal "
        "scannen."
    ),
    "support": "Den Support verständigen, mit dem, was `gatectl report {id}` sammelt.",
    "outage": (
        "{partner} versagt bei allen, das ist ein Ausfall: die Statusseite von {partner}{page} ansehen und "
        "{partner} ansprechen. Der Support muss nicht verständigt werden."
    ),
    "own_network": "Keine Anfrage kam durch: auch das eigene Netz dieser Tür ansehen.",
    "resting": "{partner} bat um eine Pause, deshalb ging keine Anfrage hinaus.",
    "not_sent": "Die Anfrage an {partner} ging nicht hinaus.",
    "hiccup": "Wahrscheinlich eine kurze Störung bei {partner}.",
    "again": "Das Mitglied soll es in fünf Minuten noch einmal versuchen.",
    "keeps": "Geschieht es weiter, sollte {partner} angesprochen werden.",
}

WORDS: dict[str, dict[Key, str]] = {"en": _ENGLISH, "de": _GERMAN}
