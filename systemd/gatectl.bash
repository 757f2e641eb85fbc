# bash completion for gatectl, made from its parsers: see gatectl/cli/shells.
# Doors and partners come from the settings, where whoever asks may read them.

# The names of [TABLE.NAME] in a settings file, one a line.
_gatectl_names() { # TABLE FILE
    sed -n -e 's/^[[:space:]]*\[\[*'"$1"'\."\([^"]*\)".*/\1/p;t' \
        -e 's/^[[:space:]]*\[\[*'"$1"'\.\([A-Za-z0-9_-]*\).*/\1/p' -- "$2" 2>/dev/null | sort -u
}

_gatectl() {
    local current=${COMP_WORDS[COMP_CWORD]} path=gatectl place=0 takes='' index word name
    local settings=${GATECTL_CONFIG:-/etc/gatectl/gatectl.toml}
    if [[ $current == = ]]; then current=''; fi
    for ((index = 1; index < COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        if [[ $word == = ]]; then continue; fi
        if [[ -n $takes ]]; then
            if [[ $takes == settings ]]; then settings=${word/#\~\//$HOME/}; fi
            takes=''
            continue
        fi
        case "$path $word" in
            *' -c' | *' --config') takes=settings ;;
            'gatectl run' | 'gatectl check' | 'gatectl devices' | 'gatectl demo' | 'gatectl sim' | 'gatectl events' | 'gatectl report' | 'gatectl monitor' | 'gatectl route' | 'gatectl status' | 'gatectl open' | 'gatectl cards' | 'gatectl erase' | 'gatectl backup' | 'gatectl restore' | 'gatectl codes' | 'gatectl relay' | 'gatectl completion') path+=" $word" ;;
            'gatectl devices --baud') takes='text' ;;
            'gatectl demo --scan') takes='text' ;;
            'gatectl sim --port') takes='text' ;;
            'gatectl events -n') takes='text' ;;
            'gatectl events --since') takes='text' ;;
            'gatectl events --until') takes='text' ;;
            'gatectl events --door') takes='door' ;;
            'gatectl events --partner') takes='partner' ;;
            'gatectl events --member') takes='text' ;;
            'gatectl events --code') takes='text' ;;
            'gatectl events --result') takes='=admitted rejected unknown done' ;;
            'gatectl events --kind') takes='text' ;;
            'gatectl report -o' | 'gatectl report --output') takes='folder' ;;
            'gatectl monitor --listen') takes='text' ;;
            'gatectl monitor --password-file') takes='file' ;;
            'gatectl monitor --name') takes='text' ;;
            'gatectl monitor link') path+=" $word" ;;
            'gatectl monitor link --listen') takes='text' ;;
            'gatectl monitor link --password-file') takes='file' ;;
            'gatectl monitor link --name') takes='text' ;;
            'gatectl route --door') takes='door' ;;
            'gatectl open --reason') takes='text' ;;
            'gatectl cards add' | 'gatectl cards remove' | 'gatectl cards list' | 'gatectl cards import' | 'gatectl cards export') path+=" $word" ;;
            'gatectl erase --member') takes='text' ;;
            'gatectl erase --partner') takes='partner' ;;
            'gatectl codes create' | 'gatectl codes update' | 'gatectl codes delete') path+=" $word" ;;
            'gatectl codes create --partner') takes='partner' ;;
            'gatectl codes create --from') takes='file' ;;
            'gatectl codes create --rate') takes='text' ;;
            'gatectl codes create --report') takes='file' ;;
            'gatectl codes update --partner') takes='partner' ;;
            'gatectl codes update --from') takes='file' ;;
            'gatectl codes update --rate') takes='text' ;;
            'gatectl codes update --report') takes='file' ;;
            'gatectl codes delete --partner') takes='partner' ;;
            'gatectl codes delete --from') takes='file' ;;
            'gatectl codes delete --rate') takes='text' ;;
            'gatectl codes delete --report') takes='file' ;;
            *' '-*) ;;
            *) ((place += 1)) ;;
        esac
    done

    if [[ -z $takes && $current == -* ]]; then
        case $path in
            'gatectl') takes='=-h --help -c --config --version' ;;
            'gatectl run') takes='=-h --help -c --config' ;;
            'gatectl check') takes='=-h --help -c --config --devices --connect' ;;
            'gatectl devices') takes='=-h --help -c --config --no-wait --baud --json' ;;
            'gatectl demo') takes='=-h --help -c --config --scan' ;;
            'gatectl sim') takes='=-h --help -c --config --port' ;;
            'gatectl events') takes='=-h --help -c --config -n -f --json --csv --since --until --door --partner --member --code --result --kind' ;;
            'gatectl report') takes='=-h --help -c --config -o --output' ;;
            'gatectl monitor') takes='=-h --help -c --config --listen --password-file --name' ;;
            'gatectl monitor link') takes='=-h --help -c --config --listen --password-file --name' ;;
            'gatectl route') takes='=-h --help -c --config --door --json' ;;
            'gatectl status') takes='=-h --help -c --config --json --acknowledge' ;;
            'gatectl open') takes='=-h --help -c --config --reason' ;;
            'gatectl cards') takes='=-h --help -c --config' ;;
            'gatectl cards add') takes='=-h --help -c --config' ;;
            'gatectl cards remove') takes='=-h --help -c --config' ;;
            'gatectl cards list') takes='=-h --help -c --config --json' ;;
            'gatectl cards import') takes='=-h --help -c --config --replace' ;;
            'gatectl cards export') takes='=-h --help -c --config' ;;
            'gatectl erase') takes='=-h --help -c --config --member --partner' ;;
            'gatectl backup') takes='=-h --help -c --config' ;;
            'gatectl restore') takes='=-h --help -c --config --undo-upgrade' ;;
            'gatectl codes') takes='=-h --help -c --config' ;;
            'gatectl codes create') takes='=-h --help -c --config --partner --from --rate --report' ;;
            'gatectl codes update') takes='=-h --help -c --config --partner --from --rate --report' ;;
            'gatectl codes delete') takes='=-h --help -c --config --partner --from --rate --report' ;;
            'gatectl relay') takes='=-h --help -c --config' ;;
            'gatectl completion') takes='=-h --help -c --config' ;;
        esac
    elif [[ -z $takes ]]; then
        case "$path $place" in
            'gatectl 0') takes='=run check devices demo sim events report monitor route status open cards erase backup restore codes relay completion' ;;
            'gatectl report 0') takes='text' ;;
            'gatectl monitor 0') takes='=link' ;;
            'gatectl monitor link 0') takes='door' ;;
            'gatectl route 0') takes='text' ;;
            'gatectl open 0') takes='door' ;;
            'gatectl cards 0') takes='=add remove list import export' ;;
            'gatectl cards add 0') takes='text' ;;
            'gatectl cards add 1') takes='partner' ;;
            'gatectl cards add 2') takes='text' ;;
            'gatectl cards add 3') takes='text' ;;
            'gatectl cards remove 0') takes='text' ;;
            'gatectl cards import 0') takes='file' ;;
            'gatectl backup 0') takes='file' ;;
            'gatectl restore 0') takes='file' ;;
            'gatectl codes 0') takes='=create update delete' ;;
            'gatectl codes create 0') takes='text' ;;
            'gatectl codes create 1') takes='text' ;;
            'gatectl codes update 0') takes='text' ;;
            'gatectl codes update 1') takes='text' ;;
            'gatectl codes delete 0') takes='text' ;;
            'gatectl codes delete 1') takes='text' ;;
            'gatectl relay 0') takes='=off' ;;
            'gatectl completion 0') takes='=bash zsh fish' ;;
        esac
    fi

    COMPREPLY=()
    case $takes in
        settings | file)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            ;;
        folder)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -d -- "$current")
            ;;
        door | partner)
            while IFS= read -r name; do
                if [[ $name == "${current//\\/}"* ]]; then COMPREPLY+=("$(printf %q "$name")"); fi
            done < <(_gatectl_names "${takes}s" "$settings")
            ;;
        =*) mapfile -t COMPREPLY < <(compgen -W "${takes#=}" -- "$current") ;;
    esac
}

complete -F _gatectl gatectl
