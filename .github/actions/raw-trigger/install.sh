#!/usr/bin/env bash
# Installs raw-trigger in its own environment, apart from the project's, and outputs the path of the program.
set -euo pipefail

package=$(cd "$SOURCE/../../.." && pwd)${EXTRAS:+[$EXTRAS]}
venv=$RUNNER_TEMP/raw-trigger
program=$venv/bin/raw-trigger
catalog=$(git -C "$DIRECTORY" rev-parse --absolute-git-dir)/raw-trigger/cache || {
    echo "::error title=raw-trigger::the input 'working-directory' names no folder of a repository; use actions/checkout before this"
    exit 3
}
# Do not start pip or uv in the checkout: a pull request could bring a pip.py or settings for uv.
cd "$RUNNER_TEMP"

how=$INSTALL
if [ "$how" = auto ]; then
    if [ -x "$program" ]; then
        how=again
    elif command -v raw-trigger >/dev/null; then
        how=none
    elif command -v uv >/dev/null; then
        how=uv
    else
        how=pip
    fi
fi

case $how in
again) ;;
none)
    program=$(command -v raw-trigger) || {
        echo "::error title=raw-trigger::it is not on PATH: install it in an earlier step, or leave 'install' out"
        exit 3
    }
    ;;
uv)
    uv venv --quiet --clear "$venv"
    uv pip install --quiet --python "$venv/bin/python" "$package"
    ;;
pip)
    python3 -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$package"
    ;;
*)
    echo "::error title=raw-trigger::the input 'install' is auto, uv, pip or none"
    exit 2
    ;;
esac

{
    echo "program=$program"
    echo "catalog=$catalog"
} >>"$GITHUB_OUTPUT"
