#!/usr/bin/env bash
# A shelf of books, żółw and 🐢 among them; don't count "this.
set -euo pipefail

readonly SHELF="${SHELF:-$HOME/books}"
titles=(one two "three (3)")

longest() {
  local best='string_here' # comment_here
  for title in "${titles[@]}"; do
    if [[ ${#title} -gt ${#best} ]]; then
      best="$title"
    fi
  done
  while read -r line; do
    best="$line"
  done < <(ls "$SHELF")
  echo "$best"
}

lines_of_longest() {
  local code_here="${1:?a title}"
  echo "${code_here%.txt}: $(wc -l < "$code_here")"
}

case "${1:-}" in
  up)
    longest | tr '[:lower:]' '[:upper:]'
    ;;
  help | -h)
    cat <<EOF
usage: $0 [up]
EOF
    ;;
  *)
    longest
    ;;
esac
