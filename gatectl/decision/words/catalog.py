"""The messages for people: their German, and the text that `journalctl -x` shows below them.

`scripts/catalogs` writes the journal's catalogs from these.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatectl.decision.outcomes import Message
from gatectl.decision.words import Language, Pair, chosen


@dataclass(frozen=True, slots=True)
class MessageWords:
    """The words of one message, apart from the English line itself."""

    german: str
    explanation: Pair
    """Paragraphs in lines of at most 110 characters, as the catalog has them; `@NAME@` is a journal field."""


MESSAGES = {
    Message.CHECKED_IN: MessageWords(
        "Mitglied des Partners eingecheckt",
        (
            """\
The partner admitted the member, or the settings let in members who are in already (basis: @GATECTL_BASIS@).
The gate was opened.
""",
            """\
Der Partner hat das Mitglied zugelassen, oder die Einstellungen lassen ein, wer schon eingecheckt ist
(Grundlage: @GATECTL_BASIS@). Das Tor wurde geöffnet.
""",
        ),
    ),
    Message.NOT_ALLOWED: MessageWords(
        "Check-in des Mitglieds nicht erlaubt",
        (
            """\
The partner knows the member and declines: a quota is used up, the contract has ended, or a
payment is open. gatectl and the network did their part.

Ask the member to contact the partner; at Capitan, to come to the front desk. Where the check-in has expired
or was cancelled (Wellhub), the member performs it again in the app. A member who has been checked in already
and stands outside can be let in with `gatectl open @GATECTL_DOOR@ --reason TEXT`, or by already_in_per_day in
the settings.
Everyone is refused: check the partner's key, url and IDs in the settings first.
""",
            """\
Der Partner kennt das Mitglied und lehnt ab: Kontingent verbraucht, Vertrag beendet oder Zahlung
offen. gatectl und das Netz haben ihren Teil getan.

Das Mitglied soll sich an den Partner wenden, bei Capitan an den Empfang. Ist der Check-in abgelaufen oder
storniert (Wellhub), checkt das Mitglied in der App noch einmal ein. Ein Mitglied, das schon eingecheckt ist
und draußen steht, lässt `gatectl open @GATECTL_DOOR@ --reason TEXT` ein, oder already_in_per_day in den
Einstellungen.
Alle werden abgelehnt: zuerst Schlüssel, url und IDs des Partners in den Einstellungen prüfen.
""",
        ),
    ),
    Message.NOT_FOUND: MessageWords(
        "Mitglied beim Partner nicht gefunden",
        (
            """\
The partner does not know this member number, or (Wellhub) has no check-in waiting for it.

Look at the card's number first, which may be stored incorrectly: `gatectl route CODE` shows which one was
sent. Ask the member to check in in the partner's app, if it has one, and else to contact the partner.
Everyone is refused: check the partner's key, url and IDs in the settings first.
""",
            """\
Der Partner kennt diese Mitgliedsnummer nicht, oder es liegt (Wellhub) kein Check-in für sie vor.

Zuerst die Nummer der Karte ansehen, sie kann falsch hinterlegt sein: `gatectl route CODE` zeigt, welche
gesendet wurde. Das Mitglied soll in der App des Partners einchecken, wenn es eine gibt, und sich sonst an den
Partner wenden.
Alle werden abgelehnt: zuerst Schlüssel, url und IDs des Partners in den Einstellungen prüfen.
""",
        ),
    ),
    Message.NO_VERDICT: MessageWords(
        "Check-in nicht möglich, Verbindungsfehler zum Partner, bitte noch einmal versuchen",
        (
            """\
The partner gave no verdict: @GATECTL_FAULT@. network, tls and timeout lie between this door and the
partner; partner is an error of the partner itself; credentials is the key of this gym, or an ID (gym_id) that
the key is not for; configuration is another of its settings.
What exactly failed, where it is known: @GATECTL_DETAIL@

