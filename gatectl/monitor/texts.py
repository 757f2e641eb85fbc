"""The texts of the pages, in English and in German, apart from the words in `decision/words/`.

Support identifies the Event Monitor's three lines by their English wording, so a German page shows both.
"""

from __future__ import annotations

from gatectl.decision.words import Language, Pair, chosen

TEXTS: dict[str, Pair] = {
    "title": ("Event Monitor", "Event Monitor"),
    "events": ("Events", "Ereignisse"),
    "skip": ("Skip to the events", "Zu den Ereignissen springen"),
    "other_language": ("Deutsch", "English"),
    "sign_out": ("Sign out", "Abmelden"),
    "sign_in": ("Sign in", "Anmelden"),
    "password": ("Password", "Passwort"),
    "wrong_password": ("That is not the password.", "Das ist nicht das Passwort."),
    "link_ended": (
        "The link of this display has ended. A new one comes from: gatectl monitor link {door}",
        "Der Link dieser Anzeige gilt nicht mehr. Einen neuen gibt: gatectl monitor link {door}",
    ),
    "too_many_tries": (
        "Too many wrong passwords. Try again in {seconds} seconds.",
        "Zu viele falsche Passwörter. Nächster Versuch in {seconds} Sekunden.",
    ),
    "live": ("Live", "Live"),
    "live_lost": ("Not connected; trying again", "Nicht verbunden; neuer Versuch läuft"),
    "pause": ("Pause", "Anhalten"),
    "go_on": ("Go on", "Weiter"),
    "waiting": ("{count} new", "{count} neue"),
    "filters": ("Filters", "Filter"),
    "any": ("any", "alle"),
    "door": ("Door", "Tür"),
    "partner": ("Partner", "Partner"),
    "member": ("Member", "Mitglied"),
    "grace": ("Let in during outages", "Bei Störungen eingelassen"),
    "grace_why": (
        (
            "These members were let in without their partner's word. The partner may not pay for the visits; "
            "one that is perhaps counted was asked about, without a verdict."
        ),
        (
            "Diese Mitglieder wurden ohne das Wort ihres Partners eingelassen. Er bezahlt die Besuche "
            "vielleicht nicht; nach einem vielleicht gezählten wurde er gefragt und gab kein Urteil."
        ),
    ),
    "counted": ("Counted", "Gezählt"),
    "grace_none": ("Nobody was let in during an outage.", "Niemand wurde bei einer Störung eingelassen."),
    "result": ("Result", "Ergebnis"),
    "since": ("From", "Von"),
    "until": ("To", "Bis"),
    "show": ("Show", "Anzeigen"),
    "clear": ("Clear", "Zurücksetzen"),
    "time": ("Time", "Zeit"),
    "download": ("Download as CSV", "Als CSV herunterladen"),
    "incomplete": (
        "incomplete: the journal cannot be read any further",
        "unvollständig: das Journal kann nicht weiter gelesen werden",
    ),
    "device": ("Gate", "Tor"),
    "day_chart": ("Chart of a day", "Diagramm eines Tages"),
    "fleet": ("Fleet", "Flotte"),
    "fleet_online": ("online since {since}", "verbunden seit {since}"),
    "fleet_offline": ("offline since {since}", "nicht verbunden seit {since}"),
    "fleet_unheard": (
        "not heard of since {since}, as the broker was away",
        "nichts gehört seit {since}, weil der Broker weg war",
    ),
    "fleet_last_known": ("{state} (last known)", "{state} (zuletzt bekannt)"),
    "fleet_broker_away": (
        (
            "Ingest has not reached the broker since {since}, so no gate can be heard. The gates go on by "
            "themselves; their events come in once it is back."
        ),
        (
            "Ingest erreicht den Broker seit {since} nicht, daher ist kein Tor zu hören. Die Tore arbeiten "
            "selbständig weiter; ihre Ereignisse kommen an, sobald er wieder da ist."
        ),
    ),
    "fleet_ingest_away": (
        (
            "Nothing comes in: gatectl fleet ingest is not connected to the database. The gates go on by "
            "themselves; their events come in once it is back."
        ),
        (
            "Nichts kommt an: gatectl fleet ingest ist nicht mit der Datenbank verbunden. Die Tore arbeiten "
            "selbständig weiter; ihre Ereignisse kommen an, sobald es wieder da ist."
        ),
    ),
    "fleet_database_away": (
        (
            "The events cannot be read: PostgreSQL cannot be reached. The gates go on by themselves and keep "
            "their events, which come in once it is back."
        ),
        (
            "Die Ereignisse können nicht gelesen werden: PostgreSQL ist nicht zu erreichen. Die Tore "
            "arbeiten selbständig weiter und behalten ihre Ereignisse, die später ankommen."
        ),
    ),
    "fleet_behind": ("{count} events behind", "{count} Ereignisse zurück"),
    "fleet_behind_since": ("{count} events behind, since {since}", "{count} Ereignisse zurück, seit {since}"),
    "fleet_behind_unknown": ("not known while offline", "unbekannt, solange nicht verbunden"),
    "fleet_unreadable": (
        "its health cannot be shown: the gate has another version of gatectl",
        "sein Zustand lässt sich nicht zeigen: das Tor hat eine andere Version von gatectl",
    ),
    "fleet_clock": ("its clock was at {at} when it was {right}", "Uhr stand auf {at}, als es {right} war"),
    "fleet_daemon_away": ("gatectl does not answer there", "gatectl antwortet dort nicht"),
    "fleet_gates": ("Gates", "Tore"),
    "fleet_gates_online": ("{online} of {all} online", "{online} von {all} verbunden"),
    "fleet_fails_at": ("fails at {count} of {all} studios", "gestört in {count} von {all} Studios"),
    "fleet_partner_fails": (
        "{partner} fails at {count} of {all} studios: {studios}. So it is rather {partner} than their lines.",
        (
            "{partner} ist in {count} von {all} Studios gestört: {studios}. Es liegt also eher an {partner} "
            "als an deren Leitungen."
        ),
    ),
    "fleet_are_offline": ("Gates offline: {count} ({gates}).", "Tore nicht verbunden: {count} ({gates})."),
    "fleet_end_soon": (
        "Certificates that end within 30 days: {count} ({gates}). gatectl fleet sign renews one.",
        "Zertifikate, die in 30 Tagen enden: {count} ({gates}). gatectl fleet sign erneuert eines.",
    ),
    "fleet_ill": (
        "Gates that need somebody: {count} ({gates}). The fleet's page says why.",
        "Tore, um die sich jemand kümmern muss: {count} ({gates}). Die Seite der Flotte sagt, warum.",
    ),
    "fleet_and_more": ("and {count} more", "und {count} weitere"),
    "fleet_alarm": (
        "{device}: {about} (since {since}, last at {last}, {count} times).",
        "{device}: {about} (seit {since}, zuletzt {last}, {count}-mal).",
    ),
    "fleet_two_machines": (
        "two machines write under this name, as when an SD card was cloned",
        "zwei Rechner schreiben unter diesem Namen, wie nach dem Kopieren einer SD-Karte",
    ),
    "fleet_new_generation": (
        "its journal went back in time, as when an old image is restored",
        "sein Journal ging in der Zeit zurück, wie nach dem Einspielen eines alten Abbilds",
    ),
    "fleet_pruned": (
        "events were pruned at the gate before they could be sent",
        "Ereignisse wurden am Tor gelöscht, bevor sie gesendet werden konnten",
    ),
    "fleet_refused": ("its messages cannot be read", "seine Nachrichten lassen sich nicht lesen"),
    "fleet_alarms": ("Alarms", "Alarme"),
    "fleet_state": ("Connection", "Verbindung"),
    "fleet_backlog": ("Not here yet", "Noch nicht hier"),
    "fleet_troubles": ("Trouble", "Störung"),
    "fleet_certificate": ("Certificate until", "Zertifikat bis"),
    "fleet_settings": ("Settings", "Einstellungen"),
    "fleet_differ": ("differ from most", "anders als die meisten"),
    "fleet_version": ("Version", "Version"),
    "fleet_lost": ("Lost records", "Verlorene Einträge"),
    "fleet_partners": ("Partners by studio", "Partner nach Studio"),
    "fleet_studios": ("Studios", "Studios"),
    "fleet_no_gates": (
        "No gate has sent anything yet. gatectl-fleet(1) says how to add one.",
        "Noch hat kein Tor etwas gesendet. gatectl-fleet(1) sagt, wie eines dazukommt.",
    ),
    "fleet_no_key": (
        "Members are found by number only with monitor.pseudonym_key in fleet.toml.",
        "Mitglieder werden nach Nummer nur mit monitor.pseudonym_key in fleet.toml gefunden.",
    ),
    "kind": ("Kind", "Art"),
    "codes_whole": ("Show whole codes", "Ganze Codes zeigen"),
    "codes_shortened": ("Shorten the codes", "Codes kürzen"),
    "credential": ("Code", "Code"),
    "message": ("Message", "Meldung"),
    "answer": ("Answer", "Antwort"),
    "elapsed": ("ms", "ms"),
    "sent": ("Sent", "Gesendet"),
    "older": ("Older", "Ältere"),
    "newest": ("Newest", "Neueste"),
    "look_further": ("Look further back", "Weiter zurück suchen"),
    "looked_back": (
        "Nothing more was found this far back.",
        "So weit zurück wurde nichts weiter gefunden.",
    ),
    "no_events": ("No events.", "Keine Ereignisse."),
    "no_matches": ("No event fits these filters.", "Kein Ereignis passt zu diesen Filtern."),
    "bad_time": ("{text} is not a time.", "{text} ist keine Zeit."),
    "no_journal": ("The journal cannot be read.", "Das Journal kann nicht gelesen werden."),
    "no_database": ("The events cannot be read.", "Die Ereignisse können nicht gelesen werden."),
    "not_there": ("There is no such page.", "Diese Seite gibt es nicht."),
    "no_such_event": (
        "There is no such event. It may have been older than the journal keeps.",
        "Dieses Ereignis gibt es nicht. Vielleicht war es älter, als das Journal aufbewahrt.",
    ),
    "back": ("Back to the events", "Zurück zu den Ereignissen"),
    "what_to_do": ("What to do", "Was zu tun ist"),
    "nothing_to_do": ("Nothing: the member was admitted.", "Nichts: das Mitglied wurde zugelassen."),
    "story": ("What happened", "Was geschah"),
    "for_support": ("What Support asks for", "Was der Support braucht"),
    "tenant": ("Tenant", "Mandant"),
    "studio": ("Studio", "Studio"),
    "exact_text": ("Exact error text", "Genauer Fehlertext"),
    "went_out": ("The request went out", "Die Anfrage ging hinaus"),
    "scanner": ("Scanner", "Scanner"),
    "customer": ("Customer", "Kunde"),
    "belongs_to": ("Belongs to the event", "Gehört zum Ereignis"),
    "basis": ("Basis", "Grundlage"),
    "status": ("Status", "Status"),
    "verdict": ("Verdict", "Urteil"),
    "fault": ("Fault", "Fehler"),
    "detail": ("Detail", "Einzelheit"),
    "reason": ("The partner's own reason", "Grund des Partners"),
    "id": ("ID", "ID"),
    "outage": ("Part of an outage", "Teil eines Ausfalls"),
    "yes": ("yes", "ja"),
    "step_read": ("Code read at {scanner}", "Code gelesen an {scanner}"),
    "step_not_asked": ("Nobody was asked", "Niemand wurde gefragt"),
    "step_sent": ("Request sent to {partner}", "Anfrage an {partner} gesendet"),
    "step_not_sent": (
        "No byte of the request reached {partner}",
        "Kein Byte der Anfrage erreichte {partner}",
    ),
    "step_dialled": ("New connection: {steps}", "Neue Verbindung: {steps}"),
    "dial_look_up": ("look-up", "Namensauflösung"),
    "dial_connect": ("connect", "Verbindungsaufbau"),
    "dial_tls": ("TLS", "TLS"),
    "dial_not_done": ("not done", "nicht geschehen"),
    "step_unrecorded": (
        "Whether the request went out was not recorded",
        "Ob die Anfrage hinausging, wurde nicht erfasst",
    ),
    "step_answered": ("Whole answer from {partner}", "Ganze Antwort von {partner}"),
    "step_unanswered": (
        "No whole answer within {budget} ms",
        "Keine ganze Antwort in {budget} ms",
    ),
    "step_opened": ("Gate open for {seconds} s", "Tor offen für {seconds} s"),
    "step_shut": ("The gate stayed shut", "Das Tor blieb zu"),
    "connection_warm": ("on a connection that was ready", "auf einer bereiten Verbindung"),
    "connection_new": ("on a new connection", "auf einer neuen Verbindung"),
    "after": ("after {ms} ms", "nach {ms} ms"),
    "health": ("Doors and partners", "Türen und Partner"),
    "daemon_away": (
        "gatectl is not running: the doors take no scans. Start it: systemctl start gatectl",
        "gatectl läuft nicht: die Türen nehmen keine Scans an. Starten: systemctl start gatectl",
    ),
    "daemon_denied": (
        "This monitor may not ask gatectl how it is doing; the events below are right.",
        "Dieser Monitor darf gatectl nicht nach seinem Zustand fragen; die Ereignisse unten stimmen.",
    ),
    "door_open": ("open", "offen"),
    "door_shut": ("shut", "zu"),
    "alarm": ("{door}: {what}, since {since}", "{door}: {what}, seit {since}"),
    "gate_out_of_order": (
        "gate out of order since {since} ({cause})",
        "Tor außer Betrieb seit {since} ({cause})",
    ),
    "signal_out_of_order": (
        "signal {signal} out of order since {since} ({cause})",
        "Signal {signal} außer Betrieb seit {since} ({cause})",
    ),
    "scanner_shared": (
        "{names} also reads from the scanner at {scanner}: codes lack characters",
        "{names} liest auch vom Scanner an {scanner}: den Codes fehlen Zeichen",
    ),
    "scanner_lost": (
        "no scanner at {scanner} since {since} ({cause})",
        "kein Scanner an {scanner} seit {since} ({cause})",
    ),
    "partner_healthy": ("healthy", "in Ordnung"),
    "partner_outage": ("outage since {since}", "Ausfall seit {since}"),
    "partner_resting": ("resting until {until}", "pausiert bis {until}"),
    "partner_refuses": ("refuses our key since {since}", "lehnt unseren Schlüssel ab seit {since}"),
    "partner_refuses_everyone": ("refuses everyone since {since}", "lehnt seit {since} alle ab"),
    "partner_out_of_order": (
        "out of order since {since} ({detail})",
        "außer Betrieb seit {since} ({detail})",
    ),
    "partner_unconnected": ("no connection ({fault})", "keine Verbindung ({fault})"),
    "displays": ("Displays", "Anzeigen"),
    "day": ("The day", "Der Tag"),
    "day_before": ("The day before", "Der Tag davor"),
    "day_after": ("The day after", "Der Tag danach"),
    "chart_summary": (
        "{partner}: {admitted} admitted, {refused} refused, half of the answers within {median} ms",
        "{partner}: {admitted} zugelassen, {refused} abgewiesen, die Hälfte der Antworten in {median} ms",
    ),
    "chart_no_answers": (
        "{partner}: {admitted} admitted, {refused} refused, no answers",
        "{partner}: {admitted} zugelassen, {refused} abgewiesen, keine Antworten",
    ),
    "chart_admitted": ("admitted", "zugelassen"),
    "chart_refused": ("refused", "abgewiesen"),
    "chart_median": ("answer time (median)", "Antwortzeit (Median)"),
    "chart_half": ("50 % in ms", "50 % in ms"),
    "chart_most": ("95 % in ms", "95 % in ms"),
    "chart_numbers": ("Numbers", "Zahlen"),
    "hour": ("Hour", "Stunde"),
    "no_scans": ("No scans on this day.", "Keine Scans an diesem Tag."),
    "nobody": ("not recognised", "nicht erkannt"),
    "report": ("Download the report for Support", "Bericht für den Support herunterladen"),
    # The display at a door.
    "display_idle": ("Please scan", "Bitte scannen"),
    "display_idle_more": ("Hold your code in front of the reader", "Code vor den Leser halten"),
    "display_checking": ("One moment …", "Einen Moment …"),
    "display_checking_more": ("We are asking {partner}", "Wir fragen bei {partner} nach"),
    "display_welcome": ("Welcome!", "Willkommen!"),
    "display_welcome_name": ("Welcome, {name}!", "Willkommen, {name}!"),
    "display_welcome_more": ("Come in", "Bitte eintreten"),
    "display_declined": ("Check-in not allowed", "Check-in nicht möglich"),
    "display_declined_more": (
        "Please contact {partner} about your membership",
        "Bitte wende dich wegen deiner Mitgliedschaft an {partner}",
    ),
    "display_not_found": ("Membership not found", "Mitgliedschaft nicht gefunden"),
    "display_not_found_more": (
        "{partner} does not know this number. Please ask at the desk, or contact {partner}",
        "{partner} kennt diese Nummer nicht. Bitte frage am Empfang oder wende dich an {partner}",
    ),
    "display_check_in_first": ("Check in in your app first", "Bitte zuerst in der App einchecken"),
    "display_check_in_first_more": (
        "Open the {partner} app, check in there, then scan again",
        "Öffne die App von {partner}, checke dort ein und scanne dann noch einmal",
    ),
    "display_check_in_again": ("Please check in again", "Bitte noch einmal einchecken"),
    "display_check_in_again_more": (
        "Your check-in has expired or was cancelled. Check in in the {partner} app, then scan again",
        "Dein Check-in ist abgelaufen oder storniert. Checke in der App von {partner} ein, dann scanne neu",
    ),
    "display_already_in": ("You are checked in already", "Du bist schon eingecheckt"),
    "display_already_in_more": ("Please ask at the desk", "Bitte frage am Empfang"),
    "display_ask_at_desk": ("Check-in not possible", "Check-in nicht möglich"),
    "display_ask_at_desk_more": ("Please ask at the desk", "Bitte frage am Empfang"),
    "display_not_ready": ("Please try again", "Bitte noch einmal versuchen"),
    "display_not_ready_more": (
        "The gate is not ready yet. Scan again in a moment, or ask at the desk",
        "Das Tor ist noch nicht bereit. Scanne gleich noch einmal oder frage am Empfang",
    ),
    "display_closed": ("Closed", "Geschlossen"),
    "display_closed_more": ("Nobody is let in at this time", "Zu dieser Zeit ist kein Einlass"),
    "display_did_not_pass": (
        "Please try again: you did not pass",
        "Bitte noch einmal: du bist nicht durchgegangen",
    ),
    "display_did_not_pass_more": (
        "Scan once more; nothing is counted twice",
        "Noch einmal scannen; nichts wird doppelt gezählt",
    ),
    "display_gate_out_of_order": ("This gate is out of order", "Dieses Tor ist außer Betrieb"),
    "display_gate_out_of_order_more": (
        "You were not checked in. Please ask at the desk",
        "Du wurdest nicht eingecheckt. Bitte frage am Empfang",
    ),
    "display_unrecognised": ("Code not recognised", "Code nicht erkannt"),
    "display_unrecognised_more": ("Please ask at the desk", "Bitte frage am Empfang"),
    "display_try_again": ("Please try again", "Bitte noch einmal versuchen"),
    "display_try_again_more": (
        "{partner} could not be reached. If it does not work now, try again in five minutes",
        "{partner} war nicht zu erreichen. Klappt es jetzt nicht, versuche es in fünf Minuten noch einmal",
    ),
    "display_gate_stayed_shut": ("You are checked in", "Du bist eingecheckt"),
    "display_gate_stayed_shut_more": (
        "But the gate did not open. Please ask at the desk",
        "Aber das Tor ging nicht auf. Bitte frage am Empfang",
    ),
    "display_offline": ("Out of order", "Außer Betrieb"),
    "display_offline_more": ("Please ask at the desk", "Bitte frage am Empfang"),
    "display_no_connection": ("No connection", "Keine Verbindung"),
    "display_no_connection_more": (
        "This display hears nothing at the moment. Scan as usual, or ask at the desk",
        "Diese Anzeige empfängt gerade nichts. Scanne wie gewohnt oder frage am Empfang",
    ),
    "link_for_tablet": (
        (
            "A tablet at a door opens the link that `gatectl monitor link DOOR` prints: that display alone, "
            "without the password."
        ),
        (
            "Ein Tablet an einer Tür öffnet den Link, den `gatectl monitor link TÜR` ausgibt: nur diese "
            "Anzeige, ohne das Passwort."
        ),
    ),
    "keep_awake": (
        (
            "Over plain HTTP a browser cannot keep a tablet awake. Set the tablet itself: on Android a kiosk "
            "browser (Fully Kiosk: Keep Screen On), or Developer options, Stay awake while charging; on an "
            "iPad Auto-Lock: Never, then Guided Access."
        ),
        (
            "Über HTTP ohne TLS kann kein Browser ein Tablet wach halten. Stelle das Tablet selbst ein: "
            "Android mit Kiosk-Browser (Fully Kiosk: Keep Screen On) oder Entwickleroptionen, Aktiv lassen; "
            "iPad mit Automatische Sperre: Nie, dann Geführter Zugriff."
        ),
    ),
    "display_full_screen": ("Full screen", "Vollbild"),
    "partner_unknown": ("your partner", "deinem Partner"),
}


def text(language: Language, key: str, **values: object) -> str:
    """Return a text, with its values inserted."""
    return chosen(TEXTS[key], language).format(**values)
