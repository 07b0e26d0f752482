#!/usr/bin/env bash
# Take a picture of a page: hack/screenshot.sh URL FILE.png [WIDTH] [HEIGHT] [light|dark]
# Needs Chromium; CHROMIUM names another one. The page has SCREENSHOT_MS (6000) to fill itself.
set -euo pipefail

if [ $# -lt 2 ]; then
  sed -n '2,3s/^# //p' "$0" >&2
  exit 2
fi
url=$1 file=$2 width=${3:-1280} height=${4:-1400} scheme=${5:-light}
browser=${CHROMIUM:-chromium}
refuse() { echo "$1" >&2; exit 2; }
command -v "$browser" >/dev/null || refuse "no $browser here; install it, or set CHROMIUM"
case $scheme in
  light) preference=1 ;;
  dark) preference=0 ;;
  *) refuse "$scheme is neither light nor dark" ;;
esac

profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT

mkdir -p "$(dirname "$file")"
"$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars \
  --disable-background-networking --disable-component-update --disable-sync --disable-extensions \
  --user-data-dir="$profile" --window-size="$width,$height" --timeout=30000 \
  --blink-settings=preferredColorScheme=$preference --virtual-time-budget="${SCREENSHOT_MS:-6000}" \
  --screenshot="$file" "$url" >/dev/null 2>"$profile/log" || { cat "$profile/log" >&2; exit 1; }
test -s "$file" || { cat "$profile/log" >&2; exit 1; }