One member: try again in five minutes. Everyone, and the requests go out: it is an outage; see the partner's
status page. Nothing goes out, or several partners fail at once: look at this door's own network and clock
first (`gatectl check --connect`, `timedatectl`).
A request that did not go out, a wrong url (3xx, 404, 405), credentials or configuration: contact Support with
`gatectl report @GATECTL_EVENT_ID@`.
""",
            """\
Der Partner hat nicht entschieden: @GATECTL_FAULT@. network, tls und timeout liegen zwischen dieser Tür und
dem Partner; partner ist ein Fehler des Partners selbst; credentials ist der Schlüssel dieses Studios oder
eine ID (gym_id), für die er nicht gilt; configuration eine andere seiner Einstellungen.
Was genau fehlschlug, soweit bekannt: @GATECTL_DETAIL@

Ein Mitglied: in fünf Minuten noch einmal. Alle, und die Anfragen gehen hinaus: ein Ausfall; siehe die
Statusseite des Partners. Nichts geht hinaus, oder mehrere Partner versagen zugleich: zuerst das eigene Netz
und die Uhr dieser Tür prüfen (`gatectl check --connect`, `timedatectl`).
Eine Anfrage, die nicht hinausging, eine falsche url (3xx, 404, 405), credentials oder configuration: Support,
mit `gatectl report @GATECTL_EVENT_ID@`.
""",
        ),
    ),
    Message.NOT_RECOGNISED: MessageWords(
        "Code nicht erkannt",
        (
            """\
No enrolled card and no route takes this code, or a number that its partner is asked with is missing or
none that it can have. Nobody was asked.

`gatectl route CODE` shows what was tried. Enrol the card with `gatectl cards add`, or add a route.
""",
            """\
Keine hinterlegte Karte und keine Route nimmt diesen Code, oder eine Nummer, mit der sein Partner gefragt
wird, fehlt oder kann keine sein. Niemand wurde gefragt.

`gatectl route CODE` zeigt, was versucht wurde. Die Karte mit `gatectl cards add` hinterlegen oder
eine Route ergänzen.
""",
        ),
    ),
    Message.CARDS_UNAVAILABLE: MessageWords(
        "Karten nicht verfügbar, bitte noch einmal versuchen",
        (
            """\
The store with the enrolled cards cannot be read yet. Until it can, no code is tried on the routes: it might
be somebody's card. Nobody was asked.

Ask the member to scan again. If it stays so, `gatectl status` says what is wrong with the store.
Contact Support with `gatectl report @GATECTL_EVENT_ID@`.
""",
            """\
Die Datenbank mit den Karten ist noch nicht zu lesen. So lange geht kein Code an die Muster (routes): er
könnte die Karte eines Mitglieds sein. Niemand wurde gefragt.

Das Mitglied soll noch einmal scannen. Bleibt es dabei, sagt `gatectl status`, was der Datenbank fehlt.
Support, mit `gatectl report @GATECTL_EVENT_ID@`.
""",
        ),
    ),
    Message.INTERRUPTED: MessageWords(
        "Unterbrochen: der Ausgang wurde nicht erfasst",
        (
            """\
gatectl or the machine stopped while this scan was decided. The request may have reached the partner.

Ask the member to scan again. If the partner then says that the member is in already, see settle_s.
""",
            """\
gatectl oder der Rechner endete, während über diesen Scan entschieden wurde. Die Anfrage kann beim
Partner angekommen sein.

Das Mitglied soll noch einmal scannen. Sagt der Partner dann, es sei schon eingecheckt: siehe settle_s.
""",
        ),
    ),
    Message.GATE_STAYED_SHUT: MessageWords(
        "Eingecheckt, aber das Tor ging nicht auf",
        (
            """\
The partner admitted the member, but the relay could not be energised: the member stands outside.

Open with `gatectl open @GATECTL_DOOR@ --reason TEXT`, then look at the relay and its wiring.
Contact Support with `gatectl report @GATECTL_EVENT_ID@`.
""",
            """\
