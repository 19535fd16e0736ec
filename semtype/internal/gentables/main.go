// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command gentables writes the tables of names that package semtype needs (errors, signals, system
// calls, flags of open, IP protocols). It reads them from the source of golang.org/x/sys/unix for
// every architecture, because the package itself has only the tables of the architecture it is compiled for.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	out := flag.String("o", "", "file to write")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "gentables:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	if out == "" {
		return fmt.Errorf("no file to write: give one with -o")
	}
	dir, err := unixDir()
	if err != nil {
		return err
	}
	code, err := generate(dir)
	if err != nil {
		return err
	}
	return os.WriteFile(out, code, 0o644)
}
