#!/bin/sh
# HTTPS in front of one sample backend, with a certificate made on the spot. From the project's folder, after
# `npm ci && npm run build`:
#   examples/tls.sh
#   curl -k https://localhost:8443/
set -eu
folder=$(mktemp -d)
trap 'kill "$backend" 2>/dev/null; rm -rf "$folder"' EXIT
trap 'exit 0' INT TERM

openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost \
  -keyout "$folder/server.key" -out "$folder/server.crt" 2>/dev/null
cat >"$folder/fairlead.yaml" <<EOF
port: 8443
ssl: { enabled: true, cert_file: server.crt, key_file: server.key }
backends: [http://localhost:8081]
EOF

node dist/cli/main.js backend --port 8081 &
backend=$!
node dist/cli/main.js --config "$folder/fairlead.yaml"
