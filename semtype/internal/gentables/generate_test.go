// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTablesAreCurrent(t *testing.T) {
	t.Parallel()
	dir, err := unixDir()
	if err != nil {
		t.Fatal(err)
	}
	want, err := generate(dir)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../tables_generated.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("tables_generated.go is stale: run 'go generate ./semtype'")
	}
}

func TestGenerateErrors(t *testing.T) {
	t.Parallel()
	const good = "package unix\nconst ( O_A = 1; O_LARGEFILE = 2; SYS_A = 1; IPPROTO_A = 1 )\n" +
		"var errorList = []x{{1, \"EA\", \"a\"}}\nvar signalList = []x{{1, \"SIGA\", \"a\"}}\n"
	for _, tt := range []struct{ name, file, text, want string }{
		{"missing file", "", "", "no such file"},
		{"other errors", "zerrors_linux_arm.go", strings.Replace(good, "EA", "EB", 1), "differs on arm"},
		{"no constants", "zsysnum_linux_386.go", "package unix", "no constants SYS_"},
		{"no table", "zerrors_linux_amd64.go", "package unix", "no table errorList"},
		{"two names", "zsysnum_linux_arm64.go", "package unix\nconst ( SYS_A = 1; SYS_B = 1 )", "both 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if tt.file != "" {
				writeSources(t, dir, good)
				write(t, filepath.Join(dir, tt.file), tt.text)
			}
			_, err := generate(dir)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func writeSources(t *testing.T, dir, text string) {
	t.Helper()
	write(t, filepath.Join(dir, "zerrors_linux.go"), text)
	for _, a := range arches() {
		write(t, filepath.Join(dir, "zerrors_linux_"+a.name+".go"), text)
		write(t, filepath.Join(dir, "zsysnum_linux_"+a.name+".go"), text)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
