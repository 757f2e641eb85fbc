"""The advice for an event: what to do about it, in English and in German."""

from __future__ import annotations

import shlex

from gatectl.decision.cause import Around, cause_of
from gatectl.decision.event import Event
from gatectl.decision.words import Language, Pair, chosen

SENTENCES: dict[str, Pair] = {
    "refuses_everyone": (
        (
            "{partner} has refused five different members in a row and admitted none: check its key, url "
            "and IDs in the settings first."
        ),
        (
            "{partner} hat fünf verschiedene Mitglieder nacheinander abgelehnt und keines zugelassen: "
            "zuerst Schlüssel, url und IDs in den Einstellungen prüfen."
        ),
    ),
    "check_in_first": (
        (
            "{partner} has no check-in waiting: ask the member to check in in the app first and to try "
            "again. If that does not help, the member should contact {partner} directly to clarify the "
            "membership."
        ),
        (
            "Bei {partner} liegt kein Check-in vor: das Mitglied soll zuerst in der App einchecken und es "
            "dann noch einmal versuchen. Hilft das nicht, soll das Mitglied seine Mitgliedschaft direkt "
            "mit {partner} klären."
        ),
    ),
    "check_in_again": (
        (
            "The member's check-in at {partner} has expired or was cancelled: ask the member to perform "
            "the check-in in the app and to try again."
        ),
        (
            "Der Check-in des Mitglieds bei {partner} ist abgelaufen oder wurde storniert: das Mitglied "
            "soll in der App einchecken und es dann noch einmal versuchen."
        ),
    ),
    "in_already": (
        (
            "At {partner} the member has been checked in already. A member who stands outside can be let in "
            "with `gatectl open {door} --reason TEXT`; already_in_per_day in the settings lets such members "
            "in so many times a day."
        ),
        (
            "Bei {partner} ist das Mitglied schon eingecheckt. Steht es draußen, lässt es `gatectl open "
            "{door} --reason TEXT` ein; already_in_per_day in den Einstellungen lässt solche Mitglieder so "
            "oft am Tag ein."
        ),
    ),
    "not_checked_in": (
        (
            "The member was let in and has passed, but the check-in at {partner} failed; it is not repeated. "
            "Check the member in at the front desk. Where the request went out and stayed without an answer, "
            "see first whether it counted."
        ),
        (
            "Das Mitglied wurde eingelassen und ist durchgegangen, aber der Check-in bei {partner} schlug "
            "fehl; er wird nicht wiederholt. Am Empfang einchecken. Ging die Anfrage hinaus und blieb ohne "
            "Antwort, zuerst nachsehen, ob sie zählte."
        ),
    ),
    "front_desk": (
        "{partner} declined: ask the member to come to the front desk, which can clear this up.",
        "{partner} hat abgelehnt: das Mitglied soll zum Empfang kommen, der das klären kann.",
    ),
    "front_desk_not_known": (
        (
            "{partner} does not know this code: ask the member to come to the front desk. The number may "
            "be stored incorrectly: `gatectl route {code} --door {door}` shows what is sent."
        ),
        (
            "{partner} kennt diesen Code nicht: das Mitglied soll zum Empfang kommen. Die Nummer kann "
            "falsch hinterlegt sein: `gatectl route {code} --door {door}` zeigt, was gesendet wird."
        ),
    ),
    "not_known": (
        (
            "{partner} does not know this member: look at the card's number first, which may be stored "
            "incorrectly (`gatectl route {code} --door {door}` shows what is sent). If it is right, ask "
            "the member to contact {partner} directly to clarify the membership."
        ),
        (
            "{partner} kennt dieses Mitglied nicht: zuerst die Nummer der Karte ansehen, sie kann falsch "
            "hinterlegt sein (`gatectl route {code} --door {door}` zeigt, was gesendet wird). Stimmt sie, "
            "soll das Mitglied seine Mitgliedschaft direkt mit {partner} klären."
        ),
    ),
    "declined": (
        "{partner} declined: ask the member to contact {partner} directly to clarify the membership.",
        "{partner} hat abgelehnt: das Mitglied soll seine Mitgliedschaft direkt mit {partner} klären.",
    ),
    "final": (
        "This decision cannot be overridden here.",
        "Diese Entscheidung lässt sich hier nicht übergehen.",
    ),
    "no_route": (
        (
            "No card and no route takes this code: check the card or the route with `gatectl route {code} "
            "--door {door}`."
        ),
        (
            "Keine Karte und keine Route nimmt diesen Code: Karte oder Route prüfen mit `gatectl route "
            "{code} --door {door}`."
        ),
    ),
    "no_such_number": (
        (
            "{partner} cannot be asked: a number of the member is missing, or is none that it can have. "
            "Check the card or the route with `gatectl route {code} --door {door}`."
        ),
        (
            "{partner} kann nicht gefragt werden: eine Nummer des Mitglieds fehlt oder kann keine sein. "
            "Karte oder Route prüfen mit `gatectl route {code} --door {door}`."
        ),
    ),
    "support_if_right": (
        "If they are as they should be: Contact Support, with what `gatectl report {id}` collects.",
        (
            "Sind sie, wie sie sein sollen: den Support verständigen, mit dem, was `gatectl report {id}` "
            "sammelt."
        ),
    ),
    "stopped": (
        "gatectl stopped before it could record how this scan ended.",
        "gatectl endete, bevor es festhalten konnte, wie dieser Scan ausging.",
    ),
    "stopped_unasked": (
        "Nobody was asked. Ask the member to scan again.",
        "Niemand wurde gefragt. Das Mitglied soll noch einmal scannen.",
    ),
    "stopped_asked": (
        (
            "The request may have gone out, and the partner may have counted the check-in. Ask the member "
            "to scan again; if the partner now refuses, the member should contact the partner."
        ),
        (
            "Die Anfrage kann hinausgegangen sein, und der Partner kann den Check-in gezählt haben. Das "
            "Mitglied soll noch einmal scannen; lehnt der Partner jetzt ab, soll es sich an den Partner "
            "wenden."
        ),
    ),
    "our_key": (
        (
            "The partner refuses this gym's own key, or the key is not for this gym's ID (at Wellhub: "
            "gym_id); no member can fix that."
        ),
        (
            "Der Partner lehnt den Schlüssel dieses Studios ab, oder der Schlüssel gilt nicht für die ID "
            "dieses Studios (bei Wellhub: gym_id); das kann kein Mitglied beheben."
        ),
    ),
    "our_settings": (
        "The partner does not know this gym as it is set up here; no member can fix that.",
        (
            "Der Partner kennt dieses Studio nicht so, wie es hier eingestellt ist; das kann kein Mitglied "
            "beheben."
        ),
    ),
    "our_files": (
        "A key or a certificate for it cannot be used here: `gatectl check` says why.",
        "Ein Schlüssel oder Zertifikat dafür ist hier nicht zu gebrauchen: `gatectl check` sagt, warum.",
    ),
    "our_url": (
        (
            "The server of {partner} has nothing at this url (HTTP {status}): check the partner's url in "
            "the settings."
        ),
        (
            "Der Server von {partner} hat nichts unter dieser url (HTTP {status}): die url des Partners in "
            "den Einstellungen prüfen."
        ),
    ),
    "our_gate": (
        "The partner admitted the member, but the gate did not open.",
        "Der Partner hat das Mitglied zugelassen, aber das Tor ging nicht auf.",
    ),
    "our_relay": (
        "The gate's relay could not be energised: look at the relay and its wiring.",
        "Das Relais des Tors zog nicht an: Relais und Verdrahtung prüfen.",
    ),
    "gate_out_of_order": (
        (
            "The gate's relay cannot be driven, so nobody was asked and no check-in was counted. `gatectl "
            "status` says since when; look at the relay and its wiring."
        ),
        (
            "Das Relais dieses Tors lässt sich nicht schalten, deshalb wurde niemand gefragt und kein "
            "Check-in gezählt. `gatectl status` sagt, seit wann; Relais und Verdrahtung prüfen."
        ),
    ),
    "closed": (
        "Nobody is let in at this time, and nobody was asked. `gatectl status` says which mode the door has.",
        "Zu dieser Zeit ist kein Einlass, niemand wurde gefragt. `gatectl status` zeigt die Betriebsart.",
    ),
    "locked_out": (
        (
            "The door was locked down while {partner} was asked, which has admitted the member and may count "
            "the visit. `gatectl normal {door}` ends a lockdown."
        ),
        (
            "Die Tür wurde gesperrt, während {partner} gefragt wurde: {partner} hat das Mitglied zugelassen "
            "und zählt den Besuch vielleicht. `gatectl normal {door}` beendet die Sperre."
        ),
    ),
    "our_cards": (
        (
            "The enrolled cards cannot be read, so nobody was asked. Ask the member to scan again; if it "
            "stays so, `gatectl status` says what is wrong with the store."
        ),
        (
            "Die Karten sind nicht zu lesen, deshalb wurde niemand gefragt. Das Mitglied soll noch einmal "
            "scannen; bleibt es dabei, sagt `gatectl status`, was der Datenbank fehlt."
        ),
    ),
    "support": (
        "Contact Support, with what `gatectl report {id}` collects.",
        "Den Support verständigen, mit dem, was `gatectl report {id}` sammelt.",
    ),
    "outage": (
        (
            "{partner} fails for everyone, which is an outage: check its status page{page} and contact "
            "{partner}. There is no need to contact Support."
        ),
        (
            "{partner} versagt bei allen, das ist ein Ausfall: die Statusseite von {partner}{page} ansehen "
            "und {partner} ansprechen. Der Support muss nicht verständigt werden."
        ),
    ),
    "own_network": (
        "Look at this door's own network and clock first: `gatectl check --connect` and `timedatectl`.",
        (
            "Zuerst das eigene Netz und die Uhr dieser Tür prüfen: `gatectl check --connect` und "
            "`timedatectl`."
        ),
    ),
    "own_clock": (
        (
            "The partner's certificate is not valid yet by this machine's clock: is the clock right? "
            "`timedatectl` says whether the network sets it."
        ),
        (
            "Nach der Uhr dieses Rechners gilt das Zertifikat des Partners noch nicht: geht die Uhr "
            "richtig? `timedatectl` sagt, ob das Netz sie stellt."
        ),
    ),
    "then_partner": (
        (
            "If they are in order, it is an outage of {partner}: check its status page{page} and contact "
            "{partner}."
        ),
        (
            "Sind sie in Ordnung, ist es ein Ausfall von {partner}: die Statusseite von {partner}{page} "
            "ansehen und {partner} ansprechen."
        ),
    ),
    "all_fail": (
        "Another partner fails at the same time as {partner}.",
        "Ein anderer Partner versagt zur selben Zeit wie {partner}.",
    ),
    "grace": (
        (
            "Let in during an outage of {partner}, which may not pay for this visit. `gatectl grace` lists "
            "all such visits, for settling with {partner}."
        ),
        (
            "Während einer Störung von {partner} eingelassen; {partner} bezahlt diesen Besuch vielleicht "
            "nicht. `gatectl grace` listet alle solchen Besuche, zur Abrechnung mit {partner}."
        ),
    ),
    "resting": (
        "{partner} asked for a pause, so no request was made.",
        "{partner} bat um eine Pause, deshalb ging keine Anfrage hinaus.",
    ),
    "not_sent": (
        "The request did not go out to {partner}.",
        "Die Anfrage an {partner} ging nicht hinaus.",
    ),
    "hiccup": (
        "Probably a brief hiccup at {partner}.",
        "Wahrscheinlich eine kurze Störung bei {partner}.",
    ),
    "again": (
        "Ask the member to try again in five minutes.",
        "Das Mitglied soll es in fünf Minuten noch einmal versuchen.",
    ),
    "keeps": (
        "If it keeps happening, {partner} should be contacted.",
        "Geschieht es weiter, sollte {partner} angesprochen werden.",
    ),
}


CODE_CHARS = 40
"""The longest code that a command in the advice repeats: longer ones are junk or too long to type."""


def _typed(code: str) -> str:
    """A code as a shell takes it, or the placeholder of the command's usage."""
    return shlex.quote(code) if len(code) <= CODE_CHARS else "CODE"


def advice(
    event: Event,
    status_page: str | None,
    language: Language = "en",
    around: Around = Around(),  # noqa: B008 - frozen
) -> str:
    """A few sentences on one line, or "" where there is nothing to do.

    `status_page` is the partner's, where the settings name one; `around` is what the events next to this
    one say (`decision/cause.py`).
    """
    attempt = event.attempt
    values = {
        "partner": attempt.partner or "",
        "code": _typed(attempt.credential or ""),
        "door": shlex.quote(attempt.door),
        "id": attempt.id,
        "page": f" ({status_page})" if status_page else "",
        "status": event.outcome.status,
    }
    keys = cause_of(event, around).advice
    if around.refuses_everyone:
        keys = ("refuses_everyone", *keys)
    return " ".join(chosen(SENTENCES[key], language).format(**values) for key in keys)
