"""What is said about a wrong file, word for word."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from raw_trigger.config import load_config
from raw_trigger.config.loader import MAX_BYTES
from raw_trigger.config.messages import keys
from raw_trigger.config.parsing import parse
from raw_trigger.config.schema import ConfigModel, DagsterModel, HooksModel, RuleModel
from raw_trigger.errors import ConfigError

# What it is, the file, and each line of the message without the file's name.
WRONG: list[tuple[str, str, list[str]]] = [
    (
        "a list at the top",
        "- a\n",
        [
            "1:1: the file has to be keys with values, not a list; begin with 'root: data/1_raw'",
        ],
    ),
    (
        "a text at the top",
        "root\n",
        [
            "1:1: the file has to be keys with values, not 'root'; begin with 'root: data/1_raw'",
        ],
    ),
    (
        "a deployment",
        "launcher: graphql\ndagster: {url: 'https://u:secret@x.y', token_env: 1a, token_header: a b, files: disk}\n",
        [
            "2:16: url 'https://u:***@x.y' has a user's name or a password in it; name a variable in "
            "'token_env' instead",
            "2:51: token_env '1a' is no name of an environment variable; write its name, not the token itself",
            "2:69: token_header 'a b' is no name of a header; write one such as Authorization",
            "2:81: files 'disk' is not known; use one of here, commit",
        ],
    ),
    (
        "addresses that are none",
        "launcher: graphql\ndagster: {url: 'ftp://x'}\n",
        [
            "2:16: url 'ftp://x' is no web address; write one that begins with https:// or http://",
        ],
    ),
    (
        "an address with more than a path",
        "launcher: graphql\ndagster: {url: 'https://x/?a=1'}\n",
        [
            "2:16: url 'https://x/?a=1' has more than an address and a path; write it without '?', '#' and spaces",
        ],
    ),
    (
        "an address with an impossible port",
        "launcher: graphql\ndagster: {url: 'https://x:99999'}\n",
        [
            "2:16: url 'https://x:99999' is no web address; write one that begins with https:// or http://",
        ],
    ),
    (
        "a launcher without a deployment",
        "launcher: graphql\n",
        [
            "1:11: launcher 'graphql' needs the address of a deployment; write it under 'dagster' as 'url', or "
            "remove the launcher",
        ],
    ),
    (
        "a deployment without the launcher",
        "dagster: {files: here, url: http://x}\n",
        [
            "1:24: 'url' is only for launcher: graphql; add 'launcher: graphql', or remove it",
        ],
    ),
    (
        "unknown key",
        "asets: []\n",
        [
            "1:1: unknown key 'asets'; did you mean 'assets'?",
        ],
    ),
    (
        "unknown key far from any",
        "zzz: 1\n",
        [
            (
                "1:1: unknown key 'zzz'; known are root, dagster, launcher, environment, ci, downstream, "
                "on_delete, unmapped, report_as, batch_size, fetch, on_failure, ledger, hooks, assets"
            ),
        ],
    ),
    (
        "unknown key without a value",
        "zzz:\n",
        [
            (
                "1:1: unknown key 'zzz'; known are root, dagster, launcher, environment, ci, downstream, "
                "on_delete, unmapped, report_as, batch_size, fetch, on_failure, ledger, hooks, assets"
            ),
        ],
    ),
    (
        "key of a section",
        "dagster: {pyton: x}\n",
        [
            "1:11: unknown key 'pyton' in 'dagster'; did you mean 'python'?",
        ],
    ),
    (
        "key of a hook",
        "hooks: {pre_push: run}\n",
        [
            "1:9: unknown key 'pre_push' in 'hooks'; did you mean 'pre-push'?",
        ],
    ),
    (
        "key of a rule",
        "assets:\n  - {path: a, asset: b, partitions: c}\n",
        [
            "2:25: unknown key 'partitions' in 'assets'; did you mean 'partition'?",
        ],
    ),
    (
        "key in the wrong place",
        "module_name: x\n",
        [
            "1:1: unknown key 'module_name'; it belongs in 'dagster'",
        ],
    ),
    (
        "key of the top in a rule",
        "assets:\n  - {path: a, asset: b, unmapped: warn}\n",
        [
            "2:25: unknown key 'unmapped' in 'assets'; it belongs at the left margin",
        ],
    ),
    (
        "later keys",
        "workers: 2\n",
        ["1:1: 'workers' is not known to this version of raw-trigger yet; remove it"],
    ),
    (
        "environments of CI",
        "ci:\n  environments:\n    pro duction: [main]\n    b: main\n    c: [x, 3]\n  foo: 1\n",
        [
            (
                "3:5: the environment 'pro duction' cannot be part of a git ref; use letters, digits, '.', '_' "
                "and '-', beginning with a letter or digit, without '..' and not ending in '.' or '.lock'"
            ),
            "4:8: the branch 'main' already records 'pro duction'; keep it in one environment",
            "5:12: c '3' is read as a number where text is wanted; quote it: \"3\"",
            "6:3: unknown key 'foo' in 'ci'; known are environments, merge_group",
        ],
    ),
    (
        "patterns",
        "assets:\n  - {path: 'a[', asset: x}\n  - path: '{p:(?!a).*}'\n    ignore: true\n"
        "ci: {environments: {production: 'r['}}\n",
        [
            (
                "2:12: '[' is not closed by ']'; write '[[]' for the character itself; "
                "see 'Patterns' in the README"
            ),
            (
                "3:11: '(?!a).*': an expression that looks ahead or behind cannot be matched in linear time; "
                "match what is wanted, and put a rule before this one for what is not; "
                "see 'Patterns' in the README"
            ),
            (
                "5:33: the branch 'r[' is no pattern: '[' is not closed by ']'; write '[[]' for the character "
                "itself; correct it"
            ),
        ],
    ),
    (
        "a merge queue",
        "ci: {merge_group: main}\n",
        ["1:19: merge_group 'main' is not known; use one of previous, target"],
    ),
    (
        "environments of CI as a list",
        "ci: {environments: [main]}\n",
        [
            (
                "1:20: environments has to be keys with values, not a list; write them below it, such as "
                "'production: [main]'"
            )
        ],
    ),
    (
        "a job and what does not go with it",
        "assets:\n  - path: a\n    job: b\n    asset: c\n    rows: {key: d, partition: e}\n"
        "  - {path: f, asset: g, run_config: {}}\n",
        [
            "3:5: this rule has 'asset' and 'job'; keep one of them",
            "5:5: a job has no partition for each row; remove 'partition' from 'rows'",
            "6:25: 'run_config' without 'job'; name the job, or remove it",
        ],
    ),
    (
        "push in the background",
        "hooks: {pre-push: background}\n",
        ["1:19: pre-push 'background' could not refuse the push any more; use run, notify or off"],
    ),
    (
        "put off for nobody",
        "hooks:\n  pre-commit: background\n  post-commit: no\n",
        [
            (
                "3:16: pre-commit 'background' leaves its work to post-commit, which is 'off'; write "
                "'post-commit: background', or leave it out"
            ),
        ],
    ),
    (
        "duplicate key",
        "root: a\nunmapped: fail\nroot: b\n",
        [
            "3:1: key 'root' is already on line 1; remove one of them",
        ],
    ),
    (
        "duplicate key in a rule",
        "assets:\n  - path: a\n    asset: b\n    path: c\n",
        [
            "4:5: key 'path' is already on line 2; remove one of them",
        ],
    ),
    (
        "key that is a list",
        "? [a]\n: b\n",
        [
            "1:3: a key has to be text; quote it if it begins with '{' or '['",
        ],
    ),
    (
        "number as key",
        "1: a\n",
        [
            (
                "1:1: unknown key '1'; known are root, dagster, launcher, environment, ci, downstream, "
                "on_delete, unmapped, report_as, batch_size, fetch, on_failure, ledger, hooks, assets"
            ),
        ],
    ),
    (
        "tab as indentation",
        "dagster:\n\tpython: x\n",
        [
            "2:1: a tab cannot be used here; indent with spaces",
        ],
    ),
    (
        "missing quote",
        "root: 'a\n",
        [
            "1:7: the quote that begins here is not closed; close it",
        ],
    ),
    (
        "text after a quote",
        'assets:\n  - path: "a" b\n',
        [
            "2:15: '\"a\" b' goes on after its closing quote; put the whole text in double quotes",
        ],
    ),
    (
        "colon in a text",
        "root: a: b\n",
        [
            "1:8: ':' is not allowed here; check the indentation, and quote a text that contains ': '",
        ],
    ),
    (
        "unclosed bracket",
        "root: [a\n",
        [
            (
                "1:7: the bracket that begins here is not closed, or a ',' is missing in it; write [a, "
                "b] or {a: b}"
            ),
        ],
    ),
    (
        "unclosed bracket before more",
        "root: [a\nunmapped: warn\n",
        [
            (
                "1:7: the bracket that begins here is not closed, or a ',' is missing in it; write [a, "
                "b] or {a: b}"
            ),
        ],
    ),
    (
        "missing comma",
        "hooks: {pre-commit: run post-merge: off}\n",
        [
            (
                "1:8: the bracket that begins here is not closed, or a ',' is missing in it; write [a, "
                "b] or {a: b}"
            ),
        ],
    ),
    (
        "stray bracket",
        "root: ]\n",
        [
            (
                "1:7: not valid YAML: expected the node content, but found ']'; check the indentation, "
                "brackets and quotes above"
            ),
        ],
    ),
    (
        "star without quotes",
        "assets:\n  - path: *.csv\n",
        [
            (
                "2:11: '*' begins an alias in YAML; if it begins a pattern, put the whole text in "
                "double quotes"
            ),
        ],
    ),
    (
        "stars without quotes",
        "assets:\n  - path: **/*.csv\n",
        [
            (
                "2:11: '*' begins an alias in YAML; if it begins a pattern, put the whole text in "
                "double quotes"
            ),
        ],
    ),
    (
        "unknown alias",
        "root: *data\n",
        [
            ("1:7: there is no anchor 'data'; if '*' begins a pattern, put the whole text in double quotes"),
        ],
    ),
    (
        "brace without quotes",
        "assets:\n  - path: {name}_a.csv\n    asset: b\n",
        [
            ("2:17: '{name}_a.csv' goes on after its closing brace; put the whole text in double quotes"),
        ],
    ),
    (
        "brace alone without quotes",
        "assets:\n  - path: a\n    asset: {name}\n",
        [
            ("3:12: asset has to be text, not a mapping; put a text that begins with a bracket in quotes"),
        ],
    ),
    (
        "class without quotes",
        "assets:\n  - path: [ab].csv\n",
        [
            "2:15: '[ab].csv' goes on after its closing bracket; put the whole text in double quotes",
        ],
    ),
    (
        "percent without quotes",
        "assets:\n  - path: a\n    asset: b\n    partition: %Y\n",
        [
            "4:16: '%' cannot begin a text; put the whole text in double quotes",
        ],
    ),
    (
        "at sign",
        "root: @a\n",
        [
            "1:7: '@' cannot begin a text; put the whole text in double quotes",
        ],
    ),
    (
        "second document",
        "root: a\n---\nroot: b\n",
        [
            "2:1: a second document begins here; keep one document and remove this line",
        ],
    ),
    (
        "foreign tag",
        "root: !!python/name:os.system x\n",
        [
            "1:7: tag '!!python/name:os.system' has no meaning here; remove it",
        ],
    ),
    (
        "tag of one's own",
        "root: !here x\n",
        [
            "1:7: tag '!here' has no meaning here; remove it",
        ],
    ),
    (
        "escape beyond Unicode",
        'root: "\\UFFFFFFFF"\n',
        [
            "1:1: not valid YAML: an escape or version number is out of range; look for \\U and %YAML",
        ],
    ),
    (
        "half a character",
        'root: "\\ud800"\n"\\udc00": 1\n',
        [
            "1:7: '\\ud800' holds half a character; write the whole character",
            "2:1: '\\udc00' holds half a character; write the whole character",
        ],
    ),
    (
        "NUL in a text",
        'root: "a\\0"\n',
        [
            "1:7: root 'a\\x00' contains a NUL character; remove it",
        ],
    ),
    (
        "control character",
        "root: a\x07\n",
        [
            "1:8: character U+0007 is not allowed in YAML; remove it",
        ],
    ),
    (
        "too deep",
        "[" * 2000,
        [
            "1:1: nested too deeply; flatten it",
        ],
    ),
    (
        "alias of itself",
        "root: &a [*a]\n",
        [
            "1:7: this contains itself by an alias; write it out",
        ],
    ),
    (
        "merge of itself",
        "dagster: &a {<<: *a}\n",
        [
            "1:10: this contains itself by an alias; write it out",
        ],
    ),
    (
        "merge of a text",
        "assets:\n  - {<<: x, path: a, asset: b}\n",
        [
            "2:10: '<<' takes a mapping or a list of them; give it an alias of a mapping",
        ],
    ),
    (
        "date as text",
        "environment: 2024-01-01\n",
        [
            (
                "1:14: environment '2024-01-01' is read as a date where text is wanted; quote it: "
                '"2024-01-01"'
            ),
        ],
    ),
    (
        "date as partition",
        "assets:\n  - {path: a, asset: b, partition: 2024-01-01}\n",
        [
            ("2:36: partition '2024-01-01' is read as a date where text is wanted; quote it: \"2024-01-01\""),
        ],
    ),
    (
        "number as text",
        "assets:\n  - {path: 12, asset: 1.5}\n",
        [
            "2:12: path '12' is read as a number where text is wanted; quote it: \"12\"",
            "2:23: asset '1.5' is read as a number where text is wanted; quote it: \"1.5\"",
        ],
    ),
    (
        "true as text",
        "environment: true\n",
        [
            ("1:14: environment 'true' is read as true or false where text is wanted; quote it: \"true\""),
        ],
    ),
    (
        "octal",
        "root: 007\n",
        [
            "1:7: root '007' is read as a number where text is wanted; quote it: \"007\"",
        ],
    ),
    (
        "nothing in a list",
        "root: [a, ]\nassets:\n  -\n",
        [
            "3:4: a rule has to be keys with values, not nothing; begin it with 'path: …'",
        ],
    ),
    (
        "list as text",
        "assets:\n  - path: a\n    asset: [b, c]\n",
        [
            "3:12: asset has to be text, not a list; for several write 'assets'",
        ],
    ),
    (
        "text as list",
        "assets:\n  - path: a\n    assets: b\n",
        [
            "3:13: assets has to be a list, not 'b'; write assets: [b]",
        ],
    ),
    (
        "mapping as list",
        "assets: {path: a}\n",
        [
            ("1:9: assets has to be a list, not a mapping; begin each entry with '- ' on a line of its own"),
        ],
    ),
    (
        "mapping as texts",
        "root: {a: b}\n",
        [
            ("1:7: root has to be text or a list, not a mapping; write one text, or several in brackets"),
        ],
    ),
    (
        "text as section",
        "dagster: x\nhooks: [run]\nassets:\n  - a.csv\n",
        [
            (
                "1:10: dagster has to be keys with values, not 'x'; write them below it, such as "
                "'module_name: …'"
            ),
            (
                "2:8: hooks has to be keys with values, not a list; write them below it, such as "
                "'pre-commit: …'"
            ),
            "4:5: a rule has to be keys with values, not 'a.csv'; begin it with 'path: …'",
        ],
    ),
    (
        "yes for true",
        "assets:\n  - {path: a, ignore: yes}\n",
        [
            "2:23: ignore is true or false, not 'yes'; write true, or remove the key",
        ],
    ),
    (
        "number as hook",
        "hooks: {pre-commit: 1, post-merge: {}}\n",
        [
            "1:21: pre-commit '1' is not possible; use one of run, background, notify, off",
            "1:36: post-merge a mapping is not possible; use one of run, background, notify, off",
        ],
    ),
    (
        "misspelt values",
        (
            "on_delete: matrialize\nunmapped: error\nreport_as: Observation\ndownstream: al\n"
            "hooks: {post-merge: notfy}\n"
        ),
        [
            "1:12: on_delete 'matrialize' is not known; did you mean 'materialize'?",
            "2:11: unmapped 'error' is not known; use one of warn, ignore, fail",
            "3:12: report_as 'Observation' is not known; did you mean 'observation'?",
            "4:13: downstream 'al' is not known; did you mean 'all'?",
            "5:21: post-merge 'notfy' is not known; did you mean 'notify'?",
        ],
    ),
    (
        "numbers out of range",
        "downstream: 99999999999999999999999\nbatch_size: -1\n",
        [
            (
                "1:13: downstream '99999999999999999999999' is not possible; use auto, none, all or a whole "
                "number from 1 to 1000"
            ),
            "2:13: batch_size '-1' is not possible; use a whole number from 1 to 100000",
        ],
    ),
    (
        "no numbers",
        "downstream: 1.5\nbatch_size: 1e3\n",
        [
            ("1:13: downstream '1.5' is not possible; use auto, none, all or a whole number from 1 to 1000"),
            "2:13: batch_size '1e3' is not possible; use a whole number from 1 to 100000",
        ],
    ),
    (
        "ledgers that are none",
        "ledger: mysql://there\n",
        [
            "1:9: ledger 'mysql://there' is no database; use sqlite, or an SQLAlchemy URL such as "
            "duckdb:///runs.duckdb"
        ],
    ),
    (
        "what holds no rows or lines",
        "assets:\n"
        "  - {path: '{a}.XLSX', asset: a, rows: {key: id}}\n"
        "  - {path: b/**/*.parquet.gz, asset: b, fingerprint: table}\n"
        "  - {path: c.xlsx, asset: c, fingerprint: bytes}\n",
        [
            "2:34: 'rows' cannot look into such files: they are Excel; remove it, then any change of the file "
            "counts; rows are those of CSV, TSV and JSON Lines, also as .gz",
            "3:41: 'fingerprint' cannot look into such files: they are Parquet; remove it, then any change of "
            "the file counts; rows are those of CSV, TSV and JSON Lines, also as .gz",
        ],
    ),
    (
        "a command that has no end",
        "on_failure: notify-send 'raw-trigger\n",
        [
            "1:13: on_failure 'notify-send 'raw-trigger' cannot be split into words (no closing quotation); "
            "close it, or write a list of words"
        ],
    ),
    (
        "a command without words",
        "on_failure: ' '\n",
        ["1:13: on_failure is empty; name at least one or remove the key"],
    ),
    (
        "number in quotes",
        "batch_size: '5'\n",
        [
            "1:13: batch_size '5' is text; write the number without quotes",
        ],
    ),
    (
        "huge number",
        "batch_size: " + "9" * 5000 + "\n",
        [
            (
                "1:13: batch_size '99999999999999999999999999999999999999999999999999999999999…' is "
                "not possible; use a whole number from 1 to 100000"
            ),
        ],
    ),
    (
        "environment",
        "environment: feature/x\n",
        [
            (
                "1:14: environment 'feature/x' cannot be part of a git ref; use letters, digits, '.', "
                "'_' and '-', beginning with a letter or digit, without '..' and not ending in '.' or "
                "'.lock'"
            ),
        ],
    ),
    (
        "environment dots",
        "environment: a..b\n",
        [
            (
                "1:14: environment 'a..b' cannot be part of a git ref; use letters, digits, '.', '_' "
                "and '-', beginning with a letter or digit, without '..' and not ending in '.' or "
                "'.lock'"
            ),
        ],
    ),
    (
        "environment lock",
        "environment: a.lock\n",
        [
            (
                "1:14: environment 'a.lock' cannot be part of a git ref; use letters, digits, '.', '_' "
                "and '-', beginning with a letter or digit, without '..' and not ending in '.' or "
                "'.lock'"
            ),
        ],
    ),
    (
        "environment dash",
        "environment: -a\n",
        [
            (
                "1:14: environment '-a' cannot be part of a git ref; use letters, digits, '.', '_' and "
                "'-', beginning with a letter or digit, without '..' and not ending in '.' or '.lock'"
            ),
        ],
    ),
    (
        "empty root",
        "root: ''\n",
        [
            "1:7: root is empty; write a text or remove the key",
        ],
    ),
    (
        "endless root",
        "root: " + "a" * 5000,
        [
            "1:7: root is longer than 4096 characters; shorten it",
        ],
    ),
    (
        "no root",
        "root: []\n",
        [
            "1:7: root is empty; name at least one or remove the key",
        ],
    ),
    (
        "absolute root",
        "root: /data\n",
        [
            "1:7: root '/data' is absolute; write it relative to the folder of this file",
        ],
    ),
    (
        "root at home",
        "root: ~/data\n",
        [
            "1:7: root '~/data' is absolute; write it relative to the folder of this file",
        ],
    ),
    (
        "root above",
        "root: a/../../b\n",
        [
            ("1:7: root 'a/../../b' contains '..'; put raw-trigger.yaml into a folder above all raw data"),
        ],
    ),
    (
        "root of git",
        "root: .git/x\n",
        [
            "1:7: root '.git/x' is inside git's own folder; name a folder of the working tree",
        ],
    ),
    (
        "root with backslash",
        "root: data\\raw\n",
        [
            "1:7: root 'data\\raw' contains a backslash; separate folders with '/'",
        ],
    ),
    (
        "root as pattern",
        "root: data/*\n",
        [
            (
                "1:7: root 'data/*' is a folder, not a pattern; name the folder and put patterns under "
                "'assets'"
            ),
        ],
    ),
    (
        "root inside a root",
        "root: [a, b/c, a/d]\n",
        [
            "1:16: root 'a/d' is inside root 'a'; keep one of them",
        ],
    ),
    (
        "root around a root",
        "root: [a/b, ./a]\n",
        [
            "1:13: root 'a' contains root 'a/b'; keep one of them",
        ],
    ),
    (
        "root twice",
        "root: [a, a/]\n",
        [
            "1:11: root 'a' is there twice; keep one of them",
        ],
    ),
    (
        "root of everything",
        "root: [a, .]\n",
        [
            "1:11: root '.' contains root 'a'; keep one of them",
        ],
    ),
    (
        "module as path",
        "dagster: {module_name: [a.b, src/defs.py]}\n",
        [
            "1:30: module_name 'src/defs.py' is no dotted module name; for a file use 'python_file'",
        ],
    ),
    (
        "no command",
        "dagster: {python: []}\n",
        [
            "1:19: python is empty; name at least one or remove the key",
        ],
    ),
    (
        "number in a command",
        "dagster: {python: [a, 3]}\n",
        [
            "1:23: python '3' is read as a number where text is wanted; quote it: \"3\"",
        ],
    ),
    (
        "rule without a path",
        "assets:\n  - asset: a\n",
        [
            "2:5: this rule has no 'path'; say which files it is for",
        ],
    ),
    (
        "rule with an empty path",
        "assets:\n  - {path: '', asset: a}\n",
        [
            "2:12: path is empty; write a text or remove the key",
        ],
    ),
    (
        "rule without a meaning",
        "assets:\n  - path: a\n",
        [
            "2:5: this rule says nothing about its files; give it 'asset', 'assets', 'job' or 'ignore: true'",
        ],
    ),
    (
        "rule with three meanings",
        "assets:\n  - path: a\n    ignore: true\n    assets: [b]\n    asset: c\n",
        [
            "3:5: this rule has 'asset' and 'ignore'; keep one of them",
            "4:5: this rule has 'asset' and 'assets'; keep one of them",
        ],
    ),
    (
        "ignore: false alone",
        "assets:\n  - {path: a, ignore: false}\n",
        [
            "2:5: this rule says nothing about its files; give it 'asset', 'assets', 'job' or 'ignore: true'",
        ],
    ),
    (
        "ignored with a partition",
        "assets:\n  - {path: a, ignore: true, partition: b, on_delete: skip}\n",
        [
            "2:29: an ignored path has no use for 'partition'; remove it",
            "2:43: an ignored path has no use for 'on_delete'; remove it",
        ],
    ),
    (
        "rows and what does not go with them",
        "assets:\n  - {path: a, asset: b, partition: c, fingerprint: text, rows: {key: d, partition: e}}\n",
        [
            "2:25: this rule has a partition for the file and one for each row; keep the one in 'rows': it may"
            " use what the path captures too",
            "2:39: this rule has 'rows' and 'fingerprint'; keep one of them",
        ],
    ),
    (
        "rows that are none",
        "assets:\n  - {path: a, asset: b, rows: {columns: [], delimiter: ab, encoding: utf-9, keys: d}}\n",
        [
            "2:31: rows has no 'key'; say which column tells the rows apart",
            "2:41: columns is empty; name at least one or remove the key",
            '2:56: delimiter \'ab\' is no delimiter; write one character, such as ";" or "\\t"',
            "2:70: encoding 'utf-9' is no encoding of text that Python knows; write for example latin-1",
            "2:77: unknown key 'keys' in 'rows'; did you mean 'key'?",
        ],
    ),
    (
        "path absolute",
        "assets:\n  - {path: /a, ignore: true}\n",
        [
            "2:12: path '/a' is absolute; paths are relative to the root",
        ],
    ),
    (
        "path above",
        "assets:\n  - {path: a/../b, ignore: true}\n",
        [
            "2:12: path 'a/../b' contains '..'; paths are relative to the root and stay below it",
        ],
    ),
    (
        "path of a folder",
        "assets:\n  - {path: a/, ignore: true}\n",
        [
            "2:12: path 'a/' ends in '/'; for all files of the folder write '**' after it",
        ],
    ),
    (
        "path with a dot",
        "assets:\n  - {path: ./a, ignore: true}\n",
        [
            "2:12: path './a' has a part that is empty or '.', so no file can match; remove it",
        ],
    ),
    (
        "path with the root",
        "assets:\n  - {path: data/1_raw/x.csv, ignore: true}\n",
        [
            (
                "2:12: path 'data/1_raw/x.csv' begins with the root, but paths are relative to it; "
                "write 'x.csv'"
            ),
        ],
    ),
    (
        "path is the root",
        "root: [a, b]\nassets:\n  - {path: b, ignore: true}\n",
        [
            "3:12: path 'b' begins with the root, but paths are relative to it; write '**'",
        ],
    ),
    (
        "asset with an empty part",
        "assets:\n  - {path: a, asset: raw//b}\n",
        [
            ("2:22: asset 'raw//b' has an empty part; write the parts of the key with one '/' between them"),
        ],
    ),
    (
        "no assets",
        "assets:\n  - {path: a, assets: []}\n",
        [
            "2:23: assets is empty; name at least one or remove the key",
        ],
    ),
    (
        "empty partition",
        "assets:\n  - {path: a, asset: b, partition: {}}\n",
        [
            "2:36: partition is empty; name at least one or remove the key",
        ],
    ),
    (
        "partition of numbers",
        "assets:\n  - {path: a, asset: b, partition: {year: 2024, region: ''}}\n",
        [
            "2:43: partition year '2024' is read as a number where text is wanted; quote it: \"2024\"",
            "2:57: partition region is empty; write a text or remove the key",
        ],
    ),
    (
        "all at once",
        (
            "batch_size: x\nroot: /a\nroot: b\nhooks:\n  pre-comit: run\nassets:\n  - path: ../x\n    "
            "asset: 3\n  - ignore: maybe\n"
        ),
        [
            "1:13: batch_size 'x' is not possible; use a whole number from 1 to 100000",
            "2:7: root '/a' is absolute; write it relative to the folder of this file",
            "3:1: key 'root' is already on line 2; remove one of them",
            "5:3: unknown key 'pre-comit' in 'hooks'; did you mean 'pre-commit'?",
            "7:11: path '../x' contains '..'; paths are relative to the root and stay below it",
            "8:12: asset '3' is read as a number where text is wanted; quote it: \"3\"",
            "9:5: this rule has no 'path'; say which files it is for",
            "9:13: ignore is true or false, not 'maybe'; write true, or remove the key",
        ],
    ),
]


def refusal(data: bytes, shown: str = "raw-trigger.yaml") -> str:
    with pytest.raises(ConfigError) as caught:
        parse(data, shown)
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize(("text", "lines"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_wrong_file(text: str, lines: list[str]) -> None:
    """Every problem is told at once, in the order of the file, with its place and what to do."""
    assert refusal(text.encode()).split("\n") == [f"raw-trigger.yaml:{line}" for line in lines]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"root: a\n# gr\xfcn\n", "2:5: byte 0xFC is not UTF-8; save the file as UTF-8"),
        ("# ä".encode() + b"\xff", "1:4: byte 0xFF is not UTF-8; save the file as UTF-8"),
        (b"\xef\xbb\xbf\xff", "1:1: byte 0xFF is not UTF-8; save the file as UTF-8"),
        ("root: a\n".encode("utf-16"), "1:1: the file is UTF-16; save it as UTF-8"),
        (b"\xef\xbb\xbfrot: a\n", "1:1: unknown key 'rot'; did you mean 'root'?"),
        (b"downstream: all\r\nrot: a\r\n", "2:1: unknown key 'rot'; did you mean 'root'?"),
    ],
)
def test_wrong_bytes(data: bytes, message: str) -> None:
    """A byte order mark and Windows line ends are fine, other encodings are not."""
    assert refusal(data) == f"raw-trigger.yaml:{message}"


def test_a_path_that_repeats_folder_and_root() -> None:
    """In a project folder the path from the repository's top is as wrong as the one from the folder."""
    text = b"root: raw\nassets:\n  - {path: p/raw/x, ignore: true}\n  - {path: raw/y, ignore: true}\n"
    wrong = "begins with the root, but paths are relative to it"
    assert refusal(text, "p/raw-trigger.yaml").split("\n") == [
        f"p/raw-trigger.yaml:3:12: path 'p/raw/x' {wrong}; write 'x'",
        f"p/raw-trigger.yaml:4:12: path 'raw/y' {wrong}; write 'y'",
    ]


