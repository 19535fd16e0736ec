// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/metadata"
)

// Unknown output modes are removed, and for those of future features there is one line for each feature.
func TestOutputModes(t *testing.T) {
	t.Parallel()
	modes := func(supported, first string) string {
		return "datasources:\n  a:\n    annotations:\n      cli.supported-output-modes: " + supported + "\n      cli.default-output-mode: " + first + "\n"
	}
	for _, c := range []struct {
		yaml            string
		supported, mode string // the remaining annotations
		problems        []string
		pending         []string
	}{
		{yaml: modes("json, columns", "json"), supported: "json, columns", mode: "json"},
		{yaml: modes("JSON,columns", "JSON"), supported: "json,columns", mode: "json"},
		{
			yaml: modes("jsn,columns", "jsn"), supported: "columns",
			problems: []string{`gadget.yaml:4:35: unknown output mode "jsn"; did you mean "json"?`},
		},
		{
			yaml:     modes("advise", "advise"),
			problems: []string{`gadget.yaml:4:35: unknown output mode "advise"`},
		},
		{
			yaml: modes("json,histogram", "histogram"), supported: "json",
			problems: []string{`gadget.yaml:4:35: unknown output mode "histogram"`},
		},
	} {
		m, err := metadata.Parse("gadget.yaml", []byte(c.yaml))
		if err != nil {
			t.Fatal(err)
		}
		known := metadata.Known{DataSources: map[string][]string{"a": nil}, OutputModes: []string{"columns", "json"}}
		out, err := m.Fit(known)
		got := ""
		for _, p := range metadata.Problems(err) {
			got += p.Error() + "\n"
		}
		for _, p := range m.Pending() {
			got += p.Error() + "\n"
		}
		if want := strings.Join(append(c.problems, append(c.pending, "")...), "\n"); got != want {
			t.Errorf("%s: got %swant %s", c.yaml, got, want)
		}
		set := out.Source("a").Source
		if set["cli.supported-output-modes"] != c.supported || set["cli.default-output-mode"] != c.mode {
			t.Errorf("%s: got %v", c.yaml, set)
		}
		if err := out.Validate(known); err != nil {
			t.Errorf("it does not fit: %v", err)
		}
		known.OutputModes = nil
		if out, err := m.Fit(known); err != nil || fmt.Sprint(out.Source("a").Source) != fmt.Sprint(m.Source("a").Source) {
			t.Errorf("where modes are not checked: %v, %v", out, err)
		}
	}
}