Der Partner hat das Mitglied zugelassen, aber das Relais zog nicht an: das Mitglied steht draußen.

Mit `gatectl open @GATECTL_DOOR@ --reason TEXT` öffnen, dann Relais und Verdrahtung prüfen.
Support, mit `gatectl report @GATECTL_EVENT_ID@`.
""",
        ),
    ),
    Message.GATE_OUT_OF_ORDER: MessageWords(
        "Tor außer Betrieb",
        (
            """\
The relay of this gate cannot be driven. Nobody was asked, so no check-in was counted.

`gatectl status` says what is wrong with it. Look at the relay, its pin and its wiring.
Contact Support with `gatectl report @GATECTL_EVENT_ID@`.
""",
            """\
Das Relais dieses Tors lässt sich nicht schalten. Niemand wurde gefragt, also wurde kein Check-in gezählt.

`gatectl status` sagt, was ihm fehlt. Relais, Pin und Verdrahtung prüfen.
Support, mit `gatectl report @GATECTL_EVENT_ID@`.
""",
        ),
    ),
    Message.AGAIN: MessageWords(
        "Noch einmal eingelassen: war nicht durchgegangen",
        (
            """\
The member had been admitted a moment ago and did not pass, so the same code opened the gate once more.
Nobody was asked: the partner would refuse a second check-in, or charge for it. GATECTL_OF names the first
scan.
""",
            """\
Das Mitglied war kurz zuvor zugelassen worden und ging nicht durch; derselbe Code öffnete noch einmal.
Niemand wurde gefragt: der Partner würde einen zweiten Check-in ablehnen oder berechnen. GATECTL_OF nennt
den ersten Scan.
""",
        ),
    ),
    Message.CAME_BACK: MessageWords(
        "Noch einmal eingelassen: kam zurück",
        (
            """\
The partner was asked, and refused because of an earlier visit. The member passed this site's gate within
doors.@GATECTL_DOOR@.return_min, and was let in again. The partner counts no second check-in.
""",
            """\
Der Partner wurde gefragt und lehnte wegen eines früheren Besuchs ab. Das Mitglied ging innerhalb von
doors.@GATECTL_DOOR@.return_min durch ein Tor dieses Studios und wurde noch einmal eingelassen. Der Partner
zählt keinen zweiten Check-in.
""",
        ),
    ),
    Message.GRACE: MessageWords(
        "Ohne den Partner eingelassen: Störung",
        (
            """\
@GATECTL_PARTNER@ fails for everyone (@GATECTL_FAULT@). It had admitted this member here lately, and the
settings let such members in during an outage, up to their limits (grace).

The visit may not be paid. `gatectl grace` lists all of them, for settling with the partner.
""",
            """\
@GATECTL_PARTNER@ versagt bei allen (@GATECTL_FAULT@). Der Partner hatte dieses Mitglied hier kürzlich
zugelassen, und die Einstellungen lassen solche Mitglieder während einer Störung ein, bis zu ihren Grenzen
(grace).

Der Besuch wird vielleicht nicht bezahlt. `gatectl grace` listet alle, zur Abrechnung mit dem Partner.
""",
        ),
    ),
    Message.PASSED: MessageWords(
        "Durchgegangen",
        (
            """\
The member passed the gate. GATECTL_OF names the scan.
""",
            """\
Das Mitglied ging durch das Tor. GATECTL_OF nennt den Scan.
""",
        ),
    ),
    Message.NOT_PASSED: MessageWords(
        "Zugelassen, aber nicht durchgegangen",
        (
            """\
The gate was opened, and the passage sensor (or the door contact) saw nobody within its time. The partner
counts the check-in all the same, unless it is made only after the passage (check_in = "passage").

The same code opens once more within doors.@GATECTL_DOOR@.again_s; a partner that has not checked the member
in is asked once more. If members do pass, look at the sensor and its wiring.
""",
            """\