@pytest.mark.parametrize("path", ["{a:[^/]+/..}/x", "{x:..}", "..a/b..", "...", ".hidden/x", "[.]/x", "**/*"])
def test_dots_that_are_no_folders(path: str) -> None:
    """Inside a regular expression and in names they are just characters."""
    config = parse(yaml.safe_dump({"assets": [{"path": path, "ignore": True}]}).encode(), "raw-trigger.yaml")
    assert config.rules[0].path == path


def test_very_many_problems_are_cut() -> None:
    """A screen or two is enough."""
    lines = refusal(b"".join(b"key%d: 1\n" % i for i in range(150))).split("\n")
    assert len(lines) == 101
    assert lines[-1] == "raw-trigger.yaml: and 50 more like these"


def bomb() -> str:
    levels = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)]
    return "a0: &a0 [x]\n" + "".join(levels)


def merge_bomb() -> str:
    base = "a: &a {" + ", ".join(f"k{i}: 1" for i in range(2000)) + "}\n"
    return base + "".join(f"b{i}: {{<<: *a}}\n" for i in range(2000))


def rule_bomb() -> str:
    return f"assets:\n  - &a {{path: x, assets: [{'y, ' * 5000}]}}\n" + "  - *a\n" * 5000


@pytest.mark.parametrize("text", [bomb(), merge_bomb(), rule_bomb()], ids=["aliases", "merges", "rules"])
def test_aliases_cannot_blow_up(text: str) -> None:
    """A short text that stands for a huge one is refused before it is written out."""
    message = (
        "more than 100000 values, counting each alias as what it stands for; use fewer aliases or patterns"
    )
    start = time.monotonic()
    assert refusal(text.encode()).split("\n")[-1].endswith(message)
    assert time.monotonic() - start < 60


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "repo").mkdir()
    return tmp_path / "repo"


