#compdef gatectl
# zsh completion for gatectl, made from its parsers: see gatectl/cli/shells.
# Doors and partners come from the settings, where whoever asks may read them.

# Offers the names of [TABLE.NAME] in the settings.
_gatectl_names() { # TABLE
    local settings=${opt_args[-c]:-${opt_args[--config]:-$given}}
    local -a names
    names=(${(f)"$(sed -n -e 's/^[[:space:]]*\[\[*'"$1"'\."\([^"]*\)".*/\1/p;t' \
        -e 's/^[[:space:]]*\[\[*'"$1"'\.\([A-Za-z0-9_-]*\).*/\1/p' -- ${~settings} 2>/dev/null | sort -u)"})
    _wanted names expl "${1%s}" compadd -a names
}

_gatectl() {
    local curcontext="$curcontext" state line expl
    local -A opt_args
    local -a commands
    _arguments -C -A '-*' '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '--version[show program'\''s version number and exit]' \
        '1:COMMAND:->command' \
        '*:: :->rest'
    local given=${opt_args[-c]:-${opt_args[--config]:-${GATECTL_CONFIG:-/etc/gatectl/gatectl.toml}}}
    case $state in
        command)
            commands=(
                'run:the daemon'
                'check:validate the settings; on request the devices and the partners too'
                'devices:input devices and serial ports; scan once and it prints the settings'
                'demo:a whole door on this machine, without hardware'
                'sim:the partner simulator alone'
                'events:what happened at the doors, and whose fault it was'
                'report:what Support asks for about an event, in one folder'
                'monitor:the Event Monitor and the member'\''s display as web pages'
                'route:which card or route takes a code, and to whom; asks nobody'
                'status:the running daemon: devices, partners, gates, the last event'
                'open:open a door by hand, on the record'
                'cards:enrol cards: add, remove, list, import, export'
                'erase:take one member'\''s data out of all events and cards'
                'backup:copy all events and cards into one file, also while gatectl runs'
                'restore:put a backup into the journal'\''s place, with gatectl stopped'
                'codes:Wellhub custom codes: create, update, delete, there and here'
                'relay:switch every relay off, without the daemon'
                'completion:the completion script for bash, zsh or fish'
            )
            _describe -t commands command commands
            ;;
        rest)
            case $words[1] in
                run) _gatectl_run ;;
                check) _gatectl_check ;;
                devices) _gatectl_devices ;;
                demo) _gatectl_demo ;;
                sim) _gatectl_sim ;;
                events) _gatectl_events ;;
                report) _gatectl_report ;;
                monitor) _gatectl_monitor ;;
                route) _gatectl_route ;;
                status) _gatectl_status ;;
                open) _gatectl_open ;;
                cards) _gatectl_cards ;;
                erase) _gatectl_erase ;;
                backup) _gatectl_backup ;;
                restore) _gatectl_restore ;;
                codes) _gatectl_codes ;;
                relay) _gatectl_relay ;;
                completion) _gatectl_completion ;;
            esac
            ;;
    esac
}

_gatectl_run() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files'
}

_gatectl_check() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '--devices[open every scanner, drive every relay off]' \
        '--connect[connect to every partner, sending no check-in]'
}

_gatectl_devices() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '--no-wait[list the devices, and wait for no scan]' \
        '--baud=[the speed of serial ports (else 9600)]:N: ' \
        '--json[one JSON object, after the scan]'
}

_gatectl_demo() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '*--scan=[scan this and end; may be repeated]:CODE: '
}

_gatectl_sim() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '--port=[the port on 127.0.0.1 to listen on (else any free one)]:N: '
}

_gatectl_events() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '-n[the last N (text\: 20; --json, --csv\: all)]:N: ' \
        '-f[go on with those to come]' \
        '--json[one object a line]' \
        '--csv[a table for spreadsheets]' \
        '--since=[from this time on\: 2026-11-22T19\:35\:00Z, 2026-11-22, 12\:00, yesterday, 90m, 2h, 7d]:T: ' \
        '--until=[to this time; of a date, to its end]:T: ' \
        '--door=[at this door]:D: _gatectl_names doors' \
        '--partner=[of this partner]:P: _gatectl_names partners' \
        '--member=[of the member with this number]:M: ' \
        '--code=[with this code; of a hex number, in any notation]:C: ' \
        '--result=[with this result]:RESULT:(admitted rejected unknown done)' \
        '--kind=[of this kind\: scan, manual, erased]:K: '
}

_gatectl_report() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '(-o --output)'{-o,--output=}'[the report'\''s folder (else gatectl-report-ID in this one)]:DIR:_files -/' \
        '1:ID: '
}

_gatectl_monitor() {
    local curcontext="$curcontext" state line expl
    local -A opt_args
    local -a commands
    _arguments -C -A '-*' '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '--listen=[where (else 127.0.0.1\:8480)]:ADDRESS:PORT: ' \
        '--password-file=[asks for the password in this file; needed for any address but this machine'\''s own]:FILE:_files' \
        '*--name=[a name by which browsers reach it, besides this machine'\''s own; may be repeated]:HOST: ' \
        '1:COMMAND:->command' \
        '*:: :->rest'
    local given=${opt_args[-c]:-${opt_args[--config]:-$given}}
    case $state in
        command)
            commands=(
                'link:print the link that opens a door'\''s display and nothing else'
            )
            _describe -t commands command commands
            ;;
        rest)
            case $words[1] in
                link) _gatectl_monitor_link ;;
            esac
            ;;
    esac
}

