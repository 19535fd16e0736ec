// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with the file beside input, or rewrites that.
func golden(t *testing.T, input, got string) {
	t.Helper()
	file := strings.TrimSuffix(input, filepath.Ext(input)) + ".golden"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant:\n%s", file, got, want)
	}
}

// inputs returns the YAML files of a folder with their content.
func inputs(t testing.TB, folder string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in testdata/%s: %v", folder, err)
	}
	list := make(map[string][]byte)
	for _, file := range files {
		if list[file], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// TestInvalid holds the text of all messages.
func TestInvalid(t *testing.T) {
	t.Parallel()
	for file, data := range inputs(t, "invalid") {
		m, err := Parse("gadget.yaml", data)
		if err == nil {
			t.Errorf("%s: no error", file)
			continue
		}
		if m != nil && filepath.Base(file) != "unknown-only.yaml" && filepath.Base(file) != "many.yaml" {
			t.Errorf("%s: an error, and metadata beside it", file)
		}
		golden(t, file, err.Error()+"\n")
	}
}

// TestValid holds how metadata is written, and that it is read back the same.
func TestValid(t *testing.T) {
	t.Parallel()
	for file, data := range inputs(t, "valid") {
		m, err := Parse("gadget.yaml", data)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		golden(t, file, string(roundTrip(t, m)))
	}
}

// roundTrip encodes m, parses the result, and compares it with m.
func roundTrip(t *testing.T, m *Metadata) []byte {
	t.Helper()
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse("again.yaml", text)
	if err != nil {
		t.Fatalf("what Encode wrote is not valid: %v\n%s", err, text)
	}
	if diff := compare(m, again); diff != "" {
		t.Fatalf("not the same after Encode and Parse: %s\n%s", diff, text)
	}
	second, err := again.Encode()
	if err != nil || !bytes.Equal(second, text) {
		t.Fatalf("not written the same twice: %v\n%s\n%s", err, text, second)
	}
	return text
}
