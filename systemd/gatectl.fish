# fish completion for gatectl, made from its parsers: see gatectl/cli/shells.
# Doors and partners come from the settings, where whoever asks may read them.

# The names of [TABLE.NAME] in the settings, one a line.
function __gatectl_names # TABLE
    set -l settings /etc/gatectl/gatectl.toml
    set -q GATECTL_CONFIG; and set settings $GATECTL_CONFIG
    set -l before ''
    for word in (commandline -opc)
        string match -q -- '--config=*' $word; and set settings (string replace -- --config= '' $word)
        contains -- "$before" -c --config; and set settings $word
        set before $word
    end
    sed -n -e 's/^[[:space:]]*\[\[*'$argv[1]'\."\([^"]*\)".*/\1/p;t' \
        -e 's/^[[:space:]]*\[\[*'$argv[1]'\.\([A-Za-z0-9_-]*\).*/\1/p' -- $settings 2>/dev/null | sort -u
end

# Whether the line is that of this command, and the word under way stands in this place.
function __gatectl_at # COMMAND [PLACE]
    set -l path gatectl
    set -l place 0
    set -l takes no
    for word in (commandline -opc)[2..-1]
        if test $takes = yes
            set takes no
            continue
        end
        switch "$path $word"
            case '* -c' '* --config' 'gatectl devices --baud' 'gatectl demo --scan' 'gatectl sim --port' 'gatectl events -n' 'gatectl events --since' 'gatectl events --until' 'gatectl events --door' 'gatectl events --partner' 'gatectl events --member' 'gatectl events --code' 'gatectl events --result' 'gatectl events --kind' 'gatectl report -o' 'gatectl report --output' 'gatectl monitor --listen' 'gatectl monitor --password-file' 'gatectl monitor --name' 'gatectl monitor link --listen' 'gatectl monitor link --password-file' 'gatectl monitor link --name' 'gatectl route --door' 'gatectl open --reason' 'gatectl erase --member' 'gatectl erase --partner' 'gatectl codes create --partner' 'gatectl codes create --from' 'gatectl codes create --rate' 'gatectl codes create --report' 'gatectl codes update --partner' 'gatectl codes update --from' 'gatectl codes update --rate' 'gatectl codes update --report' 'gatectl codes delete --partner' 'gatectl codes delete --from' 'gatectl codes delete --rate' 'gatectl codes delete --report'
                set takes yes
            case 'gatectl run' 'gatectl check' 'gatectl devices' 'gatectl demo' 'gatectl sim' 'gatectl events' 'gatectl report' 'gatectl monitor' 'gatectl monitor link' 'gatectl route' 'gatectl status' 'gatectl open' 'gatectl cards' 'gatectl cards add' 'gatectl cards remove' 'gatectl cards list' 'gatectl cards import' 'gatectl cards export' 'gatectl erase' 'gatectl backup' 'gatectl restore' 'gatectl codes' 'gatectl codes create' 'gatectl codes update' 'gatectl codes delete' 'gatectl relay' 'gatectl completion'
                set path "$path $word"
            case '* -*'
            case '*'
                set place (math $place + 1)
        end
    end
    test "$path" = "$argv[1]"; or return 1
    test (count $argv) -eq 1; or test "$place" = "$argv[2]"
end

