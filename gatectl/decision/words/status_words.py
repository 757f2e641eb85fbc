"""Words about inputs, partners and store in the daemon's status: for terminal and monitor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from gatectl.decision.cause import is_for_another_url
from gatectl.decision.door.inputs import CONDITIONS, THINGS, InputHealth, InputName
from gatectl.decision.outcomes import Message
from gatectl.decision.partner_condition import OUT_OF_ORDER, Condition
from gatectl.decision.words import Language, Pair, chosen
from gatectl.decision.words.catalog import in_words


class NotWell(NamedTuple):
    """One thing that is not well, and what to do about it."""

    words: str
    advice: str


class InputWords(NamedTuple):
    """One input of a door, and whether the door trusts it."""

    thing: str
    condition: str
    is_trusted: bool


class _Input(NamedTuple):
    german: str
    at_rest: Pair
    active: Pair


_SENSOR: tuple[Pair, Pair] = ("free", "frei"), ("sees somebody", "sieht jemanden")

_INPUTS = {
    InputName.PASSAGE: _Input("Durchgangssensor", *_SENSOR),
    InputName.CONTACT: _Input("Türkontakt", ("closed", "zu"), ("open", "offen")),
    InputName.FIRE: _Input("Brandmeldeeingang", ("quiet", "ruhig"), ("active", "aktiv")),
    InputName.EXIT: _Input("Ausgangstaster", ("not pressed", "nicht gedrückt"), ("pressed", "gedrückt")),
    InputName.EXIT_PASSAGE: _Input("Durchgangssensor des Ausgangs", *_SENSOR),
}

_UNREAD: Pair = "not read yet", "noch nicht gelesen"

_DISTRUSTED = {
    InputHealth.STUCK: "klemmt",
    InputHealth.SUSPECT: "ist verdächtig",
    InputHealth.FLUTTERS: "flattert",
    InputHealth.LOST: "ist verloren",
}


_MODES: dict[str, Pair] = {
    "fire": ("fire alarm", "Brandalarm"),
    "lockdown": ("locked down", "gesperrt"),
    "held": ("held open", "offen gehalten"),
    "closed": ("closed", "geschlossen"),
}


def mode_words(door: Mapping[str, Any], language: Language = "en") -> str:
    """Return a door's mode with its reason, `locked down: threat`; nothing while it is normal."""
    mode = door.get("mode", {"name": "normal"})  # a daemon of the previous version reports none
    if mode["name"] not in _MODES:
        return ""
    # A gate does not give a person's reason to the head office of its fleet.
    reason = f": {mode['reason']}" if mode.get("reason") else ""
    return chosen(_MODES[mode["name"]], language) + reason


def inside_words(door: Mapping[str, Any], language: Language = "en") -> str:
    """Return how many people are inside, `12 inside`; nothing where the door does not count both ways."""
    inside = door.get("inside")  # a daemon of the previous version reports none
    return "" if inside is None else f"{inside} {chosen(('inside', 'drinnen'), language)}"


_ALARMS = {"forced": Message.FORCED, "held": Message.HELD_OPEN}


def alarm_words(door: Mapping[str, Any], language: Language = "en") -> str:
    """Return the alarm of a door's contact that has not ended, `Door forced open`; nothing without one."""
    alarm = door.get("alarm")  # a daemon of the previous version reports none
    return in_words(language, _ALARMS[alarm["name"]].value) if alarm else ""


def input_words(name: str, state: Mapping[str, Any], language: Language = "en") -> InputWords:
    """Return what an input is, and its condition: its level, after what makes it distrusted if anything."""
    known, health = _INPUTS[InputName(name)], state["state"]
    level = {None: _UNREAD, False: known.at_rest, True: known.active}[state["level"]]
    is_trusted = health not in _DISTRUSTED
    parts = [] if is_trusted else [(CONDITIONS[health], _DISTRUSTED[health])]
    if state["level"] is not None or is_trusted:
        parts.append(level)
    condition = ", ".join(chosen(part, language) for part in parts)
    return InputWords(chosen((THINGS[InputName(name)], known.german), language), condition, is_trusted)


