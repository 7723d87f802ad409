#!/usr/bin/env bash
# Passes the inputs as arguments. Each value stays one argument, even with spaces or quotes in it.
set -euo pipefail

arguments=()
if [ -n "$CONFIG" ]; then
    arguments+=(--config "$CONFIG")
fi
if [ -n "$PROJECT" ]; then
    arguments+=(--project "$PROJECT")
fi
arguments+=(ci "--mode=$MODE" "--step=$STEP" "--plan-file=${PLAN:-$RUNNER_TEMP/raw-trigger-plan.json}")

give() {
    if [ -n "$2" ]; then
        arguments+=("$1=$2")
    fi
}
give --environment "$ENVIRONMENT"
give --base "$BASE"
give --downstream "$DOWNSTREAM"
give --matrix "$MATRIX"
give --batch "$BATCH"
give --results "$RESULTS"

for name in NO_CATALOG COMMENT; do
    case ${!name} in
    true) arguments+=("--$(echo "$name" | tr 'A-Z_' 'a-z-')") ;;
    false | '') ;;
    *)
        echo "::error title=raw-trigger::the input '$(echo "$name" | tr 'A-Z_' 'a-z-')' is true or false"
        exit 2
        ;;
    esac
done

exec "$RAW_TRIGGER" "${arguments[@]}"
