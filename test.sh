#!/usr/bin/env bash
# The test command: installs what it needs where it may, then runs every test of the workspace.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v cargo >/dev/null 2>&1; then
  echo "test.sh: cargo is missing; install Rust (https://rustup.rs) and run this again" >&2
  exit 2
fi
# A linker comes with the C compiler.
if ! command -v cc >/dev/null 2>&1; then
  if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends gcc libc6-dev
  else
    echo "test.sh: a C compiler is missing; install one (gcc or clang) and run this again" >&2
    exit 2
  fi
fi

# Servers that some tests start for themselves; CLAIMLAB_SKIP=postgres leaves one out, and says so.
tests/install-valkey
case ",${CLAIMLAB_SKIP:-}," in
*,postgres,*) echo "test.sh: CLAIMLAB_SKIP=$CLAIMLAB_SKIP: PostgreSQL is not tested" >&2 ;;
*) tests/install-postgres ;;
esac

exec cargo test --workspace --features claimlab/databases,claimlab/connect "$@"