Das Tor war offen, und der Durchgangssensor (oder der Türkontakt) sah in seiner Zeit niemanden. Der Partner
zählt den Check-in trotzdem, außer wenn er erst nach dem Durchgang folgt (check_in = "passage").

Derselbe Code öffnet innerhalb von doors.@GATECTL_DOOR@.again_s noch einmal; ein Partner, der das Mitglied
nicht eingecheckt hat, wird noch einmal gefragt. Gehen die Mitglieder durch, Sensor und Verdrahtung prüfen.
""",
        ),
    ),
    Message.CHECKED_IN_AFTER: MessageWords(
        "Nach dem Durchgang eingecheckt",
        (
            """\
The partner had been asked without checking in (check_in = "passage"), the member passed, and now the check-in
was made. GATECTL_OF names the scan.
""",
            """\
Der Partner war ohne Check-in gefragt worden (check_in = "passage"), das Mitglied ging durch, und jetzt wurde
es eingecheckt. GATECTL_OF nennt den Scan.
""",
        ),
    ),
    Message.NOT_CHECKED_IN: MessageWords(
        "Durchgegangen, aber nicht eingecheckt",
        (
            """\
The partner had been asked without checking in (check_in = "passage"), and the member passed; but the check-in
that follows was refused, was not answered, or gatectl stopped. It is sent once and not repeated. The event's
request.sent says whether it may have counted. GATECTL_OF names the scan.

Check the member in at the front desk, after a look in the gym's software whether it counted.
""",
            """\
Der Partner war ohne Check-in gefragt worden (check_in = "passage"), und das Mitglied ging durch; aber der
Check-in danach wurde abgelehnt, blieb ohne Antwort, oder gatectl hielt an. Er wird einmal gesendet und nicht
wiederholt. request.sent des Ereignisses sagt, ob er gezählt haben kann. GATECTL_OF nennt den Scan.

Das Mitglied am Empfang einchecken; zuvor in der Software des Studios nachsehen, ob es zählte.
""",
        ),
    ),
    Message.UNEXPECTED: MessageWords(
        "Durchgang ohne Zulassung",
        (
            """\
The passage sensor saw somebody whom nobody had admitted: two on one admission, somebody on the way out, or
a sensor that is wired wrongly.
""",
            """\
Der Durchgangssensor sah jemanden, den niemand zugelassen hatte: zwei auf eine Zulassung, jemand auf dem Weg
hinaus, oder ein falsch angeschlossener Sensor.
""",
        ),
    ),
    Message.LEFT: MessageWords(
        "Hinausgegangen",
        (
            """\
The exit's own sensor saw somebody leave.
""",
            """\
Der Sensor des Ausgangs sah jemanden hinausgehen.
""",
        ),
    ),
    Message.LET_IN_BY_FIRE: MessageWords(
        "Eingelassen: Brandalarm",
        (
            """\
The fire input is active, so the gate is open and nobody was asked.
""",
            """\
Der Brandmeldeeingang ist aktiv, das Tor ist offen, und niemand wurde gefragt.
""",
        ),
    ),
    Message.CLOSED: MessageWords(
        "Zu dieser Zeit geschlossen",
        (
            """\
The schedule doors.@GATECTL_DOOR@.closed lets nobody in at this time. Nobody was asked, so no check-in was
counted.
""",
            """\
Der Zeitplan doors.@GATECTL_DOOR@.closed lässt zu dieser Zeit niemanden ein. Niemand wurde gefragt, also
wurde kein Check-in gezählt.
""",
        ),
    ),
    Message.LOCKED_DOWN: MessageWords(
        "Gesperrt",
        (
            """\
Somebody locked this door down: nobody is let in or asked, also after a restart. Exit and fire still open.
`gatectl normal @GATECTL_DOOR@` ends it.
""",
            """\
Jemand hat diese Tür gesperrt: niemand wird eingelassen oder gefragt, auch nach einem Neustart. Ausgang und
Brandmelder öffnen. `gatectl normal @GATECTL_DOOR@` beendet das.
""",
        ),
    ),
    Message.FIRE: MessageWords(
        "Brandalarm",
        (
            """\