_ADVICE: dict[str, Pair] = {
    "page": (
        "check the status page of {partner}{page} and contact {partner}.",
        "die Statusseite von {partner}{page} ansehen und {partner} ansprechen.",
    ),
    "no_support": (
        "There is no need to contact Support.",
        "Der Support muss nicht verständigt werden.",
    ),
    "own_side": (
        (
            "Look at this door's own network and clock first (name server, firewall): gatectl check "
            "--connect, timedatectl."
        ),
        (
            "Zuerst das eigene Netz und die Uhr dieser Tür prüfen (Nameserver, Firewall): gatectl check "
            "--connect, timedatectl."
        ),
    ),
    "then_partner": ("If they are in order,", "Sind sie in Ordnung,"),
    "else_support": ("Else it is a case for Support.", "Sonst den Support verständigen."),
    "url": (
        "{partner}'s server has nothing at this url (HTTP {status}): check it in the settings.",
        (
            "Der Server von {partner} hat nichts unter dieser url (HTTP {status}): sie in den Einstellungen "
            "prüfen."
        ),
    ),
    "resting": (
        "{partner} asked for a pause, and is asked again by itself. If it goes on, contact {partner}.",
        (
            "{partner} bat um eine Pause und wird von selbst wieder gefragt. Bleibt es dabei, {partner} "
            "ansprechen."
        ),
    ),
    "key": (
        (
            "No member can fix that. Ask {partner} whether the key is still valid{also}; after a change: "
            "systemctl restart gatectl"
        ),
        (
            "Das kann kein Mitglied beheben. {partner} fragen, ob der Schlüssel noch gilt{also}; nach einer "
            "Änderung: systemctl restart gatectl"
        ),
    ),
    "everyone": (
        (
            "{partner} refused five different members in a row and admitted none: check key, url and IDs in "
            "the settings; after a change: systemctl restart gatectl"
        ),
        (
            "{partner} lehnte fünf verschiedene Mitglieder nacheinander ab und ließ keines ein: Schlüssel, "
            "url und IDs in den Einstellungen prüfen; nach einer Änderung: systemctl restart gatectl"
        ),
    ),
    "out_of_order": (
        (
            "It is not asked, and its members are not let in; the other partners are asked as always. "
            "gatectl check says what to do; then: systemctl restart gatectl"
        ),
        (
            "Er wird nicht gefragt, und seine Mitglieder werden nicht eingelassen; die anderen Partner "
            "werden gefragt wie immer. gatectl check sagt, was zu tun ist; danach: systemctl restart gatectl"
        ),
    ),
    "clock": (
        "Is this machine's clock right, and does the network set it? timedatectl",
        "Geht die Uhr dieses Rechners richtig, und stellt das Netz sie? timedatectl",
    ),
    "tls": (
        "Is the clock right, and does the partner need a ca_file? gatectl check --connect",
        "Geht die Uhr richtig, und braucht der Partner ein ca_file? gatectl check --connect",
    ),
    "connect": ("gatectl check --connect", "gatectl check --connect"),
}


def partner_advice(
    name: str,
    partner: Mapping[str, Any],
    page: str | None,
    language: Language = "en",
    *,
    alone: bool,
    key_advice: Pair = ("", ""),
) -> str:
    """The remedy for a partner's condition; "" for a healthy one. `alone`: the others work.

    `key_advice` is the protocol's own addition where the partner refuses the key.
    """
    failing = partner["failing"]
    also = chosen(key_advice, language)
    values = {
        "partner": name,
        "page": f" ({page})" if page else "",
        "status": failing and failing["status"],
        "also": f", {also}" if also else "",
    }
    sentences = (chosen(_ADVICE[key], language).format(**values) for key in _keys(partner, alone=alone))
    text = " ".join(sentences)
    return text[:1].upper() + text[1:] if partner["state"] == Condition.OUTAGE else text


def _keys(partner: Mapping[str, Any], *, alone: bool) -> tuple[str, ...]:
    lost, failing = partner["unconnected"], partner["failing"]
    match partner["state"]:
        case Condition.OUTAGE:
            if failing and is_for_another_url(failing["status"]):
                return ("url",)
            if lost is None and alone:
                return "page", "no_support"
            return "own_side", "then_partner", "page", "else_support"
        case Condition.RESTING:
            return ("resting",)
        case state if state == OUT_OF_ORDER:
            return ("out_of_order",)
        case Condition.REFUSING_KEY:
            return ("key",)
        case Condition.REFUSING_EVERYONE:
            return ("everyone",)
    if lost is None:
        return ()
    if "not yet valid" in lost["detail"]:
        return ("clock",)
    return ({"network": "own_side", "tls": "tls"}.get(lost["fault"], "connect"),)


_GRACE: Pair = (
    "members whom it admitted here lately are let in without it until {until}, {left} more at most",
    "bis {until} wird ohne ihn eingelassen, wen er hier kürzlich zugelassen hat, höchstens noch {left}",
)
_GRACE_USED_UP: Pair = "its grace is used up", "die Karenz ist aufgebraucht"


def grace_words(partner: Mapping[str, Any], when: Callable[[str], str], language: Language = "en") -> str:
    """Return that members are let in during an outage, and how many more; "" where none is."""
    grace = partner.get("grace")  # a daemon of the previous version reports none
    if not grace:
        return ""
    if grace["admissions_left"] == 0:
        return chosen(_GRACE_USED_UP, language)
    return chosen(_GRACE, language).format(until=when(grace["until"]), left=grace["admissions_left"])


_DISK: Pair = (
    (
        "Members are still let in; the records follow when the disk takes them. Is it full or failing? df "
        "-h, journalctl -k"
    ),
    (
        "Mitglieder werden weiter eingelassen; die Einträge folgen, sobald die Platte sie nimmt. Ist sie "
        "voll oder defekt? df -h, journalctl -k"
    ),
)