complete -c gatectl -f
complete -c gatectl -n "__gatectl_at 'gatectl' 0" -a run -d 'the daemon'
complete -c gatectl -n "__gatectl_at 'gatectl' 0" -a check -d 'validate the settings; on request the devices and the partners too'
complete -c gatectl -n "__gatectl_at 'gatectl' 0" -a devices -d 'input devices and serial ports; scan once and it prints the settings'
complete -c gatectl -n "__gatectl_at 'gatectl' 0" -a demo -d 'a whole door on this machine, without hardware'
complete -c gatectl -n "__gatectl_at 'gatectl' 0" -a sim -d 'the partner simulator alone'
complete -c gatectl -n "__gatectl_at 'gatectl' 0" -a events -d 'what happened at the doors, and whose fault it was'
complete -c gatectl -n "__gatectl_at 'gatectl' 0" -a report -d 'what Support asks for about an event, in one folder'
complete -c gatectl -n "__gatectl_at 'gatectl' 0" -a monitor -d 'the Event Monitor and the member\'s display as web pages'
complete -c gatectl -n "__gatectl_at 'gatectl' 0" -a route -d 'which card or route takes a code, and to whom; asks nobody'
complete -c gatectl -n "__gatectl_at 'gatectl' 0" -a status -d 'the running daemon: devices, partners, gates, the last event'
complete -c gatectl -n "__gatectl_at 'gatectl' 0" -a open -d 'open a door by hand, on the record'
complete -c gatectl -n "__gatectl_at 'gatectl' 0" -a cards -d 'enrol cards: add, remove, list, import, export'
complete -c gatectl -n "__gatectl_at 'gatectl' 0" -a erase -d 'take one member\'s data out of all events and cards'
complete -c gatectl -n "__gatectl_at 'gatectl' 0" -a backup -d 'copy all events and cards into one file, also while gatectl runs'
complete -c gatectl -n "__gatectl_at 'gatectl' 0" -a restore -d 'put a backup into the journal\'s place, with gatectl stopped'
complete -c gatectl -n "__gatectl_at 'gatectl' 0" -a codes -d 'Wellhub custom codes: create, update, delete, there and here'
complete -c gatectl -n "__gatectl_at 'gatectl' 0" -a relay -d 'switch every relay off, without the daemon'
complete -c gatectl -n "__gatectl_at 'gatectl' 0" -a completion -d 'the completion script for bash, zsh or fish'
complete -c gatectl -n "__gatectl_at 'gatectl'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl'" -l version -d 'show program\'s version number and exit'
complete -c gatectl -n "__gatectl_at 'gatectl run'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl run'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl check'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl check'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl check'" -l devices -d 'open every scanner, drive every relay off'
complete -c gatectl -n "__gatectl_at 'gatectl check'" -l connect -d 'connect to every partner, sending no check-in'
complete -c gatectl -n "__gatectl_at 'gatectl devices'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl devices'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl devices'" -l no-wait -d 'list the devices, and wait for no scan'
complete -c gatectl -n "__gatectl_at 'gatectl devices'" -l baud -x -d 'the speed of serial ports (else 9600)'
complete -c gatectl -n "__gatectl_at 'gatectl devices'" -l json -d 'one JSON object, after the scan'
complete -c gatectl -n "__gatectl_at 'gatectl demo'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl demo'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl demo'" -l scan -x -d 'scan this and end; may be repeated'
complete -c gatectl -n "__gatectl_at 'gatectl sim'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl sim'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl sim'" -l port -x -d 'the port on 127.0.0.1 to listen on (else any free one)'
complete -c gatectl -n "__gatectl_at 'gatectl events'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl events'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl events'" -s n -x -d 'the last N (text: 20; --json, --csv: all)'
complete -c gatectl -n "__gatectl_at 'gatectl events'" -s f -d 'go on with those to come'
complete -c gatectl -n "__gatectl_at 'gatectl events'" -l json -d 'one object a line'
complete -c gatectl -n "__gatectl_at 'gatectl events'" -l csv -d 'a table for spreadsheets'
complete -c gatectl -n "__gatectl_at 'gatectl events'" -l since -x -d 'from this time on: 2026-11-22T19:35:00Z, 2026-11-22, 12:00, yesterday, 90m, 2h, 7d'
complete -c gatectl -n "__gatectl_at 'gatectl events'" -l until -x -d 'to this time; of a date, to its end'
complete -c gatectl -n "__gatectl_at 'gatectl events'" -l door -x -a '(__gatectl_names doors)' -d 'at this door'
complete -c gatectl -n "__gatectl_at 'gatectl events'" -l partner -x -a '(__gatectl_names partners)' -d 'of this partner'
complete -c gatectl -n "__gatectl_at 'gatectl events'" -l member -x -d 'of the member with this number'
complete -c gatectl -n "__gatectl_at 'gatectl events'" -l code -x -d 'with this code; of a hex number, in any notation'
complete -c gatectl -n "__gatectl_at 'gatectl events'" -l result -x -a 'admitted rejected unknown done' -d 'with this result'
complete -c gatectl -n "__gatectl_at 'gatectl events'" -l kind -x -d 'of this kind: scan, manual, erased'
complete -c gatectl -n "__gatectl_at 'gatectl report'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl report'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl report'" -s o -l output -x -a '(__fish_complete_directories)' -d 'the report\'s folder (else gatectl-report-ID in this one)'
complete -c gatectl -n "__gatectl_at 'gatectl monitor' 0" -a link -d 'print the link that opens a door\'s display and nothing else'
complete -c gatectl -n "__gatectl_at 'gatectl monitor'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl monitor'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl monitor'" -l listen -x -d 'where (else 127.0.0.1:8480)'
complete -c gatectl -n "__gatectl_at 'gatectl monitor'" -l password-file -r -F -d 'asks for the password in this file; needed for any address but this machine\'s own'
complete -c gatectl -n "__gatectl_at 'gatectl monitor'" -l name -x -d 'a name by which browsers reach it, besides this machine\'s own; may be repeated'
complete -c gatectl -n "__gatectl_at 'gatectl monitor link' 0" -a '(__gatectl_names doors)'
complete -c gatectl -n "__gatectl_at 'gatectl monitor link'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl monitor link'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl monitor link'" -l listen -x -d 'where (else 127.0.0.1:8480)'
complete -c gatectl -n "__gatectl_at 'gatectl monitor link'" -l password-file -r -F -d 'asks for the password in this file; needed for any address but this machine\'s own'
complete -c gatectl -n "__gatectl_at 'gatectl monitor link'" -l name -x -d 'a name by which browsers reach it, besides this machine\'s own; may be repeated'
complete -c gatectl -n "__gatectl_at 'gatectl route'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl route'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl route'" -l door -x -a '(__gatectl_names doors)' -d 'at this door alone'
complete -c gatectl -n "__gatectl_at 'gatectl route'" -l json -d 'one JSON object'
complete -c gatectl -n "__gatectl_at 'gatectl status'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl status'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl status'" -l json -d 'one JSON object'
complete -c gatectl -n "__gatectl_at 'gatectl status'" -l acknowledge -d 'you know that the journal was damaged'
complete -c gatectl -n "__gatectl_at 'gatectl open' 0" -a '(__gatectl_names doors)'
complete -c gatectl -n "__gatectl_at 'gatectl open'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl open'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl open'" -l reason -x -d 'stands in the event'
complete -c gatectl -n "__gatectl_at 'gatectl cards' 0" -a add -d 'enrol a card'
complete -c gatectl -n "__gatectl_at 'gatectl cards' 0" -a remove -d 'forget a card'
complete -c gatectl -n "__gatectl_at 'gatectl cards' 0" -a list -d 'show all cards'
complete -c gatectl -n "__gatectl_at 'gatectl cards' 0" -a import -d 'enrol the cards of a CSV file code,partner,member[,customer]'
complete -c gatectl -n "__gatectl_at 'gatectl cards' 0" -a export -d 'print all cards as CSV'
complete -c gatectl -n "__gatectl_at 'gatectl cards'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl cards'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl cards add' 1" -a '(__gatectl_names partners)'
complete -c gatectl -n "__gatectl_at 'gatectl cards add'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl cards add'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl cards remove'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl cards remove'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl cards list'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl cards list'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl cards list'" -l json -d 'one object a line'
complete -c gatectl -n "__gatectl_at 'gatectl cards import' 0" -F
complete -c gatectl -n "__gatectl_at 'gatectl cards import'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl cards import'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl cards import'" -l replace -d 'cards that belong to another member get their new one'
complete -c gatectl -n "__gatectl_at 'gatectl cards export'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl cards export'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl erase'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl erase'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl erase'" -l member -x -d 'the member\'s number at the partner'
complete -c gatectl -n "__gatectl_at 'gatectl erase'" -l partner -x -a '(__gatectl_names partners)' -d 'of this partner alone (else of every one)'
complete -c gatectl -n "__gatectl_at 'gatectl backup' 0" -F
complete -c gatectl -n "__gatectl_at 'gatectl backup'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl backup'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl restore' 0" -F
complete -c gatectl -n "__gatectl_at 'gatectl restore'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl restore'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl restore'" -l undo-upgrade -d 'instead of FILE: the copy from before an upgrade, if this gatectl is too old for the journal'
complete -c gatectl -n "__gatectl_at 'gatectl codes' 0" -a create -d 'give a member a custom code, and enrol it here'
complete -c gatectl -n "__gatectl_at 'gatectl codes' 0" -a update -d 'replace a member\'s custom code, there and here'
complete -c gatectl -n "__gatectl_at 'gatectl codes' 0" -a delete -d 'take a member\'s custom code away, there and here'
complete -c gatectl -n "__gatectl_at 'gatectl codes'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl codes'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl codes create'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl codes create'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl codes create'" -l partner -x -a '(__gatectl_names partners)' -d 'the partner\'s name (else the only wellhub one)'
complete -c gatectl -n "__gatectl_at 'gatectl codes create'" -l from -r -F -d 'many: a CSV file wellhub_id,code'
complete -c gatectl -n "__gatectl_at 'gatectl codes create'" -l rate -x -d 'with --from: requests a second (else 5)'
complete -c gatectl -n "__gatectl_at 'gatectl codes create'" -l report -r -F -d 'with --from: what was done, to go on from (else FILE.report.csv)'
complete -c gatectl -n "__gatectl_at 'gatectl codes update'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl codes update'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl codes update'" -l partner -x -a '(__gatectl_names partners)' -d 'the partner\'s name (else the only wellhub one)'
complete -c gatectl -n "__gatectl_at 'gatectl codes update'" -l from -r -F -d 'many: a CSV file wellhub_id,code'
complete -c gatectl -n "__gatectl_at 'gatectl codes update'" -l rate -x -d 'with --from: requests a second (else 5)'
complete -c gatectl -n "__gatectl_at 'gatectl codes update'" -l report -r -F -d 'with --from: what was done, to go on from (else FILE.report.csv)'
complete -c gatectl -n "__gatectl_at 'gatectl codes delete'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl codes delete'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl codes delete'" -l partner -x -a '(__gatectl_names partners)' -d 'the partner\'s name (else the only wellhub one)'
complete -c gatectl -n "__gatectl_at 'gatectl codes delete'" -l from -r -F -d 'many: a CSV file wellhub_id,code'
complete -c gatectl -n "__gatectl_at 'gatectl codes delete'" -l rate -x -d 'with --from: requests a second (else 5)'
complete -c gatectl -n "__gatectl_at 'gatectl codes delete'" -l report -r -F -d 'with --from: what was done, to go on from (else FILE.report.csv)'
complete -c gatectl -n "__gatectl_at 'gatectl relay' 0" -a 'off'
complete -c gatectl -n "__gatectl_at 'gatectl relay'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl relay'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
complete -c gatectl -n "__gatectl_at 'gatectl completion' 0" -a 'bash zsh fish'
complete -c gatectl -n "__gatectl_at 'gatectl completion'" -s h -l help -d 'show this help message and exit'
complete -c gatectl -n "__gatectl_at 'gatectl completion'" -s c -l config -r -F -d 'the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)'