The fire input is active: the gate is open until it no longer is, and no alarm of the door is raised.

Nobody may depend on this software to get out: the alarm's own wire to the lock's supply, or to the
turnstile, comes first.
""",
            """\
Der Brandmeldeeingang ist aktiv: das Tor ist offen, bis er es nicht mehr ist, und die Tür gibt keine Alarme.

Niemand darf für den Weg nach draußen auf diese Software angewiesen sein: zuerst kommt der eigene Draht des
Melders zur Versorgung des Schlosses oder zum Drehkreuz.
""",
        ),
    ),
    Message.HELD: MessageWords(
        "Offen gehalten",
        (
            """\
A person or a schedule keeps the gate open. Scans are still decided and recorded; the door contact raises no
alarm. `gatectl normal @GATECTL_DOOR@` ends it earlier.
""",
            """\
Ein Mensch oder ein Zeitplan hält das Tor offen. Scans werden weiter entschieden und erfasst; der Türkontakt
gibt keinen Alarm. `gatectl normal @GATECTL_DOOR@` beendet das früher.
""",
        ),
    ),
    Message.CLOSED_BY_SCHEDULE: MessageWords(
        "Geschlossen nach Zeitplan",
        (
            """\
Nobody is let in or asked until the schedule ends; the way out works.
""",
            """\
Bis der Zeitplan endet, wird niemand eingelassen oder gefragt; der Ausgang geht.
""",
        ),
    ),
    Message.NORMAL_AGAIN: MessageWords(
        "Wieder normal",
        (
            """\
The door's mode has ended.
""",
            """\
Die Betriebsart der Tür ist beendet.
""",
        ),
    ),
    Message.EXIT: MessageWords(
        "Ausgang",
        (
            """\
Somebody pressed the exit button, or a scanner on the inside read a code; the way out was opened.

Nobody may depend on this software to get out: a button that cuts the lock's power by wire comes first.
""",
            """\
Jemand hat den Ausgangstaster gedrückt, oder ein Scanner innen hat einen Code gelesen; der Ausgang wurde
geöffnet.

Niemand darf für den Weg nach draußen auf diese Software angewiesen sein: zuerst kommt ein Taster, der das
Schloss über den Draht stromlos macht.
""",
        ),
    ),
    Message.FORCED: MessageWords(
        "Tür aufgebrochen",
        (
            """\
The door contact opened while nothing unlocked the door: no admission, no exit, no opening by hand.

Look at the door. If people leave through it, give it an exit button (doors.@GATECTL_DOOR@.exit) or wire the
second contact of the one it has.
""",
            """\
Der Türkontakt ging auf, ohne dass etwas die Tür entriegelt hatte: kein Einlass, kein Ausgang, keine Öffnung
von Hand.

Nach der Tür sehen. Wird sie zum Hinausgehen benutzt, braucht sie einen Ausgangstaster
(doors.@GATECTL_DOOR@.exit), oder der zweite Kontakt des vorhandenen gehört angeschlossen.
""",
        ),
    ),
    Message.HELD_OPEN: MessageWords(
        "Tür steht offen",
        (
            """\
The door has been open for longer than doors.@GATECTL_DOOR@.contact.held_s.

Close the door. If it is closed, look at the contact and its wiring.
""",
            """\
Die Tür ist länger offen als doors.@GATECTL_DOOR@.contact.held_s.

Die Tür schließen. Ist sie zu, Türkontakt und Verdrahtung prüfen.
""",
        ),
    ),
    Message.CLOSED_AGAIN: MessageWords(
        "Tür wieder zu",
        (
            """\
A door that was forced or stood open is closed. GATECTL_OF names the alarm.
""",
            """\
Eine Tür, die aufgebrochen wurde oder offen stand, ist wieder zu. GATECTL_OF nennt den Alarm.
""",
        ),
    ),
    Message.INPUT: MessageWords(
        "Eingang des Tors",
        (
            """\
