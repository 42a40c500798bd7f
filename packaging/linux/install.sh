#!/usr/bin/env bash
# Puts the program into the menu of this person's desktop, with icon and file type. Undone by
# `install.sh --remove`. $1: the program that the menu starts; by default the one on the PATH.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
data=${XDG_DATA_HOME:-$HOME/.local/share}
entry=$data/applications/xmem-annotate.desktop
type=$data/mime/packages/xmem-annotate.xml
icons=$data/icons/hicolor

if [ "${1:-}" = --remove ]; then
    rm -f "$entry" "$type" "$icons/scalable/apps/xmem-annotate.svg" \
        "$icons/256x256/apps/xmem-annotate.png"
else
    program=${1:-$(command -v xmem-annotate)}
    resources=$here/../../resources
    [ -d "$resources" ] || resources=$here/../_internal/resources # in a built application
    mkdir -p "${entry%/*}" "${type%/*}" "$icons/scalable/apps" "$icons/256x256/apps"
    sed "s|^Exec=xmem-annotate |Exec=\"${program//|/\\|}\" |" "$here/xmem-annotate.desktop" >"$entry"
    cp "$here/xmem-annotate.xml" "$type"
    cp "$resources/xmem-annotate.svg" "$icons/scalable/apps/"
    cp "$resources/xmem-annotate.png" "$icons/256x256/apps/"
fi
for update in "update-mime-database $data/mime" "update-desktop-database $data/applications"; do
    if command -v "${update%% *}" >/dev/null; then $update || true; fi
done