_gatectl_monitor_link() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '--listen=[where (else 127.0.0.1\:8480)]:ADDRESS:PORT: ' \
        '--password-file=[asks for the password in this file; needed for any address but this machine'\''s own]:FILE:_files' \
        '*--name=[a name by which browsers reach it, besides this machine'\''s own; may be repeated]:HOST: ' \
        '1:DOOR: _gatectl_names doors'
}

_gatectl_route() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '--door=[at this door alone]:D: _gatectl_names doors' \
        '--json[one JSON object]' \
        '1:CODE: '
}

_gatectl_status() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '--json[one JSON object]' \
        '--acknowledge[you know that the journal was damaged]'
}

_gatectl_open() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '--reason=[stands in the event]:TEXT: ' \
        '1:DOOR: _gatectl_names doors'
}

_gatectl_cards() {
    local curcontext="$curcontext" state line expl
    local -A opt_args
    local -a commands
    _arguments -C -A '-*' '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '1:COMMAND:->command' \
        '*:: :->rest'
    local given=${opt_args[-c]:-${opt_args[--config]:-$given}}
    case $state in
        command)
            commands=(
                'add:enrol a card'
                'remove:forget a card'
                'list:show all cards'
                'import:enrol the cards of a CSV file code,partner,member[,customer]'
                'export:print all cards as CSV'
            )
            _describe -t commands command commands
            ;;
        rest)
            case $words[1] in
                add) _gatectl_cards_add ;;
                remove) _gatectl_cards_remove ;;
                list) _gatectl_cards_list ;;
                import) _gatectl_cards_import ;;
                export) _gatectl_cards_export ;;
            esac
            ;;
    esac
}

_gatectl_cards_add() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '1:CODE: ' \
        '2:PARTNER: _gatectl_names partners' \
        '3:MEMBER: ' \
        '4:CUSTOMER: '
}

_gatectl_cards_remove() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '1:CODE: '
}

_gatectl_cards_list() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '--json[one object a line]'
}

_gatectl_cards_import() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '--replace[cards that belong to another member get their new one]' \
        '1:FILE:_files'
}

_gatectl_cards_export() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files'
}

_gatectl_erase() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '--member=[the member'\''s number at the partner]:M: ' \
        '--partner=[of this partner alone (else of every one)]:P: _gatectl_names partners'
}

_gatectl_backup() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '1:FILE:_files'
}

_gatectl_restore() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '--undo-upgrade[instead of FILE\: the copy from before an upgrade, if this gatectl is too old for the journal]' \
        '1:FILE:_files'
}

_gatectl_codes() {
    local curcontext="$curcontext" state line expl
    local -A opt_args
    local -a commands
    _arguments -C -A '-*' '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '1:COMMAND:->command' \
        '*:: :->rest'
    local given=${opt_args[-c]:-${opt_args[--config]:-$given}}
    case $state in
        command)
            commands=(
                'create:give a member a custom code, and enrol it here'
                'update:replace a member'\''s custom code, there and here'
                'delete:take a member'\''s custom code away, there and here'
            )
            _describe -t commands command commands
            ;;
        rest)
            case $words[1] in
                create) _gatectl_codes_create ;;
                update) _gatectl_codes_update ;;
                delete) _gatectl_codes_delete ;;
            esac
            ;;
    esac
}

_gatectl_codes_create() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '--partner=[the partner'\''s name (else the only wellhub one)]:P: _gatectl_names partners' \
        '--from=[many\: a CSV file wellhub_id,code]:FILE:_files' \
        '--rate=[with --from\: requests a second (else 5)]:N: ' \
        '--report=[with --from\: what was done, to go on from (else FILE.report.csv)]:FILE:_files' \
        '1:WELLHUB_ID: ' \
        '2:CODE: '
}

_gatectl_codes_update() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '--partner=[the partner'\''s name (else the only wellhub one)]:P: _gatectl_names partners' \
        '--from=[many\: a CSV file wellhub_id,code]:FILE:_files' \
        '--rate=[with --from\: requests a second (else 5)]:N: ' \
        '--report=[with --from\: what was done, to go on from (else FILE.report.csv)]:FILE:_files' \
        '1:WELLHUB_ID: ' \
        '2:CODE: '
}

_gatectl_codes_delete() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '--partner=[the partner'\''s name (else the only wellhub one)]:P: _gatectl_names partners' \
        '--from=[many\: a CSV file wellhub_id,code]:FILE:_files' \
        '--rate=[with --from\: requests a second (else 5)]:N: ' \
        '--report=[with --from\: what was done, to go on from (else FILE.report.csv)]:FILE:_files' \
        '1:WELLHUB_ID: ' \
        '2:CODE: '
}

_gatectl_relay() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '1:STATE:(off)'
}

_gatectl_completion() {
    _arguments '(-h --help)'{-h,--help}'[show this help message and exit]' \
        '(-c --config)'{-c,--config=}'[the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)]:FILE:_files' \
        '1:SHELL:(bash zsh fish)'
}

_gatectl "$@"