What happened to an input: it is stuck (active for too long), is suspect (a passage sensor that was active
at the start, or saw none of ten members), flutters (more than 20 changes a minute), is lost (its pin cannot
be read), or works again. The door goes on; alarms of an input that flutters or is lost are suspended.

Look at its wiring. `gatectl status` shows every input. What exactly failed, where it is known:
@GATECTL_DETAIL@
""",
            """\
Was einem Eingang fehlt: er klemmt (is stuck: zu lange aktiv), ist verdächtig (is suspect: ein
Durchgangssensor, der beim Start aktiv war oder zehn Mitglieder nicht sah), flattert (flutters: mehr als 20
Wechsel in einer Minute), ist verloren (is lost: sein Pin ist nicht zu lesen), oder er geht wieder (works
again). Die Tür arbeitet weiter; Alarme eines Eingangs, der flattert oder verloren ist, ruhen.

Die Verdrahtung prüfen. `gatectl status` zeigt jeden Eingang. Was genau fehlschlug, soweit bekannt:
@GATECTL_DETAIL@
""",
        ),
    ),
    Message.ERASED: MessageWords(
        "Daten eines Mitglieds gelöscht",
        (
            """\
Somebody ran `gatectl erase`: one member's numbers were taken out of all events, and the member's cards were
removed. The events themselves stay.

Backups, reports and this journal keep what they have.
""",
            """\
Jemand hat `gatectl erase` ausgeführt: die Nummern eines Mitglieds wurden aus allen Ereignissen entfernt,
seine Karten gelöscht. Die Ereignisse selbst bleiben.

Sicherungen, Berichte und dieses Journal behalten, was sie haben.
""",
        ),
    ),
    Message.OPENED_BY_HAND: MessageWords(
        "Von Hand geöffnet",
        (
            """\
A person opened the gate with `gatectl open`.
""",
            """\
Ein Mensch hat das Tor mit `gatectl open` geöffnet.
""",
        ),
    ),
    Message.REFUSING_EVERYONE: MessageWords(
        "Ein Partner lehnt alle ab",
        (
            """\
The partner refused five different members in a row, and admitted none between. Its verdicts stay as they are.

A wrong key, url or ID looks like that: check those of @GATECTL_PARTNER@ in the settings, then
`systemctl restart gatectl`. If they are right, the members contact the partner.
""",
            """\
Der Partner lehnte fünf verschiedene Mitglieder nacheinander ab und ließ dazwischen keines ein. Seine Urteile
bleiben, wie sie sind.

So sieht ein falscher Schlüssel, eine falsche url oder ID aus: die von @GATECTL_PARTNER@ in den Einstellungen
prüfen, dann `systemctl restart gatectl`. Stimmen sie, wenden sich die Mitglieder an den Partner.
""",
        ),
    ),
}


_BY_LINE = {message.value: words for message, words in MESSAGES.items()}


def in_words(language: Language, message: str) -> str:
    """An event's message for a reader of this language; one that is not in the table stays as it is."""
    head, colon, reason = message.partition(": ")
    if language == "en":
        return message
    if message in _BY_LINE:
        return _BY_LINE[message].german
    return f"{_BY_LINE[head].german}{colon}{reason}" if head in _BY_LINE else message


_HEADS: Pair = (
    "# The texts that `journalctl -x` shows below gatectl's entries. Written by scripts/catalogs.",
    "# Die Texte, die `journalctl -x` unter gatectls Einträgen zeigt. Geschrieben von scripts/catalogs.",
)


def catalog(language: Language) -> str:
    """The whole file for `journalctl --update-catalog` in this language."""
    entries = (
        f"-- {message.catalog_id}\nSubject: {message}\nDefined-By: gatectl\n\n"
        f"{chosen(words.explanation, language)}"
        for message, words in MESSAGES.items()
    )
    return "\n".join([f"{chosen(_HEADS, language)}\n", *entries])