def load_refusal(path: Path, top: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path, top)
    return str(caught.value)


def test_a_folder(top: Path) -> None:
    """A folder of that name."""
    (top / "raw-trigger.yaml").mkdir()
    assert load_refusal(top / "raw-trigger.yaml", top) == (
        "raw-trigger.yaml:1:1: this is a folder; a file of this name is wanted"
    )


def test_no_file(top: Path) -> None:
    """One that was named and is not there."""
    assert load_refusal(top / "other.yaml", top) == (
        "other.yaml:1:1: cannot be read: No such file or directory; check the path and its rights"
    )


def test_a_file_outside(top: Path) -> None:
    """Nothing in it could be relative to the repository."""
    path = top.parent / "raw-trigger.yaml"
    path.write_text("")
    advice = f"move it to {top} or a folder below"
    assert load_refusal(path, top) == f"{path}:1:1: the file is outside the repository; {advice}"


def test_a_huge_file(top: Path) -> None:
    """It is not even parsed."""
    (top / "raw-trigger.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    assert load_refusal(top / "raw-trigger.yaml", top) == (
        "raw-trigger.yaml:1:1: larger than 1048576 bytes; use patterns instead of single paths"
    )


words = st.sampled_from([key for m in (ConfigModel, DagsterModel, HooksModel, RuleModel) for key in keys(m)])
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.dates(),
    st.binary(max_size=4),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.one_of(words, words, st.text(max_size=4), st.integers()), inner, max_size=5)
    ),
    max_leaves=12,
)
documents = st.dictionaries(words, values, max_size=6)
pieces = [*"&*<:{}[]!|>-?#%@'\"\n\t ,~\\", ": ", "- ", "<<: ", "\n  ", "&a ", "*a ", "!!int ", "2024-01-01"]
noise = st.lists(st.one_of(words, st.sampled_from(pieces)), max_size=30).map("".join)
anything = st.one_of(
    st.binary(), st.text().map(lambda t: t.encode("utf-8", "replace")), noise.map(str.encode)
)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(anything)
@example(b"%YAML " + b"9" * 5000 + b".1\n---\n")
@example(b'"\\UFFFFFFFF"')
@example(b"!<tag:%FF> x")
@example(b"? ? ? a")
@example(b"{<<: [{<<: {root: a}}]}")
@example(b"batch_size: !!int x\nworkers: !!int '3'\nroot: !!null x\nenvironment: !!bool maybe\n")
def test_anything_is_read_or_refused(data: bytes) -> None:
    """No text whatever ends in another error than the one for users."""
    with contextlib.suppress(ConfigError):
        parse(data, "raw-trigger.yaml")


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(documents)
def test_any_values_are_read_or_refused(document: dict[str, object]) -> None:
    """Nor does any well-formed YAML, and every line of the message has a place and a hint."""
    text = yaml.safe_dump(document, allow_unicode=True).encode("utf-8", "surrogatepass")
    try:
        parse(text, "raw-trigger.yaml")
    except ConfigError as error:
        for line in str(error).split("\n"):
            file, row, column, rest = line.split(":", 3)
            assert (file, row.isdigit(), column.isdigit()) == ("raw-trigger.yaml", True, True)
            assert "; " in rest