_STORE: dict[str, tuple[Pair, Pair]] = {
    "cards": (
        (
            "the enrolled cards cannot be read: every code is rejected",
            "die Karten sind nicht lesbar, also wird jeder Code abgewiesen",
        ),
        (
            (
                "They are kept in the journal's file. Does another program hold it, is the disk failing? "
                "journalctl -u gatectl"
            ),
            (
                "Sie liegen in der Datei des Journals. Hält ein anderes Programm sie fest, ist die Platte "
                "defekt? journalctl -u gatectl"
            ),
        ),
    ),
    "repair": (
        ("journal: {error}; {late} records wait", "Journal: {error}; {late} Einträge warten"),
        (
            "Members are still let in; the records follow when it is repaired. journalctl -u gatectl",
            (
                "Mitglieder werden weiter eingelassen; die Einträge folgen, sobald es repariert ist. "
                "journalctl -u gatectl"
            ),
        ),
    ),
    "error": (("journal: {error}; {late} records wait", "Journal: {error}; {late} Einträge warten"), _DISK),
    "lost": (
        (
            "journal: written, but {lost} records were lost",
            "Journal: geschrieben, aber {lost} Einträge gingen verloren",
        ),
        _DISK,
    ),
    "in_memory": (
        (
            "journal: written to memory, no record and no enrolled card outlives the power",
            "Journal: liegt im Arbeitsspeicher, kein Eintrag und keine Karte überlebt einen Stromausfall",
        ),
        (
            (
                "Put journal.path on a disk that is written to: on Raspberry Pi OS a partition or a stick of "
                "its own, or raspi-config, Performance, Overlay File System: off."
            ),
            (
                "journal.path auf einen Datenträger legen, der beschrieben wird: auf Raspberry Pi OS eine "
                "eigene Partition oder ein Stick, oder raspi-config, Performance, Overlay File System: aus."
            ),
        ),
    ),
    "damaged": (
        (
            (
                "the journal was damaged or taken away, {since}: {cards} and {events} were carried over into "
                "a new one"
            ),
            (
                "das Journal war beschädigt oder entfernt ({since}): {cards} und {events} wurden in ein "
                "neues übernommen"
            ),
        ),
        (
            (
                "Are all cards there? gatectl cards list. Is the disk failing? journalctl -k. A damaged "
                "file is kept next to the journal. When you know: gatectl status --acknowledge"
            ),
            (
                "Sind alle Karten da? gatectl cards list. Ist die Platte defekt? journalctl -k. Eine "
                "beschädigte Datei liegt neben dem Journal. Ist das geklärt: gatectl status --acknowledge"
            ),
        ),
    ),
}

_CARDS: tuple[Pair, Pair] = ("card", "Karte"), ("cards", "Karten")
_EVENTS: tuple[Pair, Pair] = ("event", "Ereignis"), ("events", "Ereignisse")


def cards_trouble(status: Mapping[str, Any], language: Language = "en") -> NotWell | None:
    """The enrolled cards, where they cannot be read."""
    return _trouble("cards", language) if "cards" in status and status["cards"] is None else None


def journal_trouble(journal: Mapping[str, Any], language: Language = "en") -> NotWell | None:
    """The journal, where it is not written as it should be."""
    if journal["error"] is not None:
        key = "repair" if "is damaged" in journal["error"] else "error"
        return _trouble(key, language, error=journal["error"], late=journal["late"])
    if journal["lost"]:
        return _trouble("lost", language, lost=journal["lost"])
    return _trouble("in_memory", language) if journal.get("in_memory") else None


def damaged_trouble(
    status: Mapping[str, Any], since: Callable[[str], str], language: Language = "en"
) -> NotWell | None:
    """The damage of the journal, until it is acknowledged; `since` puts its time in words."""
    damaged = status.get("damaged")
    if not damaged:
        return None
    cards = _counted(damaged["cards"], _CARDS, language)
    events = _counted(damaged["events"], _EVENTS, language)
    return _trouble("damaged", language, since=since(damaged["since"]), cards=cards, events=events)


def store_troubles(
    status: Mapping[str, Any], since: Callable[[str], str], language: Language
) -> Iterator[NotWell]:
    """All that is not well with cards and journal."""
    for found in (
        cards_trouble(status, language),
        damaged_trouble(status, since, language),
        journal_trouble(status["journal"], language),
    ):
        if found is not None:
            yield found


def _counted(count: int, words: tuple[Pair, Pair], language: Language) -> str:
    """`1 card`, `12 cards`."""
    return f"{count} {chosen(words[count != 1], language)}"


def _trouble(key: str, language: Language, **values: object) -> NotWell:
    words, advice = (chosen(pair, language) for pair in _STORE[key])
    return NotWell(words.format(**values), advice)
