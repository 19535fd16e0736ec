// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

func folder(t *testing.T, yaml string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "gadget.yaml"), []byte(yaml), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A folder with a gadget.yaml alone is a gadget if that switches on a built-in data source. Unknown names are warnings, or errors in a strict check.
func TestFolderWithoutProgram(t *testing.T) {
	t.Parallel()
	dir := folder(t, `
operator: {process: {emitstats: true, intervall: 3s, fields: [comm, mem]}}
datasources: {processes: {fields: {user: {annotations: {columns.width: 3}}}}}
`)
	var warnings []string
	c := Catalog{Warn: func(err error) { warnings = append(warnings, strings.Split(err.Error(), "\n")...) }}
	g, err := c.Find(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if g.Folder != dir || len(g.Image.DataSources) != 1 || g.Image.Metadata.Name != filepath.Base(dir) {
		t.Errorf("%+v", g)
	}
	want := []string{`unknown field "user"`, `unknown field "mem"`, `unknown key "intervall"; did you mean "interval"?`}
	for _, w := range want {
		if !strings.Contains(strings.Join(warnings, "\n"), w) {
			t.Errorf("no warning about %s: %q", w, warnings)
		}
	}
	if len(warnings) != len(want) {
		t.Errorf("warnings %q", warnings)
	}
	strict := Catalog{}
	if _, err := strict.Find(t.Context(), dir); err == nil || !strings.Contains(err.Error(), want[2]) {
		t.Errorf("got %v", err)
	}
}

func TestFolderWithNothing(t *testing.T) {
	t.Parallel()
	c := Catalog{}
	if _, err := c.Find(t.Context(), folder(t, "name: x")); !errors.Is(err, image.ErrNothing) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Find(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "it has no file program.bpf.c") {
		t.Errorf("got %v", err)
	}
}
