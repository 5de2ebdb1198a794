#!/usr/bin/env node
// Runs the program of this platform's package, which npm installed as an optional dependency.
"use strict";
const { spawn } = require("node:child_process");

const name = `@open-cursor/${process.platform}-${process.arch}`;
let program;
try {
  program = require.resolve(`${name}/bin/open-cursor`);
} catch {
  console.error(`error: the package ${name} is not installed`);
  console.error(
    "hint: install without --omit=optional and --no-optional; there are programs for Linux with glibc and macOS, x64 and arm64",
  );
  process.exit(1);
}

const child = spawn(program, process.argv.slice(2), { stdio: "inherit" });
// A terminal signals the program as well; what only this process gets is handed on.
process.on("SIGINT", () => {});
process.on("SIGQUIT", () => {});
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`error: ${program} does not start: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
